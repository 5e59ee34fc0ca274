"""Path expressions: how a hook file says where a value is found. They look up, they never evaluate.

    arg.user.id                          attributes, keys of mappings
    result['owner_id'], self.stages[0]   keys and indexes
    len(self.stages)                     how many
    sum(len(self.stages[*].tasks))       how many over all

A path reads only what is already loaded: on an instance of an ORM model nothing but loaded columns
and relations is looked at, and what the host has not resolved yet stays so, so that no query is ever
ours. What is not there is absent (None), and so is a count of what is not there. Nothing is called
but what looking up means in Python: a host's property, mapping or sequence may be code of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, final

from otel_incident.hooks.flask_requests import is_current_user, login_user

Fold = Literal["value", "len", "sum"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SEGMENT: Final = re.compile(
    r"\.(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\[(?P<index>-?[0-9]{1,6})\]"
    r"|\[(?P<quote>['\"])(?P<key>[^'\"\]]{1,100})(?P=quote)\]"
    r"|\[(?P<each>\*)\]",
    re.ASCII,
)
_FOLDS: Final = (
    (re.compile(r"sum\(len\((.*)\)\)"), "sum"),
    (re.compile(r"len\((.*)\)"), "len"),
)
# Roots that are no values themselves.
_NAMES: Final = {
    "arg": "all arguments; name one, as in arg.owner",
    "path": "all that a route captures; name one, as in path.incident_id",
}
_TEXT: Final = (str, bytes, bytearray, memoryview)
_Collection: TypeAlias = list[object] | tuple[object, ...] | dict[object, object] | AbstractSet[object]
_COLLECTIONS: Final = (list, tuple, dict, set, frozenset)


@final
class PathError(ValueError):
    """A path that cannot be used: one sentence, quoting the path, which the operator wrote."""


class _Each:
    """The segment `[*]`: every item."""


_EACH: Final = _Each()


@final
@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path.

    Attributes:
        text: As it stands in the hook file.
        root: Its first name, one of those that its hook knows.
        segments: What to look up, in order: a name, an index or a key, or each item.
        fold: What to make of what is found: the value itself, its length, or the sum of lengths.
    """

    text: str
    root: str
    segments: tuple[str | int | _Each, ...]
    fold: Fold

    def resolve(self, roots: Mapping[str, object]) -> object:
        """The value, or None where anything on the way is absent or cannot be read."""
        try:
            found = [roots.get(self.root)]
            for segment in self.segments:
                if isinstance(segment, _Each):
                    collections = [_items(value) for value in found]
                    found = [item for items in collections for item in items]
                else:
                    found = [_look_up(value, segment) for value in found]
            if self.fold == "sum":
                lengths = [_length(value) for value in found]
                return None if None in lengths else sum(length for length in lengths if length is not None)
            return _length(found[0]) if self.fold == "len" else found[0]
        except Exception:  # noqa: BLE001  a host's property may raise anything; then there is no value
            return None

    def is_null(self, roots: Mapping[str, object]) -> bool:
        """Whether it leads to a loaded column that is known to hold nothing (NULL)."""
        if not self.segments or self.fold != "value":
            return False
        *way, last = self.segments
        owner = resolved(Path(self.text, self.root, tuple(way), "value").resolve(roots))
        loaded = _loaded(owner)
        return last in loaded and loaded[last] is None


def present(value: object) -> object:
    """The value, or None for an empty text, by which JSON says that there is none."""
    return None if type(value) is str and not value else value


def compile_path(text: str, roots: Sequence[str]) -> Path:
    """Compile a path.

    Args:
        text: The expression.
        roots: The names it may begin with.

    Raises:
        PathError: It is not one; says what is wrong.
    """
    fold: Fold = "value"
    inner = text.strip()
    for pattern, kind in _FOLDS:
        match = pattern.fullmatch(inner)
        if match:
            fold, inner = ("sum" if kind == "sum" else "len"), match[1].strip()
            break
    head = _NAME.match(inner)
    if head is None or head[0] not in roots:
        raise PathError(f"{text!r} must begin with one of {', '.join(roots)}")
    segments: list[str | int | _Each] = []
    position = head.end()
    while position < len(inner):
        segment = _SEGMENT.match(inner, position)
        if segment is None:
            raise PathError(
                f"{text!r} cannot be read from {inner[position:]!r} on; "
                "paths are names, [0], ['key'], [*], len(…) and sum(len(…))"
            )
        name = segment["name"]
        if name is not None and name.startswith("__"):
            raise PathError(f"{text!r} names {name!r}; names with two leading underscores are not looked up")
        if segment["each"]:
            segments.append(_EACH)
        else:
            segments.append(int(segment["index"]) if segment["index"] else name or segment["key"])
        position = segment.end()
    if head[0] in _NAMES and not segments:
        raise PathError(f"{text!r} is {_NAMES[head[0]]}")
    if (_EACH in segments) != (fold == "sum"):
        raise PathError(f"{text!r}: [*] and sum(len(…)) go together, since an attribute has one value")
    return Path(text=text, root=head[0], segments=tuple(segments), fold=fold)


def _look_up(value: object, segment: str | int) -> object:
    value = resolved(value)
    kind = type(value)  # never `__class__`, which a proxy answers by resolving itself
    if isinstance(segment, int):
        indexable = issubclass(kind, Sequence) and not issubclass(kind, _TEXT)
        return value[segment] if indexable else None  # type: ignore[index]  # a Sequence, by the line above
    if issubclass(kind, Mapping):
        return value.get(segment)  # type: ignore[attr-defined]  # a Mapping, by the line above
    if value is None or segment.startswith("__"):  # a key may look like this, an attribute is Python's own
        return None
    loaded = _loaded(value)
    if "_state" in loaded and hasattr(kind, "_meta"):
        return _django_loaded(value, loaded, segment)
    if "_sa_instance_state" in loaded:
        return loaded[segment] if segment in loaded else _part_of_key(loaded["_sa_instance_state"], segment)
    return getattr(value, segment, None)


def _loaded(value: object) -> dict[str, object]:
    """What an instance holds itself."""
    held = getattr(value, "__dict__", None)
    return held if type(held) is dict else {}


def _part_of_key(state: Any, name: str) -> object:
    """A column of a row's primary key, which SQLAlchemy knows after a commit has expired what was loaded."""
    if state.key is None:  # not a row yet
        return None
    for column, value in zip(state.mapper.primary_key, state.key[1], strict=True):
        if state.mapper.get_property_by_column(column).key == name:
            return value
    return None


def resolved(value: object) -> object:
    """What a lazy user (Django's `request.user`, flask-login's `current_user`) stands for.

    None until the host has resolved it. Everything else is what it is.
    """
    if is_current_user(value):
        return login_user()
    for kind in type(value).__mro__:
        if kind.__name__ == "LazyObject" and kind.__module__ == "django.utils.functional":
            held = object.__getattribute__(value, "__dict__").get("_wrapped")
            return None if type(held) is object else held  # a bare object() is Django's "not yet"
    return value


def _django_loaded(instance: object, loaded: dict[str, object], name: str) -> object:
    """A field or relation of a Django instance as far as it is in memory."""
    if name == "pk":
        name = instance._meta.pk.attname  # type: ignore[attr-defined]  # noqa: SLF001  Django's documented Meta API
    if name in loaded:
        return loaded[name]
    related = getattr(loaded["_state"], "fields_cache", {})
    if name in related:
        return related[name]
    prefetched = loaded.get("_prefetched_objects_cache")
    return prefetched.get(name) if isinstance(prefetched, dict) else None


def _items(value: object) -> list[object]:
    """The items of a collection.

    Raises:
        TypeError: It is none, or it is not loaded: then nothing can be said of its items.
    """
    held = _collection(value)
    if held is None:
        raise TypeError
    return list(held.values() if isinstance(held, dict) else held)


def _length(value: object) -> int | None:
    """The length of a collection; of text it would be content."""
    held = _collection(value)
    return None if held is None else len(held)


def _collection(value: object) -> _Collection | None:
    """A collection in memory: one of Python's own, or the rows that a query set has fetched already."""
    value = resolved(value)
    value = _loaded(value).get("_result_cache", value)
    return value if issubclass(type(value), _COLLECTIONS) else None  # type: ignore[return-value]  # one of them
