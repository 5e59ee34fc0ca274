"""The one place that reads private fields of the SDK: for speed alone, with the public way beside it.

A span shows its attributes through a proxy over a locking mapping, which costs more to read than the rest of
the gate. The dictionary behind it is as good once the span has ended. Where a release of the SDK has no such
field, the public way gives the same, slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.util import BoundedList

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Link

T = TypeVar("T")

_EMPTY = BoundedAttributes()


def span_attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """The attributes of a span that has ended."""
    return mapping(getattr(span, "_attributes", None)) or span.attributes or {}


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
    """Attributes that say, in OTLP's own count, how many are missing."""
    if not dropped:
        return attributes
    if type(getattr(_EMPTY, "_dict", None)) is not dict:
        counted = BoundedAttributes(attributes=attributes)
    else:  # not cleaned and copied again: every value has just been checked
        counted = BoundedAttributes()
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
