"""A host's function with ours around it, which a host can still copy and pickle like a function.

`wrapt` keeps binding, signature and introspection, but refuses to copy or pickle what it wraps: a
host that hands its function to a process pool, or deep-copies a table in which it stands, would fail.
"""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any, Self

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable


class _BoundWatched(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]  # generic for type checkers alone
    """What `Watched` gives for a method that is looked up on an instance or a class."""

    def __copy__(self) -> Self:
        """Itself, as any function."""
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        """Itself, as any function."""
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        """By name on what it was looked up on."""
        function = self.__wrapped__
        if hasattr(function, "__self__"):
            return function.__reduce_ex__(protocol)
        owner, _, name = function.__qualname__.rpartition(".")
        return getattr, (_named(function.__module__, owner), name)


class Watched(wrapt.FunctionWrapper):  # type: ignore[type-arg]  # the same
    """A function, method, class- or staticmethod that calls a wrapper of ours.

    Args:
        wrapped: What stood in its place.
        wrapper: Called with it, the instance (None for none), the arguments and the keyword arguments.
    """

    __bound_function_wrapper__ = _BoundWatched

    def __copy__(self) -> Self:
        """Itself, as any function."""
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        """Itself, as any function."""
        return self

    def __reduce_ex__(self, _protocol: object) -> Any:
        """By its module and name, as any function; one that does not stand there as what it wraps."""
        function: Callable[..., Any] = self.__wrapped__
        if _named(function.__module__, function.__qualname__) is self:
            return function.__qualname__
        return operator.itemgetter(0), ((function,),)  # needs nothing of ours where it is read


def _named(module: str, qualified_name: str) -> object:
    return operator.attrgetter(qualified_name)(sys.modules[module])
