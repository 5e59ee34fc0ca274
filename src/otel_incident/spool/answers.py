"""What an endpoint says to a batch, told apart so finely that no event is lost and none is sent for ever.

The SDK's exporters say success or failure, and try again by themselves for ten seconds. To a queue that
outlives an outage the difference between "not now", "never" and "too much at once" decides what happens.
"""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, final

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

Verdict = Literal["delivered", "hold", "split", "refused"]
"""`hold`: later, all of it; `split`: it is too large at once; `refused`: never, however often."""

_HTTP_SPLIT: Final = 413
_HTTP_HOLD: Final = frozenset({401, 403, 404, 407, 408, 429})
# What an operator can mend, or time: an expired token must not cost a single event.
_GRPC_HOLD: Final = frozenset(
    {
        *("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"),
        *("UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "UNIMPLEMENTED", "INTERNAL", "UNKNOWN"),
    }
)
_MAX_WAIT: Final = 3600.0


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to one batch.

    Attributes:
        verdict: What becomes of the batch.
        reason: A status from a closed set, never a message.
        wait: Seconds that the endpoint asks to wait; None where it says nothing.
        rejected: How many records a partial success has refused for good.
    """

    verdict: Verdict
    reason: str = ""
    wait: float | None = None
    rejected: int = 0


def of_http(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """The answer that an HTTP response means."""
    if 200 <= status < 300:  # noqa: PLR2004  success, in HTTP's own words
        return Answer("delivered", rejected=_rejected(headers, body))
    reason = f"HTTP {status}"
    if status == _HTTP_SPLIT:
        return Answer("split", reason)
    if status in _HTTP_HOLD or status >= 500 or status < 400:  # noqa: PLR2004  HTTP's classes
        return Answer("hold", reason, _retry_after(headers.get("retry-after", "")))
    return Answer("refused", reason)


def of_grpc(code: str, metadata: Mapping[str, Any]) -> Answer:
    """The answer that a gRPC status means."""
    reason = f"gRPC {code}"
    if code == "RESOURCE_EXHAUSTED":
        wait = _retry_info(metadata)
        # without a time it says that the message is too large, says the specification of OTLP
        return Answer("split" if wait is None else "hold", reason, wait)
    if code in _GRPC_HOLD:
        return Answer("hold", reason, _retry_info(metadata))
    return Answer("refused", reason)


def _rejected(headers: Mapping[str, str], body: bytes) -> int:
    if "json" in headers.get("content-type", "") or not body:
        return 0
    response = ExportLogsServiceResponse()
    try:
        response.ParseFromString(body)
    except DecodeError:
        return 0
    return int(response.partial_success.rejected_log_records)


def _retry_after(value: str) -> float | None:
    if value.isascii() and value.isdigit() and len(value) < 10:  # noqa: PLR2004  any number of seconds
        return min(float(value), _MAX_WAIT)
    try:
        until = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return min(max(0.0, until.timestamp() - time.time()), _MAX_WAIT)


def _retry_info(metadata: Mapping[str, Any]) -> float | None:
    given = metadata.get("google.rpc.retryinfo-bin")
    if not isinstance(given, bytes):
        return None
    info = RetryInfo()
    try:
        info.ParseFromString(given)
    except DecodeError:
        return None
    seconds: float = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
    return min(seconds, _MAX_WAIT)
