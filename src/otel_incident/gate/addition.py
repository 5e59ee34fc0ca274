"""The arithmetic of data points: one in place of several of the same attributes.

Sums add up, and so do histograms of the same buckets. It is plain: an infinity or a NaN in one of the points
is in their sum, too.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.sdk.metrics.export import (
    Buckets,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.metrics import Exemplar
    from opentelemetry.sdk.metrics.export import DataPointT

MAX_BUCKETS: Final = 320
"""How far exponential buckets may spread when they merge; twice what the SDK gives one point."""

_INT64: Final = range(-(2**63), 2**63)


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
