"""The processors of the events' own pipeline: a spool, or memory where there is no spool.

The console is written to at once and by the process that reports; nothing waits for it on disk.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Protocol

from otel_incident.announcements import say_once
from otel_incident.destinations import describe, destinations, folder_of
from otel_incident.exporters import EXIT_SECONDS, BoundedBatchProcessor, DeferredExporter
from otel_incident.spool.retention import Bounds
from otel_incident.spool.segments import SEGMENTS, segments_in
from otel_incident.spool.spool import Outlet, Spool
from otel_incident.state import own_directory, places_of

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk._logs import ReadableLogRecord

    from otel_incident.config import Config
    from otel_incident.destinations import Destination
    from otel_incident.spool.attempts import Attempts


class Processor(Protocol):
    """What delivers our events."""

    gave_up: bool
    """Whether its shutdown left something undelivered, or the last delivery failed."""

    def take(self, record: ReadableLogRecord, /) -> None:
        """Take a record that is complete."""
        ...

    def force_flush(self, timeout_millis: int = ...) -> bool:
        """Deliver what waits."""
        ...

    def shutdown(self) -> None:
        """The same within a bound, and end."""
        ...


def processors_of(config: Config, service: str) -> list[Processor]:
    """The processors for every destination that the environment or the configuration file names.

    Args:
        config: The settings.
        service: The service's name.
    """
    found = destinations(config)
    spooled = _spooled(config, found)
    beside = [each for each in found if each not in spooled]
    # they are shut down one after the other, and the bound holds for all of them
    seconds = EXIT_SECONDS / (len(beside) + bool(spooled))
    made: list[Processor] = [
        BoundedBatchProcessor(DeferredExporter(each.name, each.build), each.batch, seconds) for each in beside
    ]
    if spooled:
        made.append(_spool(config, service, spooled, seconds))
    return made


def spool_of(processors: list[Processor]) -> Spool | None:
    """The spool among processors, if there is one."""
    return next((each for each in processors if isinstance(each, Spool)), None)


def outlet_of(destination: Destination) -> Outlet:
    """A destination as one that a spool delivers to."""
    return Outlet(
        destination.name,
        partial(_attempts, destination),
        delay=destination.batch.schedule_delay_millis / 1000,
        batch_size=destination.batch.max_export_batch_size,
    )


def has_leftovers(config: Config, service: str) -> bool:
    """Whether a former process has left events for the destinations of this one; makes nothing."""
    spooling, spooled = config.spooling, _spooled(config, destinations(config))
    if spooling.directory is None or not spooled:
        return False
    for place in _places(spooling.directory, spooling.folder, folder_of(service, spooled)):
        with contextlib.suppress(OSError):  # it may be somebody else's
            if any(segment.size() for segment in segments_in(place / SEGMENTS)):
                return True
    return False


def _places(directory: Path, folder: str, name: str) -> list[Path]:
    """Where a destination's events may wait, whichever of these directories were private when they came."""
    return [each for place in places_of(directory) for each in places_of(place / folder / name)]


def _spooled(config: Config, found: list[Destination]) -> list[Destination]:
    directory, wanted = config.spooling.directory, [each for each in found if not each.is_console]
    if directory is None and config.spooling.on and wanted:
        say_once(
            "There is no home directory to keep events in until they are delivered, so they wait in memory: "
            "set OTEL_INCIDENT_SPOOL_DIR to a writable directory, or OTEL_INCIDENT_SPOOL=false."
        )
    return [] if directory is None else wanted


def _spool(config: Config, service: str, found: list[Destination], exit_seconds: float) -> Spool:
    directory: Path = config.spooling.directory  # type: ignore[assignment]  # else nothing is spooled
    elsewhere = _places(directory, config.spooling.folder, folder_of(service, found))
    with contextlib.suppress(OSError):  # the first event says what is wrong with the directory
        directory = own_directory(directory)
        (directory / config.spooling.folder).mkdir(mode=0o700, exist_ok=True)
    spool = Spool(
        directory / config.spooling.folder / folder_of(service, found),
        [outlet_of(each) for each in found],
        sync=config.spooling.sync,
        queue_size=max(each.batch.max_queue_size for each in found),
        bounds=Bounds(config.spooling.max_bytes, config.spooling.max_age_millis / 1000),
        exit_seconds=exit_seconds,
        elsewhere=elsewhere,
    )
    with contextlib.suppress(OSError):  # the same
        describe(spool.directory, service, found)
    return spool


def _attempts(destination: Destination) -> Attempts:
    from otel_incident.spool.attempts import Attempts  # noqa: PLC0415  dear, and this is the sender's thread

    return Attempts(destination.build(), timeout=destination.batch.export_timeout_millis / 1000)
