"""One record that waits, as a block for a person to read: every field of its line, and nothing else.

It is made of the line itself and not of what a sender would make of it, so that nothing is left out; what is
no record is shown as the text that it is.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

from otel_incident.spool_cli.words import iso, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMES: Final = {"timeUnixNano": "time", "observedTimeUnixNano": "observed"}
_FIRST: Final = ("timeUnixNano", "observedTimeUnixNano", "eventName")
_NAMES: Final = {**_TIMES, "eventName": "event"}
_SCALARS: Final = ("stringValue", "boolValue", "intValue", "doubleValue", "bytesValue")


def block(line: bytes) -> str:
    """The records of a line.

    Args:
        line: An `ExportLogsServiceRequest` in OTLP JSON.
    """
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        shown = "\n".join(_block(json.loads(line)))
        if shown:  # a request may hold nothing
            return shown
    text = line.decode("utf-8", "replace").rstrip("\n")
    return f"no log record in OTLP JSON: {json.dumps(text)}"


def _block(request: dict[str, Any]) -> Iterator[str]:
    for of_resource in request["resourceLogs"]:
        for of_scope in of_resource["scopeLogs"]:
            for record in of_scope["logRecords"]:
                yield from _record(record)
                yield from _others("scope", of_scope, of_scope.get("scope"), "logRecords")
                yield from _others("resource", of_resource, of_resource.get("resource"), "scopeLogs")


def _record(record: dict[str, Any]) -> Iterator[str]:
    fields = [*(name for name in _FIRST if name in record), *(name for name in record if name not in _FIRST)]
    for name in fields:
        if name == "attributes":
            continue
        shown = iso(int(record[name])) if name in _TIMES else _field(name, record[name])
        yield f"{printable(_NAMES.get(name, name))}: {shown}"
    yield from _table("attributes", record.get("attributes", []))


def _others(name: str, around: dict[str, Any], inner: dict[str, Any] | None, records: str) -> Iterator[str]:
    """A scope or a resource: its fields, its attributes, and the schema URL beside it."""
    of_it = dict(inner or {})
    attributes = of_it.pop("attributes", [])
    for key, value in (*of_it.items(), *((k, v) for k, v in around.items() if k not in {name, records})):
        yield f"{name} {printable(key)}: {_field(key, value)}"
    yield from _table(name, attributes)


def _table(title: str, attributes: list[dict[str, Any]]) -> Iterator[str]:
    rows = [(printable(each["key"]), _value(each["value"])) for each in attributes]
    if rows:
        yield title
        width = max(len(key) for key, _ in rows)
        yield from (f"  {key:{width}}  {value}" for key, value in rows)


def _field(name: str, value: Any) -> str:
    if name == "body":
        return _value(value)
    return printable(value) if isinstance(value, str) else json.dumps(value)


def _value(value: dict[str, Any]) -> str:
    """An `AnyValue`: a text as it is, all else as JSON."""
    ((kind, given),) = value.items() or (("stringValue", ""),)
    if kind in _SCALARS:
        return printable(given) if isinstance(given, str) else json.dumps(given)
    return json.dumps(_plain(value))


def _plain(value: dict[str, Any]) -> Any:
    if "arrayValue" in value:
        return [_plain(item) for item in value["arrayValue"].get("values", [])]
    if "kvlistValue" in value:
        return {each["key"]: _plain(each["value"]) for each in value["kvlistValue"].get("values", [])}
    if "intValue" in value:
        return int(value["intValue"])
    return next(iter(value.values()), None)
