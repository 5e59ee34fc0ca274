"""What a hook mentions of its host, paths and values of fields, and what is said of values that are wrong.

A value of another type than its field's is never found, and a path past what a model has finds nothing:
neither fails, so nobody would know. What is said names what the file says, never what a row holds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from otel_incident.hooks.paths import Path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_incident.hooks.definitions import Hook
    from otel_incident.hooks.tables import Plain

Complaint: TypeAlias = tuple[str, ...]
"""A sentence of ours, and what the operator wrote in it."""

NEVER_HOLDS: Final = "the field %s of the model %s never holds %s, which stands in `%s`; %s."
NO_CHOICE: Final = "the field %s of the model %s has no choice %s, which stands in `%s`; correct it."
NO_INTEGERS: Final = (
    "the field %s of the model %s holds no integers, so its stage has no index; list its values in "
    "`stage.order`."
)
A_ROW: Final = "%s leads to a row, which is never one of the values in `when`; write %s."
ABOUT_VALUES: Final = (" never holds ", " has no choice ", " holds no integers", " leads to a row")
"""What each sentence about a value holds, and none about anything else."""
_PLAIN: Final = (str, int, bool)


class Listed(NamedTuple):
    """Values of one field.

    Attributes:
        key: Where they stand in the file.
        field: Whose they are.
        values: The values.
        is_exact: Whether they are found by their type, too; else by what Python holds to be equal.
    """

    key: str
    field: str
    values: tuple[Plain, ...]
    is_exact: bool


def listed(hook: Hook) -> Iterator[Listed]:
    """What a hook on a model lists of the model's own fields.

    Args:
        hook: The hook.
    """
    if hook.lifecycle_field:
        yield Listed("lifecycle.closed", hook.lifecycle_field, hook.closed, is_exact=False)
    if hook.stage is not None and hook.stage.order:
        yield Listed("stage.order", str(hook.stage.source), hook.stage.order, is_exact=True)
    if hook.row is not None:
        for value, action in hook.row.meanings:
            yield Listed(f"row.{action}", hook.row.field, (value,), is_exact=True)


def paths_of(hook: Hook) -> Iterator[tuple[str, Path]]:
    """The paths of a hook, by the key that they stand under.

    Args:
        hook: The hook.
    """
    for key, path in hook.incident.items():
        yield f"incident.{key}", path
    others = {
        "actor.id": hook.actor_id,
        "actor.system_admin": hook.system_admin,
        "create.public": hook.public,
        "stage.path": hook.stage.source if hook.stage is not None else None,
    }
    for key, other in others.items():
        if isinstance(other, Path):
            yield key, other
    for condition in hook.conditions:
        yield "when", condition.path
        if condition.same_as is not None:
            yield "when", condition.same_as


def never_holds(model: str, field: str, key: str, value: Plain, instead: object) -> Complaint:
    """What is said of a value that a field never holds.

    Args:
        model: The field's.
        field: Whose value it should be.
        key: Where it stands in the file.
        value: It.
        instead: What the field makes of it.
    """
    advice = f"write {_as_written(instead)}" if type(instead) in _PLAIN else "correct it"
    return NEVER_HOLDS, field, model, _as_written(value), key, advice


def no_choice(model: str, field: str, key: str, value: Plain) -> Complaint:
    """What is said of a value that is not among those that a field is limited to; the same arguments."""
    return NO_CHOICE, field, model, _as_written(value), key


def _as_written(value: object) -> str:
    """A plain value as TOML has it."""
    return json.dumps(value, ensure_ascii=False)
