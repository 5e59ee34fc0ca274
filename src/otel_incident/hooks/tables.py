"""Reads the tables of a hook file: each value once, by its type, with errors that say where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast, final

from otel_incident.errors import HookFileError
from otel_incident.hooks.paths import Path, PathError, compile_path

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

Plain = str | int | bool
"""What a host's value can be where a hook file lists some: its statuses, its stages."""
_WILDCARDS: Final = frozenset("*?")  # brackets stand in names of their own: form[title]


@final
class Table:
    """One table of a hook file.

    Args:
        source: The file, for messages.
        hook: The hook that the table belongs to, for messages; "" for none.
        prefix: The dotted keys that lead to the table, with a dot at the end; "" for a top one.
        values: What `tomllib` read.
    """

    def __init__(self, source: str, hook: str, prefix: str, values: Mapping[str, Any]) -> None:
        self._source, self._hook, self._prefix, self._values = source, hook, prefix, values

    @property
    def source(self) -> str:
        """The file, for messages."""
        return self._source

    def __contains__(self, key: str) -> bool:
        """Whether the key stands in the table."""
        return key in self._values

    def __bool__(self) -> bool:
        """Whether the table stands in the file: an empty one is refused."""
        return bool(self._values)

    def keys(self) -> list[str]:
        """The keys, in the order of the file."""
        return list(self._values)

    def error(self, key: str, reason: str) -> HookFileError:
        """The error that refuses the file for this key."""
        return HookFileError(self._source, self._hook, f"{self._prefix}{key}", reason)

    def allow(self, *keys: str) -> None:
        """Refuse every other key."""
        for key in self._values:
            if key not in keys:
                raise self.error(key, f"is not known here; known are {', '.join(keys)}")

    def is_table(self, key: str) -> bool:
        """Whether a table stands under a key."""
        return isinstance(self._values.get(key), dict)

    def table(self, key: str, *, required: str = "") -> Table:
        """The table under a key; one that does not stand there has no values.

        Args:
            key: The key.
            required: What it does, where it must stand; "" where it may be left out.
        """
        value = self._values.get(key)
        if value is None:
            if required:
                raise self.error(key, f"is missing; it {required}")
            value = {}
        elif not isinstance(value, dict):
            raise self.error(key, "must be a table")
        elif not value:
            raise self.error(key, "is empty; fill it in" if required else "is empty; fill it in or remove it")
        return Table(self._source, self._hook, f"{self._prefix}{key}.", value)

    def hooks(self) -> list[Table]:
        """The hooks of the file; messages call one without a usable name by its number."""
        return [
            Table(self._source, item["name"] if _is_text(item.get("name")) else f"#{number}", "", item)
            for number, item in enumerate(self._items("hook"), start=1)
        ]

    def array(self, key: str) -> list[Table]:
        """The tables under a key that may stand several times; messages number them where they do."""
        items = self._items(key)
        for item in items:
            if not item:
                raise self.error(key, "is empty; fill it in or remove it")
        numbers = (
            [f"{key}[{number}]." for number in range(1, len(items) + 1)] if len(items) > 1 else [f"{key}."]
        )
        return [
            Table(self._source, self._hook, prefix, item)
            for prefix, item in zip(numbers, items, strict=False)  # a number for none, too
        ]

    def _items(self, key: str) -> list[Mapping[str, Any]]:
        values = self._values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(item, dict) for item in values):
            raise self.error(key, f"must be an array of tables: [[{key}]]")
        return values

    def text(self, key: str, *, required: bool = False) -> str:
        """A text without the blanks around it; "" where it may be left out and is."""
        if key not in self._values:
            if required:
                raise self.error(key, "is missing; it must be text")
            return ""
        value = self._values[key]
        if not isinstance(value, str):
            raise self.error(key, "must be text")
        if not _is_text(value):
            raise self.error(key, "must not be empty")
        return value.strip()

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; () where it is left out."""
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(_is_text(item) for item in value):
            raise self.error(key, "must be a list of texts")
        return tuple(value)

    def content(self) -> tuple[tuple[str, ...], HookFileError | None]:
        """What is named as content, and the error for the first item that is no name: the others hold."""
        value = self._values.get("content", [])
        named: list[str] = []
        error: HookFileError | None = None
        if not isinstance(value, list):  # of a text alone it is plain what is meant
            value, error = [value], self.error("content", "must be a list of texts")
        for item in value:
            if not _is_text(item):
                error = error or self.error("content", "must be a list of texts")
            elif not _WILDCARDS.isdisjoint(item):
                error = error or self.error(
                    "content",
                    f"lists {item!r}, and a glob takes nothing out here; write the name itself "
                    "(globs go into OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES)",
                )
            else:
                named.append(item.strip())
        if error is not None:
            error.content = tuple(named)
        return tuple(named), error

    def plain_or_list(self, key: str) -> tuple[Plain, ...]:
        """A value of the host's, or a list of some."""
        value = self._values[key]
        if isinstance(value, str | int):
            return (value,)
        if not isinstance(value, list) or not value or not all(isinstance(item, str | int) for item in value):
            raise self.error(
                key, "must be a text, an integer, a boolean or a list of them; the path stands in quotes"
            )
        return tuple(value)

    def plain_list(self, key: str, *, required: str = "") -> tuple[Plain, ...]:
        """A list of a host's values; () where it may be left out and is.

        Args:
            key: The key.
            required: What it does, where it must stand; "" where it may be left out.
        """
        if key not in self._values:
            if required:
                raise self.error(key, f"is missing; it {required}")
            return ()
        value = self._values[key]
        if not isinstance(value, list) or not value or not all(isinstance(item, str | int) for item in value):
            raise self.error(key, "must be a list of texts, integers or booleans")
        return tuple(value)

    def integer(self, key: str, purpose: str) -> int:
        """An integer; 0 where it is left out."""
        value = self._values.get(key, 0)
        if type(value) is not int:
            raise self.error(key, f"must be an integer, {purpose}")
        return value

    def one_of(self, key: str, known: tuple[str, ...]) -> str:
        """A text of a closed set."""
        value = self._values.get(key)
        if value not in known:
            raise self.error(key, f"must be one of {', '.join(known)}")
        return cast("str", value)

    def matching(self, key: str, grammar: re.Pattern[str], expected: str) -> str:
        """A text that a grammar describes."""
        value = self.text(key, required=True)
        if grammar.fullmatch(value) is None:
            raise self.error(key, f"must be {expected}")
        return value

    def matching_each(self, key: str, grammar: re.Pattern[str], expected: str) -> tuple[str, ...]:
        """Texts that a grammar describes; one of them may stand alone."""
        value = self._values.get(key)
        if not isinstance(value, list):
            return (self.matching(key, grammar, expected),)
        if not value or not all(_is_text(item) and grammar.fullmatch(item.strip()) for item in value):
            raise self.error(key, f"must be {expected}")
        return tuple(item.strip() for item in value)

    def path(self, key: str, roots: tuple[str, ...], *, required: str = "") -> Path | None:
        """A path expression; None where it may be left out and is.

        Args:
            key: The key.
            roots: What it may begin with.
            required: What it does, where it must stand; "" where it may be left out.
        """
        if key not in self._values:
            if required:
                raise self.error(key, f"is missing; it {required}")
            return None
        try:
            return compile_path(self.text(key), roots)
        except PathError as error:
            raise self.error(key, str(error)) from error

    def path_or_flag(self, key: str, roots: tuple[str, ...]) -> Path | bool | None:
        """A path expression, or the value itself; None where it is left out."""
        value = self._values.get(key)
        if isinstance(value, bool):
            return value
        if value is not None and not isinstance(value, str):
            raise self.error(key, "must be true, false or a path")
        return self.path(key, roots)


def refuse_main(table: Table, key: str, target: str) -> None:
    """Refuse a target that is never imported."""
    if target.startswith("__main__:"):
        raise table.error(key, "is in __main__, which is never imported; move it into a module of its own")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
