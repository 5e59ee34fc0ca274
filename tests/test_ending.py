"""Where the last events could not be delivered, a host's exit does not wait for metrics of ours."""

from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)

from otel_incident.config_exporters import Batch
from otel_incident.ending import ending
from otel_incident.exporters import BoundedBatchProcessor, DeferredExporter
from otel_incident.gate import ContentGateMetricExporter
from otel_incident.vocabulary import SCOPE_NAME
from tests.scripted_exporter import FAILURE, SUCCESS, Answer, Scripted, take


class Recorder(MetricExporter):
    """Remembers which scopes it was handed."""

    def __init__(self) -> None:
        super().__init__()
        self.scopes: list[list[str]] = []

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any
    ) -> MetricExportResult:
        """Remember."""
        del timeout_millis
        self.scopes.append(
            [scope.scope.name for each in metrics_data.resource_metrics for scope in each.scope_metrics]
        )
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is kept."""
        return timeout_millis > 0

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Nothing is open."""


def exported(*scopes: str) -> list[list[str]]:
    """What leaves at the end of a process that measured in these scopes."""
    recorder = Recorder()
    reader = PeriodicExportingMetricReader(ContentGateMetricExporter(recorder, mode="standard"))
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    for scope in scopes:
        provider.get_meter(scope).create_counter("incident.events").add(1)
    provider.shutdown()
    return recorder.scopes


@pytest.mark.parametrize(("in_vain", "found"), [(False, [["acme", SCOPE_NAME]]), (True, [["acme"]])])
def test_the_hosts_own_metrics_leave_all_the_same(
    in_vain: bool,  # noqa: FBT001  a table's column
    found: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a host measured itself is tried as ever; what we measured is not waited for."""
    monkeypatch.setattr(ending, "in_vain", in_vain)
    assert exported("acme", SCOPE_NAME) == found


def test_nothing_is_tried_for_our_metrics_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without metrics of its own ends as if there were none."""
    monkeypatch.setattr(ending, "in_vain", True)
    assert exported(SCOPE_NAME) == []


@pytest.mark.parametrize(("answer", "gave_up"), [(SUCCESS, False), (FAILURE, True)])
def test_a_processor_knows_whether_it_ended_in_vain(answer: Answer, gave_up: bool) -> None:  # noqa: FBT001  a table's column
    """A delivery that failed last is in vain, one that succeeded is not."""
    processor = BoundedBatchProcessor(DeferredExporter("x", lambda: Scripted(answer)), Batch())
    take(processor, 1)
    processor.shutdown()
    assert processor.gave_up is gave_up
