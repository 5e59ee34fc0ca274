"""Reads OTLP/JSON payloads, as exporters, spools and collectors write them: one request, or one a line.

What cannot be read is refused with the file, the line, the field and what to do, and never with a value: the
payload is the operator's, but a terminal's scrollback and a pipeline's log are read by others too.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from google.protobuf.json_format import ParseDict, ParseError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_incident.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_incident.vocabulary import Signal

_REQUESTS: Final[Mapping[str, tuple[Signal, Any]]] = {
    "resourceSpans": ("spans", ExportTraceServiceRequest),
    "resourceLogs": ("logs", ExportLogsServiceRequest),
    "resourceMetrics": ("metrics", ExportMetricsServiceRequest),
}
# OTLP/JSON differs from protobuf's own JSON in the ids alone: hex in place of base64.
_ID_LENGTHS: Final = {"traceId": 16, "spanId": 8, "parentSpanId": 8}
# Of the library's message the path alone: what follows it can be a value.
_FIELD: Final = re.compile(r"Failed to parse (\w+) field")
_UNKNOWN_FIELD: Final = re.compile(r'has no field named "(\w{1,64})"')
_EXPECTED: Final = "give an OTLP/JSON request: an object with resourceSpans, resourceLogs or resourceMetrics"


class Request(NamedTuple):
    """One export request.

    Attributes:
        line: Where it begins, from 1.
        signal: Of what.
        message: The protobuf message.
    """

    line: int
    signal: Signal
    message: Any


def requests_in(text: str, source: str) -> Iterator[Request]:
    """The export requests of a payload; one of another shape is refused as a whole.

    Args:
        text: OTLP/JSON: one request, or one a line.
        source: What messages call the payload.

    Raises:
        PayloadError: It cannot be read.
    """
    try:
        yield from _requests(text, source)
    except RecursionError:
        raise PayloadError(f"{source}: values are nested too deeply; leave that record out.") from None


def _requests(text: str, source: str) -> Iterator[Request]:
    try:
        yield _request(json.loads(text), 1, source)
    except json.JSONDecodeError as error:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if not lines:
            raise PayloadError(f"{source}: is empty; {_EXPECTED}.") from None
        if len(lines) == 1 or not _is_json(lines[0][1]):
            raise PayloadError(
                f"{source}, line {error.lineno}: is not JSON (column {error.colno}); {_EXPECTED}."
            ) from None
        for number, line in lines:
            try:
                value = json.loads(line)
            except json.JSONDecodeError as fault:
                raise PayloadError(
                    f"{source}, line {number}: is not JSON (column {fault.colno}); "
                    "give one whole request a line."
                ) from None
            yield _request(value, number, source)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True


def _request(value: Any, line: int, source: str) -> Request:
    where = f"{source}, line {line}"
    keys = [key for key in _REQUESTS if isinstance(value, dict) and key in value]
    if len(keys) != 1 or len(value) != 1:
        raise PayloadError(f"{where}: is no export request; {_EXPECTED}, and nothing else.")
    signal, request = _REQUESTS[keys[0]]
    try:
        return Request(line, signal, ParseDict(_with_base64_ids(value, where), request()))
    except ParseError as error:
        said = str(error)
        path = ".".join(_FIELD.findall(said)) or keys[0]
        unknown = _UNKNOWN_FIELD.search(said)
        what = (
            f"has a field that OTLP does not ({unknown[1]})"
            if unknown
            else "is not of the type OTLP asks for"
        )
        raise PayloadError(f"{where}: {path} {what}; correct it, or export it anew.") from None


def _with_base64_ids(value: Any, where: str) -> Any:
    if isinstance(value, list):
        return [_with_base64_ids(item, where) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _as_base64(key, item, where) if key in _ID_LENGTHS else _with_base64_ids(item, where)
        for key, item in value.items()
    }


def _as_base64(key: str, value: Any, where: str) -> str:
    try:
        raw = bytes.fromhex(value)
    except (TypeError, ValueError):
        raw = b"?"
    if len(raw) not in {0, _ID_LENGTHS[key]}:
        raise PayloadError(f"{where}: {key} is not {_ID_LENGTHS[key]} bytes in hex; correct it.")
    return base64.b64encode(raw).decode()
