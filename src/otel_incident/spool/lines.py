"""Log records as lines of OTLP JSON: what a segment holds, a person reads, a collector ships.

Each line is a whole `ExportLogsServiceRequest` with one record in it, and with the resource of the process
that made it. The general encoder of protobuf's JSON costs many times as much as the Logs API itself; this one
knows the few shapes that there are. What repeats, the resource and the scope, is written once.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

_REMEMBERED: Final = 256
_INT64: Final = 2**63
_UINT64: Final = 2**64
_TRACE_IDS: Final = 2**128


class _Origin(NamedTuple):
    """Where records come from."""

    resource: Resource
    scope: InstrumentationScope | None


def _value(value: Any) -> str:  # noqa: C901, PLR0911  a branch for each kind of AnyValue
    kind = type(value)
    if kind is str:
        return f'{{"stringValue":{encode_basestring_ascii(value)}}}'
    if kind is bool:
        return '{"boolValue":true}' if value else '{"boolValue":false}'
    if kind is int and -_INT64 <= value < _INT64:
        return f'{{"intValue":"{value}"}}'
    if kind is float:
        return f'{{"doubleValue":{_double(value)}}}'
    if value is None:
        return "{}"
    if isinstance(value, str):
        return f'{{"stringValue":{encode_basestring_ascii(value)}}}'
    if isinstance(value, int):
        return _integer(int.__int__(value))
    if isinstance(value, float):
        return f'{{"doubleValue":{_double(float.__float__(value))}}}'
    if isinstance(value, bytes):
        return f'{{"bytesValue":"{base64.b64encode(value).decode()}"}}'
    if isinstance(value, Sequence):
        return f'{{"arrayValue":{{"values":[{",".join(map(_value, value))}]}}}}'
    if isinstance(value, Mapping):
        return f'{{"kvlistValue":{{"values":[{_attributes(value)}]}}}}'
    return f'{{"stringValue":{encode_basestring_ascii(str(value))}}}'


def _integer(value: int) -> str:
    """An integer, or what the specification makes of one that OTLP has no room for: its decimal text."""
    if -_INT64 <= value < _INT64:
        return f'{{"intValue":"{value}"}}'
    try:
        return f'{{"stringValue":"{value}"}}'
    except ValueError:  # more digits than Python converts
        return f'{{"stringValue":"{value:#x}"}}'


def _double(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def _attributes(attributes: Mapping[Any, Any] | None) -> str:
    if not attributes:
        return ""
    # the SDK's own mapping takes a lock for each look at it
    items = attributes.copy() if isinstance(attributes, BoundedAttributes) else attributes
    parts = []
    for key, value in items.items():
        head = _heads.get(key) if type(key) is str else _head(str(key))
        if head is None:
            head = _remembered_head(key)
        if type(value) is str:
            parts.append(f'{head}{{"stringValue":{encode_basestring_ascii(value)}}}}}')
        else:
            parts.append(f"{head}{_value(value)}}}")
    return ",".join(parts)


_heads: Final[dict[str, str]] = {}


def _head(key: str) -> str:
    return f'{{"key":{encode_basestring_ascii(key)},"value":'


def _remembered_head(key: str) -> str:
    """What stands before an attribute's value: keys repeat."""
    if len(_heads) >= _REMEMBERED:
        _heads.clear()
    return _heads.setdefault(key, _head(key))


def _time(value: Any) -> int:
    """Nanoseconds since the epoch; 0, which says that there is none, for what is no such time."""
    if type(value) is int and 0 <= value < _UINT64:
        return value
    return _time(int(value)) if isinstance(value, float) and math.isfinite(value) and value >= 0 else 0


# Half of a pair in a string is no Unicode: protobuf would refuse the whole batch for it.
_ESCAPES: Final = re.compile(
    r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|(?P<half>\\ud[89a-f][0-9a-f]{2})|\\."
)


def _whole(text: str) -> str:
    """JSON whose strings are Unicode."""
    return _ESCAPES.sub(lambda found: "\\ufffd" if found["half"] else found[0], text)


@final
class LineWriter:
    """Makes lines of records; the part that repeats is kept."""

    def __init__(self) -> None:
        self._prefixes: dict[tuple[int, int], tuple[_Origin, str]] = {}

    def line(self, entry: ReadableLogRecord | ReadWriteLogRecord) -> bytes:  # noqa: C901  a branch for each field
        """One line, with its end.

        Raises:
            TypeError, ValueError, RecursionError: A field is not what the Logs API says it is.
        """
        record = entry.log_record
        time, observed = record.timestamp, record.observed_timestamp
        if type(time) is not int or not 0 <= time < _UINT64:
            time = _time(time)
        if type(observed) is not int or not 0 <= observed < _UINT64:
            observed = _time(observed)
        parts = [
            self._prefix(entry.resource or Resource.get_empty(), entry.instrumentation_scope),
            f'{{"timeUnixNano":"{time}","observedTimeUnixNano":"{observed}"',
        ]
        number = getattr(record.severity_number, "value", None)
        if number is not None:
            parts.append(f',"severityNumber":{number}')
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
        if record.trace_id and record.trace_id < _TRACE_IDS:
            parts.append(f',"traceId":"{record.trace_id:032x}"')
        if record.span_id and record.span_id < _UINT64:
            parts.append(f',"spanId":"{record.span_id:016x}"')
        if record.event_name:
            parts.append(f',"eventName":{encode_basestring_ascii(record.event_name)}')
        parts.append("}]}]}]}\n")
        text = "".join(parts)
        return (_whole(text) if "\\ud" in text else text).encode("ascii")

    def _prefix(self, resource: Resource, scope: InstrumentationScope | None) -> str:
        known = self._prefixes.get((id(resource), id(scope)))
        if known is not None and known[0].resource is resource and known[0].scope is scope:
            return known[1]
        parts = [f'{{"resourceLogs":[{{"resource":{{"attributes":[{_attributes(resource.attributes)}]}}']
        if resource.schema_url:
            parts.append(f',"schemaUrl":{encode_basestring_ascii(resource.schema_url)}')
        parts.append(',"scopeLogs":[{')
        if scope is not None:
            parts.append(f'"scope":{{"name":{encode_basestring_ascii(scope.name or "")}')
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
