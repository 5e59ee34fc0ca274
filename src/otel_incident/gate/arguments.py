"""What the gate's public classes are built around, and the globs they are given, checked when they are built.

A gate around the wrong thing would be found out with the first span, in whatever thread that ends, and every
span would be lost until then. A text in place of a list of globs would never be found out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def expect_next(given: object, entry: str, takes: str, write: str, but: tuple[type, ...] = ()) -> None:
    """Refuse what cannot come behind a gate.

    Args:
        given: What the gate was built around.
        entry: The method that the gate will call.
        takes: Which gate it is and what it takes, as the beginning of a sentence.
        write: What to write instead.
        but: Types that have a method of that name for other things.

    Raises:
        TypeError: It is a class and no object of it, has no such method, or is of one of these types.
    """
    if isinstance(given, type):
        raise TypeError(f"{takes}, not the class {given.__name__}; write {write}")
    if isinstance(given, but) or not callable(getattr(given, entry, None)):
        raise TypeError(f"{takes}, not an object of the class {type(given).__name__}; write {write}")


def globs_in(given: Iterable[str], name: str) -> tuple[str, ...]:
    """Globs of attribute keys, as an argument has them.

    A text is refused although it can be iterated: of `"desk.*"` each letter would become a glob, and the
    star alone allows every key.

    Args:
        given: The argument.
        name: What it is called.

    Raises:
        TypeError: It is a text, or nothing that can be iterated, or an item of it is no text.
    """
    if not isinstance(given, str | bytes):
        try:
            globs = tuple(given)
        except TypeError:
            pass  # said below, as of a text
        else:
            for item in globs:
                if not isinstance(item, str):
                    raise TypeError(f'{name} takes texts, not {_kind(item)}; write {name}=["desk.*"]')
            return globs
    raise TypeError(f'{name} takes a list of globs, not {_kind(given)}; write {name}=["desk.*"]')


def _kind(given: object) -> str:
    return f"an object of the class {type(given).__name__}"
