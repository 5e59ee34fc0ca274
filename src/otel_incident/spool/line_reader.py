"""Log records from lines of OTLP JSON: what a sender makes of a segment, exactly what its writer was given.

A line may be damaged. Whatever this lets pass can be encoded as protobuf, since a record that cannot would
hold up its whole batch.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import INVALID_SPAN, TraceFlags, set_span_in_context

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_REMEMBERED: Final = 64
_NO_SPAN: Final = set_span_in_context(INVALID_SPAN, Context())
_EMPTY: Final = LogRecord(timestamp=0, observed_timestamp=0, context=_NO_SPAN)
_CONTEXT: Final = Context()
_NO_FLAGS: Final = TraceFlags(TraceFlags.DEFAULT)
_SET: Final = frozenset(
    (
        "timestamp",
        "observed_timestamp",
        "context",
        "trace_id",
        "span_id",
        "trace_flags",
        "severity_text",
        "severity_number",
        "body",
        "attributes",
        "event_name",
    )
)
_OTHERS: Final = [(name, value) for name, value in vars(_EMPTY).items() if name not in _SET]
"""What else a release's records have, as it is in an empty one."""
_SUFFIX: Final = "]}]}]}\n"
_FIRST_KEY: Final = '"attributes":[{"key":"'
_STRING: Final = '","value":{"stringValue":"'
_MARKS_OF_STRING: Final = _STRING.count('"') + 1
_REMEMBERED_LENGTH: Final = 256
_json: Final = json.JSONDecoder(strict=False)  # a control character in a string is no reason to hold it up
_decode: Final = _json.raw_decode
_SEVERITIES: Final = {number.value: number for number in SeverityNumber}
_INT64: Final = 2**63
_UINT32: Final = 2**32
_UINT64: Final = 2**64
_TRACE_IDS: Final = 2**128
_ERRORS: Final = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


class LineError(ValueError):
    """A line is no log record in OTLP JSON; the message says why, never what it holds."""


@final
class _Known(Resource):
    """A resource that many records share: the encoder asks for its hash, which is dear, for each."""

    def __init__(self, attributes: dict[str, Any], schema_url: str | None) -> None:
        super().__init__(attributes, schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)


class _Origin(NamedTuple):
    """Where records come from."""

    resource: Resource
    scope: InstrumentationScope | None


_MARK: Final = b'"logRecords":['


@final
class LineReader:
    """Makes records of lines; a resource and a scope that repeat are the same objects."""

    def __init__(self) -> None:
        self._origins: dict[bytes, _Origin] = {}
        self._values: dict[str, tuple[str, Any]] = {}
        self._head = b"\n"  # of the last line, which the next one mostly has too; this one no line has
        self._origin = _Origin(Resource.get_empty(), None)

    def record(self, line: bytes) -> ReadableLogRecord:
        """The record of one line.

        Raises:
            LineError: It is none, or holds more or less than one record.
        """
        head = self._head
        if not line.startswith(head):
            head = line[: line.find(_MARK) + len(_MARK)]
            origin = self._origins.get(head)
            if origin is None:
                return self._foreign(line, remember=head)
            self._head, self._origin = head, origin
        with contextlib.suppress(
            *_ERRORS
        ):  # not as we write it: it is read as a whole, which says what is wrong
            text = line[len(head) :].decode()
            if "\\" not in text:
                with contextlib.suppress(*_ERRORS):
                    return self._plain(text)
            data, end = _decode(text)
            if text[end:] == _SUFFIX:
                return _record(data, self._origin)
        return self._foreign(line)

    def _plain(self, text: str) -> ReadableLogRecord:
        """A record whose attributes are as we write them: dearer to a parser of JSON than all else of it.

        In JSON without a backslash every quotation mark begins or ends a string, so that what is looked for
        stands in no string.

        Raises:
            ValueError: A piece is not as expected.
        """
        before, _, rest = text.partition(_FIRST_KEY)
        inner, _, after = rest.rpartition("}}]")
        made = {}
        for piece in inner.split('}},{"key":"'):
            key, found, value = piece.partition(_STRING)
            if found and value[-1:] == '"' and piece.count('"') == _MARKS_OF_STRING:
                made[key] = value[:-1]
            else:
                key, other = self._values.get(piece) or self._other(piece)
                made[key] = other
        text = f'{before}"attributes":[]{after}'
        data, end = _decode(text)
        if text[end:] != _SUFFIX or data["attributes"] != []:
            raise ValueError("these were not the record's attributes")
        return _record(data, self._origin, made)

    def _other(self, piece: str) -> tuple[str, Any]:
        """A key and its value, which is no string; remembered if it cannot be changed."""
        key, _, value = piece.partition('","value":')
        if '"' in key:
            raise ValueError("no key")
        found = key, _any(_json.decode(value + "}"))
        if len(piece) <= _REMEMBERED_LENGTH and "kvlist" not in piece:
            if len(self._values) >= _REMEMBERED:
                self._values.clear()
            self._values[piece] = found
        return found

    def _foreign(self, line: bytes, remember: bytes = b"") -> ReadableLogRecord:
        try:
            (resource_logs,) = _json.decode(line.decode())["resourceLogs"]
            (scope_logs,) = resource_logs["scopeLogs"]
            (data,) = scope_logs["logRecords"]
            origin = _Origin(
                _Known(
                    _mapping(resource_logs.get("resource", {}).get("attributes", ())),
                    _optional(resource_logs.get("schemaUrl")),
                ),
                _scope(scope_logs),
            )
            record = _record(data, origin)
        except _ERRORS as error:
            raise LineError(f"it is no log record in OTLP JSON ({type(error).__name__})") from None
        if remember.endswith(_MARK) and line.endswith(_SUFFIX.encode()):
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
        _text(scope.get("name", "")),
        _optional(scope.get("version")),
        _optional(scope_logs.get("schemaUrl")),
        attributes or None,
    )


def _record(
    data: dict[str, Any], origin: _Origin, attributes: dict[str, Any] | None = None
) -> ReadableLogRecord:
    """A record, field by field: the constructors would look for the span that is current, and take longer."""
    get = data.get
    number = get("severityNumber")
    dropped = get("droppedAttributesCount")
    kept: Any = _mapping(get("attributes", ())) if attributes is None else attributes
    if dropped:
        kept = BoundedAttributes(attributes=kept)
        kept.dropped = _bounded(dropped, _UINT32)
    record = LogRecord.__new__(LogRecord)
    record.timestamp = _bounded(data["timeUnixNano"], _UINT64)
    record.observed_timestamp = _bounded(data["observedTimeUnixNano"], _UINT64)
    record.context = _CONTEXT
    record.trace_id = _bounded(int(data["traceId"], 16), _TRACE_IDS) if "traceId" in data else 0
    record.span_id = _bounded(int(data["spanId"], 16), _UINT64) if "spanId" in data else 0
    record.trace_flags = TraceFlags(_bounded(data["flags"], _UINT32)) if "flags" in data else _NO_FLAGS
    record.severity_text = _optional(get("severityText"))
    record.severity_number = None if number is None else _SEVERITIES[number]
    record.body = _any(data["body"]) if "body" in data else None
    record.attributes = kept
    record.event_name = _optional(get("eventName"))
    for name, value in _OTHERS:
        setattr(record, name, value)
    made = ReadableLogRecord.__new__(ReadableLogRecord)
    fields = vars(made)  # they are frozen
    fields["log_record"] = record
    fields["resource"] = origin.resource
    fields["instrumentation_scope"] = origin.scope
    return made


def _bounded(value: Any, end: int) -> int:
    """A number that protobuf has room for; without, its batch could never be sent."""
    number = int(value)
    if not 0 <= number < end:
        raise ValueError("out of range")
    return number


def _mapping(attributes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    made = {}
    for each in attributes:
        key, value = each["key"], each["value"]
        given = value.get("stringValue")  # most are
        if type(key) is not str or not key.isascii():
            key = _text(key)
        made[key] = given if type(given) is str and given.isascii() else _any(value)
    return made


def _optional(value: Any) -> str | None:
    return None if value is None else _text(value)


def _any(value: dict[str, Any]) -> Any:
    for kind, given in value.items():
        return _FROM[kind](given)
    return None


def _text(value: Any) -> str:
    """A string; one with half a pair is no Unicode, and protobuf would refuse the whole batch for it."""
    if type(value) is not str:
        raise TypeError("no string")
    if not value.isascii():
        value.encode()  # or a UnicodeEncodeError, which is a ValueError
    return value


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError("no bool")
    return value


def _int64(value: Any) -> int:
    number = int(value)
    if not -_INT64 <= number < _INT64:
        raise ValueError("out of range")
    return number


def _bytes(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


_FROM: Final[dict[str, Callable[[Any], Any]]] = {
    "stringValue": _text,
    "boolValue": _bool,
    "intValue": _int64,
    "doubleValue": float,
    "bytesValue": _bytes,
    "arrayValue": lambda value: tuple(_any(item) for item in value.get("values", ())),
    "kvlistValue": lambda value: _mapping(value.get("values", ())),
}
