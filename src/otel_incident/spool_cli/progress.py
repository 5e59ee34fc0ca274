"""Says how far a long command has got: one line, rewritten, on a terminal; elsewhere a line now and then."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Final, TextIO, final

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN_SECONDS: Final = 5.0
_WIDTH: Final = 80  # of a terminal that does not say


@final
class Progress(logging.Handler):
    """The progress of one command; as a handler it keeps what is logged meanwhile on lines of their own.

    Args:
        stream: Where it is shown.
        now: The clock, seconds; only differences count.
    """

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream
        self._now = now
        self._terminal = stream.isatty()
        self._shown = ""
        self._next = now()

    def show(self, text: str) -> None:
        """Show how it stands; off a terminal at most every few seconds, and only what is new."""
        if text == self._shown:
            return
        if self._terminal:
            self._write(f"\r{self._fit(text)}")
        elif self._now() >= self._next:
            self._next = self._now() + _PLAIN_SECONDS
            self._write(f"{text}\n")
        else:
            return
        self._shown = text

    def line(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        self._write(f"{text}\n")

    def clear(self) -> None:
        """Take the line that is rewritten away."""
        if self._terminal and self._shown:
            self._write(f"\r{self._fit('')}\r")
            self._shown = ""

    def emit(self, record: logging.LogRecord) -> None:
        """What is logged: a line of its own."""
        self.line(f"otel-incident: {record.getMessage()}")

    def _fit(self, text: str) -> str:
        """A text in one line of the terminal, over all that stood there."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        width = max((columns or _WIDTH) - 1, 1)  # the last column would wrap on some terminals
        cut = text if len(text) <= width else f"{text[: width - 1]}…"
        return cut.ljust(min(len(self._shown), width))

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
