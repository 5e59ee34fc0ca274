"""Wrap an attribute of the host's, and put back exactly what was there.

Where the attribute was inherited, the class had none of its own and has none afterwards. What
somebody has put over our wrapper in the meantime is his to take away: it stays, and so does ours
below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING: Final = object()


def wrap(owner: type, name: str, wrapper: Callable[..., Any]) -> Callable[[], None]:
    """Put a wrapper round a method of a class.

    Args:
        owner: The class.
        name: The method's name; AttributeError if neither the class nor one of its bases has it.
        wrapper: Called with what it wraps, the instance, the positional and the keyword arguments.

    Returns:
        What puts it back.
    """
    return replace(owner, name, lambda original: wrapt.FunctionWrapper(original, wrapper))


def replace(owner: type, name: str, make: Callable[[Any], Any]) -> Callable[[], None]:
    """Put something of ours in place of an attribute of a class.

    Args:
        owner: The class.
        name: The attribute's name; AttributeError if neither the class nor one of its bases has it.
        make: Makes ours of what is there.

    Returns:
        What puts it back.
    """
    own = vars(owner).get(name, _MISSING)
    ours = make(_inherited(owner, name) if own is _MISSING else own)
    setattr(owner, name, ours)

    def undo() -> None:
        if vars(owner).get(name) is not ours:
            return
        if own is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, own)

    return undo


def _inherited(owner: type, name: str) -> Any:
    for parent in owner.__mro__[1:]:
        if name in vars(parent):
            return vars(parent)[name]
    raise AttributeError(name)
