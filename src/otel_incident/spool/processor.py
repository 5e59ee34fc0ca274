"""A log-record processor that keeps every record on disk before the call returns, and delivers it from there.

    processor = DurableLogRecordProcessor(OTLPLogExporter(), directory="/var/lib/desk/otel")
    provider.add_log_record_processor(processor)

It stands where the SDK's batch processor would. A record is written with one `write`; a thread delivers it,
in order, for as long as that takes: over an outage, over a restart, by whichever worker is there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord
from opentelemetry.sdk.resources import Resource

from otel_incident.guard import say
from otel_incident.spool.attempts import Attempts
from otel_incident.spool.lines import LineWriter
from otel_incident.spool.segments import SEGMENTS, SegmentWriter, SpoolError
from otel_incident.spool.sender import Sender

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadWriteLogRecord
    from opentelemetry.sdk._logs.export import LogRecordExporter

EXIT_SECONDS: Final = 2.0
"""At exit at most this long is spent on delivery; the rest waits for the next start."""

_NOTHING: Final = Context()


@final
class DurableLogRecordProcessor(LogRecordProcessor):
    """Keeps records in a directory and delivers them through an exporter.

    Args:
        exporter: Where they go.
        directory: Where they wait; made, and for this user alone, if it is not there.
        sync: Whether each record is also flushed to the disk (`fdatasync`), to outlive a loss of power.
        delay: Seconds from a record until a batch leaves.
        batch_size: How many records go at once.

    Raises:
        OSError: The directory cannot be made or written to.
    """

    def __init__(
        self,
        exporter: LogRecordExporter,
        directory: str | Path,
        *,
        sync: bool = False,
        delay: float = 1.0,
        batch_size: int = 512,
    ) -> None:
        place = Path(directory)
        (place / SEGMENTS).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._writer = SegmentWriter(place / SEGMENTS, durable=sync)
        self._lines = LineWriter()
        self._sender = Sender(
            place,
            "exporter",
            ["exporter"],
            lambda: Attempts(exporter, None),
            delay=delay,
            batch_size=batch_size,
        )
        self._said = False

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Keep a record."""
        self.take(
            ReadableLogRecord(
                log_record.log_record,
                log_record.resource or Resource.get_empty(),
                log_record.instrumentation_scope,
            )
        )

    def take(self, record: ReadableLogRecord) -> None:
        """Keep a record that nobody changes any more."""
        try:
            self._writer.append(self._lines.line(record))
        except SpoolError as error:
            self._lose(error)
            return
        self._sender.notify()

    def shutdown(self) -> None:
        """Deliver what waits for a bounded time; the rest stays for the next start."""
        self._writer.close()
        self._sender.close(EXIT_SECONDS)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until nothing waits; False if that takes longer than `timeout_millis`."""
        return self._sender.flush(timeout_millis / 1000)

    def _lose(self, error: SpoolError) -> None:
        if not self._said:
            self._said = True
            say("A log record could not be kept on disk (%s).", os.strerror(error.errno or 0))
