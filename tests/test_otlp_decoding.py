"""The read model: the same values from protobuf and from the collector's JSON, and nothing passed over."""

import base64
import json
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.otlp_decoding import decode_json, decode_json_lines, decode_protobuf
from tests.otlp_wire import Signal
from tests.telemetry import LogEvent, MetricPoint, SpanData, SpanEvent, SpanLink, Telemetry

TRACE_ID = "0102030405060708090a0b0c0d0e0f10"
SPAN_ID = "0102030405060709"
PARENT_ID = "ffffffffffffffff"

RESOURCE = {"attributes": [{"key": "r", "value": {"intValue": "1"}}]}
SCOPE = {"name": "s", "version": "2", "attributes": [{"key": "x", "value": {"boolValue": True}}]}
ORIGIN: dict[str, Any] = {
    "scope_name": "s",
    "scope_version": "2",
    "scope_attributes": {"x": True},
    "scope_schema_url": "scope/1",
    "resource": {"r": 1},
    "resource_types": {"r": "int"},
    "resource_schema_url": "resource/1",
}


def request(kind: str, scoped: str, items: str, item: dict[str, Any]) -> dict[str, Any]:
    """An export request with one item, as the collector's file exporter writes it."""
    scope = {"scope": SCOPE, items: [item], "schemaUrl": "scope/1"}
    return {kind: [{"resource": RESOURCE, scoped: [scope], "schemaUrl": "resource/1"}]}


def log(**fields: Any) -> dict[str, Any]:
    """A request with one log record."""
    return request("resourceLogs", "scopeLogs", "logRecords", fields)


def metric(**fields: Any) -> dict[str, Any]:
    """A request with one metric."""
    fields = {"name": "m", "unit": "s", "description": "d", **fields}
    return request("resourceMetrics", "scopeMetrics", "metrics", fields)


def expected_point(**fields: Any) -> MetricPoint:
    """A data point of `metric` in which `fields` differ from nothing."""
    nothing: dict[str, Any] = {
        "name": "m",
        "unit": "s",
        "description": "d",
        "attributes": {},
        "attribute_types": {},
        "value": None,
        "count": None,
        "sum": None,
        "min": None,
        "max": None,
        "bounds": (),
        "bucket_counts": (),
        "temporality": "unspecified",
        "is_monotonic": False,
        "exemplar_count": 0,
        "start": 0,
        "timestamp": 0,
    }
    return MetricPoint(**{**nothing, **ORIGIN, **fields})


NO_ID = {"key": "traceId", "value": {"stringValue": "not hex"}}
LOG = log(
    timeUnixNano="1600000000000000001",
    observedTimeUnixNano="2",
    severityNumber=9,
    severityText="INFO",
    eventName="incident.create",
    body={"stringValue": ""},
    attributes=[
        {"key": "string", "value": {"stringValue": "1"}},
        {"key": "int", "value": {"intValue": "9007199254740993"}},
        {"key": "bool", "value": {"boolValue": False}},
        {"key": "double", "value": {"doubleValue": 1}},
        {"key": "bytes", "value": {"bytesValue": "AP8="}},
        {"key": "array", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "a"}]}}},
        {"key": "kvlist", "value": {"kvlistValue": {"values": [NO_ID]}}},
        {"key": "none", "value": {}},
    ],
    droppedAttributesCount=3,
    flags=1,
    traceId=TRACE_ID,
    spanId=SPAN_ID,
)


def test_a_log_record_is_read_whole() -> None:
    """Every field, every kind of value with its type; int64 exact; an id's name inside a value is no id."""
    attributes = {
        "string": "1",
        "int": 9007199254740993,
        "bool": False,
        "double": 1.0,
        "bytes": b"\x00\xff",
        "array": (1, "a"),
        "kvlist": {"traceId": "not hex"},
        "none": None,
    }

    (event,) = decode_json(json.dumps(LOG)).events

    assert event == LogEvent(
        event_name="incident.create",
        attributes=attributes,
        attribute_types={key: key for key in attributes},
        body="",
        has_body=True,
        severity_number=9,
        severity_text="INFO",
        timestamp=1600000000000000001,
        observed_timestamp=2,
        trace_id=TRACE_ID,
        span_id=SPAN_ID,
        flags=1,
        dropped_attributes_count=3,
        **ORIGIN,
    )
    assert [type(value) for value in event.attributes.values()] == [
        str,
        int,
        bool,
        float,
        bytes,
        tuple,
        dict,
        type(None),
    ]


@pytest.mark.parametrize("fields", [{}, {"body": {}}])
def test_a_missing_body_is_missing_however_it_is_written(fields: dict[str, Any]) -> None:
    """The collector writes `"body":{}` for a record that has none."""
    (event,) = decode_json(json.dumps(log(**fields))).events

    assert (event.has_body, event.body) == (False, None)


SPAN = request(
    "resourceSpans",
    "scopeSpans",
    "spans",
    {
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "parentSpanId": PARENT_ID,
        "traceState": "a=b",
        "flags": 257,
        "name": "n",
        "kind": 2,
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
        "attributes": [{"key": "k", "value": {"intValue": "1"}}],
        "droppedAttributesCount": 4,
        "events": [
            {
                "timeUnixNano": "3",
                "name": "e",
                "attributes": [{"key": "k", "value": {"doubleValue": 2}}],
                "droppedAttributesCount": 5,
            }
        ],
        "links": [
            {
                "traceId": TRACE_ID,
                "spanId": SPAN_ID,
                "traceState": "c=d",
                "attributes": [{"key": "k", "value": {"boolValue": True}}],
                "droppedAttributesCount": 6,
            }
        ],
        "status": {"code": 2, "message": "m"},
    },
)


def test_a_span_is_read_whole() -> None:
    """Every field, with its events and links."""
    (span,) = decode_json(json.dumps(SPAN)).spans

    assert span == SpanData(
        name="n",
        kind="server",
        attributes={"k": 1},
        attribute_types={"k": "int"},
        events=(
            SpanEvent(
                name="e",
                timestamp=3,
                attributes={"k": 2.0},
                attribute_types={"k": "double"},
                dropped_attributes_count=5,
            ),
        ),
        links=(
            SpanLink(
                trace_id=TRACE_ID,
                span_id=SPAN_ID,
                tracestate="c=d",
                attributes={"k": True},
                attribute_types={"k": "bool"},
                dropped_attributes_count=6,
            ),
        ),
        status_code="error",
        status_message="m",
        trace_id=TRACE_ID,
        span_id=SPAN_ID,
        parent_span_id=PARENT_ID,
        tracestate="a=b",
        flags=257,
        start=1,
        end=2,
        dropped_attributes_count=4,
        **ORIGIN,
    )


NUMBER = {
    "attributes": [{"key": "k", "value": {"stringValue": "v"}}],
    "startTimeUnixNano": "1",
    "timeUnixNano": "2",
}
READ = {"attributes": {"k": "v"}, "attribute_types": {"k": "string"}, "start": 1, "timestamp": 2}
COUNTED = {"count": "3", "sum": 6.5, "min": 1, "max": 4}
READ_COUNTED = {"count": 3, "sum": 6.5, "min": 1.0, "max": 4.0}

METRICS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "gauge": (
        {"dataPoints": [{**NUMBER, "asDouble": 1.5, "exemplars": [{"asInt": "1"}]}]},
        {**READ, "value": 1.5, "exemplar_count": 1},
    ),
    "sum": (
        {"dataPoints": [{**NUMBER, "asInt": "7"}], "aggregationTemporality": 2, "isMonotonic": True},
        {**READ, "value": 7, "temporality": "cumulative", "is_monotonic": True},
    ),
    "histogram": (
        {
            "dataPoints": [{**NUMBER, **COUNTED, "bucketCounts": ["1", "2"], "explicitBounds": [2]}],
            "aggregationTemporality": 1,
        },
        {**READ, **READ_COUNTED, "bounds": (2.0,), "bucket_counts": (1, 2), "temporality": "delta"},
    ),
    "exponentialHistogram": (
        {"dataPoints": [{**NUMBER, "count": "1"}], "aggregationTemporality": 1},
        {**READ, "count": 1, "temporality": "delta"},
    ),
    "summary": ({"dataPoints": [{**NUMBER, "count": "2", "sum": 3}]}, {**READ, "count": 2, "sum": 3.0}),
}


@pytest.mark.parametrize("field", list(METRICS))
def test_each_kind_of_metric_is_read(field: str) -> None:
    """A data point has what its kind has, and None or nothing for the rest."""
    data, expected = METRICS[field]
    kind = "exponential_histogram" if field == "exponentialHistogram" else field

    (point,) = decode_json(json.dumps(metric(**{field: data}))).metrics

    assert point == expected_point(kind=kind, **expected)


@pytest.mark.parametrize(
    ("signal", "message", "sent"),
    [
        ("logs", ExportLogsServiceRequest, LOG),
        ("traces", ExportTraceServiceRequest, SPAN),
        ("metrics", ExportMetricsServiceRequest, metric(sum=METRICS["sum"][0])),
    ],
)
def test_protobuf_reads_the_same_as_json(signal: Signal, message: Any, sent: dict[str, Any]) -> None:
    """The two encodings of one request give one value."""
    text = json.dumps(sent)
    in_protobufs_own_json = text
    for name in (TRACE_ID, SPAN_ID, PARENT_ID):
        in_protobufs_own_json = in_protobufs_own_json.replace(
            name, base64.b64encode(bytes.fromhex(name)).decode()
        )
    payload = json_format.Parse(in_protobufs_own_json, message()).SerializeToString()

    assert decode_protobuf(signal, payload) == decode_json(text)


def test_lines_are_read_in_order_and_an_unfinished_one_is_left() -> None:
    """Mixed signals, a line that a killed exporter left without its end, and one that is being written."""
    first, second = (json.dumps(log(eventName=name)) for name in ("first", "second"))
    span = json.dumps(SPAN)

    telemetry = decode_json_lines(f"{first}\n{span}{second}\n\n{first[:20]}".encode())

    assert [event.event_name for event in telemetry.events] == ["first", "second"]
    assert len(telemetry.spans) == 1
    assert decode_json_lines(first) == Telemetry()


@pytest.mark.parametrize(
    "sent",
    [
        log(eventName="e", unknown="seen by nobody"),
        {**LOG, **SPAN},
        {"resourceProfiles": []},
    ],
)
def test_nothing_unknown_is_passed_over(sent: dict[str, Any]) -> None:
    """A field or a request that OTLP does not have is an error."""
    with pytest.raises((json_format.ParseError, ValueError)):
        decode_json(json.dumps(sent))


def test_a_key_that_occurs_twice_is_an_error() -> None:
    """A dict would hide one of the two values."""
    twice = [{"key": "k", "value": {"intValue": "1"}}, {"key": "k", "value": {"stringValue": "hidden"}}]

    with pytest.raises(ValueError, match=r"^an attribute key occurs twice$"):
        decode_json(json.dumps(log(attributes=twice)))


def test_an_empty_request_is_empty() -> None:
    """OTLP allows it."""
    assert decode_json("{}") == decode_protobuf("logs", b"") == Telemetry()
