"""Functions of ours in the place of a class's methods, and how they go without a trace and without a gap.

One of them may stand on another: a new gate is put over the one before it, or over what refuses in a gate's
place, and only then is what is below taken out. So it is not enough to put back what was there.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any, Final
from weakref import WeakSet

_ours: Final[WeakSet[Any]] = WeakSet()


def put_over(owner: type, name: str, method: Any) -> None:
    """Put a function in the place of a class's method.

    Args:
        owner: The class.
        name: The method.
        method: Calls what is below by its own `__wrapped__`, which is exchanged if that is taken out.
    """
    _ours.add(method)
    setattr(owner, name, method)


def take_out(owner: type, name: str, method: Any, before: Any) -> None:
    """Take it out again, from below others of ours too; below somebody's own nothing is done.

    Args:
        owner: The class.
        name: The method.
        method: What was put there.
        before: What is to stand there from now on; None for what the class inherits.
    """
    found = vars(owner).get(name)
    if found is method:
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)
        return
    # by its type first: an object of somebody's may not be one that can be looked up
    while type(found) is FunctionType and found in _ours:
        below = getattr(found, "__wrapped__", None)
        if below is method:
            vars(found)["__wrapped__"] = getattr(super(owner, owner), name) if before is None else before
            return
        found = below
