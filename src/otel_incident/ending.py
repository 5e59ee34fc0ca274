"""What the end of the process has shown about the endpoint, for whoever is shut down after the events.

The SDK waits up to ten seconds for the last metrics. Where a host has no metrics of its own, ours are what it
would wait for; and where the events, which come first, could not be delivered, it would wait in vain.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Iterator


@final
class _Ending:
    """The end of this process.

    Attributes:
        in_vain: Whether the last events could not be delivered when the process ended.
    """

    __slots__ = ("in_vain",)

    def __init__(self) -> None:
        self.in_vain = False


ending: Final = _Ending()
"""Of this process; a forked child has its own."""


@contextlib.contextmanager
def pools_open() -> Iterator[None]:
    """Pools of threads take work although the main thread has returned.

    The SDK looks for its resource in one while it is imported. A host whose work goes on in another thread
    may report its first event then, for which the SDK is imported.
    """
    from concurrent.futures import thread as pools  # noqa: PLC0415  see forks: it is not ours to bring

    with pools._global_shutdown_lock:  # noqa: SLF001  it has no public place
        was, pools._shutdown = pools._shutdown, False  # noqa: SLF001  the same
    try:
        yield
    finally:
        with pools._global_shutdown_lock:  # noqa: SLF001  the same
            pools._shutdown = was  # noqa: SLF001  the same
