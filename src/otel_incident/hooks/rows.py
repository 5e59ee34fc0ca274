"""What a hook file says of rows that are no incidents but belong to one, and which rows a hook is about.

Some hosts say in a row of its own what is done with an incident: an entry in its history, a role that
somebody takes. `[hook.row]` says what such a row means, and `[hook.when]` which rows of a model are meant.
Both only look values up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Final, final

from otel_incident.hooks.paths import Path, PathError, compile_path
from otel_incident.vocabulary import ACTIONS, Action

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_incident.events import Id, IncidentEvent
    from otel_incident.hooks.complaints import Complaints
    from otel_incident.hooks.tables import Plain, Table

RELATED: Final = 2
"""How many steps a path takes to a field of a related row."""

_FIELD: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_MOST: Final = 4096
"""How many rows are remembered of one relation; kinds and types are few."""
_SIMPLE: Final = (str, int, bool)


@final
@dataclass(frozen=True, slots=True)
class Row:
    """What a row of an incident means.

    Attributes:
        of: The field that leads to the incident; its own key where the row is the incident, whose creation
            and end are said elsewhere.
        field: Whose value in a new row says what it means; "" where a new row means no action of its own.
        meanings: The values, and the action that each means.
    """

    of: str
    field: str = ""
    meanings: tuple[tuple[Plain, Action], ...] = ()

    def action(self, value: object) -> Action | None:
        """What a new row with this value means; None where it is no action."""
        return next((action for known, action in self.meanings if _alike(known, value)), None)


@final
@dataclass(frozen=True, slots=True)
class Condition:
    """What a path of a row must lead to.

    Attributes:
        path: From the row on.
        values: One of these.
        same_as: Or what this path leads to.
        changed: Or something else than the host has read there, if it wrote it since.
    """

    path: Path
    values: tuple[Plain, ...] = ()
    same_as: Path | None = None
    changed: bool = False

    def holds(self, find: Callable[[Path], object]) -> bool | None:
        """Whether it does; None where nothing is found.

        Args:
            find: Resolves a path.
        """
        found = find(self.path)
        if self.same_as is None:
            return None if found is None else any(_alike(known, found) for known in self.values)
        other = find(self.same_as)
        return None if found is None or other is None else _moment(found) == _moment(other)

    def is_null(self, roots: Mapping[str, object]) -> bool:
        """Whether a row is known to hold NULL there: then the path is right, and the row not meant."""
        return self.path.is_null(roots) or (self.same_as is not None and self.same_as.is_null(roots))

    @property
    def words(self) -> str:
        """It, for people."""
        if self.changed:
            return f"{self.path.text} has been changed"
        if self.same_as is not None:
            return f"{self.path.text} is the same as {self.same_as.text}"
        return f"{self.path.text} is one of {', '.join(map(repr, self.values))}"


def row_of(table: Table) -> Row | None:
    """Read `[hook.row]` of a hook; None where there is none."""
    row = table.table("row")
    if not row:
        return None
    row.allow("of", "field", *ACTIONS)
    if "lifecycle" in table:
        raise table.error("lifecycle", "goes with the model of the incidents themselves, not with [hook.row]")
    of = row.matching("of", _FIELD, "the name of the field that leads to the incident")
    meanings: list[tuple[Plain, Action]] = []
    for action in ACTIONS:
        for value in row.plain_list(action):
            if any(_alike(value, known) for known, _ in meanings):
                raise row.error(action, f"lists {value!r}, which stands twice; a value means one action")
            meanings.append((value, action))
    if "field" in row and not meanings:
        raise row.error("field", f"needs the values that mean an action, as lists under {', '.join(ACTIONS)}")
    if not meanings and "commander" not in table and "stage" not in table:
        raise table.error(
            "row",
            "says of no action when it happens; add `field` and values, [hook.commander] or [hook.stage]",
        )
    field = row.matching("field", _FIELD, "the name of a field of the model") if meanings else ""
    return Row(of, field, tuple(meanings))


def conditions_of(table: Table, roots: tuple[str, ...]) -> tuple[Condition, ...]:
    """Read `[hook.when]` of a hook on a model.

    Args:
        table: The hook.
        roots: What paths begin with.
    """
    when = table.table("when")
    conditions = []
    for key in when.keys():  # noqa: SIM118  a Table is no mapping
        try:
            path = compile_path(key, roots)
        except PathError as error:
            raise when.error(key, str(error)) from error
        if when.is_table(key):
            conditions.append(_compared(path, when.table(key), roots))
        else:
            conditions.append(Condition(path, when.plain_or_list(key)))
    return tuple(conditions)


def _compared(path: Path, table: Table, roots: tuple[str, ...]) -> Condition:
    """Read a condition that says no value."""
    table.allow("path", "changed")
    if "changed" not in table:
        same = table.path("path", roots, required="says what the value must be the same as")
        return Condition(path, same_as=same)
    if "path" in table:
        raise table.error("path", "does not go with `changed`; a value is compared with one thing")
    if table.path_or_flag("changed", roots) is not True:
        raise table.error("changed", "must be true")
    if path.root != "self" or len(path.segments) != RELATED or path.fold != "value":
        raise table.error(
            "changed", f"is for a field of a related row, as in self.incident.end_time, not {path.text}"
        )
    return Condition(path, changed=True)


def meant(
    row: Row, commander: str, after: Mapping[str, object], field: str, *, fresh: bool
) -> tuple[Action, ...]:
    """What a new row means.

    Args:
        row: What the hook says.
        commander: The watched field that says who the commander is, as instances hold it; "" for none.
        after: What the row's watched fields are.
        field: The row's field, as instances hold it.
        fresh: Whether the incident was made in the same transaction: its first commander is no change.
    """
    action = row.action(after.get(field)) if row.field else None
    actions: list[Action] = [] if action is None else [action]
    if commander and not fresh and after.get(commander) is not None:
        actions.append("change_commander")
    return tuple(actions)


def with_first_commander(event: IncidentEvent, commander: Id | None) -> IncidentEvent:
    """An event of an incident that somebody commands from its creation on, which says so.

    Args:
        event: Of the incident; what is no creation, or knows the commander itself, stays as it is.
        commander: Who.
    """
    if event.action != "create" or event.incident.commander_id is not None:
        return event
    return replace(event, incident=replace(event.incident, commander_id=commander))


def all_hold(
    conditions: tuple[Condition, ...],
    roots: Mapping[str, object],
    find: Callable[[Path], object],
    complaints: Complaints,
) -> bool:
    """Whether a row is one of those that a hook is about; one of which that is not known is none.

    Args:
        conditions: Of the hook.
        roots: Where its paths begin.
        find: Resolves a path.
        complaints: What is said of the hook.
    """
    for condition in conditions:
        holds = condition.holds(find)
        if holds is None and not condition.is_null(roots):
            complaints.say(
                "nothing is found at %s (when) for a row, so it is not reported; correct the path, or "
                "have the host load it. This is said once.",
                condition.path.text,
            )
        if not holds:
            return False
    return True


@final
class Kinds:
    """What the rows that a condition asks about were called when the host last read them, by key."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[object, object] = {}

    def learn(self, key: object, value: object) -> None:
        """Remember what a row holds."""
        if key is not None and type(value) in _SIMPLE:
            self._values[key] = value
            if len(self._values) > _MOST:
                self._values.pop(next(iter(self._values)), None)

    def get(self, key: object) -> object:
        """What a row held; None where that is not known."""
        return self._values.get(key)


def _alike(known: object, found: object) -> bool:
    value = found.value if isinstance(found, Enum) else found
    return type(known) is type(value) and known == value


def _moment(value: object) -> object:
    """What is compared: a time that stands in a row as ISO 8601 text is that time once it is read again."""
    if type(value) is not str:
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return value
