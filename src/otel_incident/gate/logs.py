"""Copies of log records from which everything that may not leave is missing."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final, NamedTuple, final

from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from otel_incident.gate.fields import mapping, plain_flags, plain_id, plain_severity, plain_time
from otel_incident.gate.memory import was_audited
from otel_incident.gate.parts import Resources, Scopes
from otel_incident.gate.rules import FAILED, FIELD
from otel_incident.guard import swallow

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import TraceFlags

    from otel_incident.gate.rules import GateRules
    from otel_incident.policy import Drop

_NOTHING: Final = Context()
_OWN_SEVERITY: Final = "INFO"  # of every event of ours: it leaves as the same bytes in every mode


class Entry(NamedTuple):
    """A record with its resource and scope, and how many of its attributes the gate took."""

    record: LogRecord
    resource: Resource
    scope: InstrumentationScope | None
    taken: int


@final
class LogFilter:
    """What a gate makes of a log record.

    Args:
        rules: The gate's.
    """

    def __init__(self, rules: GateRules) -> None:
        self._rules = rules
        self._resources = Resources(rules.strict)
        self._scopes = Scopes(rules.strict)

    def __call__(
        self, record: LogRecord, resource: Resource | None, scope: InstrumentationScope | None
    ) -> Entry | None:
        """The record as the next in line may see it; None where nothing had to go."""
        if self._rules.mode == "strict":
            drops: list[Drop] = []
            entry = self._strict(record, resource, scope, drops)
            self._rules.count("logs", drops)
            return entry
        if self._rules.mode == "audit" and not was_audited(record):
            would: list[Drop] = []
            try:
                self._strict(record, resource, scope, would)
            except Exception as error:  # noqa: BLE001  what strict would drop, audit only counts
                would = [FAILED]
                swallow("gate", error)
            self._rules.would("logs", would)
        filtered = self._rules.standard.filter(mapping(record.attributes))
        if filtered is None:
            return None
        self._rules.count("logs", list(filtered.drops))
        shallow = copy.copy(record)  # not made anew: that would look for a trace where the gate runs
        shallow.attributes = filtered.attributes
        return Entry(shallow, resource, scope, len(filtered.drops))  # type: ignore[arg-type]  # as it came

    def _strict(
        self,
        record: LogRecord,
        resource: Resource | None,
        scope: InstrumentationScope | None,
        drops: list[Drop],
    ) -> Entry:
        noted: list[Drop] = []
        _, rules, filtered_scope = self._scopes.of(scope, noted)
        event = self._rules.strict.of_event(record.event_name)
        kept = (event or rules.attributes).keep(mapping(record.attributes), drops)
        taken = len(drops)
        said = record.severity_text
        severity = (
            _OWN_SEVERITY if event is not None and type(said) is str and said == _OWN_SEVERITY else None
        )
        level, flags = record.severity_number, record.trace_flags
        number, plain = plain_severity(level), plain_flags(flags)
        texts = (
            record.body,
            None if severity else said,
            record.event_name if event is None else None,
            None if number is level else level,
            None if plain is flags or (type(flags) is int and flags == plain) else flags,
        )
        drops.extend(FIELD for text in texts if text is not None)
        passed = LogRecord(
            timestamp=plain_time(record.timestamp),
            observed_timestamp=plain_time(record.observed_timestamp),
            context=_bare_context(record, plain),
            severity_number=number,
            severity_text=severity,
            body=None,
            attributes=kept,
            event_name=record.event_name if event is not None else None,
        )
        passed.context = _NOTHING  # it has the ids now
        filtered_resource = self._resources.of(resource, noted)
        drops.extend(noted)
        return Entry(passed, filtered_resource, filtered_scope, taken)


def _bare_context(record: LogRecord, flags: TraceFlags) -> Context:
    """The trace context of a record alone, without baggage; an invalid one is explicit, never ours."""
    trace_id, span_id = plain_id(record.trace_id), plain_id(record.span_id)
    context = SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(context), Context())
