"""`call` hooks: a function of the host that means an action, reported once it has returned.

The function is wrapped when its module has been imported, never earlier, so that we import nothing
of the host's. Sync and async functions, methods, class- and staticmethods are alike: `wrapt` keeps
signatures, binding and introspection. What the function raises passes untouched and means that
nothing happened; what we do afterwards can neither fail nor change its result.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from typing import TYPE_CHECKING, Any, Final, cast, final

import wrapt

from otel_incident.guard import fail_open, say
from otel_incident.hooks.actors import request_user
from otel_incident.hooks.extraction import event_of, incident_of
from otel_incident.hooks.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks.paths import Path
    from otel_incident.hooks.spec import Hook, HookFile
    from otel_incident.vocabulary import Action

_MISSING: Final = object()
# Descriptors that are no callables themselves, but give one.
_METHODS: Final = (classmethod, functools.partialmethod, functools.singledispatchmethod)


@final
class CallWatch:
    """Watches one callable.

    Args:
        file: Where the hook stands.
        hook: A hook of kind `call`.
        sink: Takes the events.
        matched: Told when the callable has been found.
    """

    def __init__(
        self,
        file: HookFile,
        hook: Hook,
        sink: Callable[[IncidentEvent], None],
        matched: Callable[[HookFile], None],
    ) -> None:
        self._file = file
        self._hook = hook
        self._sink = sink
        self._matched = matched
        self._active = True
        self._undo: Callable[[], None] | None = None
        self._signature: inspect.Signature | None = None

    def install(self) -> None:
        """Wrap the callable as soon as its module is imported (at once if it is)."""
        module = self._hook.target.partition(":")[0]
        wrapt.register_post_import_hook(fail_open("hook")(self._patch), module)

    def uninstall(self) -> None:
        """Put the callable back; a wrapper that somebody put over ours keeps calling through."""
        self._active = False
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def _patch(self, module: Any) -> None:
        if not self._active or self._undo is not None:
            return
        try:
            parent, attribute, original = wrapt.resolve_path(module, self._hook.target.partition(":")[2])
        except AttributeError:
            self._warn("does not exist")
            return
        if inspect.isclass(original):
            self._warn("is a class, not a function (its __init__ is one)")
            return
        if not callable(original) and not isinstance(original, _METHODS):
            self._warn("is not a function")
            return
        try:
            own = vars(parent).get(attribute, _MISSING)
            wrapper = Watched(original, self._call)
            setattr(parent, attribute, wrapper)
        except (AttributeError, TypeError):
            self._warn("cannot be replaced where it stands")
            return

        def undo() -> None:
            if vars(parent).get(attribute) is not wrapper:
                return
            if own is _MISSING:  # it was inherited: the class had no attribute of its own
                delattr(parent, attribute)
            else:
                setattr(parent, attribute, own)

        self._undo = undo
        self._matched(self._file)

    def _warn(self, why: str) -> None:
        say(
            "%s, hook %r: %s %s, so it reports nothing; correct `target` or remove the hook.",
            self._file.source,
            self._hook.name,
            self._hook.target,
            why,
        )

    def _call(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        result = wrapped(*args, **kwargs)
        if not self._active:
            return result
        if inspect.iscoroutine(result):
            watched: Any = self._await(result, wrapped, instance, args, kwargs)
            watched.__name__, watched.__qualname__ = result.__name__, result.__qualname__
            # a task that is cancelled before it starts never gets to the host's coroutine, which
            # would complain that nobody awaited it
            weakref.finalize(watched, result.close).atexit = False
            return watched
        self._report(wrapped, instance, args, kwargs, result)
        return result

    async def _await(
        self,
        pending: Coroutine[Any, Any, Any],
        wrapped: Callable[..., Any],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        result = await pending
        self._report(wrapped, instance, args, kwargs, result)
        return result

    @fail_open("hook")
    def _report(
        self,
        wrapped: Callable[..., Any],
        instance: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: Any,
    ) -> None:
        hook = self._hook
        arguments = self._arguments(wrapped, args, kwargs)
        roots = {"arg": arguments, "self": instance, "result": result, "user": request_user()}
        stage = None
        if hook.stage is not None:
            stage = cast("Path", hook.stage.source).resolve(roots)
        incident = incident_of(hook, roots)
        self._sink(event_of(hook, cast("Action", hook.action), incident, roots, stage=stage))

    def _arguments(
        self, wrapped: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The arguments by name; of a callable whose signature is not known those that were named."""
        try:
            if self._signature is None:
                self._signature = inspect.signature(wrapped)
            bound = self._signature.bind(*args, **kwargs)
        except Exception:  # noqa: BLE001  built in, or decorated with something that claims another signature
            return kwargs
        bound.apply_defaults()
        return bound.arguments
