"""What an endpoint says to a batch: every HTTP status and every gRPC code, and when to come back."""

import json
from email.utils import formatdate
from typing import Final

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
import pytest
from google.protobuf.any_pb2 import Any as ProtobufAny
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

from otel_incident.spool.answers import Answer, Verdict, of_grpc, of_http

NOW: Final = 1_600_000_000.0
HOLD: Final = {401, 403, 404, 407, 408, 429}
OWN: Final = set(range(500, 600)) - {502, 503, 504}


@pytest.mark.parametrize("status", range(100, 600))
def test_every_http_status(status: int) -> None:
    """2xx is delivered, 413 too large; what an operator or time can mend is held; other 4xx never pass."""
    reason = f"HTTP {status}"
    if 200 <= status < 300:
        expected = Answer("delivered")
    elif status == 413:
        expected = Answer("split", reason)
    elif status in HOLD or status < 400:
        expected = Answer("hold", reason)
    elif status < 500:
        expected = Answer("refused", reason)
    else:
        expected = Answer("hold", reason, suspect=status in OWN)
    assert of_http(status, {}, b"") == expected


GRPC: Final[dict[str, tuple[Verdict, bool]]] = {
    "CANCELLED": ("hold", False),
    "UNKNOWN": ("hold", True),
    "INVALID_ARGUMENT": ("refused", False),
    "DEADLINE_EXCEEDED": ("hold", False),
    "NOT_FOUND": ("hold", False),
    "ALREADY_EXISTS": ("refused", False),
    "PERMISSION_DENIED": ("hold", False),
    "UNAUTHENTICATED": ("hold", False),
    "RESOURCE_EXHAUSTED": ("split", True),
    "FAILED_PRECONDITION": ("refused", False),
    "ABORTED": ("hold", True),
    "OUT_OF_RANGE": ("hold", True),
    "UNIMPLEMENTED": ("hold", False),
    "INTERNAL": ("hold", True),
    "UNAVAILABLE": ("hold", False),
    "DATA_LOSS": ("hold", True),
}


@pytest.mark.parametrize("code", [code.name for code in grpc.StatusCode if code.name != "OK"])
def test_every_grpc_code(code: str) -> None:
    """The same for gRPC; a resource that is exhausted for no given time means a message that is too large."""
    verdict, suspect = GRPC[code]
    assert of_grpc(code, {}) == Answer(verdict, f"gRPC {code}", suspect=suspect)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", None),
        ("0", 0.0),
        ("5", 5.0),
        (" 5 ", 5.0),
        ("3600", 3600.0),
        ("3601", 3600.0),
        ("9" * 5000, 3600.0),
        ("-5", None),
        ("1.5", None),
        ("\u0665", None),
        ("soon", None),
        (formatdate(NOW + 30, usegmt=True), 30.0),
        (formatdate(NOW - 30, usegmt=True), 0.0),
        (formatdate(NOW + 10**6, usegmt=True), 3600.0),
        ("Sun, 13 Sep 2020 12:27:10 -0000", 30.0),  # no time zone: Python reads none either
        ("Sun, 13 Sep 99999 12:27:10 GMT", None),
        ("Sun, 99 Sep 2020 12:27:10 GMT", None),
    ],
)
def test_retry_after(value: str, expected: float | None) -> None:
    """Seconds or a date, an hour at most; what is neither says nothing."""
    answer = of_http(503, {"retry-after": value}, b"", now=lambda: NOW)
    assert answer == Answer("hold", "HTTP 503", expected)
    assert type(answer.wait) is type(expected)


def retry_info(seconds: int, nanos: int = 0) -> RetryInfo:
    """A time to wait."""
    info = RetryInfo()
    info.retry_delay.seconds, info.retry_delay.nanos = seconds, nanos
    return info


def details(*messages: object) -> bytes:
    """The trailer in which a status has its details."""
    packed = [ProtobufAny() for _ in messages]
    for each, message in zip(packed, messages, strict=True):
        each.Pack(message)
    return bytes(Status(code=8, details=packed).SerializeToString())


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"grpc-status-details-bin": details(BadRequest(), retry_info(2, 500_000_000))}, 2.5),
        ({"google.rpc.retryinfo-bin": retry_info(7).SerializeToString()}, 7.0),
        ({"grpc-status-details-bin": details(retry_info(10**6))}, 3600.0),
        ({"grpc-status-details-bin": details(retry_info(-5))}, 0.0),
    ],
)
def test_retry_info(code: str, metadata: dict[str, bytes], expected: float) -> None:
    """Wherever a server puts its RetryInfo, the batch is held for that long, and not taken apart."""
    assert of_grpc(code, metadata) == Answer("hold", f"gRPC {code}", expected)


@pytest.mark.parametrize(
    "metadata",
    [
        {"grpc-status-details-bin": b"\xff"},
        {"google.rpc.retryinfo-bin": b"\xff"},
        {"grpc-status-details-bin": "text"},
        {"grpc-status-details-bin": details(BadRequest())},
        {"grpc-status-details-bin": Status(details=[ProtobufAny(value=b"\xff")]).SerializeToString()},
    ],
)
def test_details_that_say_nothing(metadata: dict[str, bytes]) -> None:
    """What cannot be read is as good as nothing."""
    assert of_grpc("UNAVAILABLE", metadata) == Answer("hold", "gRPC UNAVAILABLE")


def response(rejected: int) -> bytes:
    """A partial success."""
    partial = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message="scripted by the test")
    return bytes(ExportLogsServiceResponse(partial_success=partial).SerializeToString())


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/x-protobuf", b"", 0),
        ("application/x-protobuf", response(3), 3),
        ("", response(3), 3),
        ("application/x-protobuf", response(-3), 0),
        ("application/x-protobuf", b"\xff\xff", 0),
        ("application/json", b"{}", 0),
        ("application/json", b"", 0),
        ("application/json", b"not JSON", 0),
        ("application/json", b"[" * 100_000, 0),
        ("application/json; charset=utf-8", json.dumps({"partialSuccess": {"rejectedLogRecords": "3"}}), 3),
        ("application/json", json.dumps({"partialSuccess": {"rejectedLogRecords": 3}}), 3),
        ("application/json", json.dumps({"partialSuccess": 3}), 0),
        ("application/json", json.dumps({"partialSuccess": {"rejectedLogRecords": 1e999}}), 0),
    ],
)
def test_partial_success(content_type: str, body: bytes | str, expected: int) -> None:
    """A success says how many records it has refused; whatever else its body is, it is a success."""
    given = body if isinstance(body, bytes) else body.encode()
    assert of_http(200, {"content-type": content_type}, given) == Answer("delivered", rejected=expected)
