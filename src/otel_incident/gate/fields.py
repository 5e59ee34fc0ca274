"""The one place that reads private fields of the SDK: for speed alone, with the public way beside it.

A span shows its attributes through a proxy over a locking mapping, which costs more to read than the rest of
the gate. The dictionary behind it is as good once the span has ended. Where a release of the SDK has no such
field, the public way gives the same, slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util import BoundedList

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import Event
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext
    from opentelemetry.trace.status import Status

T = TypeVar("T")

_EMPTY: Final = BoundedAttributes()
# Whether a span of this release has the fields that `rebuilt` sets, these and no others.
_BY_FIELDS: Final = set(vars(ReadableSpan("", resource=Resource.get_empty()))) == {
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


def span_attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """The attributes of a span that has ended."""
    return mapping(getattr(span, "_attributes", None)) or span.attributes or {}


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
    if not _BY_FIELDS:
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
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=scope,
        )
    made = object.__new__(ReadableSpan)
    made.__dict__ = {
        "_name": name,
        "_context": context,
        "_kind": span.kind,
        "_instrumentation_info": None,
        "_instrumentation_scope": scope,
        "_parent": parent,
        "_start_time": span.start_time,
        "_end_time": span.end_time,
        "_attributes": attributes,
        "_events": events,
        "_links": links,
        "_resource": resource,
        "_status": status,
    }
    return made


def span_events(span: ReadableSpan) -> Sequence[Any]:
    """Its events."""
    events = getattr(span, "_events", None)
    return span.events if events is None else events


def span_links(span: ReadableSpan) -> Sequence[Link]:
    """Its links."""
    links = getattr(span, "_links", None)
    return span.links if links is None else links


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
        counted._dict = attributes  # noqa: SLF001  see above
    counted.dropped = dropped
    return counted


def lacking_items(items: list[T], dropped: int) -> Sequence[T]:
    """Events or links that say how many of them the SDK's limits had taken."""
    if not dropped:
        return items
    counted: BoundedList[T] = BoundedList.from_seq(None, items)
    counted.dropped = dropped
    return counted
