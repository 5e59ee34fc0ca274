"""What was saved in Django and waits for the transaction of its connection.

Of each row only the last save that stays is reported: what the row was before the transaction against what it
is after it. What instances read of it in between is not what it was: rolled back, it never was that. Nothing
here takes longer the more changes wait, except to go through those that a savepoint takes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, final

from otel_incident.guard import fail_open
from otel_incident.hooks.rows import with_first_commander

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks.django_rows import Outcome


class Watch(Protocol):
    """Who watches a model."""

    def watches(self, model: Any) -> bool:
        """Whether it watches the rows of a model."""


Row = tuple[Watch, str, Any]
"""Who watches, the database's alias, the primary key."""


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
        outcome: Told what becomes of the row; all changes of one row share it.
        first: Who becomes the first commander of an incident of the same transaction; None for nobody.
        place: Where it stands among the connection's callbacks.
        earlier: The last change of the same row before it.
        superseded: Whether there is a later one.
        undone: Whether a savepoint before it was rolled back.
        told: Whether Django has called it.
    """

    row: Row
    base: Mapping[str, Any]
    after: Mapping[str, Any]
    fresh: bool
    events: tuple[IncidentEvent, ...]
    sink: Callable[[IncidentEvent], None]
    outcome: Outcome
    first: FirstCommander | None = None
    place: int = -1
    earlier: Change | None = None
    superseded: bool = False
    undone: bool = False
    told: bool = False

    def __call__(self) -> None:
        """Called by Django without our part in it, as in a host's own tests, which may do so twice."""
        told, self.told = self.told, True
        if self.stays and not told:
            report([self])

    @property
    def stays(self) -> bool:
        """Whether it was not undone, and no later one of its row has taken its place."""
        return not (self.undone or self.superseded)

    def before(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the row was before the transaction.

        Args:
            values: What an instance is known to have been, which may have been read in the transaction.
        """
        return {**{name: value for name, value in values.items() if name not in self.after}, **self.base}

    def settle(self) -> None:
        """It is committed."""
        self.outcome.committed = self.after


@final
class Waiting:
    """The changes that wait on one connection."""

    __slots__ = ("_changes", "_rows", "_savepoints")

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._rows: dict[Row, Change] = {}
        self._savepoints: dict[Any, int] = {}

    def is_left_of(self, callbacks: list[Any]) -> bool:
        """Whether Django has dropped them, with a transaction that nobody told us the end of.

        Args:
            callbacks: What Django has for the commit.
        """
        if not self._changes:
            return False
        last = self._changes[-1]
        return last.place >= len(callbacks) or callbacks[last.place][1] is not last

    def may_have(self, row: Row) -> bool:
        """Whether a change of a row waits, or waited for a transaction that may have ended."""
        return row in self._rows

    def of(self, row: Row) -> Change | None:
        """The last change of a row, unless it counts as committed."""
        change = self._rows.get(row)
        return None if change is None or change.told else change

    def rows(self, watch: Watch) -> list[Row]:
        """All rows of one who watches."""
        return [row for row in self._rows if row[0] is watch]

    def add(self, change: Change) -> None:
        """One more."""
        change.earlier = self._rows.get(change.row)
        if change.earlier is not None:
            change.earlier.superseded = True
        change.outcome.expected = change.after
        self._rows[change.row] = change
        self._changes.append(change)

    def mark(self, savepoint: Any) -> None:
        """A savepoint was made."""
        self._savepoints[savepoint] = len(self._changes)

    def undo(self, savepoint: Any) -> None:
        """A savepoint was rolled back; one that was made before anything waited, if it was not marked."""
        since = self._savepoints.get(savepoint, 0)
        while len(self._changes) > since:
            change = self._changes.pop()
            change.undone = True
            change.outcome.expected = None
            if change.earlier is None:
                del self._rows[change.row]
            else:
                change.earlier.superseded = False
                change.earlier.outcome.expected = change.earlier.after
                self._rows[change.row] = change.earlier

    def end(self) -> None:
        """Nothing is expected any longer: it is committed, as it is told then, or has not been."""
        for change in self._changes:
            change.outcome.expected = None

    def settle(self) -> None:
        """They count as committed: Django may still call them, to say so."""
        changes = [change for change in self._changes if change.stays]
        complete_creations(changes)
        for change in changes:
            change.settle()


@fail_open("hook")
def report(changes: Collection[Change]) -> None:
    """Changes are committed: each event in its turn, whichever rows came in between."""
    for change in changes:
        change.settle()
    events = [(event.timestamp or 0, event, change.sink) for change in changes for event in change.events]
    for _, event, sink in sorted(events, key=itemgetter(0)):
        fail_open("hook")(sink)(event)


@fail_open("hook")
def complete_creations(changes: Iterable[Change]) -> None:
    """Only at the end is it known which of a transaction's rows stay, and who commands them first."""
    changes = list(changes)
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
