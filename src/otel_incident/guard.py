"""The one fail-open boundary between a host and this package.

A host calls into us from hooks, processors and signal receivers. Whatever goes wrong there is ours
to swallow: it is counted by place, said once with the exception's class and the line of ours that
raised it, and the host goes on. The exception's message is never said, since it may quote the
host's data. `BaseException` (exits, interrupts, cancellations) always passes.

Tests switch `reraise` on, so that nothing that production swallows hides there.

Two things that could hurt a host without an exception live here too: a line in its log (`say`) and
a lock (`HostLock`).
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import weakref
from collections import Counter
from functools import wraps
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, Literal, ParamSpec, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Callable

Place = Literal["emit", "hook", "instrument", "gate", "pipeline", "identity"]
"""Where an error was swallowed; a closed set, since it is counted and logged."""

P = ParamSpec("P")
R = TypeVar("R")

LOCK_SECONDS: Final = 5.0

_PACKAGE: Final = PurePath(__file__).parent
_logger: Final = logging.getLogger("otel_incident")


@final
class HostLock:
    """A lock that cannot hang a host; a context manager.

    The thread that holds it may come back (from a signal handler, or a log handler that reports an
    incident); a forked child finds it free, whoever held it in the parent; and whoever waits gives
    up after `LOCK_SECONDS` with a `TimeoutError`, since the one who holds it may be waiting for him
    in a lock of the host's own.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self.renew()
        _locks.add(self)

    def __enter__(self) -> None:
        """Take it; TimeoutError if that takes too long."""
        if not self._lock.acquire(timeout=LOCK_SECONDS):
            raise TimeoutError

    def __exit__(self, *_: object) -> None:
        """Give it back; a child forked in between has nothing to give back."""
        with contextlib.suppress(RuntimeError):
            self._lock.release()

    def renew(self) -> None:
        """Forget who holds it."""
        self._lock = threading.RLock()


_locks: Final[weakref.WeakSet[HostLock]] = weakref.WeakSet()


def _renew_locks() -> None:
    for lock in _locks:
        lock.renew()


os.register_at_fork(after_in_child=_renew_locks)


class _State:
    """What the boundary remembers: counts by place, what was said, and whether tests want it raised."""

    __slots__ = ("lock", "reraise", "said", "swallowed")

    def __init__(self) -> None:
        self.lock = HostLock()
        self.swallowed: Counter[Place] = Counter()
        self.said: set[tuple[Place, str]] = set()
        self.reraise = False


_state: Final = _State()


def swallow(place: Place, error: Exception) -> None:
    """Take an error of ours out of the host's way: count it, say it once, re-raise it in tests only."""
    if _state.reraise:
        raise error
    where = f"{type(error).__name__} at {_our_line(error)}"
    with _state.lock:
        _state.swallowed[place] += 1
        first = (place, where) not in _state.said
        _state.said.add((place, where))
    if first:
        say(
            "An internal error (%s) was swallowed in %s; the host is not affected, the event may be missing. "
            "Please report this line.",
            where,
            place,
        )


def say(message: str, *arguments: object) -> None:
    """Log one warning; what a log handler of the host's raises stays there."""
    with contextlib.suppress(Exception):
        _logger.warning(message, *arguments, stacklevel=2)


def fail_open(place: Place) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Make a function return None where it would raise into the host."""

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001  this is the boundary
                swallow(place, error)
                return None

        return guarded

    return decorate


def swallowed() -> dict[Place, int]:
    """How many errors each place has swallowed in this process."""
    with _state.lock:
        return dict(_state.swallowed)


def set_reraise(*, reraise: bool) -> bool:
    """Choose whether errors pass (tests) or are swallowed (production); returns the setting before."""
    before, _state.reraise = _state.reraise, reraise
    return before


def _our_line(error: Exception) -> str:
    """`module.py:line` of the deepest frame that is ours: enough to find a bug, nothing of the host's."""
    line = "an unknown line"
    frame = error.__traceback__
    while frame is not None:
        path = PurePath(frame.tb_frame.f_code.co_filename)
        if path.is_relative_to(_PACKAGE):
            line = f"{path.relative_to(_PACKAGE).as_posix()}:{frame.tb_lineno}"
        frame = frame.tb_next
    return line
