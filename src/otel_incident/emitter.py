"""From a lifecycle event to the OpenTelemetry Logs API: one record without a body, and its metrics.

`IncidentEmitter` is what an application calls; hooks call its `emit`. It resolves where events go
when the first one comes, so that making one costs nothing and a process that is only imported stays
quiet. Whatever goes wrong here is swallowed by `guard`: an incident tool must not fail because of us.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from opentelemetry.trace import INVALID_SPAN, get_current_span, set_span_in_context

from otel_incident.ending import pools_open
from otel_incident.events import (
    Actor,
    Hashed,
    Incident,
    IncidentEvent,
    epoch_milliseconds,
    wire_id,
    wire_timestamp,
)
from otel_incident.forks import no_fork_while_importing
from otel_incident.guard import boundary, swallow
from otel_incident.settling import Settling
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

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter, MeterProvider

_logger: Final = logging.getLogger("otel_incident")

_EVENT_NAMES: Final[Mapping[str, str]] = {event.action: event.name for event in EVENTS.values()}
_ACTIVE_AFTER: Final[Mapping[str, bool]] = {"create": True, "restart": True, "end": False}
_LAST_NANOSECOND: Final = 2**63 - 1  # one time that OTLP cannot encode would cost its whole batch


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
        meter: For `incident.events` and `incident.duration`; no id is ever one of their attributes.
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
        "_durations",
        "_events",
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
        meter: Meter,
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
        events, durations = METRICS[METRIC_INCIDENT_EVENTS], METRICS[METRIC_INCIDENT_DURATION]
        self._events = meter.create_counter(events.name, events.unit, events.brief)
        self._durations = meter.create_histogram(
            durations.name,
            durations.unit,
            durations.brief,
            explicit_bucket_boundaries_advisory=_DURATION_BOUNDS,
        )

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
        self._events.add(1, {INCIDENT_ACTION: attributes[INCIDENT_ACTION]}, context=context)
        if INCIDENT_DURATION in attributes:
            self._durations.record(attributes[INCIDENT_DURATION], context=context)
        if self._span_events:
            span = get_current_span(context)
            if span.is_recording():
                span.add_event(name, attributes, timestamp=happened)

    def _attributes(self, event: IncidentEvent, happened: int, observed: int) -> dict[str, object]:
        """Everything the event says, in wire types; what the host did not say is absent."""
        action, incident, actor = event.action, event.incident, event.actor
        said: dict[str, object] = {INCIDENT_ACTION: action, LOG_RECORD_UID: self._new_uid(observed)}
        if type(incident) is not Incident:  # a host's own object is not looked into: the event lacks its id
            return said
        said |= {
            INCIDENT_ID: wire_id(incident.id),
            INCIDENT_ACTIVE: _ACTIVE_AFTER.get(action, incident.active),
            INCIDENT_COMMANDER_ID: wire_id(incident.commander_id),
            INCIDENT_TEAM_ID: wire_id(incident.team_id),
            INCIDENT_CREATED_AT: wire_timestamp(incident.created_at),
            INCIDENT_POST_ID: wire_id(incident.post_id),
            INCIDENT_CHECKLIST_COUNT: incident.checklist_count,
            INCIDENT_CHECKLIST_ITEM_COUNT: incident.checklist_item_count,
            INCIDENT_PUBLIC: event.public,
            INCIDENT_STAGE_INDEX: event.stage_index,
            INCIDENT_DURATION: _duration(incident, happened) if action == "end" else None,
        }
        if type(actor) is Actor:
            said[USER_HASH if type(actor.id) is Hashed else USER_ID] = wire_id(actor.id)
            said[USER_ROLES] = _roles(actor.roles)
        elif actor is not None:  # an id in its place is taken as one, the rest is for the policy to refuse
            said[USER_ID] = wire_id(actor)
        return {name: value for name, value in said.items() if value is not None}


def _trace_context(context: Context | None) -> Context | None:
    """What was given; an empty context says that there was no span, where the SDK would take the current."""
    if context is None or context:
        return context
    return set_span_in_context(INVALID_SPAN, context)


def _duration(incident: Incident, happened: int) -> float | None:
    """Seconds from creation to end, if the host says when it was created."""
    created = epoch_milliseconds(incident.created_at)
    return None if created is None else (happened // 1_000_000 - created) / 1000


def _roles(roles: object) -> object:
    """The roles as a tuple; none given is absent, and what is no list is for the policy to refuse."""
    if type(roles) is list:
        roles = tuple(roles)
    return None if type(roles) is tuple and not roles else roles


# A minute to a month: incidents are not requests, the SDK's default bounds end at ten seconds.
_DURATION_BOUNDS: Final = (
    60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0, 259200.0, 604800.0, 2592000.0,
)  # fmt: skip


@dataclass(slots=True)
class _Switch:
    """The switch that holds for the whole process, hooks included."""

    off: bool = False


_switch: Final = _Switch()
_settling: Final = Settling()


def set_disabled(*, disabled: bool) -> bool:
    """Set the switch of the whole process; returns where it was."""
    before, _switch.off = _switch.off, disabled
    return before


@final
class IncidentEmitter:
    """Reports incident lifecycle events; safe in any thread, never raises, never waits for the network.

    Without arguments, events take the plugin's own pipeline, configured by the environment
    (`OTEL_*`, `OTEL_INCIDENT_*`); where that has telemetry off, nothing happens and it is said once.

    Args:
        logger_provider: Hands events to this provider instead. They are still checked by the policy;
            delivery and identity are then the provider's.
        meter_provider: For the metrics; default the global one.
        route: Where events go, resolved at the first event; for tests and the instrumentor.
    """

    __slots__ = ("_resolve", "_route")

    def __init__(
        self,
        *,
        logger_provider: LoggerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        route: Callable[[], Route | None] | None = None,
    ) -> None:
        self._route: Route | None = None
        self._resolve = route or (lambda: _default_route(logger_provider, meter_provider))

    def create(self, incident: Incident, *, actor: Actor | None = None, public: bool | None = None) -> None:
        """An incident was created (seed: actionCreate): `incident.create`."""
        try:
            self.emit(IncidentEvent(action="create", incident=incident, actor=actor, public=public))
        except boundary.no_frame_left:
            boundary.unseen += 1

    def end(self, incident: Incident, *, actor: Actor | None = None) -> None:
        """An incident was ended (seed: actionEnd): `incident.end`, with its duration in s if known."""
        try:
            self.emit(IncidentEvent(action="end", incident=incident, actor=actor))
        except boundary.no_frame_left:
            boundary.unseen += 1

    def restart(self, incident: Incident, *, actor: Actor | None = None) -> None:
        """An ended incident was made active again (seed: actionRestart): `incident.restart`."""
        try:
            self.emit(IncidentEvent(action="restart", incident=incident, actor=actor))
        except boundary.no_frame_left:
            boundary.unseen += 1

    def change_commander(self, incident: Incident, *, actor: Actor | None = None) -> None:
        """Somebody else took over (seed: actionChangeCommander): `incident.change_commander`."""
        try:
            self.emit(IncidentEvent(action="change_commander", incident=incident, actor=actor))
        except boundary.no_frame_left:
            boundary.unseen += 1

    def change_stage(
        self, incident: Incident, *, actor: Actor | None = None, stage_index: int | None = None
    ) -> None:
        """An incident moved to another stage (seed: actionChangeStage): `incident.change_stage`.

        Args:
            incident: The incident, as it is now.
            actor: Who moved it.
            stage_index: The stage it is in now, 0-based (seed: ActiveStage).
        """
        try:
            self.emit(
                IncidentEvent(action="change_stage", incident=incident, actor=actor, stage_index=stage_index)
            )
        except boundary.no_frame_left:
            boundary.unseen += 1

    def emit(self, event: IncidentEvent) -> None:
        """Report an event that was put together elsewhere, with its time and its trace context."""
        if _switch.off:
            return
        try:
            route = self._route
            if route is None or route.closed:
                self._settle(event)
            else:
                route.send(event)
        except Exception as error:  # noqa: BLE001  the boundary to the host
            try:
                swallow("emit", error)
            except boundary.no_frame_left:
                boundary.unseen += 1

    def disable(self) -> None:
        """Stop reporting in the whole process, hooks included; what is queued is still sent."""
        set_disabled(disabled=True)

    def enable(self) -> None:
        """Report again after `disable`; does not override an environment that has telemetry off."""
        set_disabled(disabled=False)

    def _settle(self, event: IncidentEvent) -> None:
        """Look for the route and send; for the first event and the first after it was closed."""
        if not _settling.busy.acquire(blocking=False):
            _settling.keep(self.emit, event)
            return
        try:
            try:
                if self._route is None or self._route.closed:
                    self._route = self._resolve()
                if self._route is not None:
                    self._route.send(event)
                _settling.send()  # before others can send by themselves: each thread's events stay in order
            finally:
                _settling.busy.release()
        finally:
            _settling.send()


def _default_route(
    logger_provider: LoggerProvider | None, meter_provider: MeterProvider | None
) -> Route | None:
    """The plugin's own pipeline, or the caller's provider behind the policy."""
    # what looks for a route imports as it goes
    with no_fork_while_importing():
        # the composition root, reached for at the first event: importing an emitter loads no SDK
        try:
            from otel_incident.pipeline import default_route  # noqa: PLC0415  see above
        except RuntimeError:  # the main thread has returned, and others go on
            with pools_open():
                from otel_incident.pipeline import default_route  # noqa: PLC0415  see above
        return default_route(logger_provider, meter_provider)
