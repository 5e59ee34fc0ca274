"""Statements that write rows past their instances, which nobody can report in full: said once, and counted.

A session brings the rows that it holds up to date with such an UPDATE, and these are reported. Of the others
nothing is known but that there may be some, and of an INSERT not even the keys. Statements of Core's, on the
table of a class, pass sessions by, so connections are watched; by wrapping their methods, since to listen to
an engine costs each of the host's statements 3 µs, and this a tenth of it. Raw SQL is seen by nobody.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, final

from otel_incident.guard import fail_open
from otel_incident.hooks.patching import replace
from otel_incident.hooks.sqlalchemy_events import listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from otel_incident.hooks.complaints import Complaints


_IN_SESSION: Final = "otel_incident_in_session"
"""An option of statements, which SQLAlchemy hands from the session to the connection."""
_OF_ORM: Final = "compiled_cache"
"""An option that the statements of flushes have, and of the `bulk_*` methods: a mapper's own cache."""


@final
class Statements:
    """Counts the statements of all sessions on one class and its descendants.

    Args:
        mapper: Of the class; it need not be configured, which a process's first statement may have done.
        names: The watched columns, by what instances and the database call them, as far as that is known.
        target: How the hook calls the class.
        complaints: What is said of the hook.
    """

    def __init__(
        self, mapper: Any, names: Callable[[], frozenset[str]], target: str, complaints: Complaints
    ) -> None:
        from sqlalchemy.engine import Connection  # noqa: PLC0415  the host's library, which is at work
        from sqlalchemy.orm import Session  # noqa: PLC0415  the same

        self._mapper, self._names, self._target, self._complaints = mapper, names, target, complaints
        self._count = 0
        self._silent = False
        self._undo = [listen(Session, "do_orm_execute", self._executed)]
        for name in ("execute", "scalar", "scalars"):
            self._undo.append(replace(Connection, name, self._watching))

    def uninstall(self) -> None:
        """Listen no longer."""
        while self._undo:
            self._undo.pop()()

    def silence(self) -> None:
        """Say nothing more: the hook is wrong. Our listener stays, as SQLAlchemy may be about to call it."""
        self._silent = True

    def ended(self) -> None:
        """The process ends: say how many there were, if more than the one that was said."""
        if self._count > 1:
            self._complaints.say(
                "rows of %s were written by %s statements in this process.", self._target, str(self._count)
            )

    def _executed(self, execution: Any) -> None:
        if execution.is_select:
            return
        mapper = execution.bind_mapper
        if mapper is None or not mapper.isa(self._mapper):
            return
        execution.update_execution_options(**{_IN_SESSION: True})
        if execution.is_insert:
            self.say("inserted by a statement, which tells nobody their keys, so they are not reported")
        elif execution.is_update and self._concerns(execution.statement, execution.parameters):
            self.say("changed by a statement; those that its session holds are reported, others are not")

    def _watching(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        """A method of connections with a look at what it writes: a plain function, which costs least."""
        look = fail_open("hook")(self._core_executed)

        @functools.wraps(execute)
        def executed(connection: Any, *args: Any, **kwargs: Any) -> Any:
            result = execute(connection, *args, **kwargs)
            if getattr(args[0] if args else kwargs.get("statement"), "is_dml", False):
                look(args, kwargs, result)
            return result

        return executed

    def _core_executed(self, args: Any, kwargs: Any, result: Any) -> None:
        options = kwargs.get("execution_options") or ()
        if _OF_ORM in options or _IN_SESSION in options:
            return
        statement = args[0] if args else kwargs["statement"]
        parameters = args[1] if len(args) > 1 else kwargs.get("parameters")
        if statement.table not in self._mapper.tables or not getattr(result, "rowcount", 1):
            return
        if statement.is_insert:
            self.say("inserted by a statement of Core's, which no session knows of, so they are not reported")
        elif statement.is_update and self._concerns(statement, parameters):
            self.say("changed by a statement of Core's, which no session knows of, so they are not reported")

    def _concerns(self, statement: Any, parameters: Any) -> bool:
        written = set(_written(statement, parameters))
        return not written or not written.isdisjoint(self._names())

    def say(self, what: str) -> None:
        """Say what was done to rows that are not reported, once, and count it.

        Args:
            what: Words of ours.
        """
        if self._silent:
            return
        self._count += 1
        self._complaints.say(f"rows of %s were {what}. This is said once.", self._target)


def _written(statement: Any, parameters: Mapping[str, Any] | list[Mapping[str, Any]] | None) -> Iterator[str]:
    """The columns that an UPDATE sets, as far as they can be told."""
    for column in getattr(statement, "_values", None) or ():
        yield getattr(column, "key", column)
    each = parameters if isinstance(parameters, list) else [parameters or {}]
    for names in each:
        yield from names
