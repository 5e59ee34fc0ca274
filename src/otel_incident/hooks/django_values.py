"""Which values a hook file lists that a field of a Django model never holds.

Django's fields say themselves what they make of a value: what is compared with the file when a row is saved.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final

from otel_incident.hooks.django_meta import columns
from otel_incident.hooks.mentions import A_ROW, NO_INTEGERS, Listed, listed, never_holds, no_choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_incident.hooks.definitions import Hook
    from otel_incident.hooks.mentions import Complaint
    from otel_incident.hooks.paths import Path

_NOTHING: Final = object()
_STEPS: Final = 2


def unheld(model: Any, hook: Hook) -> Iterator[Complaint]:
    """What is to be said of the values of a hook; once all apps are loaded.

    Args:
        model: The model.
        hook: A hook on it.
    """
    known = columns(model)
    for each in listed(hook):
        yield from _unheld(hook.target, known[each.field], each)
    if hook.stage is not None and not hook.stage.order:
        field = str(hook.stage.source)
        made = _made(known[field], 1)
        if type(made) is not int and (made is not _NOTHING or _is_django_s(known[field])):
            yield NO_INTEGERS, field, hook.target
    for condition in hook.conditions:
        owner, name = _end(model, condition.path)
        found = columns(owner).get(name) if owner is not None and condition.values else None
        if found is None:
            continue
        if found.is_relation and name != found.attname:
            text = condition.path.text
            yield A_ROW, text, text.removesuffix(name) + found.attname
            continue
        label = hook.target if owner is model else owner._meta.label  # noqa: SLF001  Django's documented Meta API
        yield from _unheld(label, found, Listed("when", name, condition.values, is_exact=True))


def _unheld(model: str, field: Any, each: Listed) -> Iterator[Complaint]:
    # choices that the host computes may ask the database: they are left alone
    limited = field.flatchoices if type(field.choices) in (list, tuple) else None
    choices = [choice for choice, _ in limited] if limited else None
    for value in each.values:
        made = _made(field, value)
        if made is _NOTHING and not _is_django_s(field):
            continue
        if not _equal(made, value) or (each.is_exact and type(made) is not type(value)):
            yield never_holds(model, each.field, each.key, value, made)
        elif choices is not None and value != "" and not any(_equal(choice, value) for choice in choices):
            yield no_choice(model, each.field, each.key, value)


def _end(model: Any, path: Path) -> tuple[Any, str]:
    """The model and the name of the column to which a path leads, on the row or a step from it; else None."""
    names = path.segments
    if path.root != "self" or path.fold != "value" or not 1 <= len(names) <= _STEPS:
        return None, ""
    if len(names) == _STEPS:
        relation = columns(model).get(str(names[0]))
        if relation is None or not relation.is_relation or names[0] == relation.attname:
            return None, ""
        model = relation.related_model
    return (model, str(names[-1])) if isinstance(model, type) else (None, "")


def _made(field: Any, value: object) -> object:
    """What a field makes of a value, as hook files know it."""
    try:
        made: object = field.to_python(value)
    except Exception:  # noqa: BLE001  the field may raise anything
        return _NOTHING
    return made.value if isinstance(made, enum.Enum) else made


def _is_django_s(field: Any) -> bool:
    """Whether a field is of a class of Django's own, which takes whatever it can hold."""
    return type(field).__module__.startswith("django.")


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001  a host's value may raise anything
        return False
