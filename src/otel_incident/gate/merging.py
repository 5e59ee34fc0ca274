"""One data point out of several that became one when attributes went.

Two points with one identity are an error that a backend answers by keeping either. So they are added up
(addition.py); what has no sum, such as two gauges, does not merge, and whoever asks drops it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    NumberDataPoint,
    Sum,
)

from otel_incident.gate.addition import merged
from otel_incident.gate.measurements import measured
from otel_incident.guard import HostLock
from otel_incident.policy import Drop

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from opentelemetry.sdk.metrics.export import DataPointT, DataT, Metric
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

Identity: TypeAlias = "frozenset[tuple[Hashable, Hashable]]"
"""What makes a point's stream: its attributes, as different as they are on the wire."""

NOT_MERGEABLE: Final = Drop("", "not_mergeable", "none")

MAX_SOURCES: Final = 10_000
"""How many points of counters are remembered; more are added up, but are missed when they end."""

POINTS: Final[Mapping[type, type]] = {
    Sum: NumberDataPoint,
    Gauge: NumberDataPoint,
    Histogram: HistogramDataPoint,
    ExponentialHistogram: ExponentialHistogramDataPoint,
}
"""The kinds of metrics, and what the points of each are."""


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


def called(metric: Metric) -> Hashable:
    """What tells a metric from others of its kind, whatever it is called."""
    return identity({"name": metric.name, "unit": metric.unit})


def scope_source(scope: InstrumentationScope | None) -> Hashable:
    """What tells a scope from others, whatever it is called."""
    if scope is None:
        return None
    fields = {"name": scope.name, "version": scope.version, "attributes": dict(scope.attributes or {})}
    return identity(fields)


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
