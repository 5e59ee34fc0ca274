"""How a thread that delivers waits: for something to do, and never so long that nothing is looked after.

An endpoint may ask to be left alone for an hour, and a batch may have to wait for as long. Meanwhile other
processes write, a full disk has room again, and whoever says nothing loses the lease. So a pause consists of
many short ones, with a look between them.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol, final

if TYPE_CHECKING:
    from collections.abc import Callable


class Awaited(Protocol):
    """Something that may happen."""

    def wait(self, timeout: float, /) -> bool:
        """Return True when it has happened, False after so many seconds."""
        ...


@final
class Pauses:
    """The pauses of one thread.

    Args:
        look: Called before each piece of a pause; cheap where nothing is to do.
        now: The clock, seconds; only differences count.
    """

    def __init__(self, look: Callable[[], object], now: Callable[[], float] = time.monotonic) -> None:
        self.wake = threading.Event()
        """Something waits to be delivered."""
        self.prod = threading.Event()
        """Nobody may wait any longer."""
        self._look = look
        self._now = now

    def clear(self) -> None:
        """What was asked for is about to be done."""
        self.wake.clear()
        self.prod.clear()

    def wait(self, awaited: Awaited, seconds: float, every: float) -> bool:
        """Wait for something, with a look at the beginning and every so many seconds.

        Returns:
            Whether it has happened.
        """
        until = self._now() + seconds
        while True:
            self._look()
            left = until - self._now()
            if awaited.wait(max(0.0, min(left, every))):
                return True
            if left <= every:
                return False
