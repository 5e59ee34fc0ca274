"""The OTLP exporters of the SDK, made in the sender's thread and kept quiet while an endpoint is down.

Importing the gRPC exporter takes about 0.1 s: a host's start-up must not pay for it, so an exporter
is built when the first batch leaves, in the thread that sends it (and again after a fork: a gRPC
channel does not survive one). The exporters log each failed attempt; we let none of that through
for our own batches and say one line for an outage and one for its end.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final, final

from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.util._importlib_metadata import entry_points

from otel_incident.config import Batch
from otel_incident.config_file import described_processors
from otel_incident.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord

    from otel_incident.config import Config

EXIT_SECONDS: Final = 2.0
"""At exit at most this long is spent on delivery, none if the endpoint refused last."""

_GROUP: Final = "opentelemetry_logs_exporter"
_logger: Final = logging.getLogger("otel_incident")
_sending: Final = threading.local()


@final
class DeferredExporter(LogRecordExporter):
    """An exporter that is made when the first batch leaves.

    Args:
        name: What it is called in a log line: the entry point's name.
        build: Makes the exporter; called in the sender's thread.
    """

    def __init__(self, name: str, build: Callable[[], LogRecordExporter]) -> None:
        self._name = name
        self._build = build
        self._exporter: LogRecordExporter | None = None
        self._pid = os.getpid()
        self._lost = 0
        self._closed = False

    @property
    def failing(self) -> bool:
        """Whether the last batch could not be delivered."""
        return self._lost > 0

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Deliver a batch; never raises, and says one line for each outage."""
        if self._closed:
            return LogRecordExportResult.FAILURE
        _sending.reason = ""
        _sending.active = True
        try:
            result = self._current().export(batch)
        except Exception as error:  # noqa: BLE001  an exporter that raises is an outage like any other
            _sending.reason = str(error) if isinstance(error, ConfigurationError) else type(error).__name__
            result = LogRecordExportResult.FAILURE
        finally:
            _sending.active = False
        if result is LogRecordExportResult.SUCCESS:
            self._recovered()
        else:
            self._failed(len(batch), _sending.reason or "no reason given")
        return result

    def close(self) -> None:
        """Deliver nothing more."""
        self._closed = True

    def shutdown(self) -> None:
        """Stop, and interrupt a delivery that waits for its next attempt."""
        self._closed = True
        if self._exporter is not None and self._pid == os.getpid():
            _sending.active = True
            try:
                self._exporter.shutdown()  # type: ignore[no-untyped-call]  # untyped upstream
            finally:
                _sending.active = False

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept here."""
        return self._exporter is None or self._exporter.force_flush(timeout_millis)

    def _current(self) -> LogRecordExporter:
        if self._exporter is None or self._pid != os.getpid():
            self._exporter = self._build()
            self._pid = os.getpid()
            _quieten()
        return self._exporter

    def _failed(self, count: int, reason: str) -> None:
        first = self._lost == 0
        self._lost += count
        if first:
            _logger.warning(
                "Incident events cannot be delivered by the exporter %s (%s); they are dropped until its "
                "endpoint takes them again. This is said once for an outage.",
                self._name,
                reason,
            )

    def _recovered(self) -> None:
        if self._lost:
            _logger.warning("The exporter %s delivers again; %d events were lost.", self._name, self._lost)
            self._lost = 0


@final
class BoundedBatchProcessor(BatchLogRecordProcessor):
    """The SDK's batch processor with a bound on how long the host's exit waits for it.

    Args:
        exporter: Where batches go.
        batch: Sizes and times.
    """

    def __init__(self, exporter: DeferredExporter, batch: Batch) -> None:
        super().__init__(
            exporter,
            schedule_delay_millis=batch.schedule_delay_millis,
            max_export_batch_size=batch.max_export_batch_size,
            export_timeout_millis=batch.export_timeout_millis,
            max_queue_size=batch.max_queue_size,
        )
        self._deferred = exporter

    def shutdown(self) -> None:
        """Deliver what is queued within the bound; nothing if the endpoint refused last."""
        if self._deferred.failing:
            self._deferred.close()
        # The public shutdown takes no time limit and waits 30 s; the object behind it does take one.
        self._batch_processor.shutdown(timeout_millis=int(EXIT_SECONDS * 1000))


def batch_processors(config: Config) -> list[BoundedBatchProcessor]:
    """A processor with its exporter for each that the environment or the configuration file names."""
    if config.config_file is None:
        made = [(DeferredExporter(name, _from_entry_point(name)), config.batch) for name in config.exporters]
    else:
        made = [
            (DeferredExporter("of OTEL_CONFIG_FILE", _from_file(described)), Batch.described_by(described))
            for described in described_processors(config.config_file)
        ]
    return [BoundedBatchProcessor(exporter, batch) for exporter, batch in made]


def _from_entry_point(name: str) -> Callable[[], LogRecordExporter]:
    def build() -> LogRecordExporter:
        for entry_point in entry_points(group=_GROUP, name=name):
            exporter = entry_point.load()()
            if isinstance(exporter, LogRecordExporter):
                return exporter
        raise ConfigurationError(f"no installed package has an exporter of that name in the group {_GROUP}")

    return build


def _from_file(processor: Any) -> Callable[[], LogRecordExporter]:
    def build() -> LogRecordExporter:
        # The one way to the file's exporters without its processors, whose shutdown has no bound.
        from opentelemetry.configuration._logger_provider import (  # noqa: PLC0415  optional dependency
            _create_log_record_exporter,
        )

        described = processor.batch or processor.simple
        exporter: LogRecordExporter = _create_log_record_exporter(described.exporter)
        return exporter

    return build


class _OwnFailures(logging.Filter):
    """Keeps what an exporter logs about our batches to itself; the host's own exporters still speak."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not getattr(_sending, "active", False):
            return True
        reason = _reason(record)
        if reason:
            _sending.reason = reason
        return False


def _reason(record: logging.LogRecord) -> str:
    """Why a delivery failed, from a closed set: a status code, a gRPC code, or an exception's class."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    for argument in arguments:
        if type(argument) is int and 400 <= argument < 600:  # noqa: PLR2004  HTTP's error statuses
            return f"HTTP {argument}"
        if isinstance(argument, BaseException):
            return type(argument).__name__
        if type(argument).__name__ == "StatusCode":
            return f"gRPC {argument.name}"  # type: ignore[attr-defined]  # grpc is not imported for its type
    return ""


_own_failures: Final = _OwnFailures()


def _quieten() -> None:
    """Attach the filter to each logger that an exporter or its transport writes to."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("opentelemetry.", "urllib3.")):
            logger = logging.getLogger(name)
            if _own_failures not in logger.filters:
                logger.addFilter(_own_failures)
