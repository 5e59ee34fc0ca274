"""Records lifecycle events, with fixed time and ids, and raises on a bad value.

While a recording is on, every emitter and hook of the process reports to it, those with a provider of
their own and those that were disabled too; a value that breaks its rule, so that production leaves it out,
raises `PolicyViolation`, and an internal error is raised instead of swallowed. An id that no machine made is
recorded as its keyed hash, as it would leave. Afterwards everything is as it was.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from opentelemetry._logs import Logger, NoOpLogger, NoOpLoggerProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import get_current_span

from otel_incident.config import config_for_tests
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

    def __init__(self, events: list[RecordedEvent]) -> None:
        self._events = events

    def events(self) -> list[RecordedEvent]:
        """The events in the order in which they were reported."""
        return list(self._events)

    def names(self) -> list[str]:
        """The names of the events."""
        return [event.name for event in self._events]


class _Keeper(NoOpLogger):
    """Keeps what is emitted; the SDK's own would obey the environment, its limits and its switch."""

    def __init__(self) -> None:
        super().__init__("otel_incident")
        self.events: list[RecordedEvent] = []

    def emit(self, *_: Any, **said: Any) -> None:
        """Keep an event."""
        context = get_current_span(said["context"]).get_span_context()
        self.events.append(
            RecordedEvent(
                name=said["event_name"],
                attributes=dict(said["attributes"]),
                timestamp=said["timestamp"],
                trace_id=context.trace_id,
            )
        )


class _Provider(NoOpLoggerProvider):
    """Leads to a keeper."""

    def __init__(self, keeper: _Keeper) -> None:
        self._keeper = keeper

    def get_logger(self, *_: Any, **__: Any) -> Logger:
        """The keeper."""
        return self._keeper


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
    """Record every lifecycle event of this process, as it would leave with this process's settings.

    `OTEL_INCIDENT_ID_MODE` and `OTEL_INCIDENT_SPAN_EVENTS` hold (and the options of a configuration file or
    of the instrumentor in their place), the switches that turn telemetry off do not; but where one was off
    when the instrumentor was called, there are no hooks. Nothing is sent, and the state directory is neither
    read nor made: keyed hashes are made with a key that is the same in every recording, and not the
    installation's.
    """
    keeper = _Keeper()
    ticks = _Ticks()
    pipeline = Pipeline(
        config_for_tests(),
        logger_provider=_Provider(keeper),
        meter_provider=NoOpMeterProvider(),
        strict=True,
        now=ticks.now,
        new_uid=ticks.new_uid,
    )
    former, reraised = set_default_pipeline(pipeline), set_reraise(reraise=True)
    disabled = set_disabled(disabled=False)
    try:
        yield Recorder(keeper.events)
    finally:
        pipeline.shutdown()
        set_disabled(disabled=disabled)
        set_reraise(reraise=reraised)
        set_default_pipeline(former)
