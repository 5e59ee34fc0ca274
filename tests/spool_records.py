"""Log records for the spool's tests: numbered ones, and whatever the Logs API can hold."""

import math
from typing import Any, Final

from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordLimits, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otel_incident.spool.lines import LineWriter

RESOURCE: Final = Resource({"service.name": "desk"})
SCOPE: Final = InstrumentationScope("tests", "1")


def numbered(number: int, body: Any = None) -> ReadableLogRecord:
    """A record whose timestamp says which one it is."""
    record = LogRecord(
        timestamp=number, observed_timestamp=number, body=body, event_name="n", attributes={"n": number}
    )
    return ReadableLogRecord(record, RESOURCE, SCOPE)


def line(number: int, body: Any = None) -> bytes:
    """Its line."""
    return LineWriter().line(numbered(number, body))


_TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
# JSON knows one NaN.
_FLOATS: Final = st.floats(allow_nan=False) | st.just(math.nan)
_SCALARS: Final = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), _FLOATS, _TEXT, st.binary(max_size=8)
)
_ANY: Final = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_TEXT.filter(bool), inner, max_size=3)
    ),
    max_leaves=6,
)
_ATTRIBUTES: Final = st.dictionaries(_TEXT.filter(bool), _ANY, max_size=4)
_TIMES: Final = st.integers(0, 2**64 - 1)


@st.composite
def contexts(draw: st.DrawFn) -> Context:
    """The span that was current, or none."""
    trace_id = draw(st.sampled_from((0, 1, 2**127)) | st.integers(0, 2**128 - 1))
    span_id = draw(st.sampled_from((0, 1, 2**63)) | st.integers(0, 2**64 - 1))
    flags = TraceFlags(draw(st.sampled_from((0, 1, 3, 255))))
    span = SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(span), Context())


@st.composite
def records(draw: st.DrawFn) -> ReadableLogRecord:
    """Any record, as the SDK's logger hands it to a processor."""
    record = LogRecord(
        timestamp=draw(st.none() | _TIMES),
        observed_timestamp=draw(st.none() | _TIMES),
        context=draw(contexts()),
        severity_number=draw(st.none() | st.sampled_from(SeverityNumber)),
        severity_text=draw(st.none() | _TEXT),
        body=draw(_ANY),
        attributes=draw(st.none() | _ATTRIBUTES),
        event_name=draw(st.none() | _TEXT),
    )
    limits = LogRecordLimits(max_log_record_attributes=draw(st.sampled_from((LogRecordLimits.UNSET, 2))))
    attributes, schema = draw(_ATTRIBUTES), draw(st.none() | _TEXT)
    scope = draw(
        st.none()
        | st.builds(
            InstrumentationScope, _TEXT, st.none() | _TEXT, st.none() | _TEXT, st.none() | _ATTRIBUTES
        )
    )
    written = ReadWriteLogRecord(record, Resource(attributes, schema), scope, limits)
    return ReadableLogRecord(written.log_record, written.resource or RESOURCE, scope)
