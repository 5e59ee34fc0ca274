"""`http` hooks: a request of a client library that means an action, reported once the server has accepted it.

A client library sends everything through one place, its choke point. What counts is what the server said:
a status of 2xx, read where the client has it, even if the client then fails on the reply. A retry
within a choke point is the same call, and a choke point within another is reported once.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast, final

from otel_incident.guard import fail_open
from otel_incident.hooks.actors import request_user
from otel_incident.hooks.complaints import Complaints
from otel_incident.hooks.documents import document
from otel_incident.hooks.extraction import event_of, incident_of
from otel_incident.hooks.functions import Call, FunctionWatch
from otel_incident.hooks.modules import can_be_found
from otel_incident.hooks.nesting import Nesting
from otel_incident.hooks.parameters import astray_among

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks.definitions import Hook, HookFile
    from otel_incident.hooks.nesting import Outermost
    from otel_incident.hooks.paths import Path
    from otel_incident.hooks.requests import Client, Request
    from otel_incident.vocabulary import Action

_ACCEPTED: Final = range(200, 300)
_MOST: Final = 4096
"""How many things are remembered of which a hook reports one event each."""


class _Meaning:
    """One hook, over all choke points of its file."""

    def __init__(self, file: HookFile, hook: Hook, sink: Callable[[IncidentEvent], None]) -> None:
        self.hook = hook
        self.request = cast("Request", hook.request)
        self.nesting = Nesting(sink)
        self._said: dict[object, object] = {}
        self.complaints = Complaints(file.source, hook.name)
        self.is_preset = file.preset

    def is_first(self, roots: Mapping[str, object]) -> bool:
        """Whether nothing has been reported of the same thing (`once`) in this process."""
        told = self.request.once.resolve(roots) if self.request.once is not None else None
        if type(told) not in (str, int):
            return self.request.once is None
        mine = object()
        if self._said.setdefault(told, mine) is not mine:  # one step, for two threads that ask
            return False
        if len(self._said) > _MOST:
            with suppress(RuntimeError):  # another thread is at it
                self._said.pop(next(iter(self._said)), None)
        return True


class _Match(NamedTuple):
    """A hook that is about a request, and what its route captures."""

    meaning: _Meaning
    captured: Mapping[str, str]


class _About(NamedTuple):
    """A request that hooks are about, and where it is looked into."""

    roots: Mapping[str, object]
    matches: list[_Match]


def http_watches(
    file: HookFile, sink: Callable[[IncidentEvent], None], matched: Callable[[HookFile], None]
) -> list[HttpWatch]:
    """What watches the choke points of a file.

    Args:
        file: Its clients, and its hooks of kind `http`.
        sink: Takes the events.
        matched: Told when a choke point has been found.
    """
    meanings = [_Meaning(file, hook, sink) for hook in file.hooks if hook.kind == "http"]
    if not meanings:
        return []
    return [
        HttpWatch(file, client, target, meanings, matched)
        for client in file.clients
        for target in client.targets
    ]


@final
class HttpWatch(FunctionWatch):
    """Watches one choke point.

    Args:
        file: Where it stands.
        client: Says where a call has what.
        target: The choke point.
        meanings: The hooks.
        matched: Told when the callable has been found.
    """

    def __init__(
        self,
        file: HookFile,
        client: Client,
        target: str,
        meanings: list[_Meaning],
        matched: Callable[[HookFile], None],
    ) -> None:
        super().__init__(file, target, Complaints(file.source, "client"), matched)
        self._client = client
        self._meanings = meanings
        self._methods = {meaning.request.route.method for meaning in meanings}

    def install(self) -> None:
        """Wrap the choke point; of a client that has just been imported, say it if it has no such module."""
        super().install()
        if self._file.preset and not can_be_found(self._target.partition(":")[0]):
            self._warn("is in a module that cannot be found")

    def _found(self, function: object) -> None:
        """Say which paths cannot find anything; of a preset's nobody could correct them."""
        client = self._client
        paths = (client.method, client.url, client.base, client.body, client.status, client.reply)
        for path in [] if self._file.preset else astray_among(function, paths):
            self._complaints.no_parameter(self._target, path)

    @fail_open("hook")
    def _about(self, call: Call) -> _About | None:
        roots = {"arg": self._arguments(call), "self": call.instance}
        method = self._client.method.resolve(roots)
        if not isinstance(method, str) or method.upper() not in self._methods:
            return None
        segments = self._client.segments(roots)
        if segments is None:
            return None
        matches = []
        for meaning in self._meanings:
            route = meaning.request.route
            captured = route.match(segments) if route.method == method.upper() else None
            if captured is not None:
                matches.append(_Match(meaning, captured))
        most = max((match.meaning.request.route.literal for match in matches), default=0)
        matches = [match for match in matches if match.meaning.request.route.literal == most]
        return _About(roots, matches) if matches else None

    def _begin(self, about: _About) -> list[Outermost | None]:
        # the first hook is innermost, so that it ends and reports first
        return [match.meaning.nesting.begin() for match in reversed(about.matches)][::-1]

    def _end(self, begun: list[Outermost | None]) -> None:
        for outermost in begun:
            if outermost is not None and outermost.hook is not None:
                fail_open("hook")(outermost.hook.end)(outermost)

    @fail_open("hook")
    def _report(self, call: Call, about: _About, result: Any, begun: list[Outermost | None]) -> None:
        del call
        self._look(about, {**about.roots, "result": result}, begun)

    @fail_open("hook")
    def _raised(self, call: Call, about: _About, begun: list[Outermost | None]) -> None:
        """Where the status is known all the same, what was raised is about the reply."""
        del call
        if self._client.status is not None:
            self._look(about, about.roots, begun)

    def _look(self, about: _About, roots: Mapping[str, object], begun: list[Outermost | None]) -> None:
        client = self._client
        if not self._active:
            return
        if client.status is not None and not _is_accepted(client.status.resolve(roots)):
            return
        body, reply = (
            document(path.resolve(roots)) if path is not None else None
            for path in (client.body, client.reply)
        )
        known = {"body": body, "reply": reply, "self": roots["self"], "user": request_user()}
        for match, outermost in zip(about.matches, begun, strict=True):
            self._tell(match, {**known, "path": match.captured}, outermost)

    @fail_open("hook")
    def _tell(self, match: _Match, roots: dict[str, object], outermost: Outermost | None) -> None:
        """Report what one hook makes of a request."""
        meaning = match.meaning
        hook, request = meaning.hook, meaning.request
        touched = [None] if request.each is None else request.each.resolve(roots)
        if not isinstance(touched, list):
            return
        for item in touched:
            here = {**roots, "each": item}
            if not request.holds(here) or not meaning.is_first(here):
                continue
            stage = cast("Path", hook.stage.source).resolve(here) if hook.stage is not None else None
            incident = incident_of(hook, here)
            if incident.id is None:
                meaning.complaints.no_id(hook.incident["id"].text)
            event = event_of(hook, cast("Action", hook.action), incident, here, stage=stage)
            if hook.stage is not None and not meaning.is_preset and event.stage_index is None:
                meaning.complaints.no_index(cast("Path", hook.stage.source).text, stage, hook.stage.order)
            meaning.nesting.report(event, outermost)


def _is_accepted(status: object) -> bool:
    return issubclass(type(status), int) and status in _ACCEPTED
