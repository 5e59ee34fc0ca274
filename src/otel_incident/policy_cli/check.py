"""What the gate would take out of a payload: the very filters of the gate, and what is missing behind them.

Keys and fields are named, values never. What is compared are OTLP messages, before and after, field by field,
so that whatever a filter takes, now or later, is seen without this module knowing of it.
"""

from __future__ import annotations

import copy
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from google.protobuf.descriptor import FieldDescriptor
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics

from otel_incident.errors import PayloadError
from otel_incident.gate.logs import LogFilter
from otel_incident.gate.metrics import MetricFilter
from otel_incident.gate.spans import SpanFilter
from otel_incident.policy_cli.rebuilding import metric_of, record_of, resource_of, scope_of, span_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_incident.drops import Kind
    from otel_incident.gate.rules import GateRules
    from otel_incident.policy_cli.payload import Request

_TEXTS: Final = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
DROPPED: Final = "(the whole record)"


class Taken(NamedTuple):
    """One thing that would not leave.

    Attributes:
        line: Of the payload, from 1.
        place: `resourceSpans[0].scopeSpans[0].spans[2]`.
        field: `name`, or `events[0].attributes`.
        key: Which attribute, "" where it is no attribute.
    """

    line: int
    place: str
    field: str
    key: str


class Checked(NamedTuple):
    """The answer about a payload: how many records it has, and what would be taken out of them."""

    records: int
    taken: list[Taken]


def check(requests: Iterable[Request], rules: GateRules, source: str) -> Checked:
    """Ask the gate about each record.

    Args:
        requests: The payload.
        rules: The gate's, strict or standard.
        source: What messages call the payload.

    Raises:
        PayloadError: A record cannot be what an SDK has sent; the line and the place are in the message.
    """
    records = 0
    taken: dict[Taken, None] = {}  # each once, in order
    sdk = logging.getLogger("opentelemetry")
    level = sdk.level
    sdk.setLevel(logging.CRITICAL + 1)  # it would name values that it does not like
    try:
        for request in requests:
            for found in _SIGNALS[request.signal](request, rules, source).records():
                records += 1
                taken |= dict.fromkeys(found)
    finally:
        sdk.setLevel(level)
    return Checked(records, list(taken))


class _Signal:
    """One request, record by record; what its signal is, the classes below say."""

    root = items = ""

    def __init__(self, request: Request, rules: GateRules, source: str) -> None:
        self._source = source
        self._line = request.line
        self._message = request.message
        self._rules = rules
        self._of_scope = self.root.replace("resource", "scope")

    def records(self) -> Iterator[list[Taken]]:
        """What would be taken out of each record, and with the first of a group out of resource and scope."""
        for r, group in enumerate(getattr(self._message, self.root)):
            above = f"{_json(self.root)}[{r}]"
            for s, scoped in enumerate(getattr(group, self._of_scope)):
                within = f"{above}.{_json(self._of_scope)}[{s}]"
                for i, record in enumerate(getattr(scoped, self.items)):
                    place = f"{within}.{_json(self.items)}[{i}]"
                    try:
                        passed = self._passed(record, group, scoped)
                    except PayloadError as error:
                        raise PayloadError(f"{self._source}, line {self._line}: {place} {error}.") from None
                    yield [*self._compared((above, within, place), (group, scoped, record), passed)]

    def _passed(self, record: Any, group: Any, scoped: Any) -> tuple[Any, Any] | None:
        """Requests with this record alone, before and after, as far as the gate made a difference."""
        raise NotImplementedError

    def _compared(
        self, places: tuple[str, str, str], came: tuple[Any, Any, Any], passed: tuple[Any, Any] | None
    ) -> Iterator[Taken]:
        if passed is None:
            return
        before, after = passed
        if after is None or not getattr(after, self.root):
            yield Taken(self._line, places[2], DROPPED, "")
            return
        for place, one, other in zip(
            places, came if before is None else self._parts(before), self._parts(after), strict=True
        ):
            inside = (self._of_scope, self.items)
            yield from (Taken(self._line, place, field, key) for field, key in missing(one, other, inside))

    def _parts(self, request: Any) -> tuple[Any, Any, Any]:
        (group,) = getattr(request, self.root)
        (scoped,) = getattr(group, self._of_scope)
        (record,) = getattr(scoped, self.items)
        return group, scoped, record


@final
class _Spans(_Signal):
    root, items = "resource_spans", "spans"

    def _passed(self, record: Any, group: Any, scoped: Any) -> tuple[Any, Any] | None:
        span = span_of(record, resource_of(group), scope_of(scoped))
        passed = SpanFilter(self._rules)(span)
        if passed is span:
            return None
        before = None if self._rules.mode == "strict" else encode_spans([span])
        return before, encode_spans([passed])


@final
class _Logs(_Signal):
    root, items = "resource_logs", "log_records"

    def _passed(self, record: Any, group: Any, scoped: Any) -> tuple[Any, Any] | None:
        made, resource, scope = record_of(record), resource_of(group), scope_of(scoped)
        entry = LogFilter(self._rules)(made, resource, scope)
        if entry is None:
            return None
        before = None
        if self._rules.mode != "strict":
            before = encode_logs([ReadableLogRecord(made, resource, scope)])
        return before, encode_logs([ReadableLogRecord(entry.record, entry.resource, entry.scope)])


@final
class _Metrics(_Signal):
    root, items = "resource_metrics", "metrics"

    def records(self) -> Iterator[list[Taken]]:
        """As of the others; and what is taken only because of other metrics beside it."""
        counted = Counter(self._rules.dropped.counts())
        yield from super().records()
        if self._whole_loses_more(Counter(self._rules.dropped.counts()) - counted):
            yield [Taken(self._line, _json(self.root), "points that could not be told apart any more", "")]

    def _compared(
        self, places: tuple[str, str, str], came: tuple[Any, Any, Any], passed: tuple[Any, Any] | None
    ) -> Iterator[Taken]:
        group, scoped, metric = came
        kind = metric.WhichOneof("data")
        for index in range(len(getattr(metric, kind).data_points)):  # one by one: together they would merge
            alone = copy.deepcopy(metric)
            points = getattr(alone, kind).data_points
            points[0].CopyFrom(points[index])
            del points[1:]
            for taken in super()._compared(
                places, (group, scoped, alone), self._passed(alone, group, scoped)
            ):
                yield taken._replace(field=taken.field.replace("dataPoints[0]", f"dataPoints[{index}]"))
        if passed is not None and passed[1] is None:
            yield Taken(self._line, places[2], DROPPED, "")

    def _passed(self, record: Any, group: Any, scoped: Any) -> tuple[Any, Any] | None:
        data = _metrics_data([(group, [(scoped, [record])])])
        passed = MetricFilter(self._rules)(data)
        if passed is data:
            return None
        before = None if self._rules.mode == "strict" else encode_metrics(data)
        return before, None if passed is None else encode_metrics(passed)

    def _whole_loses_more(self, one_by_one: Counter[Kind]) -> bool:
        counted = Counter(self._rules.dropped.counts())
        MetricFilter(self._rules)(
            _metrics_data(
                (group, [(scoped, scoped.metrics) for scoped in group.scope_metrics])
                for group in self._message.resource_metrics
            )
        )
        return bool(Counter(self._rules.dropped.counts()) - counted - one_by_one)


def _metrics_data(groups: Iterable[tuple[Any, list[tuple[Any, Iterable[Any]]]]]) -> MetricsData:
    return MetricsData(
        [
            ResourceMetrics(
                resource_of(group),
                [
                    ScopeMetrics(
                        scope_of(scoped), [metric_of(metric) for metric in metrics], scoped.schema_url
                    )
                    for scoped, metrics in scopes
                ],
                group.schema_url,
            )
            for group, scopes in groups
        ]
    )


def missing(before: Any, after: Any, but: tuple[str, ...] = (), path: str = "") -> Iterator[tuple[str, str]]:
    """Which texts of a message another lacks: the field, and the key of an attribute.

    Args:
        before: A protobuf message.
        after: Another of its type.
        but: Fields that are not looked at.
        path: What the fields are below.
    """
    for field, value in before.ListFields():
        place = f"{path}.{field.json_name}" if path else field.json_name
        other = getattr(after, field.name)
        if field.name in but:
            continue
        if field.message_type is None:
            if field.type in _TEXTS and value != other:
                yield place, ""
        elif field.message_type.name == "AnyValue":
            if value.WhichOneof("value") is not None and _exact(value) != _exact(other):
                yield place, ""
        elif not field.is_repeated:
            yield from missing(value, other, but, place)
        elif field.message_type.name == "KeyValue":
            yield from ((place, key) for key in _missing_keys(value, other))
        else:
            yield from ((f"{place}[{index}]", "") for index in range(len(other), len(value)))
            for index, (one, another) in enumerate(zip(value, other, strict=False)):
                yield from missing(one, another, but, f"{place}[{index}]")


def _missing_keys(before: Iterable[Any], after: Iterable[Any]) -> Iterator[str]:
    """The keys of the attributes that are not there any more as they were; of two alike one may be."""
    left = [_exact(pair) for pair in after]
    for pair in before:
        if _exact(pair) in left:
            left.remove(_exact(pair))
        else:
            yield pair.key


def _exact(message: Any) -> bytes:
    exact: bytes = message.SerializeToString(deterministic=True)
    return exact


def _json(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


_SIGNALS: Final = {"spans": _Spans, "logs": _Logs, "metrics": _Metrics}
