"""`call` hooks: a function of the host that means an action, reported once it has returned.

The function is wrapped when its module has been imported, never earlier, so that we import nothing
of the host's. Sync and async functions, methods, class- and staticmethods are alike: `wrapt` keeps
signatures, binding and introspection. What the function raises passes untouched and means that
nothing happened; what we do afterwards can neither fail nor change its result. A coroutine and a
future are reported once they are done; what else does its work later cannot be reported.
"""

from __future__ import annotations

import contextlib
import inspect
import weakref
from contextvars import copy_context
from functools import partial, partialmethod, singledispatchmethod
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast, final

import wrapt

from otel_incident.guard import fail_open
from otel_incident.hooks.actors import request_user
from otel_incident.hooks.complaints import Complaints
from otel_incident.hooks.extraction import event_of, incident_of
from otel_incident.hooks.modules import is_the_program, why_absent
from otel_incident.hooks.nesting import Nesting
from otel_incident.hooks.watched import Watched
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks.nesting import Outermost
    from otel_incident.hooks.paths import Path
    from otel_incident.hooks.spec import Hook, HookFile
    from otel_incident.vocabulary import Action

_MISSING: Final = object()
# Descriptors that are no callables themselves, but give one.
_METHODS: Final = (classmethod, partialmethod, singledispatchmethod)

# What does its work after it was returned, and does not say when it is done.
_LATER: Final = (
    GeneratorType,
    AsyncGeneratorType,
    contextlib._GeneratorContextManagerBase,  # noqa: SLF001  what `contextmanager` gives has no public name
)
_OF_FUTURES: Final = ("add_done_callback", "cancelled", "exception", "result")


class _Call(NamedTuple):
    """One call of the host's."""

    wrapped: Callable[..., Any]
    instance: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


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
        self._nesting = Nesting(sink)
        self._complaints = Complaints(file.source, hook.name)
        self._matched = matched
        self._active = True
        self._undo: Callable[[], None] | None = None
        self._wait_no_longer: Callable[[], None] = lambda: None
        self._signature: inspect.Signature | None = None

    def install(self) -> None:
        """Wrap the callable as soon as its module is imported (at once if it is)."""
        module = self._hook.target.partition(":")[0]
        if is_the_program(module):
            self._warn(why_absent(module))
        self._wait_no_longer = when_imported(module, fail_open("hook")(self._patch))

    def uninstall(self) -> None:
        """Put the callable back; a wrapper that somebody put over ours keeps calling through."""
        self._active = False
        self._wait_no_longer()
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def ended(self) -> None:
        """The process ends: say it if an operator's callable was never there to be watched."""
        module = self._hook.target.partition(":")[0]
        if self._undo is None and not self._file.preset:
            why = why_absent(module)
            if why:
                self._warn(why)

    def _patch(self, module: Any) -> None:
        if not self._active:
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
        function = getattr(original, "__func__", original)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            self._warn("is a generator function, which has done nothing when it returns")
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
        sentence = f"%s {why}, so it reports nothing; correct `target` or remove the hook."
        self._complaints.say(sentence, self._hook.target)

    def _call(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if not self._active:
            return wrapped(*args, **kwargs)
        call = _Call(wrapped, instance, args, kwargs)
        outermost = self._nesting.begin()
        try:
            result = wrapped(*args, **kwargs)
            watched = self._outcome(call, result, outermost)
        finally:
            self._end(outermost)
        return result if watched is None else watched

    @fail_open("hook")
    def _outcome(self, call: _Call, result: Any, outermost: Outermost | None) -> Any:
        """Report what has happened, or see to it once it has; what the host gets instead, if anything."""
        kind = type(result)  # never `__class__`, which a lazy object answers by loading itself
        if issubclass(kind, CoroutineType):
            return self._watched(call, result)
        if all(_has(kind, name) for name in _OF_FUTURES):
            result.add_done_callback(partial(copy_context().run, partial(self._done, call)))
        elif issubclass(kind, _LATER) or _has(kind, "__await__"):
            self._warn("gave a generator, a context manager or an awaitable, which has done nothing by then")
        else:
            self._report(call, result, outermost)
        return None

    def _watched(self, call: _Call, coroutine: Any) -> Any:
        watched: Any = self._await(call, coroutine)
        watched.__name__, watched.__qualname__ = coroutine.__name__, coroutine.__qualname__
        # a task that is cancelled before it starts never gets to the host's coroutine, which
        # would complain that nobody awaited it
        weakref.finalize(watched, coroutine.close).atexit = False
        return watched

    async def _await(self, call: _Call, pending: Coroutine[Any, Any, Any]) -> Any:
        outermost = self._nesting.begin()
        try:
            result = await pending
            self._report(call, result, outermost)
        finally:
            self._end(outermost)
        return result

    @fail_open("hook")
    def _done(self, call: _Call, future: Any) -> None:
        """A future is done: in the context in which it was given, without a word to whoever waits for it."""
        # asking for the exception of an asyncio future that nobody has asked for would hide it
        if future.cancelled() or getattr(future, "_log_traceback", False) or future.exception() is not None:
            return
        outermost = self._nesting.begin()
        try:
            self._report(call, future.result(), outermost)
        finally:
            self._end(outermost)

    @fail_open("hook")
    def _end(self, outermost: Outermost | None) -> None:
        self._nesting.end(outermost)

    @fail_open("hook")
    def _report(self, call: _Call, result: Any, outermost: Outermost | None) -> None:
        if not self._active:
            return
        hook = self._hook
        arguments = self._arguments(call.wrapped, call.args, call.kwargs)
        roots = {"arg": arguments, "self": call.instance, "result": result, "user": request_user()}
        stage = None
        if hook.stage is not None:
            stage = cast("Path", hook.stage.source).resolve(roots)
        incident = incident_of(hook, roots)
        if incident.id is None:
            self._complaints.no_id(hook.incident["id"].text)
        event = event_of(hook, cast("Action", hook.action), incident, roots, stage=stage)
        self._nesting.report(event, outermost)

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


def _has(kind: type, name: str) -> bool:
    """Whether a class has an attribute, without asking code of its own."""
    return any(name in vars(base) for base in kind.__mro__)
