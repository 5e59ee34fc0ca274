"""A callable of a host's, watched: wrapped when its module has been imported, followed until it is done.

We import nothing of the host's. Sync and async functions, methods, class- and staticmethods are alike:
`wrapt` keeps signatures, binding and introspection. What the callable raises passes untouched, and what
we do afterwards can neither fail nor change its result. A coroutine and a future are followed until they
are done; what else does its work later cannot be. What a call means is for `calls` and `http` to say.
"""

from __future__ import annotations

import contextlib
import inspect
import weakref
from abc import ABC, abstractmethod
from contextvars import copy_context
from functools import partial, partialmethod, singledispatchmethod
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import wrapt

from otel_incident.guard import fail_open
from otel_incident.hooks.local_proxies import stands_for
from otel_incident.hooks.modules import is_the_program, why_absent
from otel_incident.hooks.watched import Watched
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from otel_incident.hooks.complaints import Complaints
    from otel_incident.hooks.definitions import HookFile
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


class Call(NamedTuple):
    """One call of the host's."""

    wrapped: Callable[..., Any]
    instance: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


class FunctionWatch(ABC):
    """Watches one callable.

    Args:
        file: Where the hook stands.
        target: The callable, as `module:name`.
        complaints: Says what is wrong with the hook.
        matched: Told when the callable has been found.
    """

    def __init__(
        self, file: HookFile, target: str, complaints: Complaints, matched: Callable[[HookFile], None]
    ) -> None:
        self._file = file
        self._target = target
        self._complaints = complaints
        self._matched = matched
        self._meaning: Action | None = None
        self._active = True
        self._undo: Callable[[], None] | None = None
        self._wait_no_longer: Callable[[], None] = lambda: None
        self._signature: inspect.Signature | None = None

    def install(self) -> None:
        """Wrap the callable as soon as its module is imported (at once if it is)."""
        module = self._target.partition(":")[0]
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
        module = self._target.partition(":")[0]
        if self._undo is None and not self._file.preset:
            why = why_absent(module)
            if why:
                self._warn(why)

    @abstractmethod
    def _about(self, call: Call) -> Any:
        """What is to be reported of a call if it succeeds; None for nothing, and then it is left alone."""

    @abstractmethod
    def _begin(self, about: Any) -> Any:
        """A call begins, or a coroutine that it gave; what is returned is handed to what follows."""

    @abstractmethod
    def _end(self, begun: Any) -> None:
        """It has ended, in whatever way."""

    @abstractmethod
    def _report(self, call: Call, about: Any, result: Any, begun: Any) -> None:
        """It has returned."""

    @abstractmethod
    def _raised(self, call: Call, about: Any, begun: Any) -> None:
        """It has raised an error."""

    def _found(self, function: object) -> None:
        """The callable is there, and watched from now on."""
        del function

    def _arguments(self, call: Call) -> Mapping[str, Any]:
        """The arguments by name; of a callable whose signature is not known those that were named."""
        try:
            if self._signature is None:
                self._signature = inspect.signature(call.wrapped)
            bound = self._signature.bind(*call.args, **call.kwargs)
        except Exception:  # noqa: BLE001  built in, or decorated with something that claims another signature
            return call.kwargs
        bound.apply_defaults()
        return bound.arguments

    def _patch(self, module: Any) -> None:
        if not self._active:
            return
        try:
            parent, attribute, original = wrapt.resolve_path(module, self._target.partition(":")[2])
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
            wrapper = Watched(self._without_same(original), self._call)
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
        self._put_below_heirs(parent, attribute, original)
        self._matched(self._file)
        self._found(function)

    def _is_same(self, other: FunctionWatch) -> bool:
        """Whether another, of another target, would say the same of one call."""
        return self._meaning is not None and self._meaning == other._meaning and self._target != other._target

    def _without_same(self, original: Any) -> Any:
        """What is to be wrapped: where that is inherited or imported by name, others have wrapped it already.

        What says the same of a call is left out there: the more specific target, this one, says it.
        """
        if type(original) is not Watched:
            return original
        below = self._without_same(original.__wrapped__)
        if self._is_same(_watch_of(original)):
            return below
        return original if below is original.__wrapped__ else Watched(below, _wrapper_of(original))

    def _put_below_heirs(self, parent: Any, attribute: str, original: Any) -> None:
        """Have classes that inherited this before it was watched, and are watched themselves, call it.

        As if it had been watched first; but for those that say the same of a call.
        """
        for heir in _heirs(parent) if inspect.isclass(parent) else ():
            layer = vars(heir).get(attribute)
            said = False
            while type(layer) is Watched:
                said = said or self._is_same(_watch_of(layer))
                if layer.__wrapped__ is original and not said:
                    layer.__wrapped__ = Watched(original, self._call)
                    break
                layer = layer.__wrapped__

    def _warn(self, why: str) -> None:
        to_do = "correct `target` or remove the hook."
        if self._file.preset:
            to_do = "this version is none that the preset is for."
        sentence = f"%s {why}, so it reports nothing; {to_do}"
        self._complaints.say(sentence, self._target)

    def _call(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if not self._active:
            return wrapped(*args, **kwargs)
        call = Call(wrapped, instance, args, kwargs)
        about = self._about(call)
        if about is None:
            return wrapped(*args, **kwargs)
        begun = self._begin(about)
        try:
            result = wrapped(*args, **kwargs)
            followed = self._outcome(call, about, result, begun)
        except Exception:  # the host's own, which it gets as it is
            self._raised(call, about, begun)
            raise
        finally:
            self._end(begun)
        return result if followed is None else followed

    @fail_open("hook")
    def _outcome(self, call: Call, about: Any, result: Any, begun: Any) -> Any:
        """Report what has happened, or see to it once it has; what the host gets instead, if anything."""
        if issubclass(type(result), CoroutineType):
            return self._followed(call, about, result)
        given: Any = stands_for(result)
        kind = type(given)  # never `__class__`, which a lazy object answers by loading itself
        if all(_has(kind, name) for name in _OF_FUTURES):
            given.add_done_callback(partial(copy_context().run, partial(self._done, call, about)))
        elif issubclass(kind, _LATER) or _has(kind, "__await__"):
            self._warn("gave a generator, a context manager or an awaitable, which has done nothing by then")
        else:
            self._report(call, about, given, begun)
        return None

    def _followed(self, call: Call, about: Any, coroutine: Any) -> Any:
        followed: Any = self._await(call, about, coroutine)
        followed.__name__, followed.__qualname__ = coroutine.__name__, coroutine.__qualname__
        # a task that is cancelled before it starts never gets to the host's coroutine, which
        # would complain that nobody awaited it
        weakref.finalize(followed, coroutine.close).atexit = False
        return followed

    async def _await(self, call: Call, about: Any, pending: Coroutine[Any, Any, Any]) -> Any:
        begun = self._begin(about)
        try:
            result = await pending
            self._report(call, about, result, begun)
        except Exception:  # the host's own, which it gets as it is
            self._raised(call, about, begun)
            raise
        finally:
            self._end(begun)
        return result

    @fail_open("hook")
    def _done(self, call: Call, about: Any, future: Any) -> None:
        """A future is done: in the context in which it was given, without a word to whoever waits for it."""
        # asking for the exception of an asyncio future that nobody has asked for would hide it
        if future.cancelled() or getattr(future, "_log_traceback", False) or future.exception() is not None:
            return
        begun = self._begin(about)
        try:
            self._report(call, about, future.result(), begun)
        finally:
            self._end(begun)


def _wrapper_of(watched: Any) -> Callable[..., Any]:
    """What a wrapper of ours calls: a method of who watches."""
    wrapper: Callable[..., Any] = watched._self_wrapper  # noqa: SLF001  where wrapt keeps it
    return wrapper


def _watch_of(watched: Any) -> FunctionWatch:
    """Who watches by a wrapper of ours."""
    watch: FunctionWatch = _wrapper_of(watched).__self__  # type: ignore[attr-defined]  # a method, by the line above
    return watch


def _heirs(parent: type) -> Iterator[type]:
    """The classes below one, without asking a metaclass of the host's."""
    children: list[type] = type.__subclasses__(parent)
    for heir in children:
        yield heir
        yield from _heirs(heir)


def _has(kind: type, name: str) -> bool:
    """Whether a class has an attribute, without asking code of its own."""
    return any(name in vars(base) for base in kind.__mro__)
