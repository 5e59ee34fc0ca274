"""`call` hooks: a function of the host that means an action, reported once it has returned.

The function is wrapped when its module has been imported, never earlier, so that we import nothing
of the host's. Sync and async functions, methods, class- and staticmethods are alike: `wrapt` keeps
signatures, binding and introspection. What the function raises passes untouched and means that
nothing happened; what we do afterwards can neither fail nor change its result.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any, Final, cast, final

import wrapt

from otel_incident.guard import fail_open
from otel_incident.hooks.actors import request_user
from otel_incident.hooks.extraction import event_of, incident_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks.paths import Path
    from otel_incident.hooks.spec import Hook, HookFile
    from otel_incident.vocabulary import Action

_logger: Final = logging.getLogger("otel_incident")
_MISSING: Final = object()


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
        if self._undo is not None:
            self._undo()
            self._undo = None

    def _patch(self, module: Any) -> None:
        if not self._active or self._undo is not None:
            return
        name = self._hook.target.partition(":")[2]
        try:
            parent, attribute, original = wrapt.resolve_path(module, name)
        except AttributeError:
            _logger.warning(
                "%s, hook %r: %s does not exist, so it reports nothing; correct `target` or remove the hook.",
                self._file.source,
                self._hook.name,
                self._hook.target,
            )
            return
        own = vars(parent).get(attribute, _MISSING)
        wrapper = wrapt.FunctionWrapper(original, self._call)
        setattr(parent, attribute, wrapper)

        def undo() -> None:
            if vars(parent).get(attribute) is not wrapper:
                return
            if own is _MISSING:  # it was inherited: the class had no attribute of its own
                delattr(parent, attribute)
            else:
                setattr(parent, attribute, own)

        self._undo = undo
        self._matched(self._file)

    def _call(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        result = wrapped(*args, **kwargs)
        if not self._active:
            return result
        if inspect.iscoroutine(result):
            return self._await(result, wrapped, instance, args, kwargs)
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
        if self._signature is None:
            self._signature = inspect.signature(wrapped)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        roots = {"arg": bound.arguments, "self": instance, "result": result, "user": request_user()}
        stage = None
        if hook.stage is not None:
            stage = cast("Path", hook.stage.source).resolve(roots)
        incident = incident_of(hook, roots)
        self._sink(event_of(hook, cast("Action", hook.action), incident, roots, stage=stage))
