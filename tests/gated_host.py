"""A host's SDK set up by hand, with the gate or without, that sends what a scenario plants to a receiver."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel_incident.gate import (
    ContentGateLogRecordProcessor,
    ContentGateMetricExporter,
    ContentGateSpanProcessor,
    GateRules,
    Mode,
)
from otel_incident.gate.exporters import GatedLogRecordExporter, GatedSpanExporter
from tests.otlp_receiver import OtlpReceiver
from tests.otlp_wire import Signal, Transport
from tests.surface_injectors import (
    EVERY_KIND,
    Instruments,
    PlantedIds,
    Planter,
    plant_logs,
    plant_metrics,
    plant_spans,
    views,
)

Gate = Literal["off", "processor", "exporter"]
"""Where the gate stands: nowhere, around a processor, or around an exporter, as it always is for metrics."""

GATES: Final[tuple[Gate, ...]] = ("processor", "exporter")
TRANSPORTS: Final[tuple[Transport, ...]] = ("grpc", "http")

_GRPC: Final[Mapping[Signal, Callable[..., Any]]] = {
    "traces": GrpcSpanExporter,
    "logs": GrpcLogExporter,
    "metrics": GrpcMetricExporter,
}
_HTTP: Final[Mapping[Signal, Callable[..., Any]]] = {
    "traces": HttpSpanExporter,
    "logs": HttpLogExporter,
    "metrics": HttpMetricExporter,
}


def exporter(signal: Signal, receiver: OtlpReceiver, transport: Transport) -> Any:
    """OpenTelemetry's own exporter, with compression."""
    if transport == "grpc":
        return _GRPC[signal](
            endpoint=receiver.grpc_endpoint, insecure=True, compression=grpc.Compression.Gzip
        )
    return _HTTP[signal](endpoint=f"{receiver.http_endpoint}/v1/{signal}", compression=Compression.Gzip)


def gated_tracers(
    provider: TracerProvider, next_exporter: Any, gate: Gate, rules: GateRules
) -> TracerProvider:
    """The provider, with an exporter."""
    if gate == "exporter":
        next_exporter = GatedSpanExporter(next_exporter, rules)
    processor = BatchSpanProcessor(next_exporter)
    provider.add_span_processor(
        ContentGateSpanProcessor(processor, rules=rules) if gate == "processor" else processor
    )
    return provider


def gated_loggers(
    provider: LoggerProvider, next_exporter: Any, gate: Gate, rules: GateRules
) -> LoggerProvider:
    """The provider, with an exporter."""
    if gate == "exporter":
        next_exporter = GatedLogRecordExporter(next_exporter, rules)
    processor = BatchLogRecordProcessor(next_exporter)
    provider.add_log_record_processor(
        ContentGateLogRecordProcessor(processor, rules=rules) if gate == "processor" else processor
    )
    return provider


def gated_meters(
    resource: Resource, next_exporter: Any, gate: Gate, rules: GateRules, views: Sequence[View] = ()
) -> MeterProvider:
    """A provider with an exporter; every measurement is an exemplar, and nothing is exported unasked."""
    if gate != "off":
        next_exporter = ContentGateMetricExporter(next_exporter, rules=rules)
    return MeterProvider(
        [PeriodicExportingMetricReader(next_exporter, export_interval_millis=math.inf)],
        resource,
        exemplar_filter=AlwaysOnExemplarFilter(),
        shutdown_on_exit=False,
        views=views,
    )


def run(
    signal: Signal,
    plant: Planter,
    receiver: OtlpReceiver,
    transport: Transport = "http",
    gate: Gate = "off",
    *,
    mode: Mode = "strict",
    scope: str | None = None,
    instruments: Instruments = EVERY_KIND,
) -> None:
    """Plant a canary in every place of a signal, resource and ids too, and export it all.

    Args:
        signal: Which.
        plant: Makes the canaries.
        receiver: Where it goes.
        transport: How.
        gate: Where the gate stands.
        mode: The gate's.
        scope: An instrumentation scope; None for one that no profile knows.
        instruments: Of metrics, which.
    """
    rules = GateRules(mode)
    target = exporter(signal, receiver, transport)
    resource = plant.resource(signal)
    if signal == "traces":
        ids = PlantedIds(plant)
        tracers = TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)
        plant_spans(gated_tracers(tracers, target, gate, rules), plant, scope)
        finish(tracers)
    elif signal == "logs":
        loggers = LoggerProvider(resource, shutdown_on_exit=False)
        plant_logs(gated_loggers(loggers, target, gate, rules), plant, scope)
        finish(loggers)
    else:
        meters = gated_meters(resource, target, gate, rules, views(plant, instruments))
        plant_metrics(meters, plant, scope, instruments)
        finish(meters)


def finish(provider: Any) -> None:
    """Send all there is, and end."""
    assert provider.force_flush()
    provider.shutdown()
