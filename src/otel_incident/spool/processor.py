"""A log-record processor that keeps every record on disk before the call returns, and delivers it from there.

    processor = DurableLogRecordProcessor(OTLPLogExporter(), directory="/var/lib/desk/otel")
    provider.add_log_record_processor(processor)

It stands where the SDK's batch processor would. A record is written with one `write`; a thread delivers it,
in order, for as long as that takes: over an outage, over a restart, by whichever worker is there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import LogRecordExporter

from otel_incident.guard import swallow
from otel_incident.spool.attempts import Attempts
from otel_incident.spool.delivery import Counts
from otel_incident.spool.lines import LineWriter
from otel_incident.spool.memory import Store
from otel_incident.spool.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord

    from otel_incident.spool.retention import Bounds, Reason

EXIT_SECONDS: Final = 2.0
"""At exit at most this long is spent on delivery; the rest waits for the next start."""

_NAME: Final = "exporter"
_NS: Final = 1e9


@final
@dataclass(frozen=True, slots=True)
class Status:
    """How it stands with a spool, and what this process has done.

    Attributes:
        waiting_bytes: On disk, of all processes.
        oldest_seconds: Age of the oldest segment of these; 0.0 where there is none.
        in_memory: Records that the disk had no room for.
        delivered: Records taken by the endpoint.
        rejected: Of these, refused by a partial success.
        retried: Attempts that were not the first.
        quarantined: Records set aside.
        dropped: Records that went undelivered, by reason.
        outage: What the last attempt was answered, "" where it was delivered.
    """

    waiting_bytes: int = 0
    oldest_seconds: float = 0.0
    in_memory: int = 0
    delivered: int = 0
    rejected: int = 0
    retried: int = 0
    quarantined: int = 0
    dropped: dict[Reason, int] = field(default_factory=dict)
    outage: str = ""


@final
class DurableLogRecordProcessor(LogRecordProcessor):
    """Keeps records in a directory and delivers them through an exporter. Nothing here raises into the host.

    Args:
        exporter: Where they go, or what makes it: called in the thread that delivers, and again after a fork.
        directory: Where they wait; made, and for this user alone, if it is not there. Two processors with
            different exporters need two directories.
        sync: Whether each record is also flushed to the disk (`fdatasync`), to outlive a loss of power.
        delay: Seconds from a record until a batch leaves.
        batch_size: How many records go at once.
        queue_size: How many records wait in memory while the disk fails.
        bounds: How much may wait on disk, and for how long; the oldest goes first.
    """

    def __init__(
        self,
        exporter: LogRecordExporter | Callable[[], LogRecordExporter],
        directory: str | Path,
        *,
        sync: bool = False,
        delay: float = 1.0,
        batch_size: int = 512,
        queue_size: int = 2048,
        bounds: Bounds | None = None,
    ) -> None:
        self._store = Store(Path(directory).absolute(), [_NAME], durable=sync, most=queue_size)
        self._lines = LineWriter()
        self._sender = Sender(
            self._store,
            _NAME,
            [_NAME],
            _attempts_of(exporter),
            delay=delay,
            batch_size=batch_size,
            bounds=bounds,
        )
        self._not_encodable = 0
        if not self._sender.is_empty():  # what a former process has left
            try:
                self._sender.notify()
            except Exception as error:  # noqa: BLE001  the boundary
                swallow("pipeline", error)

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Keep a record."""
        self.take(log_record)

    def take(self, record: ReadableLogRecord | ReadWriteLogRecord) -> None:
        """Keep a record as it is now."""
        try:
            self._store.keep(self._lines.line(record))
            self._sender.notify()
        except Exception as error:  # noqa: BLE001  the boundary: a value that is no value, a thread that cannot start
            self._not_encodable += 1
            swallow("pipeline", error)

    def shutdown(self) -> None:
        """Deliver what waits for a bounded time; the rest stays for the next start."""
        try:
            self._store.close()
            self._sender.close(self._sender.end(EXIT_SECONDS))
        except Exception as error:  # noqa: BLE001  the boundary
            swallow("pipeline", error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until nothing waits; False after `timeout_millis`, or if an attempt failed."""
        return self._sender.flush(timeout_millis / 1000)

    def status(self) -> Status:
        """How it stands."""
        oldest, total = self._sender.waiting()
        delivery = self._sender.delivery
        counts = Counts() if delivery is None else delivery.counts
        dropped = self._sender.dropped.copy()
        dropped["memory_full"] += self._store.memory.dropped
        dropped["not_encodable"] += self._not_encodable
        return Status(
            waiting_bytes=total,
            oldest_seconds=max(0.0, time.time() - oldest / _NS) if oldest else 0.0,
            in_memory=len(self._store.memory),
            delivered=counts.delivered,
            rejected=counts.rejected,
            retried=counts.retried,
            quarantined=0 if delivery is None else delivery.backlog.quarantined,
            dropped=dict(+dropped),
            outage="" if delivery is None else delivery.outage.reason,
        )


def _attempts_of(exporter: LogRecordExporter | Callable[[], LogRecordExporter]) -> Callable[[], Attempts]:
    """Makes the attempts of an exporter, or of one that is made now."""
    if not isinstance(exporter, LogRecordExporter):
        return lambda: Attempts(exporter())
    made: list[Attempts] = []

    def build() -> Attempts:
        if not made:
            made.append(Attempts(exporter))
        made[0].renew()
        return made[0]

    return build
