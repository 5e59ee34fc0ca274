"""A callable of the host's that a hook file names, because it knows who did it where we cannot.

It is called when an event is made, and whatever it does is no business of the host's: what it raises
is said once, and the event goes out without an actor.
"""

from __future__ import annotations

import operator
import sys
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import CoroutineType
from typing import TYPE_CHECKING, Final, cast, final

from otel_incident.hooks.authenticated import authenticated
from otel_incident.hooks.paths import resolved

if TYPE_CHECKING:
    from otel_incident.hooks.complaints import Complaints

_asking: Final[ContextVar[bool]] = ContextVar("otel_incident_asking", default=False)
"""Whether one is being asked: one that changes an incident itself would be asked again, without end."""


@final
@dataclass(frozen=True, slots=True)
class Callee:
    """A callable by its name.

    Attributes:
        target: `module:name`.
        complaints: What is said of its hook.
    """

    target: str
    complaints: Complaints = field(compare=False, repr=False)

    def ask(self) -> object:
        """What it returns, if that is somebody; None where it is nobody, or cannot be said."""
        if _asking.get():
            return None
        module, _, name = self.target.partition(":")
        if module not in sys.modules:  # to import it would be to start the host
            self._say("is in a module that was not imported when an event came")
            return None
        try:
            function = operator.attrgetter(name)(sys.modules[module])
        except Exception:  # noqa: BLE001  a module of the host's may answer for its attributes with anything
            self._say("does not exist")
            return None
        token = _asking.set(True)
        try:
            found = function()
        except Exception as error:  # noqa: BLE001  a host's callable may raise anything
            self._say(f"raised {type(error).__name__}")
            return None
        finally:
            _asking.reset(token)
        found = resolved(found)
        kind = type(found)  # never `__class__`, which a lazy object answers by loading itself
        if issubclass(kind, CoroutineType):
            cast("CoroutineType[object, object, object]", found).close()  # nobody else will await it
        if any("__await__" in vars(base) for base in kind.__mro__):
            self._say("is asynchronous, and nobody can wait for it")
            return None
        return authenticated(found, unless_said=True)

    def _say(self, why: str) -> None:
        self.complaints.say(f"%s {why}, so who did it is left out; correct `actor.callable`.", self.target)
