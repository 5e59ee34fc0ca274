"""An application is loaded by uWSGI before its workers are forked, which no fork hook of Python's is told of.

uWSGI forks in C, with the interpreter let go. A thread that runs in the process it forks may hold the
interpreter at that moment. In the worker, where that thread is not, nobody ever gives it back: the worker
waits for it (`uwsgi_python_master_fixup`, `PyEval_RestoreThread`) before its first request, and for ever.
`--lazy-apps` does not help what was started before: `opentelemetry-instrument` does its work when the
interpreter starts, in the master.

So no thread of ours runs in a process that is to be forked: what comes there is kept, and leaves from a
worker.
"""

from __future__ import annotations

import os
import sys
import weakref
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from otel_incident.forks import notice_fork
from otel_incident.guard import fail_open, say

if TYPE_CHECKING:
    from collections.abc import Callable

_MODULE: Final = "uwsgi"  # built in, and there from the time on that uWSGI loads applications
_HOOK: Final = "post_fork_hook"
_DECORATORS: Final = "uwsgidecorators"


class Delivers(Protocol):
    """Something that needs a thread."""

    def begin(self) -> None:
        """Deliver what waits, in a worker; called once it is there."""
        ...


_waiting: Final[weakref.WeakSet[Delivers]] = weakref.WeakSet()
_told: Final[set[str]] = set()
"""What was done once: waiting for the module, having a hook, a line that was said."""


def is_to_fork() -> bool:
    """Whether this process is a uWSGI that is to fork workers: its master, or before they are there."""
    uwsgi = _uwsgi()
    if uwsgi is None:
        return _is_starting()
    try:
        return uwsgi.worker_id() == 0 and uwsgi.masterpid() in {0, os.getpid()}
    except Exception:  # noqa: BLE001  a module of somebody else's that is called the same
        return False


def begin_in_workers(one: Delivers) -> None:
    """Have it begin in each worker; where this cannot be arranged, its first record there does it."""
    _waiting.add(one)
    fail_open("pipeline")(_arrange)()


def say_without_threads() -> None:
    """Say once that uWSGI lets no thread run between two requests, where that is so."""
    uwsgi = _uwsgi()
    if getattr(uwsgi, "has_threads", None) == 0 and "threads" not in _told:
        _told.add("threads")
        say(
            "uWSGI runs without threads: log records leave only while a worker handles a request, and when "
            "it ends. Start uWSGI with --enable-threads."
        )


def _uwsgi() -> Any:  # ANN401: it has no types
    """The module of uWSGI itself; None where it is not, or not yet, or is somebody's file."""
    module = sys.modules.get(_MODULE)
    return None if hasattr(module, "__file__") else module


@cache
def _is_starting() -> bool:
    """Whether this is uWSGI before its module is there, when `opentelemetry-instrument` does its work."""
    if sys.orig_argv:  # a program called python
        return False
    try:
        import ctypes  # noqa: PLC0415  needed only where another program has Python in it

        return hasattr(ctypes.CDLL(None), "uwsgi_respawn_worker")
    except Exception:  # noqa: BLE001  a Python without it
        return False


def _arrange() -> None:
    """Be told of workers."""
    uwsgi = _uwsgi()
    if uwsgi is None:
        if "module" not in _told:
            _told.add("module")
            sys.meta_path.insert(0, _ModuleIsThere())
    elif not is_to_fork():
        _begin()
    elif "hook" not in _told:
        _told.add("hook")
        from otel_incident.imports import when_imported  # noqa: PLC0415  needed here alone

        uwsgi.post_fork_hook = _after(getattr(uwsgi, _HOOK, None))
        when_imported(_DECORATORS, _chain)  # it puts a hook of its own in the place of ours


def _after(former: Callable[[], object] | None) -> Callable[[], None]:
    """What uWSGI calls in a worker: what it would have called, and we."""

    def post_fork_hook() -> None:
        try:
            if former is not None:
                former()
        finally:
            _begin()

    return post_fork_hook


@fail_open("pipeline")
def _chain(decorators: Any) -> None:
    decorators.postfork_chain.append(_begin)


@fail_open("pipeline")
def _begin() -> None:
    """In a worker: all that has waited for one begins."""
    if is_to_fork():
        return
    notice_fork()
    for each in list(_waiting):
        fail_open("pipeline")(each.begin)()


@final
class _ModuleIsThere:
    """Looks, whenever something is imported, whether uWSGI's module is there by now; finds nothing itself.

    uWSGI makes its module without importing it, so this is the first that is seen of it.
    """

    def find_spec(self, *_: object) -> None:
        """Look; nothing is found."""
        if _MODULE in sys.modules:
            # another list: the import that is under way goes through this one
            sys.meta_path = [each for each in sys.meta_path if each is not self]
            fail_open("pipeline")(_arrange)()
