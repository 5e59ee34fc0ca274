"""Writes Python literals the way ruff's formatter would leave them, so that generating needs no formatter."""

from __future__ import annotations

import json
import textwrap
from typing import Final

WIDTH: Final = 110  # pyproject.toml, [tool.ruff] line-length
STEP: Final = 4


def quote(text: str) -> str:
    """Return a string literal with the quotes that ruff would choose."""
    if '"' in text and not set(text) & set("'\\\n"):
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False)


def assign(value: str | list[str], prefix: str, indent: int, suffix: str = ",", kind: str = "()") -> str:
    """Return `prefix` and the value as Python, split over lines where one is too short.

    Args:
        value: A string, or the strings of a tuple.
        prefix: What stands before it, such as `name=`.
        indent: Column at which the prefix begins.
        suffix: What follows it: a comma for an argument, nothing for a statement.
        kind: The brackets of a list, round for a tuple and square for a Literal.
    """
    opening, closing = kind[0], kind[1]
    if isinstance(value, str):
        line = prefix + quote(value) + suffix
        room = WIDTH - indent - STEP - len('" "')
        parts = textwrap.wrap(value, room, break_long_words=False, break_on_hyphens=False)
        inside = [quote(part + " ") for part in parts[:-1]] + [quote(part) for part in parts[-1:]]
    else:
        comma = "," if len(value) == 1 and kind == "()" else ""
        line = f"{prefix}{opening}{', '.join(map(quote, value))}{comma}{closing}{suffix}"
        inside = [quote(element) + "," for element in value]
    if indent + len(line) <= WIDTH:
        return line
    margin = " " * indent
    lines = [f"{margin}{' ' * STEP}{part}" for part in inside]
    return "\n".join([prefix + opening, *lines, margin + closing + suffix])


def docstring(*paragraphs: str) -> str:
    """Return the paragraphs that are not empty as a docstring at the left margin."""
    body = "\n\n".join(textwrap.fill(part, WIDTH - len('"""')) for part in paragraphs if part)
    end = "\n" if "\n" in body or len(body) > WIDTH - len('""""""') else ""
    return f'"""{body}{end}"""'
