"""OTLP requests with something in every field that the installed protobuf descriptors know.

A field that a later `opentelemetry-proto` brings is filled too, so that what has not thought of it fails.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.otlp_wire import Signal

REQUESTS: Final[Mapping[Signal, Any]] = {
    "logs": ExportLogsServiceRequest,
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}

_IDS: Final = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
"""Bytes of a length that receivers insist on: no text fits."""

_DEPTH: Final = 2
"""How many `AnyValue` may stand in one another before the innermost is plain text."""


class Filler:
    """Fills messages, each text being another: `texts` has them all.

    Args:
        word: What each text begins with; a counter follows.
    """

    def __init__(self, word: str) -> None:
        self.texts: list[str] = []
        self._word = word

    def request(self, signal: Signal) -> Any:
        """An export request with each field set, a list holding one item for each form that it can have."""
        request = REQUESTS[signal]()
        self._fill(request, 0, ())
        return request

    def values(self) -> Iterator[Any]:
        """An `AnyValue` of each kind."""
        for form in range(_forms(AnyValue.DESCRIPTOR, ())):
            value = AnyValue()
            self._fill(value, form, ())
            yield value

    def text(self) -> str:
        """A new text."""
        self.texts.append(f"{self._word}{len(self.texts):05d}x")
        return self.texts[-1]

    def _fill(self, message: Any, form: int, above: tuple[str, ...]) -> None:
        descriptor = message.DESCRIPTOR
        for field in _chosen(descriptor, form, above):
            inside = (*above, descriptor.name)
            if field.message_type is None:
                value = self._scalar(field)
                if field.is_repeated:
                    getattr(message, field.name).append(value)
                else:
                    setattr(message, field.name, value)
            elif field.is_repeated:
                for each in range(_forms(field.message_type, inside)):
                    self._fill(getattr(message, field.name).add(), each, inside)
            else:
                getattr(message, field.name).SetInParent()
                self._fill(getattr(message, field.name), form, inside)

    def _scalar(self, field: Any) -> Any:
        if field.type == field.TYPE_STRING:
            return self.text()
        if field.type == field.TYPE_BYTES:
            return bytes(range(1, _IDS[field.name] + 1)) if field.name in _IDS else self.text().encode()
        if field.type == field.TYPE_BOOL:
            return True
        return 1.5 if field.type in (field.TYPE_DOUBLE, field.TYPE_FLOAT) else 1


def _chosen(descriptor: Any, form: int, above: tuple[str, ...]) -> Iterator[Any]:
    """The fields of one form of a message; of an `AnyValue` in a third one the first form alone, to end."""
    for field in descriptor.fields:
        oneof = field.containing_oneof
        members = [field] if oneof is None else oneof.fields
        if members[form % len(members) if above.count("AnyValue") < _DEPTH else 0].name == field.name:
            yield field


def _forms(descriptor: Any, above: tuple[str, ...]) -> int:
    """In how many forms a message, or one that it holds, can be."""
    if descriptor.name in above and above.count(descriptor.name) > _DEPTH:
        return 1
    counts = [len(oneof.fields) for oneof in descriptor.oneofs]
    inside = (*above, descriptor.name)
    counts += [
        _forms(field.message_type, inside)
        for field in descriptor.fields
        if field.message_type is not None and not field.is_repeated and field.containing_oneof is None
    ]
    return max(counts, default=1)
