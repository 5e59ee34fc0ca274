"""Records lifecycle events, with fixed time and ids, and raises on a bad value.

While a recording is on, every emitter and hook of the process reports to it, those with a provider of
their own and those that were disabled too; a value that breaks its rule raises `PolicyViolation`, and an
internal error is raised instead of swallowed. Afterwards everything is as it was.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from otel_incident.config import Config
from otel_incident.emitter import set_disabled
from otel_incident.guard import set_reraise
from otel_incident.pipeline import Pipeline, set_default_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FIXED_TIME: Final = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z in ns: when the first recorded event happens; each later one a second after."""


@final
@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event as it would have left.

    Attributes:
        name: `incident.create` and the like.
        attributes: Its attributes, names and values.
        timestamp: When it happened, ns since the epoch.
        trace_id: Of the trace it belongs to; 0 for none.
    """

    name: str
    attributes: Mapping[str, Any]
    timestamp: int
    trace_id: int


@final
class Recorder:
    """What was reported while a recording was on."""

    def __init__(self, exporter: InMemoryLogRecordExporter) -> None:
        self._exporter = exporter

    def events(self) -> list[RecordedEvent]:
        """The events in the order in which they were reported."""
        records = (finished.log_record for finished in self._exporter.get_finished_logs())
        return [
            RecordedEvent(
                name=record.event_name or "",
                attributes=dict(record.attributes or {}),
                timestamp=record.timestamp or 0,
                trace_id=record.trace_id or 0,
            )
            for record in records
        ]

    def names(self) -> list[str]:
        """The names of the events."""
        return [event.name for event in self.events()]


class _Ticks:
    """A clock that starts at `FIXED_TIME` and ticks once a second, and ids that count."""

    def __init__(self) -> None:
        self._time = FIXED_TIME - 1_000_000_000
        self._count = 0

    def now(self) -> int:
        """One second after the last time."""
        self._time += 1_000_000_000
        return self._time

    def new_uid(self, _now: int) -> str:
        """The next number, 26 characters long as a ULID is."""
        self._count += 1
        return f"{self._count:026d}"


@contextmanager
def recording() -> Iterator[Recorder]:
    """Record every lifecycle event of this process; nothing is sent and no file is made."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # untyped upstream
    provider = LoggerProvider(resource=Resource.get_empty(), shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    ticks = _Ticks()
    pipeline = Pipeline(
        Config(),
        logger_provider=provider,
        meter_provider=NoOpMeterProvider(),
        strict=True,
        now=ticks.now,
        new_uid=ticks.new_uid,
    )
    former, reraised = set_default_pipeline(pipeline), set_reraise(reraise=True)
    disabled = set_disabled(disabled=False)
    try:
        yield Recorder(exporter)
    finally:
        pipeline.shutdown()
        set_disabled(disabled=disabled)
        set_reraise(reraise=reraised)
        set_default_pipeline(former)
