"""The recording receiver: what it keeps, what it answers, and that nothing makes its `close()` hang."""

import gzip
import http.client
import json
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from tests import stock_exporters as stock
from tests.otlp_client import GrpcAnswer, HttpAnswer, call, post
from tests.otlp_receiver import HANG, OK, OtlpReceiver, PartialSuccess, Signal, Status, Transport
from tests.otlp_wire import parse_answer

SIGNALS: Final[tuple[Signal, ...]] = ("logs", "traces", "metrics")
TRANSPORTS: Final[tuple[Transport, ...]] = ("grpc", "http")

# An ExportLogsServiceRequest with a field that OTLP does not have (99, a string) before an empty
# `resource_logs`: decoding and encoding it again would not give these bytes.
ODD_REQUEST: Final = b"\x9a\x06\x03odd" + b"\x0a\x00"


def over_http(receiver: OtlpReceiver) -> HttpAnswer:
    """One request."""
    return post(receiver.http_endpoint, ODD_REQUEST)


def over_grpc(receiver: OtlpReceiver) -> GrpcAnswer:
    """The same over gRPC."""
    return call(receiver.grpc_endpoint, ODD_REQUEST)


def verdict(receiver: OtlpReceiver, transport: Transport) -> str:
    """The same over either: the status as text."""
    return over_grpc(receiver).code if transport == "grpc" else str(over_http(receiver).status)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_stock_exporters_succeed(
    receiver: OtlpReceiver, transport: Transport, signal: Signal, *, compress: bool
) -> None:
    """The SDK's exporters of each signal and transport are answered with success, compressed or not."""
    endpoint = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint

    result = stock.export(transport, signal, endpoint, gzip=compress, headers={"x-token": "t"})

    assert result == "SUCCESS"
    (request,) = receiver.accepted
    assert (request.signal, request.transport) == (signal, transport)
    assert request.headers["x-token"] == "t"
    assert request.content_type == "application/x-protobuf"
    telemetry = receiver.telemetry()
    counts = (len(telemetry.events), len(telemetry.spans), len(telemetry.metrics))
    assert counts == {"logs": (1, 0, 0), "traces": (0, 1, 0), "metrics": (0, 0, 1)}[signal]


@pytest.mark.parametrize("compress", [False, True])
def test_grpc_keeps_the_undecoded_bytes(receiver: OtlpReceiver, *, compress: bool) -> None:
    """Over gRPC the message's bytes are kept as serialized; the library has undone compression."""
    assert call(receiver.grpc_endpoint, ODD_REQUEST, gzip=compress).code == "OK"

    (request,) = receiver.requests
    assert (request.raw, request.payload) == (ODD_REQUEST, ODD_REQUEST)
    assert "grpc-encoding" not in request.headers


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_http_keeps_the_body_as_sent_and_decompressed(
    receiver: OtlpReceiver, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    """Over HTTP both are kept: the body byte for byte as it came, and what was compressed."""
    sent = compress(ODD_REQUEST)

    assert post(receiver.http_endpoint, sent, headers={"Content-Encoding": encoding}).status == 200

    (request,) = receiver.requests
    assert (request.raw, request.payload) == (sent, ODD_REQUEST)
    assert request.headers["content-encoding"] == encoding


def test_repeated_and_binary_metadata_are_kept(receiver: OtlpReceiver) -> None:
    """GRPC metadata that comes twice, or is binary, is not lost."""
    call(receiver.grpc_endpoint, b"", metadata=[("x-a", "1"), ("x-a", "2"), ("x-b-bin", b"\xff")])

    (request,) = receiver.requests
    assert (request.headers["x-a"], request.headers["x-b-bin"]) == ("1, 2", "\xff")


def test_http_json_is_kept_decoded_and_answered_in_json(receiver: OtlpReceiver) -> None:
    """OTLP/JSON goes in as text and gets its answer in JSON."""
    body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"incident.end"}]}]}]}'
    receiver.answer_with(PartialSuccess(2, "why"), OK)
    headers = {"content-type": "application/json; charset=utf-8"}

    partial = post(receiver.http_endpoint, body, headers=headers)
    full = post(receiver.http_endpoint, body, headers=headers)

    assert [event.event_name for event in receiver.wait_for_events(2)] == ["incident.end", "incident.end"]
    assert receiver.requests[0].payload == body
    assert partial.headers["content-type"] == "application/json"
    assert json.loads(partial.body) == {"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "why"}}
    assert full.body == b"{}"


@pytest.mark.parametrize(
    ("path", "encoding", "status"),
    [("/v1/other", "identity", 404), ("/v1/logs", "zstd", 415), ("/v1/logs", "gzip", 400)],
)
def test_what_is_not_otlp_is_refused_and_not_recorded(
    receiver: OtlpReceiver, path: str, encoding: str, status: int
) -> None:
    """An unknown path, an encoding that OTLP does not name, and a body that is not in its encoding."""
    answer = post(receiver.http_endpoint, b"not gzip", path=path, headers={"content-encoding": encoding})

    assert answer.status == status
    assert receiver.requests == ()


@pytest.mark.parametrize(
    ("status", "grpc_code", "number"),
    [(503, "UNAVAILABLE", 14), (400, "INVALID_ARGUMENT", 3), (429, "RESOURCE_EXHAUSTED", 8)],
)
def test_a_status_is_said_in_the_terms_of_each_transport(
    receiver: OtlpReceiver, status: int, grpc_code: str, number: int
) -> None:
    """A refusal is the HTTP status with a google.rpc.Status as its body, and the gRPC code."""
    receiver.answer_with(Status(status, message="no"))

    by_http, by_grpc = over_http(receiver), over_grpc(receiver)

    assert by_http.status == status
    assert status_pb2.Status.FromString(by_http.body) == status_pb2.Status(code=number, message="no")
    assert "retry-after" not in by_http.headers
    assert (by_grpc.code, by_grpc.details) == (grpc_code, "no")
    assert "grpc-status-details-bin" not in by_grpc.trailers
    assert (len(receiver.requests), receiver.accepted) == (2, ())


def test_retry_after_is_a_header_and_a_retry_info(receiver: OtlpReceiver) -> None:
    """When to come back is `Retry-After` over HTTP, and `RetryInfo` in the status details over gRPC."""
    receiver.answer_with(Status(503, retry_after=7))

    by_http, by_grpc = over_http(receiver), over_grpc(receiver)

    assert by_http.headers["retry-after"] == "7"
    details = status_pb2.Status.FromString(by_grpc.trailers["grpc-status-details-bin"])
    info = error_details_pb2.RetryInfo()
    assert details.details[0].Unpack(info)
    assert (details.code, info.retry_delay.seconds) == (14, 7)


@pytest.mark.parametrize(
    ("signal", "response", "partial"),
    [
        (
            "logs",
            logs.ExportLogsServiceResponse,
            logs.ExportLogsPartialSuccess(rejected_log_records=3, error_message="too old"),
        ),
        (
            "traces",
            traces.ExportTraceServiceResponse,
            traces.ExportTracePartialSuccess(rejected_spans=3, error_message="too old"),
        ),
        (
            "metrics",
            metrics.ExportMetricsServiceResponse,
            metrics.ExportMetricsPartialSuccess(rejected_data_points=3, error_message="too old"),
        ),
    ],
)
def test_partial_success_has_the_fields_of_its_signal(
    receiver: OtlpReceiver, signal: Signal, response: Any, partial: Any
) -> None:
    """A partial success counts as accepted, and says how many were not, over both transports."""
    receiver.answer_with(PartialSuccess(3, "too old"))

    by_http = post(receiver.http_endpoint, b"", signal=signal)
    by_grpc = call(receiver.grpc_endpoint, b"", signal=signal)

    assert response.FromString(by_http.body) == response(partial_success=partial)
    assert response.FromString(by_grpc.body) == response(partial_success=partial)
    assert len(receiver.accepted) == 2


def test_success_leaves_partial_success_unset(receiver: OtlpReceiver) -> None:
    """A set but empty one would be a warning."""
    answer = call(receiver.grpc_endpoint, b"")

    assert (answer.code, answer.body) == ("OK", b"")


def test_answers_are_taken_in_turn_and_the_last_stays(receiver: OtlpReceiver) -> None:
    """A script is one answer for each request; its last is for all that follow."""
    receiver.answer_with(Status(503), Status(400), OK)

    answers = [post(receiver.http_endpoint, bytes([0x0A, 0])).status for _ in range(4)]

    assert answers == [503, 400, 200, 200]
    assert receiver.accepted == receiver.requests[2:]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_hanging_request_is_recorded_and_answered_once_released(
    receiver: OtlpReceiver, transport: Transport
) -> None:
    """It is seen while it hangs, not accepted, and gets the answer that is given next."""
    receiver.answer_with(HANG)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(verdict, receiver, transport)
        (request,) = receiver.wait_for_requests(1)
        assert request.transport == transport
        assert not answer.done()
        assert list(receiver.accepted) == []

        receiver.answer_with(OK)

        assert answer.result(timeout=10) == {"grpc": "OK", "http": "200"}[transport]
    assert list(receiver.accepted) == [request]


def test_close_drops_what_hangs() -> None:
    """`close()` returns though requests hang; their senders lose the connection rather than wait for ever."""
    receiver = OtlpReceiver(answers=[HANG])
    with ThreadPoolExecutor() as pool:
        by_http, by_grpc = pool.submit(over_http, receiver), pool.submit(over_grpc, receiver)
        receiver.wait_for_requests(2)

        receiver.close()

        assert isinstance(by_http.exception(timeout=10), OSError)
        assert by_grpc.result(timeout=10).code == "UNAVAILABLE"
    assert (len(receiver.requests), receiver.accepted) == (2, ())


def test_close_does_not_wait_for_kept_alive_connections() -> None:
    """A client that keeps its connection open, as requests does, does not hold the receiver up."""
    receiver = OtlpReceiver()
    connection = http.client.HTTPConnection("127.0.0.1", receiver.http_port)
    connection.request("POST", "/v1/logs", b"")
    assert connection.getresponse().read() == b""

    receiver.close()

    connection.close()


def test_a_receiver_comes_back_on_its_ports() -> None:
    """As a restarted backend does, at once."""
    with OtlpReceiver() as first:
        assert (verdict(first, "grpc"), verdict(first, "http")) == ("OK", "200")
    with OtlpReceiver(grpc_port=first.grpc_port, http_port=first.http_port) as second:
        assert (second.grpc_endpoint, second.http_endpoint) == (first.grpc_endpoint, first.http_endpoint)
        assert (verdict(second, "grpc"), verdict(second, "http")) == ("OK", "200")


def test_waiting_in_vain_says_what_came(receiver: OtlpReceiver) -> None:
    """The deadline of a wait is an error that counts the requests."""
    receiver.answer_with(Status(503))
    post(receiver.http_endpoint, b"")

    with pytest.raises(TimeoutError, match=r"^not within 0.01 s; 1 requests, 0 accepted$"):
        receiver.wait_for_events(1, timeout=0.01)


def test_raw_bytes_hold_headers_and_refused_bodies(receiver: OtlpReceiver) -> None:
    """A search for content sees every byte, compressed ones in clear, whatever was answered."""
    receiver.answer_with(Status(400))
    headers = {"content-encoding": "gzip", "x-secret": "in a header"}
    post(receiver.http_endpoint, gzip.compress(ODD_REQUEST), headers=headers)

    assert ODD_REQUEST in receiver.raw_bytes()
    assert b"x-secret: in a header" in receiver.raw_bytes()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("ok", OK),
        ("hang", HANG),
        ("status 503", Status(503)),
        ("status 503 5\n", Status(503, retry_after=5)),
        ("partial 2", PartialSuccess(2)),
        ("partial 2 in two words", PartialSuccess(2, "in two words")),
    ],
)
def test_answers_can_be_written_as_text(text: str, answer: object) -> None:
    """As the process takes them on stdin."""
    assert parse_answer(text) == answer
