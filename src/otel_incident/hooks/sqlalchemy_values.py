"""Which values a hook file lists that a column of a mapped class never holds, by the type that it declares.

A type of the host's own may make anything of anything: nothing is said of it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final

from otel_incident.hooks.mentions import NO_INTEGERS, listed, never_holds, no_choice
from otel_incident.hooks.sqlalchemy_meta import attribute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_incident.hooks.definitions import Hook
    from otel_incident.hooks.mentions import Complaint, Listed
    from otel_incident.hooks.tables import Plain

_KNOWN: Final = (bool, int, str)


def unheld(mapper: Any, hook: Hook) -> Iterator[Complaint]:
    """What is to be said of the values of a hook.

    Args:
        mapper: Of the class, configured.
        hook: A hook on it.
    """
    for each in listed(hook):
        yield from _unheld(mapper, hook, each)
    if hook.stage is not None and not hook.stage.order:
        field = str(hook.stage.source)
        members = _members(mapper, field)
        kind = _kind(mapper, field)
        if members is not None:
            if not any(type(member) is int for member in members):
                yield NO_INTEGERS, field, hook.target
        elif kind is not None and kind is not int:
            yield NO_INTEGERS, field, hook.target


def _unheld(mapper: Any, hook: Hook, each: Listed) -> Iterator[Complaint]:
    members, kind = _members(mapper, each.field), _kind(mapper, each.field)
    for value in each.values:
        if members is not None:
            if not any(_alike(member, value, is_exact=each.is_exact) for member in members):
                yield no_choice(hook.target, each.field, each.key, value)
        elif (
            kind is not None
            and type(value) is not kind
            and (each.is_exact or kind is str or type(value) is str)
        ):
            yield never_holds(hook.target, each.field, each.key, value, _made(kind, value))


def _members(mapper: Any, name: str) -> list[object] | None:
    """What a column of an enumeration holds, as hook files know it; None for other columns."""
    known = attribute(mapper, name)
    if known is None:
        return None
    if known.members:
        return [known.plain(member) for member in known.members.values()]
    texts = getattr(mapper.attrs[known.key].columns[0].type, "enums", None)
    return None if texts is None else [*texts]


def _kind(mapper: Any, name: str) -> type | None:
    """Text, integers or booleans, if a column is declared to hold nothing else."""
    from sqlalchemy.types import TypeDecorator  # noqa: PLC0415  the host's library, which is at work

    known = attribute(mapper, name)
    declared = mapper.attrs[known.key].columns[0].type if known is not None else None
    if declared is None or isinstance(declared, TypeDecorator):
        return None
    if not type(declared).__module__.startswith("sqlalchemy."):
        return None
    try:
        kind: type = declared.python_type
    except NotImplementedError:
        return None
    return kind if kind in _KNOWN and not issubclass(kind, enum.Enum) else None


def _made(kind: type, value: Plain) -> object:
    try:
        return kind(value) if kind is not bool else None
    except ValueError:
        return None


def _alike(one: object, other: object, *, is_exact: bool) -> bool:
    return one == other and (type(one) is type(other) or not is_exact)
