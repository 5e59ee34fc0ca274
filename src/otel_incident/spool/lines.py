"""Log records as lines of OTLP JSON, and back: what a segment holds, a person reads, a collector ships.

Each line is a whole `ExportLogsServiceRequest` with one record in it, and with the resource of the process
that made it. The general encoder of protobuf's JSON costs many times as much as the Logs API itself; this one
knows the few shapes that there are. What repeats, the resource and the scope, is written and read once.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import INVALID_SPAN, TraceFlags, set_span_in_context

if TYPE_CHECKING:
    from collections.abc import Callable

_REMEMBERED: Final = 64
_NO_SPAN: Final = set_span_in_context(INVALID_SPAN, Context())
_NOTHING: Final = Context()
_SUFFIX: Final = b"]}]}]}\n"
_SEVERITIES: Final = {number.value: number for number in SeverityNumber}


class LineError(ValueError):
    """A line is no log record in OTLP JSON; the message says why, never what it holds."""


class _Origin(NamedTuple):
    """Where records come from."""

    resource: Resource
    scope: InstrumentationScope | None


def _attribute(key: str, value: Any) -> str:
    return f'{{"key":{encode_basestring_ascii(key)},"value":{_value(value)}}}'


def _value(value: Any) -> str:  # noqa: C901, PLR0911  a branch for each kind of AnyValue
    kind = type(value)
    if kind is str:
        return f'{{"stringValue":{encode_basestring_ascii(value)}}}'
    if kind is bool:
        return '{"boolValue":true}' if value else '{"boolValue":false}'
    if kind is int:
        return f'{{"intValue":"{value}"}}'
    if kind is float:
        return f'{{"doubleValue":{_double(value)}}}'
    if value is None:
        return "{}"
    if isinstance(value, (bytes, bytearray)):
        return f'{{"bytesValue":"{base64.b64encode(value).decode()}"}}'
    if isinstance(value, Mapping):
        return f'{{"kvlistValue":{{"values":[{_attributes(value)}]}}}}'
    if isinstance(value, str):
        return _value(str.__str__(value))
    if isinstance(value, Sequence):
        return f'{{"arrayValue":{{"values":[{",".join(map(_value, value))}]}}}}'
    if isinstance(value, (bool, int, float)):
        return _value(float(value) if isinstance(value, float) else int(value))
    return _value(str(value))


def _double(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def _attributes(attributes: Mapping[str, Any] | None) -> str:
    return ",".join([_attribute(key, value) for key, value in attributes.items()]) if attributes else ""


@final
class LineWriter:
    """Makes lines of records; the part that repeats is kept."""

    def __init__(self) -> None:
        self._prefixes: dict[tuple[int, int], tuple[_Origin, str]] = {}

    def line(self, entry: ReadableLogRecord) -> bytes:
        """One line, with its end."""
        record = entry.log_record
        parts = [self._prefix(entry), f'{{"timeUnixNano":"{record.timestamp or 0}"']
        parts.append(f',"observedTimeUnixNano":"{record.observed_timestamp or 0}"')
        if record.severity_number is not None:
            parts.append(f',"severityNumber":{record.severity_number.value}')
        if record.severity_text is not None:
            parts.append(f',"severityText":{encode_basestring_ascii(record.severity_text)}')
        if record.body is not None:
            parts.append(f',"body":{_value(record.body)}')
        if record.attributes:
            parts.append(f',"attributes":[{_attributes(record.attributes)}]')
        if entry.dropped_attributes:
            parts.append(f',"droppedAttributesCount":{entry.dropped_attributes}')
        if record.trace_flags:
            parts.append(f',"flags":{int(record.trace_flags)}')
        if record.trace_id:
            parts.append(f',"traceId":"{record.trace_id:032x}"')
        if record.span_id:
            parts.append(f',"spanId":"{record.span_id:016x}"')
        if record.event_name:
            parts.append(f',"eventName":{encode_basestring_ascii(record.event_name)}')
        parts.append("}]}]}]}\n")
        return "".join(parts).encode("ascii")

    def _prefix(self, entry: ReadableLogRecord) -> str:
        resource, scope = entry.resource, entry.instrumentation_scope
        known = self._prefixes.get((id(resource), id(scope)))
        if known is not None and known[0].resource is resource and known[0].scope is scope:
            return known[1]
        parts = [f'{{"resourceLogs":[{{"resource":{{"attributes":[{_attributes(resource.attributes)}]}}']
        if resource.schema_url:
            parts.append(f',"schemaUrl":{encode_basestring_ascii(resource.schema_url)}')
        parts.append(',"scopeLogs":[{')
        if scope is not None:
            parts.append(f'"scope":{{"name":{encode_basestring_ascii(scope.name)}')
            if scope.version:
                parts.append(f',"version":{encode_basestring_ascii(scope.version)}')
            if scope.attributes:
                parts.append(f',"attributes":[{_attributes(scope.attributes)}]')
            parts.append("},")
            if scope.schema_url:
                parts.append(f'"schemaUrl":{encode_basestring_ascii(scope.schema_url)},')
        parts.append('"logRecords":[')
        prefix = "".join(parts)
        if len(self._prefixes) >= _REMEMBERED:
            self._prefixes.clear()
        self._prefixes[id(resource), id(scope)] = (_Origin(resource, scope), prefix)
        return prefix


_MARK: Final = b'"logRecords":['


@final
class LineReader:
    """Makes records of lines; a resource and a scope that repeat are the same objects."""

    def __init__(self) -> None:
        self._origins: dict[bytes, _Origin] = {}

    def record(self, line: bytes) -> ReadableLogRecord:
        """The record of one line.

        Raises:
            LineError: It is none, or holds more or less than one record.
        """
        end = line.find(_MARK) + len(_MARK)
        if end < len(_MARK) or not line.endswith(_SUFFIX):
            return self._foreign(line)
        origin = self._origins.get(line[:end])
        if origin is None:
            return self._foreign(line, remember=line[:end])
        try:
            data = json.loads(line[end : -len(_SUFFIX)])
            return _record(data, origin)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise LineError(f"it is no log record in OTLP JSON ({type(error).__name__})") from None

    def _foreign(self, line: bytes, remember: bytes = b"") -> ReadableLogRecord:
        try:
            (resource_logs,) = json.loads(line)["resourceLogs"]
            (scope_logs,) = resource_logs["scopeLogs"]
            (data,) = scope_logs["logRecords"]
            origin = _Origin(
                Resource(
                    _mapping(resource_logs.get("resource", {}).get("attributes", ())),
                    resource_logs.get("schemaUrl"),
                ),
                _scope(scope_logs),
            )
            record = _record(data, origin)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise LineError(f"it is no log record in OTLP JSON ({type(error).__name__})") from None
        if remember:
            if len(self._origins) >= _REMEMBERED:
                self._origins.clear()
            self._origins[remember] = origin
        return record


def _scope(scope_logs: dict[str, Any]) -> InstrumentationScope | None:
    scope = scope_logs.get("scope")
    if scope is None:
        return None
    attributes = _mapping(scope.get("attributes", ()))
    return InstrumentationScope(
        scope.get("name", ""), scope.get("version"), scope_logs.get("schemaUrl"), attributes or None
    )


def _record(data: dict[str, Any], origin: _Origin) -> ReadableLogRecord:
    number = data.get("severityNumber")
    attributes: Any = _mapping(data.get("attributes", ()))
    dropped = data.get("droppedAttributesCount")
    if dropped:
        attributes = BoundedAttributes(attributes=attributes)
        attributes.dropped = int(dropped)
    record = LogRecord(
        timestamp=int(data["timeUnixNano"]),
        observed_timestamp=int(data["observedTimeUnixNano"]),
        context=_NO_SPAN,  # an empty one would be filled with the sender's own
        severity_number=None if number is None else _SEVERITIES[number],
        severity_text=data.get("severityText"),
        body=_any(data["body"]) if "body" in data else None,
        attributes=attributes,
        event_name=data.get("eventName"),
    )
    record.context = _NOTHING
    if "traceId" in data:
        record.trace_id = int(data["traceId"], 16)
    if "spanId" in data:
        record.span_id = int(data["spanId"], 16)
    record.trace_flags = TraceFlags(data.get("flags", 0) & 0xFF)
    return ReadableLogRecord(record, origin.resource, origin.scope)


def _mapping(attributes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {each["key"]: _any(each["value"]) for each in attributes}


def _any(value: dict[str, Any]) -> Any:
    for kind, given in value.items():
        return _FROM[kind](given)
    return None


def _bytes(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


_FROM: Final[dict[str, Callable[[Any], Any]]] = {
    "stringValue": str,
    "boolValue": bool,
    "intValue": int,
    "doubleValue": float,
    "bytesValue": _bytes,
    "arrayValue": lambda value: tuple(_any(item) for item in value.get("values", ())),
    "kvlistValue": lambda value: _mapping(value.get("values", ())),
}
