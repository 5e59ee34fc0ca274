"""One data point out of several that became one when attributes went.

Two points with one identity are an error that a backend answers by keeping either. So sums add up, and so do
histograms of the same buckets; what has no sum, such as two gauges, does not merge, and whoever asks drops
it. The arithmetic is plain: an infinity or a NaN in one of the points is in their sum, too.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast, final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    NumberDataPoint,
    Sum,
)

from otel_incident.gate.measurements import measured
from otel_incident.guard import HostLock

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from opentelemetry.sdk.metrics import Exemplar
    from opentelemetry.sdk.metrics.export import DataPointT, DataT

Identity: TypeAlias = "frozenset[tuple[Hashable, Hashable]]"
"""What makes a point's stream: its attributes, as different as they are on the wire."""

MAX_BUCKETS: Final = 320
"""How far exponential buckets may spread when they merge; twice what the SDK gives one point."""

MAX_SOURCES: Final = 10_000
"""How many points of counters are remembered; more are added up, but are missed when they end."""

POINTS: Final[Mapping[type, type]] = {
    Sum: NumberDataPoint,
    Gauge: NumberDataPoint,
    Histogram: HistogramDataPoint,
    ExponentialHistogram: ExponentialHistogramDataPoint,
}
"""The kinds of metrics, and what the points of each are."""

_INT64: Final = range(-(2**63), 2**63)


class Shape(NamedTuple):
    """Which kind of metric it is; a gauge has no temporality."""

    kind: type[DataT]
    temporality: AggregationTemporality | None
    monotonic: bool

    def holding(self, points: list[DataPointT]) -> DataT:
        """Data of this kind."""
        if self.kind is Gauge:
            return Gauge(points)  # type: ignore[arg-type]  # of the kind's own class, as in the next lines
        if self.kind is Sum:
            return Sum(points, self.temporality, self.monotonic)  # type: ignore[arg-type]  # as above
        return self.kind(points, self.temporality)  # type: ignore[arg-type, call-arg]  # as above


class Point(NamedTuple):
    """A point that may leave, and what tells its source from others."""

    point: DataPointT
    source: Hashable


def shape_of(data: Any) -> Shape | None:
    """What kind of data it is; None for any other than the SDK's own."""
    kind = type(data)
    if kind not in POINTS:
        return None
    if kind is Gauge:
        return Shape(kind, None, monotonic=False)
    temporality, monotonic = data.aggregation_temporality, kind is Sum and data.is_monotonic
    known = type(temporality) is AggregationTemporality and type(monotonic) is bool
    return Shape(kind, temporality, monotonic) if known else None


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
    if any(point.scale != first.scale for point in points):
        return None
    positive = _buckets([point.positive for point in points])
    negative = _buckets([point.negative for point in points])
    if positive is None or negative is None:
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
    if length > max(MAX_BUCKETS, *[len(buckets.bucket_counts) for buckets in filled]):
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


@final
class Merge:
    """One point for each identity, over the exports of one exporter."""

    def __init__(self) -> None:
        self._sources = _Sources()

    def remembers(self, place: Callable[[], Hashable]) -> bool:
        """Whether this metric's points have to come here again, even where nothing has to go any more.

        What ended before its points came here for the first time was a stream of its own.
        """
        return self._sources.know_any() and self._sources.know(place())

    def __call__(
        self, place: Hashable, shape: Shape, by_identity: Mapping[Hashable, list[Point]]
    ) -> tuple[list[DataPointT], int]:
        """The points that may leave, and how many came to nothing, since they could not become one.

        Args:
            place: Of which metric.
            shape: Its kind.
            by_identity: The points that would have one identity, by that.
        """
        passed: list[DataPointT] = []
        fell = 0
        counts = shape.monotonic and shape.temporality is AggregationTemporality.CUMULATIVE
        for same, points in by_identity.items():
            one = self._one(points, shape, (place, same) if counts else None)
            if one is None:
                fell += len(points)
            else:
                passed.append(one)
        return passed, fell

    def _one(
        self, points: list[Point], shape: Shape, stream: tuple[Hashable, Hashable] | None
    ) -> DataPointT | None:
        if len(points) == 1 and stream is None:
            return points[0].point
        several: list[DataPointT] = []
        for one, *_ in points:
            plain = measured(one, one.attributes or {}, one.exemplars)
            if plain is None:
                return one if len(points) == 1 else None
            several.append(plain)
        if stream is not None:
            sources = [point.source for point in points]
            several += self._sources.absent(*stream, list(zip(sources, several, strict=True)))
        return points[0].point if len(several) == 1 else merged(several, additive=shape.kind is Sum)


@final
class _Sources:
    """What went into the merged points of cumulative counters, so that none of them ever falls.

    An observable counter may stop reporting one of its attribute sets. Alone its stream would end; as a part
    of a sum its last value has to stay there, or the sum would look as if it had begun anew.
    """

    def __init__(self) -> None:
        self._metrics: dict[Hashable, dict[Hashable, dict[Hashable, list[DataPointT]]]] = {}
        self._room = MAX_SOURCES
        self._lock = HostLock()  # a reader that is asked may be asked by two at once

    def know_any(self) -> bool:
        """Whether anything is remembered."""
        return bool(self._metrics)

    def know(self, place: Hashable) -> bool:
        """Whether anything of this metric is remembered."""
        return place in self._metrics

    def absent(
        self, place: Hashable, same: Hashable, present: Sequence[tuple[Hashable, DataPointT]]
    ) -> list[DataPointT]:
        """The last points of the sources that are not present now.

        Args:
            place: Of which metric.
            same: Of which merged point.
            present: The points that it is made of now, each with what tells its source from the others.
        """
        now: dict[Hashable, list[DataPointT]] = {}
        for source, point in present:
            now.setdefault(source, []).append(replace(point, attributes={}, exemplars=()))
        with self._lock:
            known = self._metrics.get(place, {}).get(same, {})
            absent = [point for source, points in known.items() if source not in now for point in points]
            for source, points in now.items():
                if source in known or self._room > 0:
                    self._room -= source not in known
                    self._metrics.setdefault(place, {}).setdefault(same, {})[source] = points
        return absent
