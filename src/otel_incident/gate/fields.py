"""The one place that reads private fields of the SDK: for speed alone, with the public way beside it.

A span shows its attributes through a proxy over a locking mapping, which costs more to read than the rest of
the gate. The dictionary behind it is as good once the span has ended. Where a release of the SDK has no such
field, the public way gives the same, slower.
"""

# ruff: noqa: SLF001  see above

from __future__ import annotations

from collections import deque
from operator import index
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from opentelemetry._logs import SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import DEFAULT_TRACE_OPTIONS, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import Event
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link

T = TypeVar("T")

_EMPTY: Final = BoundedAttributes()
_BOUNDED_LIST: Final[Any] = BoundedList  # what one has inside stands in no type of upstream's
_STATE: Final = TraceState()
_MAX_FLAGS: Final = 255  # they are one byte
_SEVERITIES: Final = len(SeverityNumber)  # which count from 0, and leave no number out
_FIELDS: Final = {
    "_name",
    "_context",
    "_kind",
    "_instrumentation_info",
    "_instrumentation_scope",
    "_parent",
    "_start_time",
    "_end_time",
    "_attributes",
    "_events",
    "_links",
    "_resource",
    "_status",
}


def has_fields() -> bool:
    """Whether a span of this release has the fields that `rebuilt` sets, and its parts those read below."""
    context = SpanContext(1, 1, is_remote=False, trace_state=_STATE)
    try:
        return (
            vars(ReadableSpan("", resource=Resource.get_empty())).keys() == _FIELDS
            and vars(Status(StatusCode.ERROR, "d")) == {"_status_code": StatusCode.ERROR, "_description": "d"}
            and type(getattr(_EMPTY, "_dict", None)) is dict
            and type(getattr(_BOUNDED_LIST(None), "_dq", None)) is deque
            and vars(_STATE) == {"_dict": {}}
            and tuple(context) == (1, 1, False, DEFAULT_TRACE_OPTIONS, _STATE, True)
        )
    except TypeError:  # a class without a dictionary
        return False


_BY_FIELDS: Final = has_fields()

# Scope, context, parent, resource, status code and description; attributes, events and links, each with how
# many the SDK's limits had taken. A plain tuple: the interpreter takes those apart faster than a named one.
_Parts: TypeAlias = (
    "tuple[InstrumentationScope | None, SpanContext | None, SpanContext | None, Resource, StatusCode,"
    " str | None, Mapping[str, Any], int, Sequence[Any], int, Sequence[Link], int]"
)


def parts_of(span: ReadableSpan) -> _Parts:
    """What of a span strict looks at: all but its name, its kind and its times."""
    if _BY_FIELDS and type(span) is ReadableSpan:
        attributes, status = span._attributes, span._status
        events: Any = span._events
        links: Any = span._links
        lists = type(events) is _BOUNDED_LIST and type(links) is _BOUNDED_LIST
        if type(attributes) is BoundedAttributes and type(status) is Status and lists:
            return (
                span._instrumentation_scope,
                span._context,
                span._parent,
                span._resource,
                status._status_code,
                status._description,
                attributes._dict,
                attributes.dropped,
                events if events._dq else (),
                events.dropped,
                links if links._dq else (),
                links.dropped,
            )
    return (
        span.instrumentation_scope,
        span.context,
        span.parent,
        span.resource,
        span.status.status_code,
        span.status.description,
        span_attributes(span),
        span.dropped_attributes,
        span_events(span),
        span.dropped_events,
        span_links(span),
        span.dropped_links,
    )


def contents_of(span: ReadableSpan) -> tuple[Mapping[str, Any], Sequence[Any], Sequence[Link]]:
    """What of a span standard looks at: its attributes, its events and its links."""
    if _BY_FIELDS and type(span) is ReadableSpan:
        attributes = span._attributes
        events: Any = span._events
        links: Any = span._links
        if type(attributes) is BoundedAttributes:
            return (
                attributes._dict,
                () if type(events) is _BOUNDED_LIST and not events._dq else events,
                () if type(links) is _BOUNDED_LIST and not links._dq else links,
            )
    return span_attributes(span), span_events(span), span_links(span)


def is_bare(context: SpanContext | None) -> bool:
    """Whether a span context is missing, or is exactly the SDK's with parts that are, and no trace state."""
    if context is None:
        return True
    if type(context) is not SpanContext:
        return False
    if _BY_FIELDS:
        trace_id, span_id, is_remote, flags, state, _ = context
    else:
        trace_id, span_id, state = context.trace_id, context.span_id, context.trace_state
        is_remote, flags = context.is_remote, context.trace_flags
    if type(trace_id) is not int or type(span_id) is not int or type(is_remote) is not bool:
        return False
    if type(flags) is not TraceFlags or not 0 <= flags <= _MAX_FLAGS:
        return False
    # a subclass may say that it is empty, and be none the less encoded
    return type(state) is TraceState and not (state._dict if _BY_FIELDS else state)


def plain_id(value: Any) -> int:
    """A trace's or a span's id as nothing but a number; 0, which is none, of anything else.

    An encoder asks an id for its bytes, and a class of a host's may answer with any.
    """
    if type(value) is int:
        return value
    return int.__pos__(value) if issubclass(type(value), int) else 0


def plain_flags(value: Any) -> TraceFlags:
    """Trace flags as nothing but the byte that they are; those of no trace of anything else."""
    flags = value if type(value) is TraceFlags else TraceFlags(plain_id(value))
    return flags if 0 <= flags <= _MAX_FLAGS else DEFAULT_TRACE_OPTIONS


def plain_severity(value: Any) -> Any:
    """A severity number as one that there is, be it a member or a plain number; None of anything else.

    A member of another enumeration has any value, which JSON writes down.
    """
    if type(value) is SeverityNumber:
        return value
    return value if type(value) is int and 0 <= value < _SEVERITIES else None


def plain_time(value: Any) -> int | None:
    """A time as nothing but a number; None, which is none, of what is no whole number.

    Protobuf refuses what is no number; JSON writes down whatever it is, as text.
    """
    if type(value) is int or value is None:
        return value
    try:
        return index(value)  # one of numpy, or of a class of the host's: exactly an int comes of both
    except Exception:  # noqa: BLE001  of a class of anybody's
        return None


def rebuilt(  # noqa: PLR0913  a span has that many parts
    span: ReadableSpan,
    *,
    name: str,
    context: SpanContext | None,
    parent: SpanContext | None,
    resource: Resource,
    attributes: Mapping[str, Any],
    events: Sequence[Event],
    links: Sequence[Link],
    status: Status,
    scope: InstrumentationScope | None,
) -> ReadableSpan:
    """A span with these parts, and the kind and the times of another one."""
    if not _BY_FIELDS or type(span) is not ReadableSpan:
        return ReadableSpan(
            name=name,
            context=context,
            parent=parent,
            resource=resource,
            attributes=attributes,
            events=events,
            links=links,
            kind=span.kind,
            status=status,
            start_time=plain_time(span.start_time),
            end_time=plain_time(span.end_time),
            instrumentation_scope=scope,
        )
    made = object.__new__(ReadableSpan)
    # one after the other: in the layout of the class they take less room and time than in a dictionary
    made._name = name
    made._context = context
    made._kind = span._kind
    made._instrumentation_info = None
    made._instrumentation_scope = scope
    made._parent = parent
    made._start_time = plain_time(span._start_time)
    made._end_time = plain_time(span._end_time)
    made._attributes = attributes
    made._events = events
    made._links = links
    made._resource = resource
    made._status = status
    return made


def span_attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """The attributes of a span that has ended, as its exporter will read them."""
    held = mapping(getattr(span, "_attributes", None)) if _is_plain(span, "attributes") else None
    return held or span.attributes or {}


def span_events(span: ReadableSpan) -> Sequence[Any]:
    """Its events."""
    events = getattr(span, "_events", None) if _is_plain(span, "events") else None
    return span.events if events is None else events


def span_links(span: ReadableSpan) -> Sequence[Link]:
    """Its links."""
    links = getattr(span, "_links", None) if _is_plain(span, "links") else None
    return span.links if links is None else links


def _is_plain(span: ReadableSpan, name: str) -> bool:
    """Whether a property is the SDK's: a host's own class may show something else than its field holds."""
    return getattr(type(span), name, None) is vars(ReadableSpan)[name]


def mapping(attributes: Any) -> Mapping[str, Any]:
    """The plain mapping behind attributes of any kind; {} where there are none."""
    if attributes is None:
        return {}
    if type(attributes) is BoundedAttributes:
        inner = getattr(attributes, "_dict", None)
        if type(inner) is dict:
            return inner
    if type(attributes) is dict:
        return attributes
    return dict(attributes)


def lacking(attributes: dict[str, Any], dropped: int) -> Mapping[str, Any]:
    """Attributes that say, in OTLP's own count, how many are missing; as open to change as a span's own."""
    if not dropped:
        return attributes
    if type(getattr(_EMPTY, "_dict", None)) is not dict:
        counted = BoundedAttributes(attributes=attributes, immutable=False)
    else:  # not cleaned and copied again: every value has just been checked
        counted = BoundedAttributes(immutable=False)
        counted._dict = attributes
    counted.dropped = dropped
    return counted


def lacking_items(items: list[T], dropped: int) -> Sequence[T]:
    """Events or links that say how many of them the SDK's limits had taken."""
    if not dropped:
        return items
    counted: BoundedList[T] = BoundedList.from_seq(None, items)
    counted.dropped = dropped
    return counted
