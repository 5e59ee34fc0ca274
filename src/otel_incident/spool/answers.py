"""What an endpoint says to a batch, told apart so finely that no event is lost and none is sent for ever.

The SDK's exporters say success or failure, and try again by themselves for ten seconds. To a queue that
outlives an outage the difference between "not now", "never" and "too much at once" decides what happens.
"""

from __future__ import annotations

import email.utils
import json
import time
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, Literal, final

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Verdict = Literal["delivered", "hold", "split", "refused"]
"""`hold`: later, all of it; `split`: it is too large at once; `refused`: never, however often."""

MAX_WAIT: Final = 3600.0
"""Seconds; an endpoint that asks for more is asked again after this."""

_HTTP_SPLIT: Final = 413
# What an operator can mend, or time: an expired token must not cost a single event.
_HTTP_HOLD: Final = frozenset({401, 403, 404, 407, 408, 429})
_HTTP_ELSEWHERE: Final = frozenset({502, 503, 504})  # said by what stands before the server, or of its state
_GRPC_HOLD: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE", "UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND"}
    | {"UNIMPLEMENTED"}
)
_GRPC_OWN: Final = frozenset({"ABORTED", "OUT_OF_RANGE", "DATA_LOSS", "INTERNAL", "UNKNOWN"})


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to one batch.

    Attributes:
        verdict: What becomes of the batch.
        reason: A status or a class's name, from a closed set, never a message.
        wait: Seconds that the endpoint asks to wait; None where it says nothing.
        rejected: How many records a partial success has refused for good.
        suspect: Whether it may be about this batch alone: an error of the server's own, or none heard.
    """

    verdict: Verdict
    reason: str = ""
    wait: float | None = None
    rejected: int = 0
    suspect: bool = False


def of_http(
    status: int, headers: Mapping[str, str], body: bytes, now: Callable[[], float] = time.time
) -> Answer:
    """The answer that an HTTP response means.

    Args:
        status: Its status.
        headers: Its headers, names in lower case.
        body: Its body.
        now: The clock, seconds since the epoch.
    """
    if 200 <= status < 300:  # noqa: PLR2004  success, in HTTP's own words
        return Answer("delivered", rejected=_rejected(headers, body))
    reason = f"HTTP {status}"
    if status == _HTTP_SPLIT:
        return Answer("split", reason)
    if status in _HTTP_HOLD or status >= 500 or status < 400:  # noqa: PLR2004  HTTP's classes
        suspect = status >= 500 and status not in _HTTP_ELSEWHERE  # noqa: PLR2004  the same
        return Answer("hold", reason, _retry_after(headers.get("retry-after", ""), now), suspect=suspect)
    return Answer("refused", reason)


def of_grpc(code: str, metadata: Mapping[str, Any]) -> Answer:
    """The answer that a gRPC status means.

    Args:
        code: Its name.
        metadata: The trailing metadata.
    """
    reason, wait = f"gRPC {code}", _retry_info(metadata)
    if code == "RESOURCE_EXHAUSTED":
        # without a time it says that the message is too large, or that a quota is used up for good
        return Answer("split", reason, suspect=True) if wait is None else Answer("hold", reason, wait)
    if code in _GRPC_HOLD or code in _GRPC_OWN:
        return Answer("hold", reason, wait, suspect=code in _GRPC_OWN)
    return Answer("refused", reason)


def _rejected(headers: Mapping[str, str], body: bytes) -> int:
    """How many records a success has refused all the same; 0 where it cannot be understood."""
    try:
        if "json" in headers.get("content-type", ""):
            return max(0, int(json.loads(body)["partialSuccess"]["rejectedLogRecords"]))
        response = ExportLogsServiceResponse()
        response.ParseFromString(body)
    except (DecodeError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return 0
    return max(0, int(response.partial_success.rejected_log_records))


def _retry_after(value: str, now: Callable[[], float]) -> float | None:
    value = value.strip()
    if value.isascii() and value.isdigit():
        return _bounded(float(value[:9]))
    try:
        until = email.utils.parsedate_to_datetime(value)
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        return _bounded(until.timestamp() - now())
    except (TypeError, ValueError, OverflowError):
        return None


def _retry_info(metadata: Mapping[str, Any]) -> float | None:
    """The time to wait, in the details of the status or, as some servers send it, apart."""
    info = RetryInfo()
    try:
        if isinstance(apart := metadata.get("google.rpc.retryinfo-bin"), bytes):
            info.ParseFromString(apart)
            return _seconds(info)
        if isinstance(details := metadata.get("grpc-status-details-bin"), bytes):
            for detail in Status.FromString(details).details:
                if detail.Unpack(info):
                    return _seconds(info)
    except DecodeError:
        pass
    return None


def _seconds(info: RetryInfo) -> float:
    return _bounded(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)


def _bounded(seconds: float) -> float:
    return min(max(0.0, seconds), MAX_WAIT)
