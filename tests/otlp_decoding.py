"""Decodes OTLP, as protobuf and as JSON, into the values of `telemetry.py`.

JSON is turned into the same protobuf messages first, so that there is one reading of each field.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.otlp_wire import Signal
from tests.telemetry import (
    SPAN_KINDS,
    STATUS_CODES,
    TEMPORALITIES,
    Attributes,
    LogEvent,
    MetricPoint,
    SpanData,
    SpanEvent,
    SpanLink,
    Telemetry,
    Types,
)


def decode_protobuf(signal: Signal, payload: bytes) -> Telemetry:
    """Decode the body of an export request."""
    if signal == "logs":
        return _logs(ExportLogsServiceRequest.FromString(payload))
    if signal == "traces":
        return _traces(ExportTraceServiceRequest.FromString(payload))
    return _metrics(ExportMetricsServiceRequest.FromString(payload))


def decode_json(text: str | bytes) -> Telemetry:
    """Decode one OTLP/JSON request: an HTTP body, or a line of the file exporter or of a spool.

    A field that OTLP does not have is an error, not passed over: nothing may arrive unseen.
    """
    return _decode_object(json.loads(text))


def decode_json_lines(data: str | bytes) -> Telemetry:
    """Decode what the file exporter has written so far, but for a last line that is not whole yet."""
    text = data.decode() if isinstance(data, bytes) else data
    found = Telemetry()
    for line in text[: text.rfind("\n") + 1].splitlines():
        # The exporter writes the line's end apart: killed in between, its successor goes on in the same line.
        rest = line.strip()
        while rest:
            value, end = json.JSONDecoder().raw_decode(rest)
            found += _decode_object(value)
            rest = rest[end:].lstrip()
    return found


def _decode_object(value: dict[str, Any]) -> Telemetry:
    value = _ids_to_base64(value)
    match list(value):
        case ["resourceLogs"]:
            return _logs(json_format.ParseDict(value, ExportLogsServiceRequest()))
        case ["resourceSpans"]:
            return _traces(json_format.ParseDict(value, ExportTraceServiceRequest()))
        case ["resourceMetrics"]:
            return _metrics(json_format.ParseDict(value, ExportMetricsServiceRequest()))
        case []:
            return Telemetry()
        case _:
            raise ValueError("not one OTLP request")


def _ids_to_base64(value: Any) -> Any:
    """OTLP/JSON differs from protobuf's own JSON in one thing that matters here: ids are hex, not base64."""
    if isinstance(value, list):
        return [_ids_to_base64(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(item)).decode()
        if key in {"traceId", "spanId", "parentSpanId"}
        else _ids_to_base64(item)
        for key, item in value.items()
    }


def _logs(request: ExportLogsServiceRequest) -> Telemetry:
    return Telemetry(
        events=tuple(
            _log(record, _origin(group, scoped))
            for group in request.resource_logs
            for scoped in group.scope_logs
            for record in scoped.log_records
        )
    )


def _traces(request: ExportTraceServiceRequest) -> Telemetry:
    return Telemetry(
        spans=tuple(
            _span(span, _origin(group, scoped))
            for group in request.resource_spans
            for scoped in group.scope_spans
            for span in scoped.spans
        )
    )


def _metrics(request: ExportMetricsServiceRequest) -> Telemetry:
    return Telemetry(
        metrics=tuple(
            point
            for group in request.resource_metrics
            for scoped in group.scope_metrics
            for metric in scoped.metrics
            for point in _points(metric, _origin(group, scoped))
        )
    )


def _log(record: LogRecord, origin: Mapping[str, Any]) -> LogEvent:
    attributes, types = _attributes(record.attributes)
    body, kind = _value(record.body)
    return LogEvent(
        event_name=record.event_name,
        attributes=attributes,
        attribute_types=types,
        body=body,
        has_body=kind != "none",
        severity_number=int(record.severity_number),
        severity_text=record.severity_text,
        timestamp=record.time_unix_nano,
        observed_timestamp=record.observed_time_unix_nano,
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        flags=record.flags,
        dropped_attributes_count=record.dropped_attributes_count,
        **origin,
    )


def _span(span: Span, origin: Mapping[str, Any]) -> SpanData:
    attributes, types = _attributes(span.attributes)
    return SpanData(
        name=span.name,
        kind=SPAN_KINDS[int(span.kind)],
        attributes=attributes,
        attribute_types=types,
        events=tuple(_span_event(event) for event in span.events),
        links=tuple(_span_link(link) for link in span.links),
        status_code=STATUS_CODES[int(span.status.code)],
        status_message=span.status.message,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        tracestate=span.trace_state,
        flags=span.flags,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        dropped_attributes_count=span.dropped_attributes_count,
        **origin,
    )


def _span_event(event: Span.Event) -> SpanEvent:
    attributes, types = _attributes(event.attributes)
    return SpanEvent(
        name=event.name,
        timestamp=event.time_unix_nano,
        attributes=attributes,
        attribute_types=types,
        dropped_attributes_count=event.dropped_attributes_count,
    )


def _span_link(link: Span.Link) -> SpanLink:
    attributes, types = _attributes(link.attributes)
    return SpanLink(
        trace_id=link.trace_id.hex(),
        span_id=link.span_id.hex(),
        tracestate=link.trace_state,
        attributes=attributes,
        attribute_types=types,
        dropped_attributes_count=link.dropped_attributes_count,
    )


def _points(metric: Metric, origin: Mapping[str, Any]) -> Iterable[MetricPoint]:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    data = getattr(metric, kind)
    for point in data.data_points:
        attributes, types = _attributes(point.attributes)
        number = point.WhichOneof("value") if kind in {"gauge", "sum"} else None
        yield MetricPoint(
            name=metric.name,
            unit=metric.unit,
            description=metric.description,
            kind=kind,
            attributes=attributes,
            attribute_types=types,
            value=None if number is None else getattr(point, number),
            count=getattr(point, "count", None),
            sum=_optional(point, "sum"),
            min=_optional(point, "min"),
            max=_optional(point, "max"),
            bounds=tuple(getattr(point, "explicit_bounds", ())),
            bucket_counts=tuple(getattr(point, "bucket_counts", ())),
            temporality=TEMPORALITIES[int(getattr(data, "aggregation_temporality", 0))],
            is_monotonic=bool(getattr(data, "is_monotonic", False)),
            exemplar_count=len(getattr(point, "exemplars", ())),
            start=point.start_time_unix_nano,
            timestamp=point.time_unix_nano,
            **origin,
        )


def _optional(point: Any, field: str) -> float | None:
    """A histogram's `sum`, `min` and `max` may be unset; a summary's sum cannot; numbers have none."""
    declared = point.DESCRIPTOR.fields_by_name.get(field)
    if declared is None or (declared.has_presence and not point.HasField(field)):
        return None
    return float(getattr(point, field))


def _origin(group: Any, scoped: Any) -> dict[str, Any]:
    """The fields of `Origin`, from a Resource… message and a Scope… message of whichever signal."""
    resource, resource_types = _attributes(group.resource.attributes)
    return {
        "scope_name": scoped.scope.name,
        "scope_version": scoped.scope.version,
        "scope_attributes": _attributes(scoped.scope.attributes)[0],
        "scope_schema_url": scoped.schema_url,
        "resource": resource,
        "resource_types": resource_types,
        "resource_schema_url": group.schema_url,
    }


def _attributes(pairs: Iterable[KeyValue]) -> tuple[Attributes, Types]:
    values: Attributes = {}
    types: Types = {}
    for pair in pairs:
        if pair.key in values:
            # A dict would hide one of them, and with it what it holds.
            raise ValueError("an attribute key occurs twice")
        values[pair.key], types[pair.key] = _value(pair.value)
    return values, types


def _value(value: AnyValue) -> tuple[object, str]:
    """The value in Python and its OTLP kind."""
    field = value.WhichOneof("value")
    if field is None:
        return None, "none"
    kind = field.removesuffix("_value")
    if kind == "array":
        return tuple(_value(item)[0] for item in value.array_value.values), kind
    if kind == "kvlist":
        return _attributes(value.kvlist_value.values)[0], kind
    return getattr(value, field), kind
