"""OTLP requests and answers apart from the transport: what the recording receiver keeps and what it may say.

Both servers of the receiver turn what arrives into a `Received` and get a `Reply` back, so every answer is
defined once and means the same over gRPC and HTTP.
"""

import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

Signal: TypeAlias = Literal["logs", "traces", "metrics"]
Transport: TypeAlias = Literal["grpc", "http"]

PATHS: Final[Mapping[str, Signal]] = {"/v1/logs": "logs", "/v1/traces": "traces", "/v1/metrics": "metrics"}
PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

# What OTLP/HTTP's statuses are in gRPC; the retryable ones of one are the retryable ones of the other.
GRPC_CODES: Final[Mapping[int, int]] = {
    400: code_pb2.INVALID_ARGUMENT,
    401: code_pb2.UNAUTHENTICATED,
    403: code_pb2.PERMISSION_DENIED,
    404: code_pb2.UNIMPLEMENTED,
    # RESOURCE_EXHAUSTED is retryable in OTLP/gRPC only together with a RetryInfo.
    429: code_pb2.RESOURCE_EXHAUSTED,
    500: code_pb2.INTERNAL,
    502: code_pb2.UNAVAILABLE,
    503: code_pb2.UNAVAILABLE,
    504: code_pb2.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Received:
    """One export request, as it came."""

    signal: Signal
    transport: Transport
    headers: Mapping[str, str]
    """Names in lower case, repeated ones joined by a comma; for gRPC its metadata."""
    raw: bytes
    """The body as it came: over HTTP still compressed. The gRPC library undoes compression itself, before any
    code of ours and without a trace in the metadata, so there it equals `payload`."""
    payload: bytes
    """The body after decompression, not decoded: protobuf, or JSON if `content_type` says so."""

    @property
    def content_type(self) -> str:
        """Media type without parameters; always protobuf for gRPC."""
        if self.transport == "grpc":
            return PROTOBUF
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Ok:
    """Everything accepted."""


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer until the receiver is given another one, or is closed: then the connection is dropped."""


@dataclass(frozen=True, slots=True)
class Status:
    """Refused with this HTTP status, or its gRPC equivalent (`GRPC_CODES`)."""

    code: int
    retry_after: int | str | None = None
    """Seconds, or over HTTP any text (a date, nonsense); over gRPC seconds become a `RetryInfo`."""
    message: str = "scripted by the test"


@dataclass(frozen=True, slots=True)
class PartialSuccess:
    """Answered with success, but `rejected` records were refused for good."""

    rejected: int
    message: str = ""


Answer: TypeAlias = Ok | Hang | Status | PartialSuccess


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back over the wire: HTTP's terms, which the gRPC server translates."""

    status: int
    body: bytes
    content_type: str = PROTOBUF
    retry_after: int | str | None = None
    message: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the sender may forget the request."""
        return self.status == http.HTTPStatus.OK


class _Message(Protocol):
    """The two things used of a protobuf message, whose own base class has no types."""

    def SerializeToString(self) -> bytes: ...  # noqa: N802 -- protobuf's name


_RESPONSES: Final[Mapping[Signal, tuple[Callable[..., _Message], str]]] = {
    "logs": (logs_service_pb2.ExportLogsServiceResponse, "rejected_log_records"),
    "traces": (trace_service_pb2.ExportTraceServiceResponse, "rejected_spans"),
    "metrics": (metrics_service_pb2.ExportMetricsServiceResponse, "rejected_data_points"),
}


def parse_answer(text: str) -> Answer:
    """An answer in words: `ok`, `hang`, `status CODE [SECONDS]`, `partial N [MESSAGE]`."""
    match text.split(maxsplit=2):
        case ["ok"]:
            return Ok()
        case ["hang"]:
            return Hang()
        case ["status", code]:
            return Status(int(code))
        case ["status", code, seconds]:
            return Status(int(code), retry_after=int(seconds))
        case ["partial", rejected]:
            return PartialSuccess(int(rejected))
        case ["partial", rejected, message]:
            return PartialSuccess(int(rejected), message)
        case _:
            raise ValueError("not an answer: ok, hang, status CODE [SECONDS], partial N [MESSAGE]")


def reply_to(request: Received, answer: Ok | Status | PartialSuccess) -> Reply:
    """The reply that says `answer`, in the encoding of the request."""
    json = request.content_type == JSON
    if isinstance(answer, Status):
        code = GRPC_CODES.get(answer.code, code_pb2.UNKNOWN)
        body = _encode(status_pb2.Status(code=code, message=answer.message), json=json)
        media = JSON if json else PROTOBUF
        return Reply(answer.code, body, media, answer.retry_after, answer.message)
    body = _encode(_success(request.signal, answer), json=json)
    return Reply(http.HTTPStatus.OK, body, JSON if json else PROTOBUF)


def retry_details(reply: Reply) -> bytes:
    """The `grpc-status-details-bin` trailer of a refusal that says when to come back."""
    seconds = int(reply.retry_after or 0)
    status = status_pb2.Status(code=GRPC_CODES.get(reply.status, code_pb2.UNKNOWN), message=reply.message)
    info = error_details_pb2.RetryInfo()
    info.retry_delay.seconds = seconds
    status.details.add().Pack(info)
    return bytes(status.SerializeToString())


def forward(request: Received, base_url: str, timeout: float = 10.0) -> Reply:
    """Pass the raw body on to a collector over HTTP and return its answer; 502 if there is none."""
    url = urlsplit(base_url)
    headers = {"content-type": request.content_type}
    if request.transport == "http" and "content-encoding" in request.headers:
        headers["content-encoding"] = request.headers["content-encoding"]
    # http.client rather than urllib: it never looks at the proxy variables of whoever runs the tests.
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout)
    try:
        connection.request("POST", f"{url.path.rstrip('/')}/v1/{request.signal}", request.raw, headers)
        response = connection.getresponse()
        return Reply(
            status=response.status,
            body=response.read(),
            content_type=response.headers.get("content-type", PROTOBUF),
            retry_after=response.headers.get("retry-after"),
            message="answered by the collector behind",
        )
    except (OSError, http.client.HTTPException):
        return reply_to(request, Status(502, message="no answer from the collector behind"))
    finally:
        connection.close()


def _success(signal: Signal, answer: Ok | PartialSuccess) -> _Message:
    response, rejected = _RESPONSES[signal]
    if isinstance(answer, Ok):
        return response()  # `partial_success` stays unset: the specification reads a set one as a warning
    return response(partial_success={rejected: answer.rejected, "error_message": answer.message})


def _encode(message: _Message, *, json: bool) -> bytes:
    if json:
        return str(json_format.MessageToJson(message, indent=None)).encode()
    return bytes(message.SerializeToString())
