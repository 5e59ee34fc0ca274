"""Data points and exemplars made of exact numbers, whatever a host had put in their place.

A measurement may be an object with methods of its own (numpy's floats are floats, too): the copy holds the
number that it stands for. What stands for none, such as a bool, makes the point none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    Buckets,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.metrics.export import DataPointT

_TRACE_IDS: Final = range(2**128)
_SPAN_IDS: Final = range(2**64)


def measured(
    point: DataPointT, attributes: Mapping[str, Any], exemplars: Sequence[Exemplar]
) -> DataPointT | None:
    """The same measurement, of exact numbers, with these attributes; None where a number is none."""
    kind = type(point)
    if kind not in _FIELDS:
        return None
    try:
        numbers = {name: plain(getattr(point, name)) for name, plain in _FIELDS[kind].items()}
    except TypeError:
        return None
    return kind(attributes=attributes, exemplars=exemplars, **numbers)


def bare_exemplar(exemplar: Exemplar) -> Exemplar | None:
    """When, how much and in which span, without attributes; None where a number is none."""
    trace_id, span_id = exemplar.trace_id, exemplar.span_id
    spanned = (
        type(trace_id) is int and trace_id in _TRACE_IDS and type(span_id) is int and span_id in _SPAN_IDS
    )
    try:
        return Exemplar(
            {},
            _number(exemplar.value),
            _whole(exemplar.time_unix_nano),
            span_id if spanned else None,
            trace_id if spanned else None,
        )
    except TypeError:
        return None


def _number(value: Any) -> int | float:
    """A number without what a subclass of its type may have made of it; a bool is none."""
    kind = type(value)
    if issubclass(kind, float):  # numpy's, for one
        return float.__pos__(value)
    return _whole(value)


def _whole(value: Any) -> int:
    kind = type(value)
    if issubclass(kind, int) and kind is not bool:
        return int.__pos__(value)
    raise TypeError


def _whole_or_none(value: Any) -> int | None:
    return None if value is None else _whole(value)


def _wholes(values: Any) -> list[int]:
    return [_whole(value) for value in _items(values)]


def _bounds(values: Any) -> tuple[float, ...]:
    return tuple([_number(value) for value in _items(values)])


def _buckets_of(value: Any) -> Buckets:
    if type(value) is not Buckets:
        raise TypeError
    return Buckets(_whole(value.offset), _wholes(value.bucket_counts))


def _items(values: Any) -> Sequence[Any]:
    if type(values) is list or type(values) is tuple:
        return values
    raise TypeError


_TIMES: Final[dict[str, Callable[[Any], Any]]] = {
    "start_time_unix_nano": _whole_or_none,
    "time_unix_nano": _whole,
}
_SUMMARY: Final = {**_TIMES, "count": _whole, "sum": _number, "min": _number, "max": _number}
_FIELDS: Final[dict[type, dict[str, Callable[[Any], Any]]]] = {
    NumberDataPoint: {**_TIMES, "value": _number},
    HistogramDataPoint: {**_SUMMARY, "bucket_counts": _wholes, "explicit_bounds": _bounds},
    ExponentialHistogramDataPoint: {
        **_SUMMARY,
        "scale": _whole,
        "zero_count": _whole,
        "positive": _buckets_of,
        "negative": _buckets_of,
        "flags": _whole,
    },
}
