"""What was saved in Django waits for its transaction, and hears of the commit before the host's callbacks.

Django keeps callbacks for the commit in the order in which they came, and drops them with a rollback.
Two things it does not do, and they are done here. A callback of the host's that came before ours may
save the row again, or raise, which skips the rest: so ours are moved before the host's at the commit.
And a savepoint that is rolled back by hand takes no callback with it: so ours are undone.

Of each row only the last save that stays is reported: what the row was before the transaction against what it
is after it. What instances read of it in between is not what it was: rolled back, it never was that.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, final

from otel_incident.guard import fail_open
from otel_incident.hooks.patching import wrap
from otel_incident.hooks.rows import with_first_commander
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


@final
class _Thread(threading.local):
    """What is known of the thread at hand: a connection of Django's belongs to one.

    Attributes:
        at_work: The connections on which changes may wait: whose last transaction with one has not been
            committed.
    """

    def __init__(self) -> None:
        self.at_work: weakref.WeakSet[Any] = weakref.WeakSet()


this_thread: Final = _Thread()


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
        base: What its watched fields were before the transaction, as far as that is known.
        after: What they are then.
        fresh: Whether the row was made in the same transaction.
        events: What to report of all that the transaction has made of the row.
        sink: Takes these.
        keep: Told what the row is, for each instance that has read or written it in the transaction.
        first: Who becomes the first commander of an incident of the same transaction; None for nobody.
        readers: These instances, by identity; all changes of a row share them.
        place: Where it stands among the connection's callbacks.
        earlier: The last change of the same row before it.
        later: The next one.
        undone: Whether a savepoint before it was rolled back.
    """

    row: Row
    base: Mapping[str, Any]
    after: Mapping[str, Any]
    fresh: bool
    events: tuple[IncidentEvent, ...]
    sink: Callable[[IncidentEvent], None]
    keep: Callable[[Any, Mapping[str, Any]], None]
    first: FirstCommander | None = None
    readers: dict[int, weakref.ref[Any]] = field(default_factory=dict)
    place: int = -1
    earlier: Change | None = None
    later: Change | None = None
    undone: bool = False

    def __call__(self) -> None:
        """Told by Django that it is committed: without our part in it, as in a host's own tests."""
        if self.stays:
            _report([self])

    @property
    def stays(self) -> bool:
        """Whether it was not undone, and no later one of its row has taken its place."""
        later = self.later
        while later is not None and later.undone:
            later = later.later
        return not self.undone and later is None

    def before(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the row was before the transaction.

        Args:
            values: What an instance is known to have been, which may have been read in the transaction.
        """
        return {**{name: value for name, value in values.items() if name not in self.after}, **self.base}

    def read_by(self, instance: Any) -> None:
        """Have an instance know what the row is, if it is committed."""
        self.readers[id(instance)] = weakref.ref(instance)

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


def waiting_of(connection: Any, watch: Watch) -> list[Change]:
    """The last saves of all rows that somebody watches, if they wait for the connection's transaction."""
    rows = [row for row in connection.__dict__.get(_WAITING, {}) if row[0] is watch]
    return [change for row in rows if (change := pending(connection, row)) is not None]


def pending_here(watch: Watch, instance: Any) -> Change | None:
    """The last save of a row that waits for a transaction of this thread's.

    Args:
        watch: Who watches.
        instance: Of the row, perhaps just being made: then it does not know its database yet.
    """
    for connection in this_thread.at_work:
        if instance._state.db in (None, connection.alias):  # noqa: SLF001  Django's documented state
            change = pending(connection, (watch, connection.alias, instance.pk))
            if change is not None:
                return change
    return None


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
        _report([change])
        return
    # By row, since a transaction may save thousands; what a rollback left here goes with the next change.
    waiting: dict[Row, Change] = connection.__dict__.setdefault(_WAITING, {})
    if waiting and not next(reversed(waiting.values())).waits(connection):
        _forget_what_ended(connection, waiting)
    change.earlier = waiting.pop(change.row, None)
    if change.earlier is not None:
        change.earlier.later = change
    change.place = len(connection.run_on_commit)
    waiting[change.row] = change
    this_thread.at_work.add(connection)
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
    waited = fail_open("hook")(_ours)(connection.run_on_commit)
    result = wrapped(*args, **kwargs)
    _undo_since(connection, args[0] if args else kwargs.get("sid"), waited)
    return result


@fail_open("hook")
def _put_ours_first(connection: Any) -> None:
    connection.__dict__.pop(_SAVEPOINTS, None)
    this_thread.at_work.discard(connection)
    callbacks = connection.run_on_commit
    ours = [callback for callback in callbacks if type(callback[1]) is Change]
    if ours:
        changes = [change for change in _ours(callbacks) if change.stays]
        _complete_creations(changes)
        savepoints, _, *how = ours[0]
        others = [callback for callback in callbacks if type(callback[1]) is not Change]
        callbacks[:] = [(savepoints, partial(_report, changes), *how), *others]


@fail_open("hook")
def _report(changes: list[Change]) -> None:
    """Changes are committed: each event in its turn, whichever rows came in between."""
    for change in changes:
        for reader in list(change.readers.values()):
            instance = reader()
            if instance is not None:
                fail_open("hook")(change.keep)(instance, change.after)
    events = [(event.timestamp or 0, event, change.sink) for change in changes for event in change.events]
    for _, event, sink in sorted(events, key=itemgetter(0)):
        fail_open("hook")(sink)(event)


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
def _undo_since(connection: Any, savepoint: Any, waited: list[Change] | None) -> None:
    callbacks = connection.run_on_commit
    since = connection.__dict__.get(_SAVEPOINTS, {}).get(savepoint, len(callbacks))
    kept = {id(change) for change in _ours(callbacks[:since])}
    for change in waited or ():
        change.undone = change.undone or id(change) not in kept


def _ours(callbacks: Any) -> list[Change]:
    return [callback[1] for callback in callbacks if type(callback[1]) is Change]
