"""Who did it: the authenticated user of the request at hand, as far as the host has loaded it.

A web framework's adapter puts a reader into a context variable while a request is handled; whoever
needs the actor asks it. The reader only looks: it never makes the host run a query. Outside a
request there is no actor, unless the hook says where to find one.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from otel_incident.events import Actor
from otel_incident.hooks.paths import Path, compile_path, present

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_incident.hooks.spec import Hook

user_reader: Final[ContextVar[Callable[[], object] | None]] = ContextVar("otel_incident_user", default=None)
"""Gives the request's user if it is loaded and authenticated, else None."""

_USER_ID: Final = compile_path("user.pk", ("user",))
_USER_IS_ADMIN: Final = compile_path("user.is_superuser", ("user",))


def request_user() -> object:
    """The authenticated user of the request at hand, or None."""
    reader = user_reader.get()
    return reader() if reader is not None else None


def actor_of(hook: Hook, roots: Mapping[str, object]) -> Actor | None:
    """Who did what a hook reports; None where that is not known.

    Args:
        hook: It may name its own places; by default the request's user and its `is_superuser`.
        roots: What paths begin with; `user` is the request's user.
    """
    identifier = present((hook.actor_id or _USER_ID).resolve(roots))
    if identifier is None:
        return None
    # a hook that names another user does not thereby name that user's role
    admin = hook.system_admin or (None if hook.actor_id else _USER_IS_ADMIN)
    is_admin = _truth(admin, roots)
    if is_admin is None:
        return Actor(id=identifier)  # type: ignore[arg-type]  # what is no id is for the policy to refuse
    return Actor(id=identifier, roles=("system_admin",) if is_admin else ("end_user",))  # type: ignore[arg-type]  # the same


def _truth(path: Path | None, roots: Mapping[str, object]) -> bool | None:
    value = path.resolve(roots) if path is not None else None
    return value if type(value) is bool else None  # what a value says of its class may raise
