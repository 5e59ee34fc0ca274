"""Log records as lines of OTLP JSON: what a segment holds, a person reads, a collector ships.

Each line is a whole `ExportLogsServiceRequest` with one record in it, and with the resource of the process
that made it. The general encoder of protobuf's JSON costs many times as much as the Logs API itself; this one
knows the few shapes that there are. What repeats from record to record, which is all but the values, is
written once and kept: a line is then those pieces with the values between them.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource

if TYPE_CHECKING:
    from opentelemetry._logs import SeverityNumber
    from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext

_REMEMBERED: Final = 128
_REMEMBERED_LENGTH: Final = 2**16
_NONE: Final[Mapping[Any, Any]] = {}
_INT64: Final = 2**63
_UINT64: Final = 2**64
_TRACE_IDS: Final = 2**128


class _Shape(NamedTuple):
    """What the lines of records have in common that differ in nothing but their values and times.

    Attributes:
        pieces: Text, and in every second place room for what differs.
        encoders: Of the attributes' values.
        origin: What the shape is found by the identity of; kept, so that nothing else gets that identity.
    """

    pieces: list[str]
    encoders: list[Callable[[Any], str]]
    origin: tuple[object, ...]


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
    if kind is tuple or kind is list:  # as below, without asking an abstract class
        return f'{{"arrayValue":{{"values":[{",".join(map(_value, value))}]}}}}'
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
    return ",".join([f"{_head(key)}{_value(value)}}}" for key, value in _copied(attributes).items()])


def _copied(attributes: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Attributes that nobody changes meanwhile; the SDK's own mapping takes a lock for each look at it."""
    kind = type(attributes)
    return attributes.copy() if kind is dict or kind is BoundedAttributes else dict(attributes)  # type: ignore[attr-defined]  # both have it


def _head(key: Any) -> str:
    """What stands before an attribute's value."""
    text = str.__str__(key) if isinstance(key, str) else str(key)
    return f'{{"key":{encode_basestring_ascii(text)},"value":'


_ANY: Final[tuple[str, Callable[[Any], str], str]] = ("", _value, "")
_KINDS: Final[dict[type, tuple[str, Callable[[Any], str], str]]] = {
    str: ('{"stringValue":', encode_basestring_ascii, "}"),
    bool: ('{"boolValue":', {True: "true", False: "false"}.__getitem__, "}"),
}
"""What is before a value, its encoder, and what is behind it, where the type alone decides that."""


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
class EventLines:
    """Makes the lines of events, of their parts: the line of a record costs as much again as the record.

    Args:
        resource: Of all events.
        scope: The same.
        severity: The same.
        text: The severity's.
    """

    def __init__(
        self, resource: Resource, scope: InstrumentationScope, severity: SeverityNumber, text: str
    ) -> None:
        self._before = _whole(_origin(resource, scope) + '{"timeUnixNano":"')
        self._severity = f',"severityNumber":{severity.value},"severityText":{encode_basestring_ascii(text)}'
        self._heads = _Heads()

    def line(
        self, name: str, attributes: Mapping[str, Any], timestamp: int, observed: int, span: SpanContext
    ) -> bytes:
        """The line that `LineWriter` makes of a record of the same parts.

        Args:
            name: The event's.
            attributes: One at least. Their keys are of a closed set: what stands before a value is kept.
            timestamp: ns since the epoch.
            observed: The same.
            span: In which it happened.
        """
        heads = self._heads
        said = ",".join(
            [
                f'{heads[key]}{{"stringValue":{encode_basestring_ascii(value)}}}}}'
                if type(value) is str  # as `_value`, and most are
                else f"{heads[key]}{_value(value)}}}"
                for key, value in attributes.items()
            ]
        )
        if "\\" in said and "\\ud" in said:  # as in `LineWriter`
            said = _whole(said)
        ids = _ids(span.trace_flags, span.trace_id, span.span_id)
        return (
            f'{self._before}{_time(timestamp)}","observedTimeUnixNano":"{_time(observed)}"{self._severity}'
            f',"attributes":[{said}]{ids},"eventName":{encode_basestring_ascii(name)}}}]}}]}}]}}\n'
        ).encode("ascii")


@final
class _Heads(dict[str, str]):
    """What stands before an attribute's value, by its key; each is made once."""

    def __missing__(self, key: str) -> str:
        self[key] = head = _head(key)
        return head


@final
class LineWriter:
    """Makes lines of records; the parts that repeat are kept."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[object, ...], _Shape] = {}

    def line(self, entry: ReadableLogRecord | ReadWriteLogRecord) -> bytes:
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
        attributes = _copied(record.attributes) if record.attributes else _NONE
        values = attributes.values()
        resource, scope, severity = entry.resource, entry.instrumentation_scope, record.severity_number
        text, name = record.severity_text, record.event_name
        what = (id(resource), id(scope), id(severity), text, name, (*attributes,), (*map(type, values),))
        shape = self._shapes.get(what)
        if shape is None:
            shape = _shape(resource, scope, severity, text, name, attributes)
            self._remember(what, shape)
        body = "" if record.body is None else f',"body":{_value(record.body)}'
        encoded = [encode(value) for encode, value in zip(shape.encoders, values, strict=True)]
        parts = shape.pieces.copy()
        parts[1::2] = (str(time), str(observed), body, *encoded, _rest(entry))
        line = "".join(parts)
        # looking for one character first takes a thirtieth of the time, and most lines have none
        return (_whole(line) if "\\" in line and "\\ud" in line else line).encode("ascii")

    def _remember(self, what: tuple[object, ...], shape: _Shape) -> None:
        """Keep a shape, if it is not huge and its keys are text: 1 and True are equal, but other keys."""
        keys = what[-2]
        if (
            isinstance(keys, tuple)
            and all(isinstance(key, str) for key in keys)
            and sum(map(len, shape.pieces)) <= _REMEMBERED_LENGTH
        ):
            if len(self._shapes) >= _REMEMBERED:
                self._shapes.clear()
            self._shapes[what] = shape


def _shape(
    resource: Resource | None,
    scope: InstrumentationScope | None,
    severity: Any,
    text: str | None,
    name: str | None,
    attributes: Mapping[Any, Any],
) -> _Shape:
    pieces = [
        f'{_origin(resource or Resource.get_empty(), scope)}{{"timeUnixNano":"',
        "",
        '","observedTimeUnixNano":"',
        "",
    ]
    number = getattr(severity, "value", None)
    after = '"' if number is None else f'","severityNumber":{number}'
    if text is not None:
        after += f',"severityText":{encode_basestring_ascii(text)}'
    pieces += [after, ""]
    encoders = []
    after, close = ',"attributes":[', ""
    for key, value in attributes.items():
        before, encode, end = _KINDS.get(type(value), _ANY)
        pieces += [f"{after}{_head(key)}{before}", ""]
        encoders.append(encode)
        after, close = f"{end}}},", f"{end}}}]"
    pieces += [close, "", (f',"eventName":{encode_basestring_ascii(name)}' if name else "") + "}]}]}]}\n"]
    return _Shape(pieces, encoders, (resource, scope, severity))


def _rest(entry: ReadableLogRecord | ReadWriteLogRecord) -> str:
    """What stands behind the attributes; with most events that is nothing."""
    record = entry.log_record
    rest = ""
    if entry.dropped_attributes:
        rest = f',"droppedAttributesCount":{entry.dropped_attributes}'
    return rest + _ids(record.trace_flags, record.trace_id, record.span_id)


def _ids(flags: int | None, trace_id: int | None, span_id: int | None) -> str:
    ids = f',"flags":{int(flags)}' if flags else ""
    if trace_id and trace_id < _TRACE_IDS:
        ids += f',"traceId":"{trace_id:032x}"'
    if span_id and span_id < _UINT64:
        ids += f',"spanId":"{span_id:016x}"'
    return ids


def _origin(resource: Resource, scope: InstrumentationScope | None) -> str:
    """The line up to its record."""
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
    return "".join(parts)
