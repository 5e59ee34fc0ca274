"""A log-record processor that keeps every record on disk before the call returns, and delivers it from there.

    processor = DurableLogRecordProcessor(OTLPLogExporter(), directory="/var/lib/desk/otel")
    provider.add_log_record_processor(processor)

It stands where the SDK's batch processor would. A record is written with one `write`; a thread delivers it,
in order, for as long as that takes: over an outage, over a restart, by whichever worker is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import LogRecordExporter

from otel_incident.spool.attempts import Attempts
from otel_incident.spool.retention import Bounds
from otel_incident.spool.spool import Outlet, Spool, Status
from otel_incident.state import places_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord

_NAME: Final = "exporter"


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
        max_bytes: How much may wait on disk; the oldest goes first.
        max_age: For how long, seconds.

    Raises:
        ValueError: A number is none that anything could be delivered with.
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
        max_bytes: int = 2**30,
        max_age: float = 30 * 86400.0,
    ) -> None:
        if min(batch_size, queue_size, max_bytes) < 1 or not max_age > 0 or not delay >= 0:
            raise ValueError(
                "batch_size, queue_size and max_bytes must be at least 1, max_age more than 0 seconds and "
                "delay not negative"
            )
        outlet = Outlet(_NAME, _attempts_of(exporter), delay=delay, batch_size=batch_size)
        bounds = Bounds(max_bytes, max_age)
        path = Path(directory).absolute()
        self._spool = Spool(
            path, [outlet], sync=sync, queue_size=queue_size, bounds=bounds, elsewhere=places_of(path)
        )
        self._spool.deliver_leftovers()

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Keep a record."""
        self._spool.take(log_record)

    def take(self, record: ReadableLogRecord | ReadWriteLogRecord) -> None:
        """Keep a record as it is now."""
        self._spool.take(record)

    def shutdown(self) -> None:
        """Deliver what waits for a bounded time; the rest stays for the next start."""
        self._spool.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until nothing waits; False after `timeout_millis`, or if an attempt failed."""
        return self._spool.force_flush(timeout_millis)

    def status(self) -> Status:
        """How it stands."""
        return self._spool.status()[_NAME]


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
