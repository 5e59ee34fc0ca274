"""The record that our own processors get: complete, and nothing of the host's in it."""

from typing import Any

from opentelemetry.context import Context, set_value
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otel_incident.records import through_processors


class Keeping:
    """A processor that keeps what it is handed."""

    def __init__(self) -> None:
        self.records: list[ReadableLogRecord] = []

    def take(self, record: ReadableLogRecord) -> None:
        """Keep it."""
        self.records.append(record)


def test_a_queued_record_holds_nothing_of_the_context() -> None:
    """It has the trace's ids; the context, in which a host may keep anything, is not kept alive by it."""
    span = NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)))
    context = set_span_in_context(span, set_value("request", "Payments are down", Context()))
    processor = Keeping()
    write: Any = through_processors(Resource.get_empty(), [processor])
    write("incident.create", {"incident.id": "1"}, timestamp=5, observed_timestamp=6, context=context)
    ((record, scope),) = [(each.log_record, each.instrumentation_scope) for each in processor.records]
    assert (record.trace_id, record.span_id, record.trace_flags) == (1, 2, 1)
    assert record.context == Context()
    assert (record.timestamp, record.observed_timestamp, record.body) == (5, 6, None)
    assert scope is not None
    assert scope.name == "otel_incident"
