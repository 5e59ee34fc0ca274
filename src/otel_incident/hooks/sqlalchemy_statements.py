"""Statements that write rows past their instances, which nobody can report in full: said once, and counted.

A session brings the rows that it holds up to date with such an UPDATE, and these are reported. Of the others
nothing is known but that there may be some, and of an INSERT not even the keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from otel_incident.hooks.sqlalchemy_events import listen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from otel_incident.hooks.complaints import Complaints


@final
class Statements:
    """Counts the statements of all sessions on one class and its descendants.

    Args:
        mapper: Of the class.
        names: The watched columns, by what instances and the database call them.
        target: How the hook calls the class.
        complaints: What is said of the hook.
    """

    def __init__(self, mapper: Any, names: Collection[str], target: str, complaints: Complaints) -> None:
        from sqlalchemy.orm import Session  # noqa: PLC0415  the host's library, which is at work

        self._mapper, self._names, self._target, self._complaints = mapper, names, target, complaints
        self._count = 0
        self.uninstall: Callable[[], None] = listen(Session, "do_orm_execute", self._executed)

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
        if execution.is_insert:
            self._say("inserted by a statement, which tells nobody their keys, so they are not reported")
        elif execution.is_update and self._concerns(execution.statement, execution.parameters):
            self._say("changed by a statement; those that its session holds are reported, others are not")

    def _concerns(self, statement: Any, parameters: Any) -> bool:
        written = set(_written(statement, parameters))
        return not written or not written.isdisjoint(self._names)

    def _say(self, what: str) -> None:
        self._count += 1
        self._complaints.say(f"rows of %s were {what}. This is said once.", self._target)


def _written(statement: Any, parameters: Mapping[str, Any] | list[Mapping[str, Any]] | None) -> Iterator[str]:
    """The columns that an UPDATE sets, as far as they can be told."""
    for column in getattr(statement, "_values", None) or ():
        yield getattr(column, "key", column)
    each = parameters if isinstance(parameters, list) else [parameters or {}]
    for names in each:
        yield from names
