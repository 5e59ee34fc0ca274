"""What was saved in Django waits for its transaction, and hears of the commit before the host's callbacks.

Django keeps callbacks for the commit in the order in which they came, and drops them with a rollback.
Two things it does not do, and they are done here. A callback of the host's that came before ours may
save the row again, or raise, which skips the rest: so ours are moved before the host's at the commit.
And a savepoint that is rolled back by hand takes no callback with it: so ours are undone.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, final

from otel_incident.guard import fail_open
from otel_incident.hooks.patching import wrap
from otel_incident.hooks.rows import with_first_commander
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_incident.events import IncidentEvent


class Watch(Protocol):
    """Who watches a model."""

    def watches(self, model: Any) -> bool:
        """Whether it watches the rows of a model."""


Row = tuple[Watch, str, Any]
"""Who watches, the database's alias, the primary key."""

_MODULE: Final = "django.db.backends.base.base"
_WAITING: Final = "_otel_incident_waiting"
_SAVEPOINTS: Final = "_otel_incident_savepoints"

watches: Final[weakref.WeakSet[Watch]] = weakref.WeakSet()
"""Who watches a model that was found."""
at_work: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
"""The connections on which changes may wait: whose last transaction with one has not been committed."""


class FirstCommander(NamedTuple):
    """Who commands an incident from its creation on, which hosts say when its row is there already."""

    model: Any
    using: str
    key: Any
    commander: Any

    def of(self, row: Row) -> bool:
        """Whether a watched row is the incident."""
        watch, alias, key = row
        return alias == self.using and key == self.key and watch.watches(self.model)


@final
@dataclass(eq=False, slots=True)
class Change:
    """One save that waits for its transaction.

    Django keeps it among the callbacks of the connection and drops it on a rollback, of a savepoint
    too: so what is there is what the row will be if the transaction commits.

    Attributes:
        row: Which row.
        after: What its watched fields are then.
        fresh: Whether the row was made in the same transaction.
        events: What to report.
        commit: Called with the change once it is committed.
        first: Who becomes the first commander of an incident of the same transaction; None for nobody.
        place: Where it stands among the connection's callbacks.
        earlier: The last change of the same row before it.
        undone: Whether a savepoint before it was rolled back by hand.
    """

    row: Row
    after: dict[str, Any]
    fresh: bool
    events: tuple[IncidentEvent, ...]
    commit: Callable[[Change], None]
    first: FirstCommander | None = None
    place: int = -1
    earlier: Change | None = None
    undone: bool = False

    def __call__(self) -> None:
        """Told by Django that it is committed."""
        if not self.undone:
            fail_open("hook")(self.commit)(self)

    def waits(self, connection: Any) -> bool:
        """Whether Django still has it."""
        callbacks = connection.run_on_commit
        return not self.undone and self.place < len(callbacks) and callbacks[self.place][1] is self


@final
class DjangoCommits:
    """Puts our callbacks before the host's at each commit, and undoes them with savepoints."""

    def __init__(self) -> None:
        self._active = False
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Wrap the database connections as soon as Django has imported them; once, however often called."""
        if not self._active:
            self._active = True
            self._undo.append(when_imported(_MODULE, fail_open("hook")(self._patch)))

    def uninstall(self) -> None:
        """Put the methods back."""
        self._active = False
        while self._undo:
            self._undo.pop()()

    def _patch(self, module: Any) -> None:
        if not self._active:
            return
        database = module.BaseDatabaseWrapper
        for name, wrapper in (
            ("run_and_clear_commit_hooks", _committing),
            ("savepoint", _saving),
            ("savepoint_rollback", _rolling_back),
        ):
            if hasattr(database, name):
                self._undo.append(wrap(database, name, wrapper))


def pending(connection: Any, row: Row) -> Change | None:
    """The last save of a row that waits for the connection's transaction."""
    change: Change | None = connection.__dict__.get(_WAITING, {}).get(row)
    while change is not None and not change.waits(connection):
        change = change.earlier
    return change


def was_made_within(connection: Any, using: str, model: Any, key: Any) -> bool:
    """Whether a watched row was made in the connection's transaction.

    Args:
        connection: To the database.
        using: Its alias.
        model: Of the row.
        key: Its primary key.
    """
    for watch in list(watches):  # not by what waits, of which there may be thousands
        change = pending(connection, (watch, using, key)) if watch.watches(model) else None
        if change is not None and change.fresh:
            return True
    return False


def wait(connection: Any, change: Change) -> None:
    """Keep a change until its transaction commits; without a transaction that is now."""
    if not connection.in_atomic_block:
        change()
        return
    # By row, since a transaction may save thousands; what a rollback left here goes with the next change.
    waiting: dict[Row, Change] = connection.__dict__.setdefault(_WAITING, {})
    if waiting and not next(reversed(waiting.values())).waits(connection):
        _forget_what_ended(connection, waiting)
    change.earlier = waiting.pop(change.row, None)
    change.place = len(connection.run_on_commit)
    waiting[change.row] = change
    at_work.add(connection)
    connection.on_commit(change)


def _forget_what_ended(connection: Any, waiting: dict[Row, Change]) -> None:
    for row in list(waiting):
        waits = pending(connection, row)
        if waits is None:
            del waiting[row]
        else:
            waiting[row] = waits


def _committing(wrapped: Callable[..., Any], connection: Any, args: Any, kwargs: Any) -> Any:
    _put_ours_first(connection)
    return wrapped(*args, **kwargs)


def _saving(wrapped: Callable[..., Any], connection: Any, args: Any, kwargs: Any) -> Any:
    savepoint = wrapped(*args, **kwargs)
    _note(connection, savepoint)
    return savepoint


def _rolling_back(wrapped: Callable[..., Any], connection: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    _undo_since(connection, args[0] if args else kwargs.get("sid"))
    return result


@fail_open("hook")
def _put_ours_first(connection: Any) -> None:
    connection.__dict__.pop(_SAVEPOINTS, None)
    at_work.discard(connection)
    callbacks = connection.run_on_commit
    ours = [callback for callback in callbacks if type(callback[1]) is Change]
    if ours:
        _complete_creations([change for _, change, *_ in ours if not change.undone])
        callbacks[:] = ours + [callback for callback in callbacks if type(callback[1]) is not Change]


@fail_open("hook")
def _complete_creations(changes: list[Change]) -> None:
    """Only now is it known which of the transaction's rows stay."""
    firsts = [change.first for change in changes if change.first is not None]
    if not firsts:
        return
    created: dict[tuple[str, Any], list[Change]] = {}  # rows of several models may have one key
    for change in changes:
        if any(event.action == "create" for event in change.events):
            created.setdefault(change.row[1:], []).append(change)
    for first in firsts:
        for change in created.get((first.using, first.key), ()):
            if first.of(change.row):
                change.events = tuple(with_first_commander(event, first.commander) for event in change.events)


@fail_open("hook")
def _note(connection: Any, savepoint: Any) -> None:
    connection.__dict__.setdefault(_SAVEPOINTS, {})[savepoint] = len(connection.run_on_commit)


@fail_open("hook")
def _undo_since(connection: Any, savepoint: Any) -> None:
    callbacks = connection.run_on_commit
    for callback in callbacks[connection.__dict__.get(_SAVEPOINTS, {}).get(savepoint, len(callbacks)) :]:
        if type(callback[1]) is Change:
            callback[1].undone = True
