"""Where events go once that is known: from an event to one log record without a body, and its metrics.

A record is made of the event's wire types, checked by the policy, and handed to the OpenTelemetry Logs API or
to our own pipeline. What is raised here is caught by the emitter, which has the boundary to the host.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, final

from opentelemetry.trace import INVALID_SPAN, get_current_span, set_span_in_context

from otel_incident.events import (
    Actor,
    Hashed,
    Incident,
    IncidentEvent,
    epoch_milliseconds,
    wire_id,
    wire_roles,
    wire_timestamp,
)
from otel_incident.guard import fail_open
from otel_incident.ulids import new_ulid
from otel_incident.vocabulary import (
    EVENTS,
    INCIDENT_ACTION,
    INCIDENT_ACTIVE,
    INCIDENT_CHECKLIST_COUNT,
    INCIDENT_CHECKLIST_ITEM_COUNT,
    INCIDENT_COMMANDER_ID,
    INCIDENT_CREATED_AT,
    INCIDENT_DURATION,
    INCIDENT_ID,
    INCIDENT_POST_ID,
    INCIDENT_PUBLIC,
    INCIDENT_STAGE_INDEX,
    INCIDENT_TEAM_ID,
    LOG_RECORD_UID,
    METRIC_INCIDENT_DURATION,
    METRIC_INCIDENT_EVENTS,
    METRICS,
    USER_HASH,
    USER_ID,
    USER_ROLES,
)

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.metrics import Counter, Histogram, Meter

_EVENT_NAMES: Final[Mapping[str, str]] = {event.action: event.name for event in EVENTS.values()}
_ACTIVE_AFTER: Final[Mapping[str, bool]] = {"create": True, "restart": True, "end": False}
_LAST_NANOSECOND: Final = 2**63 - 1  # one time that OTLP cannot encode would cost its whole batch


_Uncounted: TypeAlias = "list[tuple[Mapping[str, Any], Context | None]]"


class Write(Protocol):
    """Hands one record of ours to a logger: no body, severity INFO."""

    def __call__(
        self,
        event_name: str,
        attributes: Mapping[str, Any],
        /,
        *,
        timestamp: int,
        observed_timestamp: int,
        context: Context | None,
    ) -> None:
        """Hand it on; the attributes are the record's from now on."""
        ...


class Check(Protocol):
    """The policy, bound to its counters: the attributes that may leave, or None to refuse the event."""

    def __call__(
        self,
        event_name: str,
        attributes: Mapping[str, object],
        id_shapes: Mapping[str, re.Pattern[str]] | None,
        /,
    ) -> Mapping[str, Any] | None:
        """Decide about one event."""
        ...


@final
class Route:
    """Where events go once that is known: a logger, the policy, the metrics.

    Args:
        write: Into the logger of our scope, on our own provider or on the caller's.
        meter: For `incident.events` and `incident.duration`; no id is ever one of their attributes. None, or
            one that makes no such instruments: events go without metrics.
        check: The policy bound to its counters.
        span_events: Whether each event is also put on the span in which the change was made.
        now: The clock, ns since the epoch.
        new_uid: Makes `log.record.uid` from the time.

    Attributes:
        closed: Set when what is behind it was shut down; emitters then look for another one.
    """

    __slots__ = (
        "__weakref__",
        "_check",
        "_counting",
        "_instruments",
        "_new_uid",
        "_now",
        "_span_events",
        "_write",
        "closed",
    )

    def __init__(
        self,
        *,
        write: Write,
        meter: Meter | None,
        check: Check,
        span_events: bool = False,
        now: Callable[[], int] = time.time_ns,
        new_uid: Callable[[int], str] = new_ulid,
    ) -> None:
        self._write = write
        self._check = check
        self._span_events = span_events
        self._now = now
        self._new_uid = new_uid
        self.closed = False
        self._counting = threading.local()  # what this thread is about to count
        self._instruments = None if meter is None else _make_instruments(meter)

    def send(self, event: IncidentEvent) -> None:
        """Emit one event; what the policy refuses goes no further."""
        observed = self._now()
        happened = observed
        if type(event.timestamp) is int and 0 <= event.timestamp <= _LAST_NANOSECOND:
            happened = event.timestamp
        name = _EVENT_NAMES.get(event.action, "") if type(event.action) is str else ""
        said = self._attributes(event, happened, observed) if name else {}
        attributes = self._check(name, said, event.id_shapes)
        if attributes is None:
            return
        context = _trace_context(event.context)
        self._write(name, attributes, timestamp=happened, observed_timestamp=observed, context=context)
        if self._span_events:
            span = get_current_span(context)
            if span.is_recording():
                span.add_event(name, attributes, timestamp=happened)
        self._count(attributes, context)  # last: a host's own instruments may raise

    def _count(self, attributes: Mapping[str, Any], context: Context | None) -> None:
        """Count one event in the metrics.

        The SDK counts under locks that a thread cannot take twice: what a signal handler reports in the midst
        of that is counted behind what it has interrupted.
        """
        if self._instruments is None:
            return
        events, durations = self._instruments
        interrupted: _Uncounted | None = getattr(self._counting, "uncounted", None)
        if interrupted is not None:
            interrupted.append((attributes, context))
            return
        self._counting.uncounted = uncounted = [(attributes, context)]
        try:
            for said, where in uncounted:
                events.add(1, {INCIDENT_ACTION: said[INCIDENT_ACTION]}, context=where)
                if INCIDENT_DURATION in said:
                    durations.record(said[INCIDENT_DURATION], context=where)
        finally:
            self._counting.uncounted = None

    def _attributes(self, event: IncidentEvent, happened: int, observed: int) -> dict[str, object]:
        """Everything the event says, in wire types; what the host did not say is absent."""
        action, incident, actor = event.action, event.incident, event.actor
        said: dict[str, object] = {INCIDENT_ACTION: action, LOG_RECORD_UID: self._new_uid(observed)}
        if type(incident) is not Incident:  # a host's own object is not looked into: the event lacks its id
            return said
        said[INCIDENT_ID] = wire_id(incident.id)
        said[INCIDENT_ACTIVE] = _ACTIVE_AFTER.get(action, incident.active)
        said[INCIDENT_COMMANDER_ID] = wire_id(incident.commander_id)
        said[INCIDENT_TEAM_ID] = wire_id(incident.team_id)
        said[INCIDENT_CREATED_AT] = wire_timestamp(incident.created_at)
        said[INCIDENT_POST_ID] = wire_id(incident.post_id)
        said[INCIDENT_CHECKLIST_COUNT] = incident.checklist_count
        said[INCIDENT_CHECKLIST_ITEM_COUNT] = incident.checklist_item_count
        said[INCIDENT_PUBLIC] = event.public
        said[INCIDENT_STAGE_INDEX] = event.stage_index
        if action == "end":
            said[INCIDENT_DURATION] = _duration(incident, happened)
        if type(actor) is Actor:
            said[USER_HASH if type(actor.id) is Hashed else USER_ID] = wire_id(actor.id)
            said[USER_ROLES] = wire_roles(actor.roles)
        elif actor is not None:  # an id in its place is taken as one, the rest is for the policy to refuse
            said[USER_ID] = wire_id(actor)
        return {name: value for name, value in said.items() if value is not None}


@fail_open("emit")
def _make_instruments(meter: Meter) -> tuple[Counter, Histogram]:
    """The instruments of a meter; a host's own may lack what the API has got since, and raise."""
    events, durations = METRICS[METRIC_INCIDENT_EVENTS], METRICS[METRIC_INCIDENT_DURATION]
    return meter.create_counter(events.name, events.unit, events.brief), meter.create_histogram(
        durations.name,
        durations.unit,
        durations.brief,
        explicit_bucket_boundaries_advisory=_DURATION_BOUNDS,
    )


def _trace_context(context: Context | None) -> Context | None:
    """What was given; an empty context says that there was no span, where the SDK would take the current."""
    if context is None or context:
        return context
    return set_span_in_context(INVALID_SPAN, context)


def _duration(incident: Incident, happened: int) -> float | None:
    """Seconds from creation to end, if the host says when it was created."""
    created = epoch_milliseconds(incident.created_at)
    return None if created is None else (happened // 1_000_000 - created) / 1000


# A minute to a month: incidents are not requests, the SDK's default bounds end at ten seconds.
_DURATION_BOUNDS: Final = (
    60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0, 259200.0, 604800.0, 2592000.0,
)  # fmt: skip
