"""Rows in SQLAlchemy that are no incidents but belong to one, and which rows of a class a hook is about.

A host that writes a role seldom holds what its kind is called, only that row's key, and after a commit not
even that. It has read both before, though: what the rows that a condition asks about were when the host
last read them is remembered here, by key. Nothing here asks the database.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, final

from otel_incident.hooks.extraction import incident_of
from otel_incident.hooks.rows import Kinds, all_hold, meant
from otel_incident.hooks.sqlalchemy_events import listen
from otel_incident.hooks.sqlalchemy_meta import attribute, identity_keys, member, required_attribute
from otel_incident.hooks.sqlalchemy_sessions import FirstCommander, Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from otel_incident.hooks.complaints import Complaints
    from otel_incident.hooks.definitions import Hook
    from otel_incident.hooks.paths import Path
    from otel_incident.hooks.sqlalchemy_meta import Attribute
    from otel_incident.hooks.sqlalchemy_sessions import SqlAlchemySessions
    from otel_incident.hooks.transitions import Fields
    from otel_incident.vocabulary import Action


@final
class RelatedRows:
    """What `[hook.row]` and `[hook.when]` of a hook say of one class.

    Args:
        hook: A hook of kind `model`.
        mapper: Of its class, configured.
        sessions: Know which incidents were made in a transaction.
        complaints: What is said of the hook.

    Attributes:
        attributes: The columns that are to be known of a row, by the names under which instances hold them.

    Raises:
        UnknownFieldError: The class has no column for a field of `[hook.row]`.
    """

    def __init__(self, hook: Hook, mapper: Any, sessions: SqlAlchemySessions, complaints: Complaints) -> None:
        self._hook, self._sessions, self._complaints = hook, sessions, complaints
        self._remembered: dict[Path, tuple[str, Kinds]] = {}
        self._undo: list[Callable[[], None]] = []
        self.attributes: dict[str, Attribute] = {}
        self._field = self._of = ""
        self._tables: frozenset[Any] = frozenset()
        self._is_itself = False
        if hook.row is not None:
            of = required_attribute(mapper, hook.row.of)
            self.attributes[of.key] = of
            self._of, self._tables = of.key, _tables(mapper, of)
            self._is_itself = identity_keys(mapper) == (of.key,) and not self._tables
            if hook.row.field:
                self._field = required_attribute(mapper, hook.row.field).key
        for condition in hook.conditions:
            self._remember(mapper, condition.path)

    def uninstall(self) -> None:
        """Listen no longer."""
        while self._undo:
            self._undo.pop()()

    def created(
        self, session: Any, fields: Fields, after: Mapping[str, Any], token: Hashable
    ) -> tuple[Action, ...]:
        """What a new row means.

        Args:
            session: In which it was made.
            fields: Which are watched.
            after: What they are.
            token: Where the row is, and so the incident that it belongs to.
        """
        row = self._hook.row
        if row is None:
            return ()
        fresh = self._is_itself or self._is_of_new(session, after, token)
        return meant(row, fields.commander, after, self._field, fresh=fresh)

    def first_commander(
        self,
        session: Any,
        fields: Fields,
        roots: Mapping[str, Any],
        after: Mapping[str, Any],
        token: Hashable,
    ) -> FirstCommander | None:
        """Whom a new row makes the first commander of a new incident; None for nobody.

        Args:
            session: In which it was made.
            fields: Which are watched.
            roots: Where the hook's paths begin.
            after: What the row's watched fields are.
            token: Where the row is, and so the incident.
        """
        if self._hook.row is None or after.get(fields.commander) is None:
            return None
        if not self._is_of_new(session, after, token) or not self.hold(roots, after):
            return None
        commander = incident_of(self._hook, roots).commander_id
        return FirstCommander(self._tables, Identity((after[self._of],), token), commander)

    def _is_of_new(self, session: Any, after: Mapping[str, Any], token: Hashable) -> bool:
        """Whether the incident that a row belongs to was made in the same transaction."""
        of = after.get(self._of)
        return of is not None and self._sessions.made(session, self._tables, Identity((of,), token))

    def hold(self, roots: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """Whether a row is one of those that the hook is about."""
        find = partial(self._find, roots, after)
        return all_hold(self._hook.conditions, roots, find, self._complaints)

    def _find(self, roots: Mapping[str, Any], after: Mapping[str, Any], path: Path) -> object:
        found = path.resolve(roots)
        if found is None and path in self._remembered:
            column, values = self._remembered[path]
            found = values.get(after.get(column))
        return member(found)

    def _remember(self, mapper: Any, path: Path) -> None:
        """Have what a path of a condition begins with known, and what it leads to by way of a relation."""
        if path.root != "self" or path.fold != "value":
            return
        first, *more = path.segments
        own = attribute(mapper, str(first))
        if own is None:
            return
        self.attributes[own.key] = own
        relation = mapper.relationships.get(first)
        if relation is None or len(more) != 1 or len(relation.remote_side) != 1:
            return
        (remote,) = relation.remote_side
        key = relation.mapper.get_property_by_column(remote).key
        kinds = Kinds()
        self._remembered[path] = own.key, kinds

        def learn(state: Any, *_: Any) -> None:
            kinds.learn(state.dict.get(key), member(state.dict.get(more[0])))

        def written(_mapper: Any, _connection: Any, state: Any) -> None:
            learn(state)

        for name, listener in (
            ("load", learn),
            ("refresh", learn),
            ("after_insert", written),
            ("after_update", written),
        ):
            undo = listen(relation.mapper.class_, name, listener, raw=True, propagate=True)
            self._undo.append(undo)


def _tables(mapper: Any, of: Attribute) -> frozenset[Any]:
    """The tables of the incident to which a column leads; none where it leads nowhere, as a row's own key."""
    related = [mapper.relationships[name].mapper for name in of.relations]
    known = {table for each in related for table in each.tables}
    (column, *_) = mapper.attrs[of.key].columns
    return frozenset(known or {key.column.table for key in column.foreign_keys})
