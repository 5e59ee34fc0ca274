"""What an application calls, and what hooks hand their events to: `IncidentEmitter`.

It resolves where events go when the first one comes, so that making one costs nothing and a process that is
only imported stays quiet. Whatever goes wrong here is swallowed by `guard`: an incident tool must not fail
because of us.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from otel_incident.ending import pools_open
from otel_incident.events import Actor, Incident, IncidentEvent
from otel_incident.forks import no_fork_while_importing
from otel_incident.guard import boundary, swallow
from otel_incident.settling import Settling, stack_ends_soon

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider

    from otel_incident.route import Route


@dataclass(slots=True)
class _Switch:
    """The switch that holds for the whole process, hooks included."""

    off: bool = False


@dataclass(slots=True)
class _Plain:
    """The route of emitters without arguments, once one has found it: the same for all until it is closed."""

    route: Route | None = None


_switch: Final = _Switch()
_settling: Final = Settling()
_plain: Final = _Plain()


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

    __slots__ = ("_imports", "_is_plain", "_resolve", "_route")

    def __init__(
        self,
        *,
        logger_provider: LoggerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        route: Callable[[], Route | None] | None = None,
    ) -> None:
        self._route: Route | None = None
        self._is_plain = logger_provider is None and meter_provider is None and route is None
        self._resolve = route or (lambda: _default_route(logger_provider, meter_provider))
        # the last of ours that its first event brings, which brings much more
        self._imports = "" if route else "otel_incident.processors"
        if logger_provider is not None:
            self._imports = "otel_incident.pipeline"

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
            self._report(event)
        except boundary.no_frame_left:
            boundary.unseen += 1

    def _report(self, event: IncidentEvent) -> None:
        """The same, whatever the switch says: it was on when the event came."""
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
        route = self._known()
        if route is not None:
            route.send(event)
            return
        brings = self._imports and self._imports not in sys.modules
        if brings and self._route is None and stack_ends_soon():
            _settling.leave(self._report, event)
            return
        if not _settling.busy.acquire(blocking=False) and not _settling.wait():
            _settling.keep(self._report, event)
            return
        try:
            try:
                _settling.begin()
                route = self._known()  # by now
                if route is None:
                    route = self._route = self._resolve()
                    if self._is_plain:
                        _plain.route = route
                if route is not None:
                    route.send(event)
                _settling.send()  # before another looks: what a thread has left goes before its next search
            finally:
                _settling.looker = 0
                _settling.busy.release()
        finally:
            _settling.send()

    def _known(self) -> Route | None:
        """The route that this emitter, or another one like it, has found."""
        if self._is_plain:
            self._route = _plain.route
        return None if self._route is None or self._route.closed else self._route


def _default_route(
    logger_provider: LoggerProvider | None, meter_provider: MeterProvider | None
) -> Route | None:
    """The plugin's own pipeline, or the caller's provider behind the policy."""
    # what looks for a route imports as it goes
    with no_fork_while_importing():
        # the composition root, reached for at the first event: importing an emitter loads no SDK
        try:
            from otel_incident.pipeline import default_route  # noqa: PLC0415  see above
        except RecursionError:
            raise
        except RuntimeError:  # the main thread has returned, and others go on
            with pools_open():
                from otel_incident.pipeline import default_route  # noqa: PLC0415  see above
        return default_route(logger_provider, meter_provider)
