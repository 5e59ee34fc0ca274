"""The processors of the events' own pipeline: a spool, or memory where there is no spool.

The console is written to at once and by the process that reports; nothing waits for it on disk.
"""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, final

from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import get_current_span

from otel_incident.announcements import say_once
from otel_incident.destinations import describe, destinations, folder_of
from otel_incident.ending import exit_has_begun
from otel_incident.errors import ConfigurationError
from otel_incident.exporters import EXIT_SECONDS, BoundedBatchProcessor, DeferredExporter
from otel_incident.forks import no_fork_while_importing
from otel_incident.guard import say
from otel_incident.handover import Handover
from otel_incident.records import SEVERITY_TEXT, scope_of_events, through_processors
from otel_incident.spool.lines import EventLines
from otel_incident.spool.retention import Bounds
from otel_incident.spool.segments import SEGMENTS, segments_in
from otel_incident.spool.spool import Outlet, Spool
from otel_incident.state import own_directory, places_of
from otel_incident.uwsgi import is_to_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.resources import Resource

    from otel_incident.config import Config
    from otel_incident.destinations import Destination
    from otel_incident.route import Write
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


@final
class LastProcessor:
    """Delivers at once and in the caller's thread, where the first event comes when the process is ending.

    No handler of ours is called any more that would deliver what is queued, and a thread would end with the
    process, or cannot start (Python 3.12). So this is the host's exit that waits, within the same bound.

    Args:
        destination: Where events go.
        seconds: How long all deliveries together may take, as far as the way of their requests is known.
        now: The clock, seconds; only differences count.
    """

    def __init__(
        self, destination: Destination, seconds: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.gave_up = False
        self._destination = destination
        self._one = seconds / 2  # at most so long for one, and none begins when so much has been used
        self._left = self._one
        self._now = now
        self._attempts: Attempts | None = None

    def take(self, record: ReadableLogRecord) -> None:
        """Deliver a record, or say that it and what follows is lost."""
        if self.gave_up:
            return
        begun = self._now()
        reason = self._deliver(record) if self._left > 0 else "the process has to end"
        self._left -= self._now() - begun
        if reason:
            self.gave_up = True
            say(
                "Incident events that came when the process was ending are lost to the exporter %s (%s). "
                "This is said once.",
                self._destination.name,
                reason,
            )

    def _deliver(self, record: ReadableLogRecord) -> str:
        """Why it was not delivered; "" if it was."""
        from otel_incident.spool.attempts import Attempts  # noqa: PLC0415  dear

        try:
            if self._attempts is None:
                with no_fork_while_importing():
                    self._attempts = Attempts(self._destination.build(), timeout=self._one)
        except ConfigurationError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  it comes of settings that are not ours
            return type(error).__name__
        answer = self._attempts([record])
        return "" if answer.verdict == "delivered" else answer.reason

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits."""
        return timeout_millis > 0 and not self.gave_up

    def shutdown(self) -> None:
        """Nothing waits."""


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
    make = LastProcessor if exit_has_begun() else _in_memory
    made: list[Processor] = [make(each, seconds) for each in beside]
    if spooled:
        made.append(_spool(config, service, spooled, seconds))
    return made


def _in_memory(destination: Destination, exit_seconds: float) -> Processor:
    exporter = DeferredExporter(destination.name, destination.build)
    build = partial(BoundedBatchProcessor, exporter, destination.batch, exit_seconds)
    if is_to_fork():
        return Handover(build, exporter.lose, destination.batch.max_queue_size)
    try:
        return build()
    except RuntimeError:
        if threading.main_thread().is_alive():
            raise
        return LastProcessor(destination, exit_seconds)  # Python 3.12 starts no thread any more


def spool_of(processors: list[Processor]) -> Spool | None:
    """The spool among processors, if there is one."""
    return next((each for each in processors if isinstance(each, Spool)), None)


def write_into(processors: list[Processor], resource: Resource) -> Write:
    """What hands events to processors; the attributes must have passed the policy.

    Args:
        processors: They deliver.
        resource: Who is speaking.
    """
    spool = spool_of(processors)
    if spool is None or len(processors) > 1:
        return through_processors(resource, processors)
    return _through_spool(resource, spool)


def _through_spool(resource: Resource, spool: Spool) -> Write:
    """As `through_processors`, at half the cost: what a spool keeps is a line, which needs no record."""
    line = EventLines(resource, scope_of_events(), SeverityNumber.INFO, SEVERITY_TEXT).line

    def write(
        event_name: str,
        attributes: Mapping[str, Any],
        *,
        timestamp: int,
        observed_timestamp: int,
        context: Context | None,
    ) -> None:
        # an empty context is none to a record
        span = get_current_span(context or None).get_span_context()
        spool.take_line(line(event_name, attributes, timestamp, observed_timestamp, span))

    return write


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
    return Spool(
        directory / config.spooling.folder / folder_of(service, found),
        [outlet_of(each) for each in found],
        sync=config.spooling.sync,
        queue_size=max(each.batch.max_queue_size for each in found),
        bounds=Bounds(config.spooling.max_bytes, config.spooling.max_age_millis / 1000),
        exit_seconds=exit_seconds,
        describe=partial(describe, service=service, found=found),
        elsewhere=elsewhere,
    )


def _attempts(destination: Destination) -> Attempts:
    from otel_incident.spool.attempts import Attempts  # noqa: PLC0415  dear, and this is the sender's thread

    return Attempts(destination.build(), timeout=destination.batch.export_timeout_millis / 1000)
