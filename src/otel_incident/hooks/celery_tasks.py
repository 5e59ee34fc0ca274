"""Who started a Celery task: what a request knows travels with the task, and is known while that runs.

Of the actor goes into a header of the message what would leave in an event, and nothing else: his id if
it passes the policy, its keyed hash if not, and his roles. What a broker hands out may come from
anybody, so a worker takes no more than that from it, within bounds, and the policy sees it again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast, final

from otel_incident.events import Actor, Hashed
from otel_incident.guard import fail_open
from otel_incident.hooks.actors import actor_of, asks_for_user, is_at_hand, request_user, user_reader
from otel_incident.imports import when_imported
from otel_incident.policy import KEEPS_RULE, MAX_ID_LENGTH
from otel_incident.vocabulary import USER_HASH, USER_ID, USER_ROLES

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Mapping

    from otel_incident.hooks.definitions import Hook

    AsSent: TypeAlias = Callable[[Actor, Mapping[str, re.Pattern[str]] | None], Mapping[str, object]]

HEADER: Final = "otel_incident.actor"

_MODULE: Final = "celery.signals"
_IDS: Final = (USER_ID, USER_HASH)


@final
class CeleryTasks:
    """Lets tasks that a request starts carry who did it.

    Args:
        hooks: The hooks that are in force: they say who somebody is.
        as_sent: What of an actor may leave, by attribute, given what a hook's host uses as ids.
    """

    def __init__(
        self,
        hooks: Callable[[], Iterable[Hook]],
        as_sent: AsSent,
    ) -> None:
        self._hooks = hooks
        self._as_sent = as_sent
        self._active = True
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Listen to Celery's signals as soon as it is imported."""
        self._undo.append(when_imported(_MODULE, fail_open("hook")(self._connect)))

    def uninstall(self) -> None:
        """Listen no more."""
        self._active = False
        while self._undo:
            self._undo.pop()()

    def _connect(self, signals: Any) -> None:
        if not self._active:
            return
        for signal, receiver in (
            (signals.before_task_publish, self._published),
            (signals.task_prerun, _begins),
            (signals.task_postrun, _ended),
        ):
            guarded = fail_open("hook")(receiver)
            signal.connect(guarded, weak=False)
            self._undo.append(partial(signal.disconnect, guarded))

    def _published(self, headers: object = None, **_: Any) -> None:
        """A task is about to be handed to the broker."""
        if isinstance(headers, dict) and is_at_hand():
            carried = self._carried()
            if carried:
                headers[HEADER] = carried

    def _carried(self) -> dict[str, object]:
        """What goes into the header; where hooks do not agree on who it is, nobody can know."""
        # hooks mostly say the same, by saying nothing
        different = {
            (hook.actor_callable, hook.actor_id, hook.system_admin, (hook.id_shapes or {}).get(USER_ID)): hook
            for hook in self._hooks()
            if asks_for_user(hook)
        }
        user, said = request_user(), []
        for hook in different.values():
            actor = actor_of(hook, {"user": user})
            said.append({} if actor is None else self._as_sent(actor, hook.id_shapes))
        if not said or any(each.get(name) != said[0].get(name) for each in said for name in _IDS):
            return {}
        first = dict(said[0])
        roles = first.pop(USER_ROLES, None)
        if roles is not None and all(each.get(USER_ROLES) == roles for each in said):
            first[USER_ROLES] = list(roles)  # type: ignore[call-overload]  # a tuple, by its rule
        return first


@final
class _Reader:
    """Gives who started the task at hand, while it runs."""

    __slots__ = ("_actor",)

    def __init__(self, actor: Actor) -> None:
        self._actor: Actor | None = actor

    def __call__(self) -> object:
        return self._actor

    def end(self) -> None:
        self._actor = None


def _begins(task: Any = None, **_: Any) -> None:
    """A task begins: in a worker, where nothing else says who it is for, or within whatever has called it."""
    if task.request.is_eager:
        return
    actor = read(task.request.get(HEADER))
    user_reader.set(None if actor is None else _Reader(actor))


def _ended(task: Any = None, **_: Any) -> None:
    if task.request.is_eager:
        return
    reader = user_reader.get()
    if type(reader) is _Reader:
        reader.end()  # what the task leaves behind may live for ever
    user_reader.set(None)


def read(header: object) -> Actor | None:
    """The actor that a header names; None where it is not one of ours."""
    if type(header) is not dict:
        return None
    identifier, hashed, roles = header.get(USER_ID), header.get(USER_HASH), header.get(USER_ROLES)
    known = tuple(cast("list[Any]", roles)) if KEEPS_RULE[USER_ROLES](roles) else ()
    if KEEPS_RULE[USER_HASH](hashed):
        return Actor(id=Hashed(hashed), roles=known)
    if type(identifier) is str and 0 < len(identifier) <= MAX_ID_LENGTH and identifier.isascii():
        return Actor(id=identifier, roles=known)
    return Actor(roles=known) if known and identifier is None and hashed is None else None
