"""The request's user in Django, without ever making the host load it.

Django resolves `request.user` lazily, REST framework sets it when it authenticates. Both leave what
they found on the request; we look there and nowhere else, so that no query is ever ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from otel_incident.guard import fail_open
from otel_incident.hooks.actors import user_reader
from otel_incident.hooks.patching import wrap
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable

_MODULE: Final = "django.core.handlers.base"


@final
class DjangoRequests:
    """Makes the user of the request at hand known while Django handles it."""

    def __init__(self) -> None:
        self._active = True
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Wrap the handler as soon as Django has imported it."""
        self._undo.append(when_imported(_MODULE, fail_open("hook")(self._patch)))

    def uninstall(self) -> None:
        """Put the handler's methods back."""
        self._active = False
        while self._undo:
            self._undo.pop()()

    def _patch(self, module: Any) -> None:
        if not self._active:
            return
        handler = module.BaseHandler
        for name, wrapper in (("get_response", _in_request), ("get_response_async", _in_async_request)):
            if hasattr(handler, name):
                self._undo.append(wrap(handler, name, wrapper))


@final
class _Reader:
    """Finds the user of one request while that is handled.

    A task or a thread that a request leaves behind inherits its context and may live for ever: what
    it does then is nobody's, and it must not keep the request.
    """

    __slots__ = ("_request",)

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._request = args[0] if args else kwargs.get("request")

    def __call__(self) -> object:
        return loaded_user(self._request)

    def end(self) -> None:
        self._request = None


def _in_request(
    wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    reader = _Reader(args, kwargs)
    token = user_reader.set(reader)
    try:
        return wrapped(*args, **kwargs)
    finally:
        user_reader.reset(token)
        reader.end()


async def _in_async_request(
    wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    reader = _Reader(args, kwargs)
    token = user_reader.set(reader)
    try:
        return await wrapped(*args, **kwargs)
    finally:
        user_reader.reset(token)
        reader.end()


def loaded_user(request: object) -> object:
    """The authenticated user of a Django request if the host has loaded it, else None."""
    held = getattr(request, "__dict__", {})
    user = _unwrapped(held.get("user"))
    if user is None:
        user = held.get("_cached_user", held.get("_acached_user"))
    try:
        known = user is not None and getattr(user, "is_authenticated", False) is True
    except Exception:  # noqa: BLE001  a host's property may raise anything; then nobody is known
        return None
    return user if known else None


def _unwrapped(user: object) -> object:
    """What a lazy user has resolved to; None while it has not."""
    from django.utils.functional import LazyObject, empty  # noqa: PLC0415  the host's library, only in its requests

    if not issubclass(type(user), LazyObject):
        return user
    resolved = object.__getattribute__(user, "__dict__").get("_wrapped", empty)
    return None if resolved is empty else resolved
