"""The policy at the SDK's edge, for the host's own spans and log records.

A span cannot be filtered in place: when a processor sees it, it is frozen, and a processor that was
registered earlier has queued it already. So the gate wraps the next processor and hands it a copy
from which everything that may not leave is missing. It deletes, it never masks; what it cannot
filter it drops; it never raises into the host.

    provider.add_span_processor(ContentGateSpanProcessor(BatchSpanProcessor(OTLPSpanExporter())))

`strict` (the default) keeps the structure of a trace (ids, parents, links, kinds, times, status
codes) and of a log record (times, severity number, trace context), registered attributes that keep
their rule, and nothing else that could hold text. `standard` removes what stands in our namespaces
without being registered and passes everything else as it is.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, final

from opentelemetry._logs import LogRecord
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.metrics import get_meter
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceState, set_span_in_context
from opentelemetry.trace.status import Status

from otel_incident.drops import Drops
from otel_incident.guard import swallow
from otel_incident.policy import Drop, Filtered, keep_registered, without_forbidden
from otel_incident.version import __version__
from otel_incident.vocabulary import EVENTS, RESOURCE, SCHEMA_URL, SCOPE_NAME, Signal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import Span

Mode = Literal["strict", "standard"]
T = TypeVar("T")
MODES: Final[tuple[Mode, ...]] = ("strict", "standard")

_FAILED: Final = Drop("", "internal_error", "none")
# What a resource may say besides our identity: names that the operator gave, and the SDK's own.
_RESOURCE: Final[Mapping[str, re.Pattern[str]]] = {
    "service.name": re.compile(r"[\w.:/ -]{1,128}", re.ASCII),
    "service.namespace": re.compile(r"[\w.:/ -]{1,128}", re.ASCII),
    "service.instance.id": re.compile(r"[\w.:-]{1,64}", re.ASCII),
    "telemetry.sdk.name": re.compile(r"opentelemetry", re.ASCII),
    "telemetry.sdk.language": re.compile(r"python", re.ASCII),
    "telemetry.sdk.version": re.compile(r"[0-9A-Za-z.+-]{1,32}", re.ASCII),
}
_SAMPLING: Final = re.compile(
    r"(?:th:[0-9a-f]{1,14}|rv:[0-9a-f]{14})(?:;(?:th:[0-9a-f]{1,14}|rv:[0-9a-f]{14}))?", re.ASCII
)
_OWN_SCOPE: Final = InstrumentationScope(SCOPE_NAME, __version__, SCHEMA_URL)
_OTHER_SCOPE: Final = InstrumentationScope("other")
# Names that the conventions fix; any other name of a span event could be a sentence.
_EXCEPTION_EVENT: Final = "exception"
_OTHER_EVENT: Final = "event"


class _Gate:
    """What both processors share: the mode, the counts, and the last resource, which rarely changes."""

    def __init__(self, mode: Mode, signal: Signal) -> None:
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}")
        self.strict = mode == "strict"
        self.drops = Drops(get_meter(SCOPE_NAME, __version__, schema_url=SCHEMA_URL), announce=False)
        self._signal: Signal = signal
        self._resource: tuple[Resource | None, Resource] = (None, Resource.get_empty())

    def count(self, drops: Sequence[Drop]) -> None:
        if drops:
            self.drops.record(self._signal, drops)

    def resource(self, resource: Resource | None) -> Resource:
        """What a resource may say in strict."""
        known, filtered = self._resource
        if resource is None or resource is known:
            return filtered if resource is not None else Resource.get_empty()
        identity = keep_registered(resource.attributes, RESOURCE).attributes
        described = {
            name: value
            for name, grammar in _RESOURCE.items()
            if type(value := resource.attributes.get(name)) is str and grammar.fullmatch(value)
        }
        filtered = Resource({**described, **identity})
        self._resource = (resource, filtered)
        return filtered


@final
class ContentGateSpanProcessor(SpanProcessor):
    """Hands the next processor copies of the spans that ended, without what may not leave.

    The next processor sees ended spans alone: one that works on live spans belongs before the gate.

    Args:
        next: Usually `BatchSpanProcessor(OTLPSpanExporter())`.
        mode: `strict` or `standard`.

    Raises:
        ValueError: The mode is neither.
    """

    def __init__(self, next: SpanProcessor, *, mode: Mode = "strict") -> None:  # noqa: A002  the documented name
        self._next = next
        self._gate = _Gate(mode, "spans")

    @property
    def drops(self) -> dict[tuple[Signal, str, str], int]:
        """How often each (signal, reason, rule) took something out."""
        return self._gate.drops.counts()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Not passed on: a live span holds what the copy will not."""

    def on_end(self, span: ReadableSpan) -> None:
        """Pass a filtered copy on; a span that cannot be filtered is dropped."""
        try:
            passed = self._strict(span) if self._gate.strict else self._standard(span)
        except Exception as error:  # noqa: BLE001  a filter that fails must neither raise nor let through
            self._gate.count((_FAILED,))
            swallow("gate", error)
            return
        self._next.on_end(passed)

    def shutdown(self) -> None:
        """Shut the next processor down."""
        self._next.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the next processor."""
        return self._next.force_flush(timeout_millis)

    def _strict(self, span: ReadableSpan) -> ReadableSpan:
        drops: list[Drop] = []

        def registered(attributes: Mapping[str, Any] | None, name: str = "") -> Filtered:
            event = EVENTS.get(name)
            filtered = keep_registered(attributes or {}, event.attributes if event else _EVENT_ATTRIBUTES)
            drops.extend(filtered.drops)
            return filtered

        passed = ReadableSpan(
            name=span.kind.name.lower(),
            context=_bare(span.context),
            parent=_bare(span.parent),
            resource=self._gate.resource(span.resource),
            attributes=_bounded(registered(span.attributes), span.dropped_attributes),
            events=_counted(
                [
                    Event(
                        _event_name(event.name),
                        _bounded(registered(event.attributes, event.name), event.dropped_attributes),
                        event.timestamp,
                    )
                    for event in span.events
                ],
                span.dropped_events,
            ),
            links=_counted(
                [
                    Link(_bare(link.context), _bounded(registered(link.attributes), link.dropped_attributes))
                    for link in span.links
                ],
                span.dropped_links,
            ),
            kind=span.kind,
            status=Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=_scope(span.instrumentation_scope),
        )
        self._gate.count(drops)
        return passed

    def _standard(self, span: ReadableSpan) -> ReadableSpan:
        attributes = without_forbidden(span.attributes or {})
        events = [(event, without_forbidden(event.attributes or {})) for event in span.events]
        links = [(link, without_forbidden(link.attributes or {})) for link in span.links]
        found = [attributes, *(filtered for _, filtered in events), *(filtered for _, filtered in links)]
        drops = [drop for filtered in found if filtered is not None for drop in filtered.drops]
        if not drops:
            return span
        self._gate.count(drops)
        return ReadableSpan(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=_bounded(attributes, span.dropped_attributes) if attributes else span.attributes,
            events=_counted(
                [
                    Event(event.name, _bounded(filtered, event.dropped_attributes), event.timestamp)
                    if filtered
                    else event
                    for event, filtered in events
                ],
                span.dropped_events,
            ),
            links=_counted(
                [
                    Link(link.context, _bounded(filtered, link.dropped_attributes)) if filtered else link
                    for link, filtered in links
                ],
                span.dropped_links,
            ),
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )


@final
class ContentGateLogRecordProcessor(LogRecordProcessor):
    """Hands the next processor copies of log records, without what may not leave.

    Args:
        next: Usually `BatchLogRecordProcessor(OTLPLogExporter())`.
        mode: `strict` or `standard`.

    Raises:
        ValueError: The mode is neither.
    """

    def __init__(self, next: LogRecordProcessor, *, mode: Mode = "strict") -> None:  # noqa: A002  the documented name
        self._next = next
        self._gate = _Gate(mode, "logs")

    @property
    def drops(self) -> dict[tuple[Signal, str, str], int]:
        """How often each (signal, reason, rule) took something out."""
        return self._gate.drops.counts()

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Pass a filtered copy on; a record that cannot be filtered is dropped."""
        try:
            passed = self._strict(log_record) if self._gate.strict else self._standard(log_record)
        except Exception as error:  # noqa: BLE001  a filter that fails must neither raise nor let through
            self._gate.count((_FAILED,))
            swallow("gate", error)
            return
        self._next.on_emit(passed)

    def shutdown(self) -> None:
        """Shut the next processor down."""
        self._next.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the next processor."""
        return self._next.force_flush(timeout_millis)

    def _strict(self, entry: ReadWriteLogRecord) -> ReadWriteLogRecord:
        record = entry.log_record
        event = EVENTS.get(record.event_name) if type(record.event_name) is str else None
        filtered = keep_registered(record.attributes or {}, event.attributes if event else _EVENT_ATTRIBUTES)
        self._gate.count(filtered.drops)
        passed = ReadWriteLogRecord(
            log_record=LogRecord(
                timestamp=record.timestamp,
                observed_timestamp=record.observed_timestamp,
                context=_bare_context(record),
                severity_number=record.severity_number,
                severity_text=None,
                body=None,
                attributes=filtered.attributes,
                event_name=event.name if event else None,
            ),
            resource=self._gate.resource(entry.resource),
            instrumentation_scope=_scope(entry.instrumentation_scope),
            limits=entry.limits,
        )
        _count_missing(passed, entry.dropped_attributes + len(filtered.drops))
        return passed

    def _standard(self, entry: ReadWriteLogRecord) -> ReadWriteLogRecord:
        record = entry.log_record
        filtered = without_forbidden(record.attributes or {})
        if filtered is None:
            return entry
        self._gate.count(filtered.drops)
        shallow = copy.copy(record)  # not made anew: that would look for a trace where the gate runs
        shallow.attributes = filtered.attributes
        passed = ReadWriteLogRecord(
            log_record=shallow,
            resource=entry.resource,
            instrumentation_scope=entry.instrumentation_scope,
            limits=entry.limits,
        )
        _count_missing(passed, entry.dropped_attributes + len(filtered.drops))
        return passed


_EVENT_ATTRIBUTES: Final = frozenset(name for event in EVENTS.values() for name in event.attributes)


def _bounded(filtered: Filtered, dropped: int) -> BoundedAttributes:
    """Attributes that say, in OTLP's own count, how many are missing."""
    attributes = BoundedAttributes(attributes=filtered.attributes)
    attributes.dropped = dropped + len(filtered.drops)
    return attributes


def _counted(items: list[T], dropped: int) -> Sequence[T]:
    """Events or links that say how many of them the SDK's limits had taken."""
    counted: BoundedList[T] = BoundedList.from_seq(None, items)
    counted.dropped = dropped
    return counted


def _count_missing(entry: ReadWriteLogRecord, dropped: int) -> None:
    """Say in OTLP's own count how many attributes are missing."""
    attributes = entry.log_record.attributes
    if isinstance(attributes, BoundedAttributes):
        attributes.dropped = dropped


def _event_name(name: str) -> str:
    return name if name in EVENTS or name == _EXCEPTION_EVENT else _OTHER_EVENT


def _scope(scope: InstrumentationScope | None) -> InstrumentationScope | None:
    if scope is None:
        return None
    return _OWN_SCOPE if scope.name == SCOPE_NAME else _OTHER_SCOPE


def _bare(context: SpanContext | None) -> SpanContext:
    """A span context without foreign trace state; sampling probabilities survive: counts need them."""
    if context is None:
        return None  # type: ignore[return-value]  # a root span has no parent, which upstream's types allow
    sampling = context.trace_state.get("ot") if context.trace_state else None
    keep = type(sampling) is str and _SAMPLING.fullmatch(sampling) is not None
    return SpanContext(
        context.trace_id,
        context.span_id,
        context.is_remote,
        context.trace_flags,
        TraceState([("ot", sampling)]) if keep and sampling is not None else None,
    )


def _bare_context(record: LogRecord) -> Context:
    """The trace context of a record alone, without baggage; an invalid one is explicit, never ours."""
    context = SpanContext(
        record.trace_id or 0, record.span_id or 0, is_remote=False, trace_flags=record.trace_flags
    )
    return set_span_in_context(NonRecordingSpan(context), Context())
