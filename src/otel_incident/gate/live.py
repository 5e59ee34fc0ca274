"""A span that has not ended, as strict shows it to a processor that it does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from opentelemetry.baggage import get_all, set_baggage
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import NonRecordingSpan, Span, get_current_span, set_span_in_context

from otel_incident.gate.parts import bare
from otel_incident.guard import swallow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import SpanContext
    from opentelemetry.trace.status import Status, StatusCode
    from opentelemetry.util.types import Attributes, AttributeValue

# What calls a processor, or is called by one: the SDK, and ourselves.
_BETWEEN: Final = ("opentelemetry.", "otel_incident.", "concurrent.futures")


@final
class LiveSpan(Span):
    """What is written to it is written to the span; what is read from it is what may leave.

    So a processor that sets attributes works as ever (the gate looks at them when the span ends), and one
    that keeps the span, or sends it as soon as it starts, has nothing that may not leave.

    Args:
        span: The live span.
        filtered: Makes the copy that may leave.
    """

    __slots__ = ("_filtered", "_span")

    def __init__(self, span: Any, filtered: Callable[[Any], ReadableSpan]) -> None:
        self._span = span
        self._filtered = filtered

    def __getattr__(self, name: str) -> Any:
        """Whatever else a span shows, as the copy shows it."""
        if name in LiveSpan.__slots__:  # before it has them: a copy in the making
            raise AttributeError(name)
        try:
            copy = self._filtered(self._span)
        except Exception as error:  # noqa: BLE001  ours, and not to be taken for the processor's that asked
            swallow("gate", error)
            raise AttributeError(name) from None
        return getattr(copy, name)

    def __repr__(self) -> str:
        """Its identity."""
        return f"{type(self).__name__}({self.get_span_context()!r})"

    def get_span_context(self) -> SpanContext:
        """Its context without foreign trace state."""
        return bare(self._span.get_span_context())

    def is_recording(self) -> bool:
        """Whether it has not ended."""
        return bool(self._span.is_recording())

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set one on the span."""
        self._span.set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set several on the span."""
        self._span.set_attributes(attributes)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Add one to the span."""
        self._span.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Add one to the span."""
        self._span.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Rename the span."""
        self._span.update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status of the span."""
        self._span.set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002  as the API has it
    ) -> None:
        """Record one on the span."""
        self._span.record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """End the span."""
        self._span.end(end_time)


def shown_context(
    context: Context | None,
    filtered: Callable[[Any], ReadableSpan],
    allowed: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> Context:
    """What a processor that strict does not know sees of a parent context: the parent, and allowed baggage.

    Processors that copy baggage into attributes find what strict lets stand there, wherever the parent is.

    Args:
        context: The parent context; None is the current one.
        filtered: Makes the copy of the parent that may leave.
        allowed: What of these keys and values may stand as attributes.
    """
    parent = get_current_span(context)
    span = (
        LiveSpan(parent, filtered)
        if isinstance(parent, ReadableSpan)
        else NonRecordingSpan(bare(parent.get_span_context()))
    )
    shown = set_span_in_context(span, Context())
    baggage = get_all(context)
    for key, value in allowed(baggage).items() if baggage else ():
        shown = set_baggage(key, value, shown)
    return shown


def raised_in(error: Exception) -> str:
    """The module of the processor through which an error came; of the SDK's own where there is no other."""
    frame, module = error.__traceback__, "unknown"
    while frame is not None:
        module = str(frame.tb_frame.f_globals.get("__name__", "unknown"))
        if not module.startswith(_BETWEEN):
            break
        frame = frame.tb_next
    return module
