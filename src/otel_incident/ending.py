"""What the end of the process has shown about the endpoint, for whoever is shut down after the events.

The SDK waits up to ten seconds for the last metrics. Where a host has no metrics of its own, ours are what it
would wait for; and where the events, which come first, could not be delivered, it would wait in vain.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@final
class _Ending:
    """The end of this process.

    Attributes:
        in_vain: Whether the last events could not be delivered when the process ended.
        left: Which part of an exit's bound is left to delivery, where something else has used some of it.
    """

    __slots__ = ("_late", "in_vain", "left")

    def __init__(self) -> None:
        self.in_vain = False
        self.left = 1.0
        self._late: list[Callable[[], object]] = []

    def at_exit(self, handler: Callable[[], object]) -> None:
        """Have a handler called at the process's end, once; by `call_late` if need be.

        When the main thread has returned, the interpreter may be calling its handlers, and calls none that is
        registered then. Nobody can know whether it is.
        """
        if threading.main_thread().is_alive():
            atexit.register(handler)
        else:
            self._late.append(handler)
            atexit.register(self.call_late)

    def call_late(self) -> None:
        """In an exit handler: call those that may have come too late for the interpreter."""
        while self._late:
            self._late.pop()()


ending: Final = _Ending()
"""Of this process; a forked child has its own."""


def exit_has_begun() -> bool:
    """Whether this thread runs the interpreter's exit handlers: one that is registered now is never called.

    From there on Python 3.12 starts no thread, and no thread that starts is waited for.
    """
    main = threading.main_thread()
    return main.ident == threading.get_ident() and not main.is_alive()


def _pools() -> Any:
    """The module of the pools, which can be imported for the first time only until the main thread returns.

    It asks to be told of that moment. Where it is brought after it, it knows what it would have been told: it
    refuses work, so that a host whose own import of it would have failed is refused as before.
    """
    try:
        from concurrent.futures import thread  # noqa: PLC0415  see forks: it is not ours to bring
    except RuntimeError:
        ask: Any = threading
        register, ask._register_atexit = ask._register_atexit, lambda *_, **__: None  # noqa: SLF001  the same
        try:
            from concurrent.futures import thread  # noqa: PLC0415  the same
        finally:
            ask._register_atexit = register  # noqa: SLF001  the same
        thread._shutdown = True  # noqa: SLF001  the same
    return thread


@contextlib.contextmanager
def pools_open() -> Iterator[None]:
    """Pools of threads take work although the main thread has returned.

    The SDK looks for its resource in one while it is imported. A host whose work goes on in another thread,
    or in a handler of its exit, may report its first event then, for which the SDK is imported. Where no
    thread can start any more (Python 3.12), what is given to a pool is done by who gives it.
    """
    pools = _pools()
    with pools._global_shutdown_lock:  # noqa: SLF001  it has no public place
        was, pools._shutdown = pools._shutdown, False  # noqa: SLF001  the same
    pool: Any = pools.ThreadPoolExecutor
    start = pool._adjust_thread_count  # noqa: SLF001  the same

    def start_or_do(self: Any) -> None:
        try:
            start(self)
        except RuntimeError:
            self._work_queue.get_nowait().run()

    pool._adjust_thread_count = start_or_do  # noqa: SLF001  the same
    try:
        yield
    finally:
        pool._adjust_thread_count = start  # noqa: SLF001  the same
        with pools._global_shutdown_lock:  # noqa: SLF001  the same
            pools._shutdown = was  # noqa: SLF001  the same
