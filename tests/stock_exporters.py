"""The SDK's own OTLP exporters with one item of each signal: what any host already sends.

The receiver and the collector's configuration are tested with them, so that neither is right only for a
client of ours.
"""

from collections.abc import Mapping
from typing import Any, Final

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.grpc import metric_exporter as grpc_metrics
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc_traces
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.exporter.otlp.proto.http import metric_exporter as http_metrics
from opentelemetry.exporter.otlp.proto.http import trace_exporter as http_traces
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from tests.certificates import Certificates
from tests.otlp_wire import Signal, Transport

ATTRIBUTES: Final[dict[str, Any]] = {
    "a.string": "one",
    "an.int": 9_007_199_254_740_993,  # 2**53 + 1: wrong if it was ever a JSON number
    "a.bool": True,
    "a.double": 1.0,
    "an.array": ("one", "two"),
    "a.bytes": b"\x00\xff",
}
ATTRIBUTE_TYPES: Final = {
    "a.string": "string",
    "an.int": "int",
    "a.bool": "bool",
    "a.double": "double",
    "an.array": "array",
    "a.bytes": "bytes",
}
EVENT_NAME: Final = "incident.create"
SPAN_NAME: Final = "a span"
METRIC_NAME: Final = "a.sum"
TIMESTAMP: Final = 1_600_000_000_000_000_001
OBSERVED: Final = TIMESTAMP + 1
TRACE_ID: Final = 0x0102030405060708090A0B0C0D0E0F10
SPAN_ID: Final = 0x0102030405060708
RESOURCE: Final = {"service.name": "tests"}
SCOPE_NAME: Final = "tests.scope"
SCOPE_VERSION: Final = "1.2"

_EXPORTERS: Final[Mapping[tuple[Transport, Signal], Any]] = {
    ("grpc", "logs"): grpc_logs.OTLPLogExporter,
    ("grpc", "traces"): grpc_traces.OTLPSpanExporter,
    ("grpc", "metrics"): grpc_metrics.OTLPMetricExporter,
    ("http", "logs"): http_logs.OTLPLogExporter,
    ("http", "traces"): http_traces.OTLPSpanExporter,
    ("http", "metrics"): http_metrics.OTLPMetricExporter,
}


def export(
    transport: Transport,
    signal: Signal,
    endpoint: str,
    *,
    gzip: bool = False,
    headers: Mapping[str, str] | None = None,
    certificates: Certificates | None = None,
) -> str:
    """Send one item; the name of the exporter's result, `SUCCESS` or `FAILURE`."""
    settings: dict[str, Any] = {"headers": dict(headers or {})}
    if transport == "http":
        settings["endpoint"] = f"{endpoint}/v1/{signal}"
        settings["compression"] = Compression.Gzip if gzip else Compression.NoCompression
        if certificates is not None:
            settings["certificate_file"] = str(certificates.ca)
            settings["client_key_file"] = str(certificates.client_key)
            settings["client_certificate_file"] = str(certificates.client_cert)
    else:
        settings["endpoint"] = endpoint
        settings["compression"] = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
        if certificates is not None:
            settings["credentials"] = grpc.ssl_channel_credentials(
                certificates.ca.read_bytes(),
                certificates.client_key.read_bytes(),
                certificates.client_cert.read_bytes(),
            )
    exporter = _EXPORTERS[transport, signal](**settings)
    try:
        return str(exporter.export(_item(signal)).name)
    finally:
        exporter.shutdown()


def _item(signal: Signal) -> Any:
    resource = Resource(RESOURCE)
    scope = InstrumentationScope(SCOPE_NAME, SCOPE_VERSION)
    if signal == "logs":
        record = LogRecord(
            timestamp=TIMESTAMP,
            observed_timestamp=OBSERVED,
            event_name=EVENT_NAME,
            attributes=ATTRIBUTES,
        )
        return [ReadableLogRecord(record, resource=resource, instrumentation_scope=scope)]
    if signal == "traces":
        context = SpanContext(TRACE_ID, SPAN_ID, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        return [
            ReadableSpan(
                SPAN_NAME,
                context,
                resource=resource,
                attributes=ATTRIBUTES,
                kind=SpanKind.SERVER,
                instrumentation_scope=scope,
                start_time=TIMESTAMP,
                end_time=OBSERVED,
            )
        ]
    point = NumberDataPoint(ATTRIBUTES, start_time_unix_nano=TIMESTAMP, time_unix_nano=OBSERVED, value=7)
    data = Sum([point], aggregation_temporality=AggregationTemporality.CUMULATIVE, is_monotonic=True)
    metric = Metric(METRIC_NAME, description="described", unit="{item}", data=data)
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(scope, [metric], "")], "")])
