"""The request's user in Django, without ever making the host load it.

Django resolves `request.user` lazily, REST framework sets it when it authenticates. Both leave what
they found on the request; we look there and nowhere else, so that no query is ever ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

import wrapt

from otel_incident.guard import fail_open
from otel_incident.hooks.actors import user_reader

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
        wrapt.register_post_import_hook(fail_open("hook")(self._patch), _MODULE)

    def uninstall(self) -> None:
        """Put the handler's methods back."""
        self._active = False
        while self._undo:
            self._undo.pop()()

    def _patch(self, module: Any) -> None:
        if not self._active or self._undo:
            return
        handler = module.BaseHandler
        for name, wrapper in (("get_response", _in_request), ("get_response_async", _in_async_request)):
            original = vars(handler).get(name)
            if original is None:
                continue
            wrapped = wrapt.FunctionWrapper(original, wrapper)
            setattr(handler, name, wrapped)
            self._undo.append(_restore(handler, name, wrapped, original))


def _restore(owner: Any, name: str, ours: Any, original: Any) -> Callable[[], None]:
    def undo() -> None:
        if vars(owner).get(name) is ours:
            setattr(owner, name, original)

    return undo


def _in_request(
    wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    token = user_reader.set(_reader(args, kwargs))
    try:
        return wrapped(*args, **kwargs)
    finally:
        user_reader.reset(token)


async def _in_async_request(
    wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    token = user_reader.set(_reader(args, kwargs))
    try:
        return await wrapped(*args, **kwargs)
    finally:
        user_reader.reset(token)


def _reader(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], object]:
    request = args[0] if args else kwargs.get("request")
    return lambda: loaded_user(request)


def loaded_user(request: object) -> object:
    """The authenticated user of a Django request if the host has loaded it, else None."""
    held = getattr(request, "__dict__", {})
    user = _unwrapped(held.get("user"))
    if user is None:
        user = held.get("_cached_user", held.get("_acached_user"))
    if user is None or getattr(user, "is_authenticated", False) is not True:
        return None
    return user


def _unwrapped(user: object) -> object:
    """What a lazy user has resolved to; None while it has not."""
    from django.utils.functional import LazyObject, empty  # noqa: PLC0415  the host's library, only in its requests

    if not issubclass(type(user), LazyObject):
        return user
    resolved = object.__getattribute__(user, "__dict__").get("_wrapped", empty)
    return None if resolved is empty else resolved
