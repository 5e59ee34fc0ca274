"""Metrics as readers hand them to exporters, made point by point; and an exporter that keeps them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

DJANGO: Final = InstrumentationScope("opentelemetry.instrumentation.django", "0.66b2")
DURATION: Final = "http.server.request.duration"
ACTIVE: Final = "http.server.active_requests"
UNITS: Final = {DURATION: "s", ACTIVE: "{request}"}
START: Final = 1_600_000_000_000_000_000
END: Final = START + 60 * 10**9
CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
DELTA: Final = AggregationTemporality.DELTA


class Exported(MetricExporter):
    """A next exporter that keeps what it gets."""

    def __init__(
        self, *, temporality: Mapping[type, Any] | None = None, aggregation: Mapping[type, Any] | None = None
    ) -> None:
        super().__init__(dict(temporality or {}), dict(aggregation or {}))
        self.batches: list[MetricsData] = []
        self.calls: list[tuple[str, Any]] = []
        self.result = MetricExportResult.SUCCESS

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Keep it."""
        self.batches.append(metrics_data)
        self.calls.append(("export", {"timeout_millis": timeout_millis, **kwargs}))
        return self.result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Remember it, and fail."""
        self.calls.append(("force_flush", timeout_millis))
        return False

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Remember it."""
        self.calls.append(("shutdown", {"timeout_millis": timeout_millis, **kwargs}))


def number(value: Any, attributes: Mapping[str, Any] | None = None, **more: Any) -> NumberDataPoint:
    """A point of a sum or a gauge; `more` are other fields of it."""
    return replace(NumberDataPoint(dict(attributes or {}), START, END, value, []), **more)


def histogram(
    counts: Sequence[int], attributes: Mapping[str, Any] | None = None, **more: Any
) -> HistogramDataPoint:
    """A point of a histogram with explicit bounds; `more` are other fields of it."""
    point = HistogramDataPoint(
        attributes=dict(attributes or {}),
        start_time_unix_nano=START,
        time_unix_nano=END,
        count=sum(counts),
        sum=0.0,
        bucket_counts=list(counts),
        explicit_bounds=(1.0, 2.0),
        min=0.0,
        max=0.0,
        exemplars=[],
    )
    return replace(point, **more)


def exponential(
    positive: Buckets, attributes: Mapping[str, Any] | None = None, **more: Any
) -> ExponentialHistogramDataPoint:
    """A point of an exponential histogram; `more` are other fields of it."""
    point = ExponentialHistogramDataPoint(
        attributes=dict(attributes or {}),
        start_time_unix_nano=START,
        time_unix_nano=END,
        count=sum(positive.bucket_counts),
        sum=0.0,
        scale=3,
        zero_count=0,
        positive=positive,
        negative=Buckets(0, []),
        flags=0,
        min=0.0,
        max=0.0,
        exemplars=[],
    )
    return replace(point, **more)


def metric(
    data: Any, *, name: str = DURATION, unit: str | None = None, description: str | None = ""
) -> Metric:
    """A metric that the profiles know, unless it is named otherwise."""
    return Metric(name, description, UNITS.get(name, "") if unit is None else unit, data)


def counter(
    points: Sequence[NumberDataPoint], *, temporality: Any = CUMULATIVE, monotonic: Any = True
) -> Sum:
    """The data of a counter, or of an up-down counter."""
    return Sum(list(points), temporality, monotonic)


def histograms(points: Sequence[HistogramDataPoint], *, temporality: Any = CUMULATIVE) -> Histogram:
    """The data of a histogram."""
    return Histogram(list(points), temporality)


def exponentials(
    points: Sequence[ExponentialHistogramDataPoint], *, temporality: Any = CUMULATIVE
) -> ExponentialHistogram:
    """The data of an exponential histogram."""
    return ExponentialHistogram(list(points), temporality)


def gauge(points: Sequence[NumberDataPoint]) -> Gauge:
    """The data of a gauge."""
    return Gauge(list(points))


def collected(
    *metrics: Metric, scope: InstrumentationScope | None = DJANGO, resource: Resource | None = None
) -> MetricsData:
    """What one collection of one scope hands on."""
    of_scope = ScopeMetrics(scope, list(metrics), "")  # type: ignore[arg-type]  # None is possible
    return MetricsData([ResourceMetrics(resource or Resource({"service.name": "desk"}), [of_scope], "")])


def metrics_of(data: MetricsData) -> Iterator[Metric]:
    """The metrics, whatever scope and resource they are of."""
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            yield from scope.metrics


def points_of(data: MetricsData) -> list[Any]:
    """The points of all metrics."""
    return [point for each in metrics_of(data) for point in each.data.data_points]
