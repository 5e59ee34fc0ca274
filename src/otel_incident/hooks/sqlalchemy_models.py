"""`model` hooks for SQLAlchemy: transitions of a row's columns, reported once they are committed.

What a row was before is taken from the history that SQLAlchemy keeps of a change, and where that has none
(the attribute had expired, as after each commit) from what the instance was when it was last read or written.
Nothing is ever loaded for it. Attributes are read at the end of a flush, when keys are known and nothing has
expired yet; what a transaction makes of a row waits for its end (`sqlalchemy_sessions`).

Blind by nature: raw SQL, and what has no instance: statements on rows that are in no session, Core, and
the `bulk_*` methods on mappings, all of which are counted.
"""

from __future__ import annotations

import time
import weakref
from dataclasses import replace
from functools import partial
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast, final

from opentelemetry.context import get_current

from otel_incident.hooks.actors import request_user
from otel_incident.hooks.extraction import event_of, incident_of
from otel_incident.hooks.sqlalchemy_events import listen
from otel_incident.hooks.sqlalchemy_meta import identity_keys, required_attribute
from otel_incident.hooks.sqlalchemy_related import RelatedRows
from otel_incident.hooks.sqlalchemy_sessions import Identity, Row
from otel_incident.hooks.transitions import Fields, as_done, created_actions, differing, transitions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks.complaints import Complaints
    from otel_incident.hooks.definitions import Hook
    from otel_incident.hooks.sqlalchemy_meta import Attribute
    from otel_incident.hooks.sqlalchemy_sessions import SqlAlchemySessions
    from otel_incident.vocabulary import Action

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@final
class MappedRows:
    """Watches the rows of one class, with those of its descendants.

    Args:
        hook: A hook of kind `model`.
        mapper: Of its class, configured.
        sessions: Follows the transactions.
        complaints: What is said of the hook.
        sink: Takes the events.

    Raises:
        UnknownFieldError: The class has no column for a field of the hook.
    """

    def __init__(
        self,
        hook: Hook,
        mapper: Any,
        sessions: SqlAlchemySessions,
        complaints: Complaints,
        sink: Callable[[IncidentEvent], None],
    ) -> None:
        self._hook, self._sessions, self._complaints, self._sink = hook, sessions, complaints, sink
        from sqlalchemy.orm import QueryableAttribute, Session  # noqa: PLC0415  the host's library, which is at work
        from sqlalchemy.sql import ClauseElement  # noqa: PLC0415  the same

        self._expressions = ClauseElement, QueryableAttribute
        stage = cast("str", hook.stage.source) if hook.stage else ""
        row_field = hook.row.field if hook.row else ""
        wanted = (hook.lifecycle_field, hook.commander_field, stage, row_field)
        found = {name: required_attribute(mapper, name) for name in wanted if name}
        self._fields = Fields.of(hook, {name: each.key for name, each in found.items()})
        self._undo: list[Callable[[], None]] = []
        self._related: RelatedRows | None = None
        self._steady: Mapping[str, Attribute] = {}
        if hook.row is not None or hook.conditions:
            self._related = RelatedRows(hook, mapper, sessions, complaints)
            self._steady = self._related.attributes
            self._undo.append(self._related.uninstall)
        self._attributes = {**self._steady, **{each.key: each for each in found.values()}}
        self._mapper = mapper
        self.tables: tuple[Any, ...] = tuple(mapper.tables)
        sessions.watch(self)
        # what is in an instance's history if one of these may change: a relation may set its key later
        self._touching = {key for each in self._attributes.values() for key in (each.key, *each.relations)}
        self._identity_keys = identity_keys(mapper)
        self._memory: weakref.WeakKeyDictionary[Any, Mapping[str, Any]] = weakref.WeakKeyDictionary()
        for name, listener in (
            ("load", self._loaded),
            ("refresh", self._refreshed),
            ("after_insert", self._inserted),
            ("before_update", self._updating),
            ("after_update", self._updated),
        ):
            self._undo.append(listen(mapper.class_, name, listener, raw=True, propagate=True))
        # in a flush or by a statement
        self._undo.append(listen(Session, "persistent_to_deleted", self._deleted, raw=True))
        self._undo.append(listen(Session, "detached_to_persistent", self._attached, raw=True))
        self.names = frozenset(name for each in found.values() for name in (each.key, each.column))
        """The watched columns, by what instances and the database call them."""

    def uninstall(self) -> None:
        """Listen no longer."""
        while self._undo:
            self._undo.pop()()

    # -- what SQLAlchemy tells; `state` is its own record of an instance

    def _loaded(self, state: Any, _context: Any) -> None:
        self._memory[state] = self._plain(state.dict)
        if self._waits(state):
            self._sessions.read(state.session, (self, self._identity(state)), weakref.ref(state))

    def _refreshed(self, state: Any, context: Any, names: Collection[str]) -> None:
        read = self._unchanged(state)
        if context is not None:
            self._memory[state] = {**self._memory.get(state, _NOTHING), **read}
            return
        # What a statement has made of a row that its session holds: nobody else tells of it. What the
        # instance does not hold is not known any longer.
        written = {key: read[key] for key in read if key in names}
        lost = {key for key in self._attributes if key in names and key not in read}
        if state.session is not None and (written or lost):
            self._sessions.works_past_flushes(state.session)
        if state.session is not None and written:
            self._changed(state.session, state, {}, written)
        if state.session is not None and lost:
            self._lose(state.session, state, lost)

    def _attached(self, _session: Any, state: Any) -> None:
        """A detached instance came into a session: nobody has told of one that was unpickled."""
        if state not in self._memory and state.mapper.isa(self._mapper):
            self._memory[state] = self._unchanged(state)

    def _inserted(self, _mapper: Any, connection: Any, state: Any) -> None:
        written = partial(self._written, state.session, state, fresh=True)
        self._sessions.after_flush(state.session, connection, written)

    def _updating(self, _mapper: Any, connection: Any, state: Any) -> None:
        """Note what the database is to compute, of which the instance knows nothing when it is done."""
        if self._touching.isdisjoint(state.committed_state):
            return
        held = {key: state.dict[key] for key in self._attributes if key in state.dict}
        computed = held.keys() - self._plain(held).keys()
        if computed:
            lose = partial(self._lose, state.session, state, computed)
            self._sessions.after_flush(state.session, connection, lose)

    def _updated(self, _mapper: Any, connection: Any, state: Any) -> None:
        # the events of a row that waits may hold more of it than is watched
        if not self._touching.isdisjoint(state.committed_state) or self._waits(state):
            written = partial(self._written, state.session, state)
            self._sessions.after_flush(state.session, connection, written)

    def _deleted(self, session: Any, state: Any) -> None:
        if self._sessions.works(session) and state.mapper.isa(self._mapper):
            self._gone(session, state)

    # -- at the end of a flush, when all is written and the history is still there

    def _written(self, session: Any, state: Any, *, fresh: bool = False, flushed: bool = True) -> None:
        was: dict[str, Any] = {}
        now: dict[str, Any] = {}
        for key in self._attributes:
            added, unchanged, deleted = state.attrs[key].history
            if added:
                now[key] = added[0]
                if deleted:
                    was[key] = deleted[0]
            elif unchanged:
                was[key] = now[key] = unchanged[0]
            elif fresh and flushed and key not in state.expired_attributes:
                now[key] = None  # what is not set is NULL, unless the database has a default
        if not flushed:  # no flush has ended the instance's history, which may go further back
            was = {key: value for key, value in was.items() if key not in self._memory.get(state, _NOTHING)}
        plain = self._plain(now)
        self._changed(session, state, self._plain(was), plain, lost=now.keys() - plain.keys(), fresh=fresh)

    def saved(self, session: Any, state: Any, *, fresh: bool) -> bool:
        """An instance was saved without a flush; gives whether its key is known."""
        if None in self._identity(state).key:
            return False
        self._sessions.works_past_flushes(session)
        self._written(session, state, fresh=fresh, flushed=False)
        return True

    def _lose(self, session: Any, state: Any, names: Collection[str]) -> None:
        known = self._memory.get(state, _NOTHING)
        self._memory[state] = {key: value for key, value in known.items() if key not in names}
        self._changed(session, state, {}, {}, lost=names)

    def _gone(self, session: Any, state: Any) -> None:
        key = (self, self._identity(state))
        waiting = self._sessions.row(session, key)
        if waiting is None or not waiting.fresh:
            return
        writer = waiting.state()
        # pending: the flush at hand has put it in the place of the deleted one, and is not done
        if writer is None or not writer.pending:  # to everybody else it has never been there
            self._sessions.put(session, key, replace(waiting, base=waiting.after, events=(), first=None))

    def _changed(
        self,
        session: Any,
        state: Any,
        was: Mapping[str, Any],
        now: Mapping[str, Any],
        *,
        lost: Collection[str] = (),
        fresh: bool = False,
    ) -> None:
        """A row was written.

        Args:
            session: In which.
            state: SQLAlchemy's of its instance.
            was: What it was before, as far as that is known here.
            now: What it is, as far as that is known.
            lost: What the database has computed: nobody knows it until it is read.
            fresh: Whether it was made.
        """
        key = (self, self._identity(state))
        waiting = self._sessions.row(session, key)
        if fresh:
            waiting, base = None, {}
        else:
            known = self._memory.get(state, _NOTHING) if waiting is None else waiting.after
            base = {**known, **was}
        after = {name: value for name, value in base.items() if name not in lost} | dict(now)
        changed = differing(base, after)
        if waiting is None:
            if not changed and not fresh:
                return
            before: Mapping[str, Any] = base
        else:
            before, fresh = {**base, **waiting.before}, waiting.fresh
        if fresh and self._hook.row is not None and self._related is not None:
            actions = self._related.created(session, self._fields, after, key[1].token)
        elif fresh:
            actions = created_actions(self._fields, after)
        else:
            actions = transitions(self._fields, before, after, fresh=False)
        earlier = waiting.events if waiting is not None else ()
        events = self._events(state, actions, after, changed, earlier) if actions else ()
        first = None
        if fresh and self._related is not None:
            roots = {"self": self._instance(state, after), "user": request_user()}
            first = self._related.first_commander(session, self._fields, roots, after, key[1].token)
        writer = weakref.ref(state)
        row = Row(before, base, after, fresh, events, self._sink, writer, first)
        self._sessions.put(session, key, row)

    def _events(
        self,
        state: Any,
        actions: tuple[Action, ...],
        after: Mapping[str, Any],
        changed: Collection[str],
        earlier: tuple[IncidentEvent, ...],
    ) -> tuple[IncidentEvent, ...]:
        """The events of a row as it is now; what an earlier flush has done, was done then."""
        hook, now, context = self._hook, time.time_ns(), get_current()
        roots = {"self": self._instance(state, after), "user": request_user()}
        if self._related is not None and not self._related.hold(roots, after):
            return ()
        closed = self._fields.is_closed(after)
        incident = incident_of(hook, roots, active=None if closed is None else not closed)
        if incident.id is None:
            self._complaints.no_id(hook.incident["id"].text)
        stage = after.get(self._fields.stage)
        events = [
            event_of(hook, action, incident, roots, stage=stage, timestamp=now, context=context)
            for action in actions
        ]
        return as_done(self._fields, events, earlier, changed)

    def _instance(self, state: Any, after: Mapping[str, Any]) -> Any:
        """An instance for paths, with what is known of its incident and its kind where that has expired."""
        held = state.dict
        kept = {key: after[key] for key in self._steady if key in after and key not in held}
        return SimpleNamespace(**{**held, **kept}) if kept else state.obj()

    def settle(self, state: Callable[[], Any], values: Mapping[str, Any]) -> None:
        """Know what a row is in the database.

        Args:
            state: SQLAlchemy's of an instance of it; None once that is gone.
            values: Of the watched attributes, as far as they are known.
        """
        alive = state()
        if alive is not None:
            self._memory[alive] = values

    def _unchanged(self, state: Any) -> dict[str, Any]:
        """What an instance holds as it was read."""
        held, changing = state.dict, state.committed_state
        return self._plain(
            {key: held[key] for key in self._attributes if key in held and key not in changing}
        )

    def _waits(self, state: Any) -> bool:
        """Whether a row was written earlier in the transaction; most of the time none was."""
        session = state.session
        return self._sessions.works(session) and self._sessions.waits(session, (self, self._identity(state)))

    def _identity(self, state: Any) -> Identity:
        if state.key is not None:
            _, key, *token = state.key  # `bulk_save_objects` of SQLAlchemy before 2.0.30 leaves out the token
            return Identity(key, token[0] if token else state.identity_token)
        held = state.dict
        return Identity(tuple(held.get(key) for key in self._identity_keys), state.identity_token)

    def _plain(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The watched values as hook files know them; without those that the database computes."""
        return {
            key: each.plain(values[key])
            for key, each in self._attributes.items()
            if key in values and not issubclass(type(values[key]), self._expressions)
        }
