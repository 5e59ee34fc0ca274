"""What a class that SQLAlchemy maps says of itself: under which attribute it holds what a hook names.

Its mapper is asked only once it is configured: to ask earlier would configure it, before the host has
imported the classes that its relations name, and SQLAlchemy would refuse them for good.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from otel_incident.hooks.mentions import paths_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_incident.hooks.definitions import Hook
    from otel_incident.hooks.mentions import Complaint

ASTRAY: Final = (
    "the model %s has neither a column nor a relation at the beginning of %s, which finds nothing unless the "
    "host sets it on its instances; correct the path."
)
ASTRAY_LATER: Final = (
    "the model %s has neither a column nor a relation %r, so %s finds nothing unless the host sets it on its "
    "instances; correct the path."
)

_SIMPLE: Final = (str, int)


class UnknownFieldError(Exception):
    """A hook names a field that its class has not; the argument is the field."""


@final
@dataclass(frozen=True, slots=True)
class Attribute:
    """A column that is watched.

    Attributes:
        key: Under which name instances hold its value.
        column: What statements call it.
        relations: The relations that set it.
        members: The members of the enumeration that it holds, by what the database is told of each.
    """

    key: str
    column: str
    relations: frozenset[str]
    members: Mapping[str, enum.Enum]

    def plain(self, value: Any) -> Any:
        """A value as hook files know it: a member is its value, or its name if that is no text or number."""
        if type(value) is str and value in self.members:
            value = self.members[value]
        return member(value)


def member(value: Any) -> Any:
    """A member of an enumeration as hook files know it; other values as they are."""
    if issubclass(type(value), enum.Enum):
        return value.value if isinstance(value.value, _SIMPLE) else value.name
    return value


def attribute(mapper: Any, name: str) -> Attribute | None:
    """The column behind a name: a column, a synonym, or a relation whose key is in the row; None without one.

    Args:
        mapper: A configured mapper.
        name: As a hook names it.
    """
    from sqlalchemy.orm import (  # noqa: PLC0415  the host's library, which is at work
        ColumnProperty,
        RelationshipProperty,
        SynonymProperty,
    )

    known = mapper.attrs
    found = known.get(name)
    while isinstance(found, SynonymProperty):
        found = known.get(found.name)
    if isinstance(found, RelationshipProperty):
        if found.direction.name != "MANYTOONE" or len(found.local_columns) != 1:
            return None
        (column,) = found.local_columns
        found = mapper.get_property_by_column(column)
    if not isinstance(found, ColumnProperty):
        return None
    (column, *_) = found.columns
    relations = frozenset(each.key for each in mapper.relationships if column in each.local_columns)
    return Attribute(found.key, column.key, relations, _members(column.type))


def required_attribute(mapper: Any, name: str) -> Attribute:
    """The same.

    Raises:
        UnknownFieldError: There is none.
    """
    found = attribute(mapper, name)
    if found is None:
        raise UnknownFieldError(name)
    return found


def _members(kind: Any) -> dict[str, enum.Enum]:
    """What `Enum` tells the database of each member: its name, unless the host says otherwise."""
    members = getattr(kind, "enum_class", None)
    if members is None:
        return {}
    return dict(zip(kind.enums, members.__members__.values(), strict=False))


def identity_keys(mapper: Any) -> tuple[str, ...]:
    """Under which names instances hold their primary key."""
    return tuple(mapper.get_property_by_column(column).key for column in mapper.primary_key)


def astray(mapper: Any, hook: Hook) -> Iterator[Complaint]:
    """What is to be said of the paths of a hook that lead past what SQLAlchemy maps.

    They may still find what the host itself sets on its instances, but no property of the class.

    Args:
        mapper: Of the class, configured.
        hook: A hook on it.
    """
    for path in dict.fromkeys(path for _, path in paths_of(hook)):
        lost = lost_step(mapper, path.segments) if path.root == "self" else None
        if lost is None:
            continue
        owner, name = lost
        if name is path.segments[0]:
            yield ASTRAY, hook.target, path.text
        else:
            yield ASTRAY_LATER, owner.class_.__name__, name, path.text


def lost_step(mapper: Any, segments: Sequence[object]) -> tuple[Any, str] | None:
    """The mapper and the name at which a path is lost; None where it is not, or where that cannot be known.

    Args:
        mapper: Where it begins, configured.
        segments: Its steps.
    """
    from sqlalchemy.orm import RelationshipProperty  # noqa: PLC0415  the host's library, which is at work

    steps = iter(segments)
    for number, name in enumerate(steps):
        if not isinstance(name, str):
            return None
        if name not in mapper.attrs:
            # what a relation leads to may be of a class below the one that it names
            elsewhere = number and any(name in child.attrs for child in mapper.self_and_descendants)
            return None if elsewhere else (mapper, name)
        found = mapper.attrs[name]
        if not isinstance(found, RelationshipProperty):  # a value, whose attributes nobody knows here
            return None
        if found.uselist and isinstance(next(steps, None), str):
            return None
        mapper = found.mapper
    return None
