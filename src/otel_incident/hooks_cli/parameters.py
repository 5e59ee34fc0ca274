"""Whether the paths of a hook can lead anywhere, by the signature of what it watches.

A path from an argument that a function does not have finds nothing, and nobody says so while the host runs,
unless it is the incident's id. What an argument holds is not known here.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from otel_incident.hooks.mentions import paths_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_incident.hooks.paths import Path
    from otel_incident.hooks_cli.findings import Subject


class Parameters(NamedTuple):
    """What a callable is called with.

    Attributes:
        names: Its parameters without the one that it is bound to; None where they are not known.
        bound: Whether it is called on an instance or a class.
    """

    names: tuple[str, ...] | None
    bound: bool

    @classmethod
    def of(cls, parent: Any, function: Any) -> Self:
        """Those of a function where it stands.

        Args:
            parent: The module or the class.
            function: What stands there.
        """
        bound = inspect.isclass(parent) and not isinstance(function, staticmethod)
        plain = getattr(function, "__func__", function)
        try:
            names = tuple(inspect.signature(plain).parameters)
        except (TypeError, ValueError):
            return cls(None, bound)
        return cls(names[1:] if bound else names, bound)


def astray(subject: Subject, parameters: Parameters) -> list[str]:
    """The paths that find nothing, each with the reason.

    Args:
        subject: A callable or a choke point.
        parameters: Its own.
    """
    found = []
    for key, path in _paths(subject):
        if path.root == "arg" and parameters.names is not None and path.segments[0] not in parameters.names:
            known = ", ".join(parameters.names) or "none"
            found.append(f"{key}: {path.text} finds nothing, since the parameters are: {known}")
        elif path.root == "self" and not parameters.bound:
            found.append(f"{key}: {path.text} finds nothing, since {subject.target} is called on no object")
    return found


def _paths(subject: Subject) -> Iterator[tuple[str, Path]]:
    if subject.kind == "http":
        for client in subject.file.clients:
            for key in ("method", "url", "base", "body", "status", "reply"):
                path = getattr(client, key)
                if path is not None:
                    yield f"client.{key}", path
        return
    for hook in subject.file.hooks:
        yield from paths_of(hook)
