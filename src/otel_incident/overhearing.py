"""What this package says to the log, kept from it for a command that says the same in findings."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterator


@final
class _Ear(logging.Handler):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        with contextlib.suppress(Exception):  # whose line does not go with its arguments is not to hear of it
            self.lines.append(record.getMessage())


@contextlib.contextmanager
def overhearing(name: str = "otel_incident") -> Iterator[list[str]]:
    """Keep from the log what is said to a logger meanwhile.

    Args:
        name: The logger's.

    Yields:
        The lines so far.
    """
    logger, ear = logging.getLogger(name), _Ear()
    before, logger.propagate = logger.propagate, False
    logger.addHandler(ear)
    try:
        yield ear.lines
    finally:
        logger.removeHandler(ear)
        logger.propagate = before
