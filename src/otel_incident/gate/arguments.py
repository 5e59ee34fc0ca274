"""What the gate's public classes are built around, checked when they are built.

A gate around the wrong thing would be found out with the first span, in whatever thread that ends, and every
span would be lost until then.
"""

from __future__ import annotations


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
