"""What was flushed in SQLAlchemy waits for its session's transaction, and vanishes with it.

A transaction and each of its savepoints have rows of their own. The rows of a savepoint that is released
become those of what is around it; those of one that ends in any other way are forgotten, whether it was
rolled back or its session was closed. What the outermost transaction has committed is reported, each row
by what it was before and what it is then, in the order in which the changes were made.

A session that its host drops without closing it has to go, with its connection and its transaction: what it
has done is kept in the session itself, so that nothing that outlives it leads to it.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, final

from otel_incident.guard import fail_open
from otel_incident.hooks.ended_spans import on_recording_span
from otel_incident.hooks.rows import with_first_commander
from otel_incident.hooks.sqlalchemy_events import listen
from otel_incident.hooks.sqlalchemy_joined import JoinedTransactions
from otel_incident.hooks.sqlalchemy_versions import too_old
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping

    from otel_incident.events import Id, IncidentEvent

MODULE: Final = "sqlalchemy.orm"


class Watch(Protocol):
    """Who watches a class."""

    @property
    def tables(self) -> Collection[Any]:
        """Where its rows are."""

    def settle(self, state: Callable[[], Any], values: Mapping[str, Any]) -> None:
        """Told what the row of an instance is in the database once that is known."""


class Identity(NamedTuple):
    """Which row of a class, as SQLAlchemy knows it.

    Attributes:
        key: Its primary key.
        token: Where it is, if rows of several databases are in one session: the shard; None else.
    """

    key: tuple[Hashable, ...]
    token: Hashable


Key = tuple[Watch, Identity]
"""Who watches, and which row."""

_WORKS: Final = "_otel_incident_works"
"""Where a session keeps what it has done, by who follows it."""


class FirstCommander(NamedTuple):
    """Who commands an incident from its creation on, which hosts say when its row is there already."""

    tables: frozenset[Any]
    identity: Identity
    commander: Id | None


@final
@dataclass(eq=False, slots=True)
class Row:
    """A row that was written in a transaction or savepoint.

    Attributes:
        before: What its watched attributes were when the outermost transaction began, as far as it is known.
        base: What they were when this savepoint began.
        after: What they are.
        fresh: Whether it was made in the same transaction.
        events: What to report once it is committed.
        sink: Takes these.
        state: SQLAlchemy's of the instance that wrote it; None once that is gone.
        first: Who becomes the first commander of an incident of the same transaction; None for nobody.
    """

    before: Mapping[str, Any]
    base: Mapping[str, Any]
    after: Mapping[str, Any]
    fresh: bool
    events: tuple[IncidentEvent, ...]
    sink: Callable[[IncidentEvent], None]
    state: Callable[[], Any]
    first: FirstCommander | None = None


@final
@dataclass(eq=False, slots=True)
class _Work:
    """What a session has done, by transaction or savepoint; whom the flush at hand concerns; and where.

    And who has read what it has done, last: SQLAlchemy's states, as a session may drop an instance that has
    written a row.

    Where: by connection, in which transaction or savepoint of the connection's the session's own is, as far
    as that is known by now.
    """

    rows: dict[Any, dict[Key, Row]] = field(default_factory=dict)
    touched: list[Callable[[], None]] = field(default_factory=list)
    connections: dict[Any, Any] = field(default_factory=dict)
    readers: dict[Key, Callable[[], Any]] = field(default_factory=dict)

    def goes_on(self) -> bool:
        """Whether a session that was closed is within a transaction of a connection's that goes on."""
        within = self.connections.values()
        return bool(within) and all(each is not None and each.is_active for each in within)


@final
class SqlAlchemySessions:
    """Follows the transactions of all sessions in which something watched was written."""

    def __init__(self) -> None:
        self._active = False
        self._undo: list[Callable[[], None]] = []
        self._joined = JoinedTransactions()
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._at_work: weakref.WeakSet[Any] = weakref.WeakSet()

    def install(self) -> None:
        """Listen to sessions as soon as SQLAlchemy's are imported; once, however often called."""
        if not self._active:
            self._active = True
            self._undo.append(when_imported(MODULE, fail_open("hook")(self._listen)))

    def uninstall(self) -> None:
        """Listen no longer."""
        self._active = False
        while self._undo:
            self._undo.pop()()
        for session in list(self._at_work):
            self._done(session)
        self._joined.uninstall()

    def _listen(self, orm: Any) -> None:
        if not self._active or too_old():
            return
        for name, listener in (
            ("after_flush", self._flushed),
            ("after_commit", self._committed),
            ("after_transaction_end", self._ended),
        ):
            self._undo.append(listen(orm.Session, name, listener, insert=True))

    # -- for those who watch

    def works(self, session: Any) -> bool:
        """Whether a session has written something that waits; most of the time no session has."""
        return bool(self._at_work) and self._work_of(session) is not None

    def after_flush(self, session: Any, connection: Any, call: Callable[[], None]) -> None:
        """Have something called at the end of the flush at hand on a connection, if it succeeds."""
        self._work(session).touched.append(call)
        self.works_on(session, connection)

    def works_on(self, session: Any, connection: Any) -> None:
        """Know on which connection a session has written something."""
        connections = self._work(session).connections
        connections.setdefault(connection, None)
        if session.get_nested_transaction() is None:
            connections[connection] = _innermost(connection)

    def works_past_flushes(self, session: Any) -> None:
        """Know that a session has written something otherwise: on any of the connections that it is using.

        SQLAlchemy does not tell on which. Nobody is asked for it either: the host's own `get_bind` may answer
        otherwise the second time, with a connection that nobody has opened yet.
        """
        # private, as the public event tells only of what begins while somebody listens to every session
        for connection, *_ in getattr(session.get_transaction(), "_connections", {}).values():
            self.works_on(session, connection)

    def watch(self, watch: Watch) -> None:
        """Know of somebody who watches a class."""
        self._watches.add(watch)

    def made(self, session: Any, tables: frozenset[Any], identity: Identity) -> bool:
        """Whether a watched row was made in the transaction of a session.

        Args:
            session: The session.
            tables: It is in one of these.
            identity: Which.
        """
        for watch in list(self._watches):
            row = None if tables.isdisjoint(watch.tables) else self.row(session, (watch, identity))
            if row is not None and row.fresh:
                return True
        return False

    def row(self, session: Any, key: Key) -> Row | None:
        """What waits of a row."""
        work = self._work_of(session)
        transaction = _current(session) if work is not None else None
        while work is not None and transaction is not None:
            row = work.rows.get(transaction, {}).get(key)
            if row is not None:
                return row
            transaction = transaction.parent
        return None

    def waits(self, session: Any, key: Key) -> bool:
        """Whether a row waits in a session that works."""
        return any(key in rows for rows in self._work(session).rows.values())

    def read(self, session: Any, key: Key, state: Callable[[], Any]) -> None:
        """Know of an instance that has read a row that waits: it is told if that is undone."""
        self._work(session).readers[key] = state

    def put(self, session: Any, key: Key, row: Row) -> None:
        """Have a row wait for the transaction or savepoint at hand."""
        rows = self._work(session).rows.setdefault(_current(session), {})
        earlier = rows.pop(key, None)  # to the end: in the order of the last change
        if earlier is not None:
            row.base = earlier.base
        rows[key] = row

    def _work(self, session: Any) -> _Work:
        work = self._work_of(session)
        if work is None:
            # A dictionary of ours with weak keys would not do: a transaction leads to its session.
            work = vars(session).setdefault(_WORKS, {})[self] = _Work()
            self._at_work.add(session)
        return work

    def _work_of(self, session: Any) -> _Work | None:
        works: Mapping[SqlAlchemySessions, _Work] | None = vars(session).get(_WORKS)
        return works.get(self) if works is not None else None

    def _done(self, session: Any) -> None:
        self._at_work.discard(session)
        works = vars(session).get(_WORKS, {})
        works.pop(self, None)
        if not works:
            vars(session).pop(_WORKS, None)

    # -- what SQLAlchemy tells

    def _flushed(self, session: Any, _context: Any) -> None:
        work = self._work_of(session)
        if work is not None:
            touched, work.touched = work.touched, []
            for call in touched:
                fail_open("hook")(call)()

    def _committed(self, session: Any) -> None:
        work = self._work_of(session)
        if work is None:
            return
        savepoint = session.get_nested_transaction()
        if savepoint is None:
            self._ended_well(work, work.rows.pop(session.get_transaction(), {}))
            self._done(session)
            return
        owner = _owner(savepoint.parent)
        if owner.parent is None:
            work.connections = {each: _innermost(each) for each in work.connections}
        around = work.rows.setdefault(owner, {})
        for key, row in work.rows.pop(savepoint, {}).items():
            outer = around.pop(key, None)
            if outer is not None:
                row.base = outer.base
            around[key] = row

    def _ended_well(self, work: _Work, rows: Mapping[Key, Row]) -> None:
        """A session has committed; so have its connections, unless it is within a transaction of theirs."""
        for (watch, _), row in rows.items():
            fail_open("hook")(watch.settle)(row.state, row.after)
        around = next((each for each in work.connections if each.in_transaction()), None)
        if around is None:
            _report(rows)
        else:
            self._joined.wait(around, partial(_report, rows), partial(_forget, rows, work.readers))

    def _ended(self, session: Any, transaction: Any) -> None:
        work = self._work_of(session)
        if work is None:
            return
        work.touched.clear()  # of a flush that failed
        rows = work.rows.pop(transaction, {})
        if transaction.parent is None and work.goes_on():
            self._ended_well(work, rows)
        else:
            _forget(rows, work.readers)
        if transaction.parent is None:
            self._done(session)


def _current(session: Any) -> Any:
    """The savepoint that a session is in, or its transaction."""
    return session.get_nested_transaction() or session.get_transaction()


def _innermost(connection: Any) -> Any:
    """The savepoint that a connection is in, or its transaction."""
    return connection.get_nested_transaction() or connection.get_transaction()


def _owner(transaction: Any) -> Any:
    """The transaction or savepoint to which a part of it belongs: each flush is one of SQLAlchemy's own."""
    while transaction.parent is not None and not transaction.nested:
        transaction = transaction.parent
    return transaction


@fail_open("hook")
def _complete_creations(rows: Mapping[Key, Row]) -> None:
    """Only now is it known which of the transaction's rows stay."""
    firsts: dict[Identity, list[FirstCommander]] = {}
    for row in rows.values():
        if row.first is not None:
            firsts.setdefault(row.first.identity, []).append(row.first)
    for (watch, identity), row in rows.items() if firsts else ():
        for first in firsts.get(identity, ()):
            if not first.tables.isdisjoint(watch.tables):
                row.events = tuple(with_first_commander(event, first.commander) for event in row.events)


def _report(rows: Mapping[Key, Row]) -> None:
    _complete_creations(rows)
    events = [(event.timestamp or 0, event, row.sink) for row in rows.values() for event in row.events]
    for _, event, sink in sorted(events, key=itemgetter(0)):
        fail_open("hook")(sink)(on_recording_span(event))


def _forget(rows: Mapping[Key, Row], readers: Mapping[Key, Callable[[], Any]]) -> None:
    for key, row in rows.items():
        for state in filter(None, (row.state, readers.get(key))):
            fail_open("hook")(key[0].settle)(state, row.base)
