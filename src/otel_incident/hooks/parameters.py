"""What a function of the host's takes, found out without running anything of it."""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import TYPE_CHECKING

from otel_incident.hooks.paths import Path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from otel_incident.hooks.definitions import Hook


def astray(function: object, hook: Hook) -> list[str]:
    """The paths of a hook that begin with no parameter of its function, but for the id's.

    Where that finds nothing it is said of the first event, which it costs.
    """
    paths = [path for key, path in hook.incident.items() if key != "id"]
    others = [hook.actor_id, hook.system_admin, hook.public, hook.stage.source if hook.stage else None]
    return astray_among(function, [*paths, *others])


def astray_among(function: object, paths: Iterable[object]) -> list[str]:
    """Those of some paths that begin with no parameter of a function; what is no path is passed over."""
    known = _parameters(function)
    if known is None:
        return []
    return [
        path.text
        for path in paths
        if isinstance(path, Path) and path.root == "arg" and path.segments[0] not in known
    ]


def _parameters(function: object) -> Collection[str] | None:
    """The names by which a function has its arguments; None where that is not written down.

    Of a decorated one those of what it says to wrap, as Python tells them. An object that can be called may
    answer questions with code of its own: it is not asked.
    """
    while type(function) is FunctionType:
        given = vars(function).get("__signature__")
        if given is not None:
            return given.parameters.keys() if type(given) is inspect.Signature else None
        if "__wrapped__" in vars(function):
            function = vars(function)["__wrapped__"]
            continue
        code = function.__code__
        variable = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
        return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + variable]
    return None
