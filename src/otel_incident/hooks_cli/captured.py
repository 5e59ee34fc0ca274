"""Who has taken a function before its hook came, and calls it past the hook.

A hook replaces a name in a module or a class. Who has the function itself by then, a route that a decorator
has registered, a task, a table, calls it unseen. The interpreter's garbage collector knows who holds what.
"""

from __future__ import annotations

import gc
import inspect
import sys
from functools import partial, partialmethod, singledispatchmethod
from types import FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEVELS: Final = 5  # how far it is followed up from the function to something that has a name
_MOST: Final = 3  # of the names that are said
_OURS: Final = ("otel_incident", "wrapt")
_DESCRIPTORS: Final = (classmethod, staticmethod, partialmethod, singledispatchmethod)


def holders(parent: Any, attribute: str, original: Any) -> list[str]:
    """What holds a function besides the place that its hook watches, by name.

    Args:
        parent: The module or the class in which it stood.
        attribute: Its name there.
        original: What stood there.
    """
    layers = list(_layers(original))
    # where a class inherits it, the base has it rightly
    rightful = [base for base in getattr(parent, "__mro__", ()) if vars(base).get(attribute) is original]
    found: dict[str, None] = {}
    level: list[Any] = layers
    seen = {id(each) for each in layers}
    for _ in range(_LEVELS):
        seen |= {id(level), id(layers), id(found)}
        above: list[Any] = []
        for each in gc.get_referrers(*level):
            if id(each) in seen or isinstance(each, FrameType) or _is_ours(each):
                continue
            seen.add(id(each))
            name = _name(each, level, rightful)
            if name is None:
                above.append(each)
            elif name:
                found[name] = None
        if not above:
            break
        level = above
    return sorted(found)[:_MOST]


def _layers(original: Any) -> Iterator[Any]:
    """A function, and what it only wraps or stands for: a framework may have registered that."""
    seen: set[int] = set()
    left = [original]
    while left:
        each = left.pop()
        if id(each) not in seen and callable(each) | isinstance(each, _DESCRIPTORS):
            seen.add(id(each))
            left += _within(each)
            yield each


def _within(each: Any) -> Iterator[Any]:
    kind = type(each)
    if kind is FunctionType:
        yield vars(each).get("__wrapped__")
        for cell in each.__closure__ or ():
            inner = cell.cell_contents if _is_filled(cell) else None
            if type(inner) is FunctionType and inner.__module__ == each.__module__:
                yield inner
    elif issubclass(kind, (*_DESCRIPTORS, partial)):
        yield getattr(each, "__func__", None) or getattr(each, "func", None)
    elif hasattr(kind, "_get_current_object"):  # Celery gives for a task what stands for it until it is used
        yield each._get_current_object()  # noqa: SLF001  the name that its proxies share with others


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _name(holder: Any, level: list[Any], rightful: list[Any]) -> str | None:
    """What a holder is called: "" for one that means nothing, None for one that has no name itself."""
    if type(holder) is dict:
        keys = [
            key for key, value in holder.items() if type(key) is str and any(value is each for each in level)
        ]
        module = _module_of(holder)
        if module is not None:
            return f"{module}.{keys[0]}" if keys else ""
        return None
    if isinstance(holder, ModuleType):
        return ""
    if inspect.isclass(holder):
        return "" if holder in rightful else f"{holder.__module__}.{holder.__qualname__}"
    kind = type(holder)
    if kind.__module__ in {"builtins", "functools", "collections", "types", "weakref"}:
        return None
    return f"{kind.__module__}.{kind.__qualname__}"


def _module_of(namespace: dict[Any, Any]) -> str | None:
    name = namespace.get("__name__")
    module = sys.modules.get(name) if type(name) is str else None
    return name if module is not None and vars(module) is namespace else None


def _is_ours(holder: Any) -> bool:
    kind = type(holder)
    module = holder.__module__ if kind is FunctionType else kind.__module__
    return str(module).partition(".")[0] in _OURS
