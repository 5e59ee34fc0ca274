"""One data point out of several that became one when attributes went.

Two points with one identity are an error that a backend answers by keeping either. So sums add up, and so do
histograms of the same buckets; what has no sum, such as two gauges, does not merge, and whoever asks drops
it. The arithmetic is plain: an infinity or a NaN in one of the points is in their sum, too.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast, final

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    Buckets,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from opentelemetry.sdk.metrics.export import DataPointT

Identity: TypeAlias = "frozenset[tuple[Hashable, Hashable]]"
"""What makes a point's stream: its attributes, as different as they are on the wire."""

MAX_BUCKETS: Final = 320
"""How far exponential buckets may spread when they merge; twice what the SDK gives one point."""

MAX_SOURCES: Final = 10_000
"""How many points whose attributes went are remembered, over all streams of an exporter."""

_INT64: Final = range(-(2**63), 2**63)
_TRACE_IDS: Final = range(2**128)
_SPAN_IDS: Final = range(2**64)


def identity(attributes: Mapping[Any, Any]) -> Identity:
    """The attributes, whatever is in them, so that two are equal if OTLP writes them alike.

    `True`, `1` and `1.0` differ there, a list and a tuple do not.
    """
    return frozenset([(_wire(key), _wire(value)) for key, value in attributes.items()])


def _wire(value: Any) -> Hashable:  # noqa: PLR0911  one for each kind of OTLP's values
    kind = type(value)
    if issubclass(kind, bool) or value is None:
        return (kind.__name__, value)
    if issubclass(kind, str):
        return ("str", str.__str__(value))  # not by a method of the value's own
    if issubclass(kind, int):
        return ("int", int.__pos__(value))
    if issubclass(kind, float):
        return ("float", float.hex(value))  # tells -0.0 from 0.0, and not one NaN from another
    if kind is bytes:
        return ("bytes", value)
    if kind is list or kind is tuple:
        return ("array", tuple([_wire(item) for item in value]))
    if kind is dict:
        return ("map", identity(value))
    return ("object", id(value))


def merged(points: Sequence[DataPointT], *, additive: bool) -> DataPointT | None:
    """One point in place of several with the same attributes; None where there is no such point.

    Args:
        points: At least one, of exact numbers (see `measured`), all of the same class.
        additive: Whether they are a sum's, if they are plain numbers: a gauge's have no sum.
    """
    if len(points) == 1:
        return points[0]
    kind = type(points[0])
    if kind is HistogramDataPoint:
        return _histogram(cast("Sequence[HistogramDataPoint]", points))
    if kind is ExponentialHistogramDataPoint:
        return _exponential(cast("Sequence[ExponentialHistogramDataPoint]", points))
    return _sum(cast("Sequence[NumberDataPoint]", points)) if additive else None


def _sum(points: Sequence[NumberDataPoint]) -> NumberDataPoint | None:
    value = _total([point.value for point in points])
    if type(value) is int and value not in _INT64:
        return None
    return replace(
        points[0],
        value=value,
        start_time_unix_nano=_start(points),
        time_unix_nano=max(point.time_unix_nano for point in points),
        exemplars=_few([point.exemplars for point in points]),
    )


def _histogram(points: Sequence[HistogramDataPoint]) -> HistogramDataPoint | None:
    first = points[0]
    shape = (first.explicit_bounds, len(first.bucket_counts))
    if any((point.explicit_bounds, len(point.bucket_counts)) != shape for point in points):
        return None
    return replace(
        first,
        bucket_counts=[sum(counts) for counts in zip(*[p.bucket_counts for p in points], strict=True)],
        **_summary(points),
    )


def _exponential(points: Sequence[ExponentialHistogramDataPoint]) -> ExponentialHistogramDataPoint | None:
    first = points[0]
    positive = _buckets([point.positive for point in points])
    negative = _buckets([point.negative for point in points])
    if positive is None or negative is None or any(point.scale != first.scale for point in points):
        return None
    return replace(
        first,
        zero_count=sum(point.zero_count for point in points),
        positive=positive,
        negative=negative,
        **_summary(points),
    )


def _buckets(several: Sequence[Buckets]) -> Buckets | None:
    """Buckets of one scale, each count in its place; None where that is too many of them."""
    filled = [buckets for buckets in several if buckets.bucket_counts]
    if not filled:
        return several[0]
    start = min(buckets.offset for buckets in filled)
    length = max(buckets.offset + len(buckets.bucket_counts) for buckets in filled) - start
    if length > MAX_BUCKETS and any(len(buckets.bucket_counts) < length for buckets in filled):
        return None
    counts = [0] * length
    for buckets in filled:
        for index, count in enumerate(buckets.bucket_counts, buckets.offset - start):
            counts[index] += count
    return Buckets(start, counts)


def _summary(
    points: Sequence[HistogramDataPoint] | Sequence[ExponentialHistogramDataPoint],
) -> dict[str, Any]:
    """What both kinds of histograms say beside their buckets."""
    return {
        "count": sum(point.count for point in points),
        "sum": _total([point.sum for point in points]),
        "min": min(point.min for point in points),
        "max": max(point.max for point in points),
        "start_time_unix_nano": _start(points),
        "time_unix_nano": max(point.time_unix_nano for point in points),
        "exemplars": _few([point.exemplars for point in points]),
    }


def _total(values: Sequence[int | float]) -> int | float:
    """The sum, which is an int if all are; of floats rounded once, so that their order cannot matter."""
    if all(type(value) is int for value in values):
        return sum(values)
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # too large, or infinities of both signs: as addition has it
        return sum([_float(value) for value in values])


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond any float
        return math.inf if value > 0 else -math.inf


def _start(points: Sequence[DataPointT]) -> Any:
    """The earliest start, as far as there is any."""
    return min((s for point in points if (s := point.start_time_unix_nano) is not None), default=None)


def _few(several: Sequence[Sequence[Exemplar]]) -> list[Exemplar]:
    """The latest exemplars, no more of them than the point with the most had."""
    most = max(len(exemplars) for exemplars in several)
    latest = sorted(
        [exemplar for exemplars in several for exemplar in exemplars], key=lambda one: -one.time_unix_nano
    )
    return latest[:most]


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


@final
class Sources:
    """What went into the merged points of cumulative counters, so that none of them ever falls.

    An observable counter may stop reporting one of its attribute sets. Alone its stream would end; as a part
    of a sum its last value has to stay there, or the sum would look as if it had begun anew.
    """

    def __init__(self) -> None:
        self._streams: dict[Hashable, dict[Hashable, list[DataPointT]]] = {}
        self._room = MAX_SOURCES

    def absent(
        self, stream: Hashable, present: Sequence[tuple[Hashable, DataPointT]]
    ) -> list[DataPointT] | None:
        """The last points of a stream's sources that are not present now; None if there are too many.

        Args:
            stream: Which merged point.
            present: The points that it is made of now, each with what tells its source from the others.
        """
        known = self._streams.setdefault(stream, {})
        now: dict[Hashable, list[DataPointT]] = {}
        for source, point in present:
            now.setdefault(source, []).append(replace(point, attributes={}, exemplars=()))
        room = self._room - sum(source not in known for source in now)
        if room < 0:
            return None
        self._room = room
        absent = [point for source, points in known.items() if source not in now for point in points]
        known.update(now)
        return absent
