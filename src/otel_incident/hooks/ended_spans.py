"""An event that waited for a commit may outlive the span in which its change was made.

Its record keeps that span's ids. Where events are put on spans too, an ended one takes none, and the
API leads from a span to no ancestor. But the commit comes within one, as a rule: the span that is
current then and records, if it is of the same trace.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

from opentelemetry.trace import NonRecordingSpan, Span, get_current_span, set_span_in_context

if TYPE_CHECKING:
    from otel_incident.events import IncidentEvent


def on_recording_span(event: IncidentEvent) -> IncidentEvent:
    """The event, with the ids of the span in which the change was made and an ancestor to put it on."""
    made_in = get_current_span(event.context)
    current = get_current_span()
    if made_in.is_recording() or not current.is_recording():
        return event
    identity = made_in.get_span_context()
    if identity.trace_id != current.get_span_context().trace_id:
        return event
    return replace(event, context=set_span_in_context(_Ended(made_in, current), event.context))


@final
class _Ended(NonRecordingSpan):
    """A span that has ended: its own identity, and another one's events."""

    def __init__(self, span: Span, recording: Span) -> None:
        super().__init__(span.get_span_context())
        self._recording = recording

    def is_recording(self) -> bool:
        return self._recording.is_recording()

    def add_event(self, *args: Any, **kwargs: Any) -> None:
        self._recording.add_event(*args, **kwargs)
