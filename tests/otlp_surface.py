"""Every place in OTLP where text can stand, read from the protobuf descriptors that are installed.

A list written by hand would be as old as the day it was written; this one grows with `opentelemetry-proto`,
and the tests then name what nobody has thought of yet.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.otlp_wire import Signal

REQUESTS: Final[Mapping[Signal, Any]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}

_ROOTS: Final[Mapping[Signal, str]] = {
    "traces": "resource_spans",
    "logs": "resource_logs",
    "metrics": "resource_metrics",
}


@cache
def places(signal: Signal) -> frozenset[str]:
    """Every field of a signal's export request that can hold text, as `traces:resource_spans.schema_url`.

    Strings, bytes, and of an `AnyValue` each kind of text that it can be. An `AnyValue` in an `AnyValue` is
    one place: what is below it is the same again.
    """
    return places_in(REQUESTS[signal].DESCRIPTOR, signal)


def places_in(descriptor: Any, signal: Signal) -> frozenset[str]:
    """The same of any descriptor of an export request."""
    return frozenset(_walk(descriptor, _place(signal), ()))


def texts_at(signal: Signal, payload: bytes) -> Iterator[tuple[str, bytes]]:
    """Every text that is not empty in an export request, with the place where it stands."""
    yield from _texts(REQUESTS[signal].FromString(payload), _place(signal), inside=False)


def _walk(descriptor: Any, path: str, above: tuple[str, ...]) -> Iterator[str]:
    for field in descriptor.fields:
        place = _join(path, field.name)
        if field.message_type is None:
            if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
                yield place
        elif field.message_type.name == "AnyValue" and "AnyValue" in above:
            yield place
        else:
            yield from _walk(field.message_type, place, (*above, field.message_type.name))


def _texts(message: Any, path: str, *, inside: bool) -> Iterator[tuple[str, bytes]]:
    """`inside`: within an `AnyValue`, where another one is a place by itself."""
    any_value = message.DESCRIPTOR.name == "AnyValue"
    if any_value and inside:
        for _, text in _texts(message, path, inside=False):
            yield path, text  # all that is below is this one place
        return
    for field, value in message.ListFields():
        place = _join(path, field.name)
        for each in value if field.is_repeated else [value]:
            if field.message_type is not None:
                yield from _texts(each, place, inside=inside or any_value)
            elif field.type == field.TYPE_STRING:
                yield place, each.encode()
            elif field.type == field.TYPE_BYTES:
                yield place, each


def _place(signal: Signal) -> str:
    return f"{signal}:{_ROOTS[signal]}"


def _join(path: str, name: str) -> str:
    """`traces:resource_spans` + `resource_spans` is the root itself, not a place below it."""
    return path if path.endswith(f":{name}") else f"{path}.{name}"
