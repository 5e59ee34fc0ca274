"""Calls of a hook within a call of the same hook: a function that calls itself has done a thing once.

What the inner calls report waits for the outermost one, which reports last: of each incident one
event goes out, that of the outermost call which is about it. A function that ends an incident and, by
calling itself, what hangs on it, has ended each of them. If the outermost call raises, what its inner
calls have done has still happened.
"""

from __future__ import annotations

import contextlib
import time
from contextvars import ContextVar, Token
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias, final

from opentelemetry.context import get_current

from otel_incident.events import wire_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_incident.events import IncidentEvent

_Open: TypeAlias = "tuple[Outermost, ...]"

_open: Final[ContextVar[_Open]] = ContextVar("otel_incident_calls", default=())
"""The outermost calls at work, one of each hook; a task that a call leaves behind inherits ended ones."""


@final
class Outermost:
    """An outermost call, as long as it runs."""

    __slots__ = ("events", "hook", "token")

    def __init__(self, hook: Nesting) -> None:
        self.hook: Nesting | None = hook
        self.events: dict[str, IncidentEvent] = {}
        self.token: Token[_Open] | None = None

    def put(self, event: IncidentEvent) -> None:
        """Keep an event in place of an earlier one on the same incident."""
        identifier = wire_id(event.incident.id)
        key = identifier if type(identifier) is str else ""
        self.events.pop(key, None)
        self.events[key] = event


@final
class Nesting:
    """The calls of one hook.

    Args:
        sink: Takes the events.
    """

    def __init__(self, sink: Callable[[IncidentEvent], None]) -> None:
        self._sink = sink

    def begin(self) -> Outermost | None:
        """A call begins: itself if it is the outermost one, None if it is within one."""
        around = _open.get()
        if self._around(around) is not None:
            return None
        outermost = Outermost(self)
        outermost.token = _open.set((*(each for each in around if each.hook is not None), outermost))
        return outermost

    def report(self, event: IncidentEvent, call: Outermost | None) -> None:
        """A call has returned; `call` is what its beginning gave."""
        if call is not None:
            call.put(event)
            return
        outermost = self._around(_open.get())
        if outermost is None:  # it has ended meanwhile
            self._sink(event)
        else:
            outermost.put(replace(event, timestamp=time.time_ns(), context=get_current()))

    def end(self, call: Outermost | None) -> None:
        """A call has ended, in whatever way."""
        if call is None:
            return
        call.hook = None
        if call.token is not None:
            with contextlib.suppress(ValueError):  # a coroutine can be ended in another context than its own
                _open.reset(call.token)
        for event in call.events.values():
            self._sink(event)

    def _around(self, around: _Open) -> Outermost | None:
        return next((each for each in around if each.hook is self), None)
