"""`call` hooks: a function of the host that means an action, reported once it has returned.

What the function raises means that nothing happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

from otel_incident.guard import fail_open
from otel_incident.hooks.actors import request_user
from otel_incident.hooks.complaints import Complaints
from otel_incident.hooks.extraction import event_of, incident_of
from otel_incident.hooks.functions import Call, FunctionWatch
from otel_incident.hooks.nesting import Nesting
from otel_incident.hooks.parameters import astray

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks.definitions import Hook, HookFile
    from otel_incident.hooks.nesting import Outermost
    from otel_incident.hooks.paths import Path
    from otel_incident.vocabulary import Action


@final
class CallWatch(FunctionWatch):
    """Watches one callable.

    Args:
        file: Where the hook stands.
        hook: A hook of kind `call`.
        sink: Takes the events.
        matched: Told when the callable has been found.
    """

    def __init__(
        self,
        file: HookFile,
        hook: Hook,
        sink: Callable[[IncidentEvent], None],
        matched: Callable[[HookFile], None],
    ) -> None:
        super().__init__(file, hook.target, Complaints(file.source, hook.name), matched)
        self._hook = hook
        self._meaning = hook.action
        self._nesting = Nesting(sink)

    def _found(self, function: object) -> None:
        """Say which paths cannot find anything; of a preset's nobody could correct them."""
        for path in [] if self._file.preset else astray(function, self._hook):
            self._complaints.no_parameter(self._target, path)

    def _about(self, call: Call) -> Any:
        return call

    def _begin(self, about: Any) -> Any:
        del about
        return self._nesting.begin()

    @fail_open("hook")
    def _end(self, begun: Outermost | None) -> None:
        self._nesting.end(begun)

    def _raised(self, call: Call, about: Any, begun: Outermost | None) -> None:
        """Nothing has happened."""

    @fail_open("hook")
    def _report(self, call: Call, about: Any, result: Any, begun: Outermost | None) -> None:
        del about
        if not self._active:
            return
        hook = self._hook
        roots = {
            "arg": self._arguments(call),
            "self": call.instance,
            "result": result,
            "user": request_user(),
        }
        stage = None
        if hook.stage is not None:
            stage = cast("Path", hook.stage.source).resolve(roots)
        incident = incident_of(hook, roots)
        if incident.id is None:
            self._complaints.no_id(hook.incident["id"].text)
        event = event_of(hook, cast("Action", hook.action), incident, roots, stage=stage)
        if hook.stage is not None and not self._file.preset and event.stage_index is None:
            self._complaints.no_index(cast("Path", hook.stage.source).text, stage, hook.stage.order)
        self._nesting.report(event, begun)
