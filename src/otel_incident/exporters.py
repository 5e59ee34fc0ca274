"""The OTLP exporters of the SDK, made in the sender's thread and kept quiet while an endpoint is down.

Importing the gRPC exporter takes about 0.1 s: a host's start-up must not pay for it, so an exporter
is built when the first batch leaves, in the thread that sends it (and again after a fork: a gRPC
channel does not survive one). The exporters log each failed attempt; we let none of that through
for our own batches and say one line for an outage and one for its end.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, final

from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult

from otel_incident.child_ends import at_end_of_child
from otel_incident.ending import ending
from otel_incident.errors import ConfigurationError
from otel_incident.first_request import import_for_first_request
from otel_incident.forks import no_fork_while_importing
from otel_incident.grpc_calls import guard_calls
from otel_incident.guard import HostLock, say, swallow
from otel_incident.quiet import attach, quiet, under_way

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized

    from opentelemetry.sdk._logs import ReadableLogRecord

    from otel_incident.config_exporters import Batch

EXIT_SECONDS: Final = 2.0
"""At exit at most this long is spent on delivery, none if the endpoint refused last."""


@final
class DeferredExporter(LogRecordExporter):
    """An exporter that is made when the first batch leaves, and that says one line for an outage.

    Args:
        name: What it is called in a log line: the entry point's name.
        build: Makes the exporter; called in the sender's thread.
    """

    def __init__(self, name: str, build: Callable[[], LogRecordExporter]) -> None:
        self.reason = ""  # why the batch that is being delivered failed, as far as its exporter has said
        self._name = name
        self._build = build
        self._lock = HostLock()
        self._exporter: LogRecordExporter | None = None
        self._parents: list[LogRecordExporter | None] = []
        self._closed = False
        self._late = False
        self._begin()

    def _begin(self) -> None:
        """Nothing was tried yet by this process."""
        self._pid = os.getpid()
        self._refused = False
        self._lost = 0
        self._in_flight = 0
        self._interrupted = 0

    @property
    def failing(self) -> bool:
        """Whether the last attempt of this process failed, even if its exporter means to try again."""
        tried_in_vain = self._in_flight > 0 and self.reason != ""
        return (self._refused or tried_in_vain) and self._pid == os.getpid()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Deliver a batch; never raises."""
        if self._pid != os.getpid():
            # kept, since the connections of a parent, or of its own, must not be closed in a child, which
            # makes its own
            self._parents.append(self._exporter)
            self._exporter = None
            self._begin()
        with under_way():
            with self._lock:
                if self._closed:
                    return LogRecordExportResult.FAILURE
                self._in_flight = len(batch)
            result = self._deliver(batch)
        with self._lock:
            self._in_flight = 0
            if self._closed:  # it was interrupted, and who did that says so
                return result
        self._refused = result is not LogRecordExportResult.SUCCESS
        if self._refused:
            self.lose(len(batch), self.reason or "no reason given")
        else:
            self._recovered()
        return result

    def lose(self, count: int, reason: str) -> None:
        """Count events that cannot be delivered; the first ones of an outage are said."""
        with self._lock:
            first = self._lost == 0
            self._lost += count
        if first:
            say(
                "Incident events cannot be delivered by the exporter %s (%s); they are dropped until its "
                "endpoint takes them again. This is said once for an outage.",
                self._name,
                reason,
            )

    def lose_late(self) -> None:
        """Count an event that came when delivery had ended; the first one is said."""
        with self._lock:
            first, self._late = not self._late, True
        if first:
            say(
                "Incident events that came after the end of delivery are lost to the exporter %s: the "
                "process is ending. This is said once.",
                self._name,
            )

    def shutdown(self) -> None:
        """Stop, and interrupt a delivery that waits for an answer or for its next attempt."""
        with self._lock:
            self._closed = True
            self._interrupted = self._in_flight
        if self._exporter is None or self._pid != os.getpid():
            return
        with quiet(self):
            try:
                self._exporter.shutdown()  # type: ignore[no-untyped-call]  # untyped upstream
            except Exception as error:  # noqa: BLE001  an exporter of anybody's; the host is about to end
                swallow("pipeline", error)

    def give_up(self, queued: int) -> bool:
        """After the shutdown: say what the end of the process cost, if its outage was not said before.

        Returns:
            Whether it cost anything, or the last delivery failed.
        """
        with self._lock:
            left, first = queued + self._interrupted, self._lost == 0
        if left and first and self._pid == os.getpid():
            say(
                "%d incident events were not delivered by the exporter %s when the process ended (%s).",
                left,
                self._name,
                self.reason or "no answer",
            )
        return left > 0 or self.failing

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here."""
        return self._exporter is None or self._exporter.force_flush(timeout_millis)

    def _deliver(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        self.reason = ""
        try:
            if self._exporter is None:
                with no_fork_while_importing():
                    self._exporter = self._make()
                    guard_calls(self._exporter)
                    import_for_first_request()
            # each time, since loggers are made as one goes
            attach(type(self._exporter).__module__.partition(".")[0])
            with quiet(self):
                return self._exporter.export(batch)
        except ConfigurationError as error:
            self.reason = str(error)
        except Exception as error:  # noqa: BLE001  an exporter that raises is an outage like any other
            self.reason = type(error).__name__
        return LogRecordExportResult.FAILURE

    def _make(self) -> LogRecordExporter:
        """Build the exporter; what it logs of its settings passes, but not at each further attempt."""
        if not self._lost:
            try:
                return self._build()
            except ConfigurationError:
                raise
            except Exception:  # noqa: BLE001, S110  it may come of a log handler of the host's: again, silently
                pass
        attach()
        with quiet(self):
            try:
                return self._build()
            except ConfigurationError:
                raise
            except Exception as error:
                raise ConfigurationError(
                    f"it cannot be made of its settings: {type(error).__name__}; `otel-incident doctor` "
                    "says which"
                ) from error
            finally:
                self.reason = ""

    def _recovered(self) -> None:
        with self._lock:
            lost, self._lost = self._lost, 0
        if lost:
            say("The exporter %s delivers again; %d events were lost.", self._name, lost)


@final
class BoundedBatchProcessor(BatchLogRecordProcessor):
    """The SDK's batch processor with a bound on how long the host's exit waits for it.

    Args:
        exporter: Where batches go.
        batch: Sizes and times.
        exit_seconds: How long its shutdown may take.
    """

    def __init__(self, exporter: DeferredExporter, batch: Batch, exit_seconds: float = EXIT_SECONDS) -> None:
        super().__init__(
            exporter,
            schedule_delay_millis=batch.schedule_delay_millis,
            max_export_batch_size=batch.max_export_batch_size,
            export_timeout_millis=batch.export_timeout_millis,
            max_queue_size=batch.max_queue_size,
        )
        self._deferred = exporter
        self._exit_seconds = exit_seconds
        self.gave_up = False  # whether its shutdown left something undelivered
        self._ended = False
        self._process = 0  # whose end is heard of, by its id
        attach()

    def take(self, record: ReadableLogRecord) -> None:
        """Queue a record; where the queue is full, the oldest goes, which belongs to the outage's line."""
        if self._ended:
            self._deferred.lose_late()
            return
        if self._process != os.getpid():
            self._process = os.getpid()
            at_end_of_child(self.shutdown)
        sdk = self._batch_processor
        if len(self._queue()) < sdk._max_queue_size:  # noqa: SLF001  see _queue
            sdk.emit(record)
            return
        self._deferred.lose(1, "its queue is full")
        with quiet(self._deferred):
            sdk.emit(record)

    def shutdown(self) -> None:
        """Deliver what is queued within the bound; nothing if the endpoint refused last."""
        seconds = 0.0 if self._deferred.failing else self._exit_seconds * ending.left
        # The public shutdown takes no time limit and waits 30 s; the object behind it does take one.
        self._batch_processor.shutdown(timeout_millis=int(seconds * 1000))
        self.gave_up = self._deferred.give_up(len(self._queue()))
        self._ended = True

    def _queue(self) -> Sized:
        """The SDK shows its queue to nobody, and tells only its log when it drops something."""
        queue: Sized = self._batch_processor._queue  # noqa: SLF001  the same
        return queue
