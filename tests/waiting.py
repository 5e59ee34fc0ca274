"""The one place where a test may poll: for what another process does, which no condition variable reports."""

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

INTERVAL: Final = 0.02
"""Seconds between two looks."""


def wait_until(look: Callable[[], T | None], timeout: float, what: str) -> T:
    """The first result of `look` that is true, or TimeoutError naming `what` after `timeout` seconds."""
    pause = threading.Event()
    deadline = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {timeout} s: {what}")
        pause.wait(INTERVAL)
