"""Makes of OTLP messages what the SDK had before it encoded them, with its public constructors.

The gate's filters work on the SDK's objects; only so can a payload be shown to the very same filters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace.status import Status, StatusCode

from otel_incident.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FLAGS: Final = 0xFF  # of 32 bits, those that a trace context has
_KINDS: Final = {kind.value + 1: kind for kind in SpanKind} | {0: SpanKind.INTERNAL}
_STATUS: Final = {code.value: code for code in StatusCode}
_SEVERITIES: Final = {number.value: number for number in SeverityNumber}
_TEMPORALITIES: Final = {each.value: each for each in AggregationTemporality}


def resource_of(group: Any) -> Resource:
    """The resource of a Resource… message."""
    return Resource(attributes_of(group.resource.attributes), group.schema_url)


def scope_of(scoped: Any) -> InstrumentationScope:
    """The instrumentation scope of a Scope… message."""
    scope = scoped.scope
    return InstrumentationScope(
        scope.name, scope.version or None, scoped.schema_url or None, attributes_of(scope.attributes)
    )


def span_of(message: Any, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    """A span that has ended.

    Raises:
        PayloadError: An enum has a value that OTLP does not.
    """
    context = _context(message)
    parent = int.from_bytes(message.parent_span_id)
    return ReadableSpan(
        name=message.name,
        context=context,
        parent=SpanContext(context.trace_id, parent, is_remote=False) if parent else None,
        resource=resource,
        attributes=attributes_of(message.attributes),
        events=[
            Event(event.name, attributes_of(event.attributes), event.time_unix_nano)
            for event in message.events
        ],
        links=[Link(_context(link), attributes_of(link.attributes)) for link in message.links],
        kind=_member(_KINDS, message.kind, "kind"),
        status=_status(message.status),
        start_time=message.start_time_unix_nano,
        end_time=message.end_time_unix_nano,
        instrumentation_scope=scope,
    )


def record_of(message: Any) -> LogRecord:
    """A log record.

    Raises:
        PayloadError: An enum has a value that OTLP does not.
    """
    context = set_span_in_context(NonRecordingSpan(_context(message)), Context())
    return LogRecord(
        timestamp=message.time_unix_nano,
        observed_timestamp=message.observed_time_unix_nano,
        context=context,
        severity_text=message.severity_text or None,
        severity_number=_member(_SEVERITIES, message.severity_number, "severityNumber"),
        body=_value(message.body),
        attributes=attributes_of(message.attributes),
        event_name=message.event_name or None,
    )


def metric_of(message: Any) -> Metric:
    """A metric with its data points.

    Raises:
        PayloadError: It is of a kind that the SDK does not have, or an enum has a value that OTLP does not.
    """
    kind = message.WhichOneof("data")
    data = getattr(message, kind) if kind else None
    if data is None or kind == "summary":
        what = "a summary" if kind else "without data"
        raise PayloadError(f"is {what}, which no Python SDK sends, so no gate sees it; leave it out")
    made: Any
    if kind == "gauge":
        made = Gauge([_number(point) for point in data.data_points])
    else:
        temporality = _member(_TEMPORALITIES, data.aggregation_temporality, "aggregationTemporality")
        if kind == "sum":
            made = Sum([_number(point) for point in data.data_points], temporality, data.is_monotonic)
        elif kind == "histogram":
            made = Histogram([_histogram(point) for point in data.data_points], temporality)
        else:
            made = ExponentialHistogram([_exponential(point) for point in data.data_points], temporality)
    return Metric(message.name, message.description, message.unit, made)


def attributes_of(pairs: Iterable[Any]) -> dict[str, Any]:
    """Attributes in Python; of a key that stands twice the last, as everywhere in the SDK."""
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(message: Any) -> Any:
    kind = message.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(item) for item in message.array_value.values)
    if kind == "kvlist_value":
        return attributes_of(message.kvlist_value.values)
    return None if kind is None else getattr(message, kind)


def _context(message: Any) -> SpanContext:
    state = getattr(message, "trace_state", "")
    return SpanContext(
        int.from_bytes(message.trace_id),
        int.from_bytes(message.span_id),
        is_remote=False,
        trace_flags=TraceFlags(message.flags & _FLAGS),
        trace_state=TraceState.from_header([state]) if state else None,
    )


def _status(message: Any) -> Status:
    code = _member(_STATUS, message.code, "status.code")
    return Status(code, message.message if code is StatusCode.ERROR and message.message else None)


def _number(message: Any) -> NumberDataPoint:
    kind = message.WhichOneof("value")
    return NumberDataPoint(
        attributes_of(message.attributes),
        message.start_time_unix_nano,
        message.time_unix_nano,
        getattr(message, kind) if kind else 0,
        _exemplars(message),
    )


def _histogram(message: Any) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes_of(message.attributes),
        message.start_time_unix_nano,
        message.time_unix_nano,
        message.count,
        message.sum,
        tuple(message.bucket_counts),
        tuple(message.explicit_bounds),
        message.min,
        message.max,
        _exemplars(message),
    )


def _exponential(message: Any) -> ExponentialHistogramDataPoint:
    return ExponentialHistogramDataPoint(
        attributes_of(message.attributes),
        message.start_time_unix_nano,
        message.time_unix_nano,
        message.count,
        message.sum,
        message.scale,
        message.zero_count,
        Buckets(message.positive.offset, tuple(message.positive.bucket_counts)),
        Buckets(message.negative.offset, tuple(message.negative.bucket_counts)),
        message.flags,
        message.min,
        message.max,
        _exemplars(message),
    )


def _exemplars(message: Any) -> list[Exemplar]:
    return [
        Exemplar(
            attributes_of(exemplar.filtered_attributes),
            getattr(exemplar, exemplar.WhichOneof("value") or "as_int"),
            exemplar.time_unix_nano,
            int.from_bytes(exemplar.span_id) or None,
            int.from_bytes(exemplar.trace_id) or None,
        )
        for exemplar in message.exemplars
    ]


def _member(members: Mapping[int, Any], value: int, field: str) -> Any:
    if value not in members:
        raise PayloadError(f"{field} is no number that OTLP gives a meaning; correct it")
    return members[value]
