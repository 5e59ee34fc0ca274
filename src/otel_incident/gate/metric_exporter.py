"""The gate as an exporter around the next one, for metrics: apart, since their SDK takes long to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
)
from opentelemetry.sdk.trace.export import SpanExporter

from otel_incident.ending import ending
from otel_incident.gate.arguments import expect_next
from otel_incident.gate.metrics import MetricFilter
from otel_incident.gate.rules import FAILED, GateRules
from otel_incident.guard import swallow
from otel_incident.vocabulary import SCOPE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_incident.gate.rules import Mode
    from otel_incident.vocabulary import Signal


@final
class ContentGateMetricExporter(MetricExporter):
    """Hands the next exporter copies of the metrics of a collection, without what may not leave.

    A reader that collects for several exporters needs one gate for each: it remembers counters.

    Args:
        next: Usually `OTLPMetricExporter()`.
        mode: `strict`, `standard` or `audit`.
        allowed: Globs of attribute keys that strict lets through beyond the profiles.
        forbidden: Globs of attribute keys that go besides, in strict even if they are allowed.
        rules: The rules of another gate, in place of the three above.

    Raises:
        TypeError: The next is no exporter of metrics, or the globs are one text.
        ValueError: The mode is none of these.
    """

    def __init__(
        self,
        next: MetricExporter,  # noqa: A002  the documented name
        *,
        mode: Mode = "strict",
        allowed: Iterable[str] = (),
        forbidden: Iterable[str] = (),
        rules: GateRules | None = None,
    ) -> None:
        expect_next(
            next,
            "export",
            "ContentGateMetricExporter takes an exporter of metrics",
            "PeriodicExportingMetricReader(ContentGateMetricExporter(OTLPMetricExporter()))",
            but=(SpanExporter, LogRecordExporter),
        )
        # What a reader asks an exporter for, under these names alone.
        super().__init__(
            getattr(next, "_preferred_temporality", None), getattr(next, "_preferred_aggregation", None)
        )
        self.next = next
        self._rules = rules or GateRules(mode, allowed=allowed, forbidden=forbidden)
        self._filter = MetricFilter(self._rules)

    @property
    def drops(self) -> dict[tuple[Signal, str, str], int]:
        """How often each (signal, reason, rule) took something out."""
        return self._rules.dropped.counts()

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Export what may leave; a metric that cannot be filtered is dropped."""
        try:
            passed = self._filter(metrics_data)
            if passed is not None and ending.in_vain:
                passed = without_ours(passed)
        except Exception as error:  # noqa: BLE001  a filter that fails must neither raise nor let through
            self._rules.count("metrics", [FAILED])
            swallow("gate", error)
            return MetricExportResult.SUCCESS
        if passed is None:
            return MetricExportResult.SUCCESS
        return self.next.export(passed, timeout_millis=timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush the next exporter."""
        return self.next.force_flush(timeout_millis=timeout_millis)

    def shutdown(self, *args: Any, **kwargs: Any) -> None:
        """Shut the next exporter down, in the reader's own words: its `timeout` is not in the interface."""
        self.next.shutdown(*args, **kwargs)


def without_ours(data: MetricsData) -> MetricsData | None:
    """What the host measured itself; None where it measured nothing."""
    resources = []
    for each in data.resource_metrics:
        scopes = [scope for scope in each.scope_metrics if scope.scope.name != SCOPE_NAME]
        if scopes:
            resources.append(
                ResourceMetrics(resource=each.resource, scope_metrics=scopes, schema_url=each.schema_url)
            )
    return MetricsData(resource_metrics=resources) if resources else None
