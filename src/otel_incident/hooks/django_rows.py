"""What is known of a row in Django: what an instance held when it was read, and what waits for a commit.

Nothing here asks the database. What an instance was is kept on the instance, in plain values, so
that it can be pickled; what was saved in a transaction stays with the transaction, in the callbacks
that Django drops when it, or a savepoint in it, is rolled back.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from otel_incident.guard import fail_open

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_incident.events import IncidentEvent

Row = tuple[object, str, Any]
"""Who watches, the database's alias, the primary key."""

_WAITING: Final = "_otel_incident_waiting"


@final
class Memory:
    """What the instances of a model are known to be in the database, as far as that is known.

    Args:
        key: Tells this memory from others on the same instances.
    """

    __slots__ = ("_attribute",)

    def __init__(self, key: str) -> None:
        self._attribute = f"_otel_incident {key}"

    def keep(self, instance: Any, values: Mapping[str, Any], *, fresh: bool) -> None:
        """Remember what a row is, and whether this instance has made it."""
        setattr(instance._state, self._attribute, {"values": dict(values), "fresh": fresh})  # noqa: SLF001  Django's documented state

    def of(self, instance: Any) -> tuple[dict[str, Any], bool]:
        """What is remembered; nothing of an instance that was read before it was watched."""
        kept = getattr(instance._state, self._attribute, {})  # noqa: SLF001  as above
        return kept.get("values", {}), kept.get("fresh", False)


def held(instance: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """The named fields as far as they are loaded, without loading any, as they are.

    Args:
        instance: An instance of the model.
        names: The fields by the names under which instances hold them.
    """
    loaded = instance.__dict__
    return {name: loaded[name] for name in names if name in loaded}


def stored(values: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the database makes of what an instance holds.

    A host may save "4" in a field of integers, or a member of an enumeration: both are 4 when they
    are read again, so neither is a change. What the database computes itself is not known.
    """
    known = {}
    for name, value in values.items():
        if hasattr(value, "resolve_expression"):
            continue
        try:
            plain = fields[name].to_python(value)
        except Exception:  # noqa: BLE001, S112  the host's field may raise anything; then nothing is known
            continue
        known[name] = plain.value if isinstance(plain, enum.Enum) else plain
    return known


@final
@dataclass(eq=False, slots=True)
class Change:
    """One save that waits for its transaction.

    Django keeps it among the callbacks of the connection and drops it on a rollback, of a savepoint
    too: so what is there is what the row will be if the transaction commits.

    Attributes:
        row: Which row.
        after: What its watched fields are then.
        fresh: Whether the row was made by the same instance or in the same transaction.
        events: What to report.
        commit: Called with the change once it is committed.
        place: Where it stands among the connection's callbacks.
        earlier: The last change of the same row before it.
    """

    row: Row
    after: dict[str, Any]
    fresh: bool
    events: tuple[IncidentEvent, ...]
    commit: Callable[[Change], None]
    place: int = -1
    earlier: Change | None = None

    def __call__(self) -> None:
        """Told by Django that it is committed."""
        fail_open("hook")(self.commit)(self)

    def waits(self, connection: Any) -> bool:
        """Whether Django still has it."""
        callbacks = connection.run_on_commit
        return self.place < len(callbacks) and callbacks[self.place][1] is self


def pending(connection: Any, row: Row) -> Change | None:
    """The last save of a row that waits for the connection's transaction."""
    change: Change | None = connection.__dict__.get(_WAITING, {}).get(row)
    while change is not None and not change.waits(connection):
        change = change.earlier
    return change


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
    connection.on_commit(change)


def _forget_what_ended(connection: Any, waiting: dict[Row, Change]) -> None:
    for row in list(waiting):
        waits = pending(connection, row)
        if waits is None:
            del waiting[row]
        else:
            waiting[row] = waits
