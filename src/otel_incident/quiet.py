"""Keeps what exporters log about our batches out of the host's log, and takes the reason from it.

The exporters of the SDK log each failed attempt, a transient one as a warning, and tell their caller only
that it failed. We let none of these lines through while we deliver, in the thread that delivers, and
remember why the attempt failed; the host's own exporters, which use the same loggers, still speak. An attempt
that is under way when all is restored takes the filters away itself, at its end.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol, final

from otel_incident.forks import forget_in_children

if TYPE_CHECKING:
    from collections.abc import Iterator

_TALKATIVE: Final = ("opentelemetry.", "urllib3.", "requests.", "grpc.")
_STATUSES: Final = {status.phrase: int(status) for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST}


class Delivery(Protocol):
    """Whoever delivers, and wants to know why it failed."""

    reason: str


class _Sending(threading.local):
    """For whom this thread is delivering, if it is."""

    delivery: Delivery | None = None


class _OwnFailures(logging.Filter):
    """Keeps what an exporter logs about our batches to itself; the host's own exporters still speak."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _sending.delivery is None:
            return True
        _sending.delivery.reason = _reason(record) or _sending.delivery.reason
        return False


def _reason(record: logging.LogRecord) -> str:
    """Why a delivery failed, from a closed set: a status code, a gRPC code, or an exception's class."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    for argument in arguments:
        if type(argument) is int and 400 <= argument < 600:  # noqa: PLR2004  HTTP's error statuses
            return f"HTTP {argument}"
        if type(argument) is str and argument in _STATUSES:
            return f"HTTP {_STATUSES[argument]}"
        if isinstance(argument, BaseException):
            return type(argument).__name__
        if type(argument).__name__ == "StatusCode":
            return f"gRPC {argument.name}"  # type: ignore[attr-defined]  # grpc is not imported for its type
    return ""


def attach(package: str = "") -> None:
    """Put the filter before all others of each logger that an exporter or its transport writes to.

    Before: the SDK's own filter drops what looks like the line before, and would take a line of the
    host's exporter for a repetition of one of ours that nobody has seen.

    Args:
        package: The top-level package of an exporter that is not the SDK's.
    """
    loggers = logging.root.manager.loggerDict
    for name in list(loggers):
        logger = loggers.get(name)
        if (
            isinstance(logger, logging.Logger)
            and (name.startswith(_TALKATIVE) or name.partition(".")[0] == package)
            and (not logger.filters or logger.filters[0] is not _own_failures)
        ):
            logger.removeFilter(_own_failures)
            logger.filters.insert(0, _own_failures)


@final
class _UnderWay:
    """The attempts that are under way in this process; who adds or takes away needs no lock for it."""

    def __init__(self) -> None:
        self.detached = 0  # how often the filters were to go
        self._attempts: set[object] = set()
        forget_in_children(self)

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """An attempt, from before it is decided that there is one until all of it has been logged."""
        attempt, before = object(), self.detached
        self._attempts.add(attempt)
        try:
            yield
        finally:
            self._attempts.discard(attempt)
            if self.detached != before:
                self.take_filters()

    def take_filters(self) -> None:
        """Take the filter from every logger, unless an attempt is under way, which then does so."""
        if not self._attempts:
            _take_filters()

    def forget(self) -> None:
        """In a forked child: the threads that attempt something are the parent's."""
        self._attempts.clear()


under_way: Final = _UnderWay()
"""Around an attempt: the filters stay until it has ended."""


def detach() -> None:
    """Take the filter from every logger again, once no attempt is under way; a later one attaches it anew."""
    under_way.detached += 1
    under_way.take_filters()


def _take_filters() -> None:
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.removeFilter(_own_failures)


def delivering() -> bool:
    """Whether this thread is delivering events of ours."""
    return _sending.delivery is not None


_own_failures: Final = _OwnFailures()
_sending: Final = _Sending()


@contextlib.contextmanager
def quiet(delivery: Delivery) -> Iterator[None]:
    """Keep what is logged in this thread about our batches from the host's log."""
    before, _sending.delivery = _sending.delivery, delivery
    try:
        yield
    finally:
        _sending.delivery = before
