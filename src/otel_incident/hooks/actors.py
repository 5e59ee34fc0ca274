"""Who did it: the authenticated user of the request at hand, as far as the host has loaded it.

A web framework's adapter puts a reader into a context variable while a request is handled (Flask has
a context of its own); whoever needs the actor asks it. The reader only looks: it never makes the host
run a query. Outside a request there is no actor, unless the hook says where to find one.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from otel_incident.events import Actor
from otel_incident.hooks.authenticated import authenticated
from otel_incident.hooks.flask_requests import held_in_g, holds_login_user, login_user
from otel_incident.hooks.paths import Path, compile_path, present

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_incident.hooks.definitions import Hook

user_reader: Final[ContextVar[Callable[[], object] | None]] = ContextVar("otel_incident_user", default=None)
"""Gives the request's user if it is loaded and authenticated, else None; in a task the `Actor` behind it.

One with a method `state` gives what the host holds in `request.state`.
"""

PLACES: Final = ("g", "state")
"""Where a host keeps what belongs to a request: `flask.g`, and Starlette's `request.state`."""

# By what a user's id is called: Django's key, everybody's column, what Starlette asks of a user.
_USER_IDS: Final = tuple(compile_path(f"user.{name}", ("user",)) for name in ("pk", "id", "identity"))
_USER_IS_ADMIN: Final = compile_path("user.is_superuser", ("user",))


def is_at_hand() -> bool:
    """Whether there is a request, or a task that one has started."""
    return user_reader.get() is not None or held_in_g() is not None


def asks_for_user(hook: Hook) -> bool:
    """Whether a hook finds who did it by the request, and not in what it watches."""
    return hook.actor_id is None or hook.actor_id.root in ("user", *PLACES)


def request_user() -> object:
    """The authenticated user of the request at hand, or None; in a task the `Actor` who started it."""
    held = held_in_g()
    if holds_login_user(held):
        return authenticated(login_user())
    reader = user_reader.get()
    return reader() if reader is not None else None


def actor_of(hook: Hook, roots: Mapping[str, object]) -> Actor | None:
    """Who did what a hook reports; None where that is not known.

    Args:
        hook: It may name its own places, or whom to ask; by default the request's user and its
            `is_superuser`.
        roots: What paths begin with; `user` is the request's user.
    """
    user = roots.get("user")
    if type(user) is Actor and asks_for_user(hook):  # where he was known, hooks had their say
        return user
    paths = [path for path in (hook.actor_id, hook.system_admin) if path is not None]
    if hook.actor_callable is not None:
        roots = {**roots, "user": hook.actor_callable.ask()}
    if any(path.root in PLACES for path in paths):
        roots = {**roots, "g": held_in_g(), "state": getattr(user_reader.get(), "state", lambda: None)()}
    identifier = _first(_USER_IDS if hook.actor_id is None else (hook.actor_id,), roots)
    if identifier is None:
        return None
    # a hook that names another user does not thereby name that user's role
    admin = hook.system_admin or (None if hook.actor_id else _USER_IS_ADMIN)
    is_admin = _truth(admin, roots)
    if is_admin is None:
        return Actor(id=identifier)  # type: ignore[arg-type]  # what is no id is for the policy to refuse
    return Actor(id=identifier, roles=("system_admin",) if is_admin else ("end_user",))  # type: ignore[arg-type]  # the same


def _first(paths: tuple[Path, ...], roots: Mapping[str, object]) -> object:
    for path in paths:
        found = present(path.resolve(roots))
        if found is not None:
            return found
    return None


def _truth(path: Path | None, roots: Mapping[str, object]) -> bool | None:
    value = path.resolve(roots) if path is not None else None
    return value if type(value) is bool else None  # what a value says of its class may raise
