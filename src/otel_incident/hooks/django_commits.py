"""What was saved in Django hears of the commit of its transaction before the host's callbacks do.

Django keeps callbacks for the commit in the order in which they came, and drops them with a rollback.
Two things it does not do, and they are done here. A callback of the host's that came before ours may
save the row again, or raise, which skips the rest: so ours are moved before the host's at the commit.
And a savepoint that is rolled back by hand takes no callback with it: so ours are undone.

A host's own tests run within a transaction that never commits (`TestCase`): there, what the host does is
taken as it would be without that transaction, a save outside of the host's own ones as committed at once.
"""

from __future__ import annotations

import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from otel_incident.guard import fail_open
from otel_incident.hooks.django_waiting import Change, Waiting, complete_creations, report
from otel_incident.hooks.patching import wrap
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from otel_incident.hooks.django_waiting import Row, Watch

_MODULE: Final = "django.db.backends.base.base"
_WAITING: Final = "_otel_incident_waiting"

watches: Final[weakref.WeakSet[Watch]] = weakref.WeakSet()
"""Who watches a model that was found."""


@final
class _Thread(threading.local):
    """What is known of the thread at hand: a connection of Django's belongs to one.

    Attributes:
        at_work: The connections on which changes may wait, by weak reference: a set of those takes a
            microsecond to go through, which each save would pay.
    """

    def __init__(self) -> None:
        self.at_work: list[weakref.ref[Any]] = []


this_thread: Final = _Thread()


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
            ("savepoint_commit", _releasing),
            ("savepoint_rollback", _rolling_back),
            ("rollback", _ending),
            ("close", _ending),
        ):
            if hasattr(database, name):
                self._undo.append(wrap(database, name, wrapper))


def waiting_on(connection: Any) -> Waiting | None:
    """What waits on a connection; None for nothing, as where its transaction has ended."""
    waiting: Waiting | None = connection.__dict__.get(_WAITING)
    if waiting is not None and waiting.is_left_of(connection.run_on_commit):
        forget(connection)
        return None
    return waiting


def settled_on(connection: Any) -> Waiting | None:
    """The same, where what a host's test has done outside of a transaction of the host's is committed."""
    waiting = waiting_on(connection)
    if waiting is not None and not _in_transaction(connection):
        forget(connection)
        waiting.settle()
        return None
    return waiting


def forget(connection: Any) -> None:
    """Keep nothing any longer of a connection whose transaction has ended."""
    waiting: Waiting | None = connection.__dict__.pop(_WAITING, None)
    if this_thread.at_work:
        this_thread.at_work = _others(connection)
    if waiting is not None:
        waiting.end()


def wait(connection: Any, change: Change) -> None:
    """Keep a change until its transaction commits; without a transaction that is now."""
    if not connection.in_atomic_block:
        report([change])
        return
    waiting = waiting_on(connection)
    if waiting is None:
        waiting = connection.__dict__[_WAITING] = Waiting()
        this_thread.at_work = [*_others(connection), weakref.ref(connection)]
    change.place = len(connection.run_on_commit)
    waiting.add(change)
    connection.on_commit(change)
    settled_on(connection)


def pending(connection: Any, row: Row) -> Change | None:
    """The last save of a row that waits for the connection's transaction."""
    waiting: Waiting | None = connection.__dict__.get(_WAITING)
    if waiting is None or not waiting.may_have(row):  # first, since of most rows nothing waits
        return None
    waiting = settled_on(connection)
    return None if waiting is None else waiting.of(row)


def pending_all(connection: Any, watch: Watch, keys: Iterable[Any] | None) -> Iterator[Change]:
    """The last saves of rows that somebody watches, if they wait for the connection's transaction.

    Args:
        connection: To the database.
        watch: Who watches.
        keys: Of the rows; None for all.
    """
    waiting = settled_on(connection)
    if waiting is None:
        return
    rows = waiting.rows(watch) if keys is None else [(watch, connection.alias, key) for key in keys]
    for row in rows:
        change = waiting.of(row)
        if change is not None:
            yield change


def pending_here(watch: Watch, key: Any) -> Iterator[Change]:
    """The last saves that wait for a transaction of this thread's, of the rows that have one key.

    Args:
        watch: Who watches.
        key: Their primary key, each in its database.
    """
    for each in this_thread.at_work:
        connection = each()
        change = None if connection is None else pending(connection, (watch, connection.alias, key))
        if change is not None:
            yield change


def _others(connection: Any) -> list[weakref.ref[Any]]:
    alive = ((each, each()) for each in this_thread.at_work)
    return [each for each, other in alive if other is not None and other is not connection]


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


def _in_transaction(connection: Any) -> bool:
    """Whether a transaction of the host's is open, around which a test may have put its own."""
    blocks = getattr(connection, "atomic_blocks", None)  # an older Django has none
    return not blocks or any(not getattr(block, "_from_testcase", False) for block in blocks)


_waiting_on: Final = fail_open("hook")(waiting_on)
_settled_on: Final = fail_open("hook")(settled_on)
_forget: Final = fail_open("hook")(forget)


def _committing(wrapped: Callable[..., Any], connection: Any, args: Any, kwargs: Any) -> Any:
    _put_ours_first(connection)
    return wrapped(*args, **kwargs)


def _ending(wrapped: Callable[..., Any], connection: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    _forget(connection)
    return result


def _saving(wrapped: Callable[..., Any], connection: Any, args: Any, kwargs: Any) -> Any:
    waiting = _settled_on(connection)
    savepoint = wrapped(*args, **kwargs)
    if waiting is not None:
        waiting.mark(savepoint)
    return savepoint


def _releasing(wrapped: Callable[..., Any], connection: Any, args: Any, kwargs: Any) -> Any:
    result = wrapped(*args, **kwargs)
    _settled_on(connection)  # it may have been the outermost block of the host's
    return result


def _rolling_back(wrapped: Callable[..., Any], connection: Any, args: Any, kwargs: Any) -> Any:
    waiting = _waiting_on(connection)
    result = wrapped(*args, **kwargs)
    savepoint = args[0] if args else kwargs.get("sid")
    if waiting is not None and savepoint is not None:  # None: of a database that has no savepoints
        fail_open("hook")(waiting.undo)(savepoint)
    return result


@fail_open("hook")
def _put_ours_first(connection: Any) -> None:
    forget(connection)
    callbacks = connection.run_on_commit
    ours = [callback for callback in callbacks if type(callback[1]) is Change]
    if ours:
        changes = [change for _, change, *_ in ours if change.stays and not change.told]
        complete_creations(changes)
        savepoints, _, *how = ours[0]
        others = [callback for callback in callbacks if type(callback[1]) is not Change]
        callbacks[:] = [(savepoints, partial(report, changes), *how), *others]
