"""An emitter whose events stay in the process: where a test needs no wire, it reads the SDK's own records."""

from typing import Any

from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from otel_incident.emitter import IncidentEmitter


class Emitting:
    """An emitter on a provider and a meter of the host's own, and what came out of them."""

    def __init__(self) -> None:
        self._exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # untyped upstream
        self._reader = InMemoryMetricReader()
        self.logger_provider = LoggerProvider(
            resource=Resource({"service.name": "host"}), shutdown_on_exit=False
        )
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._exporter))
        self.meter_provider = MeterProvider(metric_readers=[self._reader], shutdown_on_exit=False)
        self.emitter = IncidentEmitter(
            logger_provider=self.logger_provider, meter_provider=self.meter_provider
        )

    def records(self) -> list[ReadableLogRecord]:
        """The events so far."""
        return list(self._exporter.get_finished_logs())

    def attributes(self) -> list[dict[str, Any]]:
        """Their attributes, without the uid, which is another each time."""
        found = [dict(record.log_record.attributes or {}) for record in self.records()]
        for each in found:
            del each["log.record.uid"]
        return found

    def names(self) -> list[str | None]:
        """Their names."""
        return [record.log_record.event_name for record in self.records()]

    def forget(self) -> None:
        """Begin again."""
        self._exporter.clear()

    def points(self, metric: str) -> list[Any]:
        """The data points of a metric; none if it was never recorded."""
        data: Any = self._reader.get_metrics_data()
        if data is None:
            return []
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
        ]

    def scope_of_metrics(self) -> Any:
        """The scope of the metrics."""
        data: Any = self._reader.get_metrics_data()
        return data.resource_metrics[0].scope_metrics[0].scope

    def close(self) -> None:
        """Shut both providers down."""
        self.logger_provider.shutdown()
        self.meter_provider.shutdown()
