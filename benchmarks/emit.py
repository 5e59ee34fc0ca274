"""What one event costs the caller's thread: the stock SDK, this package, two analytics clients.

All in one process and in turn, because a machine's noise lasts longer than a few calls. Nothing is sent:
the exporter of the OpenTelemetry candidates does nothing, the analytics clients have sending off, which
leaves out their queue and their thread: it flatters them. Ours keeps each event on disk, as it does by
default; beside it stand the same without its spool, and what the kernel takes for so many bytes.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry._logs import SeverityNumber
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_incident.config import Config
from otel_incident.emitter import IncidentEmitter
from otel_incident.events import Actor, Incident
from otel_incident.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opentelemetry.metrics import MeterProvider as ApiMeterProvider
    from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord

    Call = Callable[[], object]

TARGET: Final = 1.3
"""Ours, paced, is at most this many times the stock SDK's."""

_PERIOD: Final = 1 / 500
_WARM_UP: Final = 200
_LINE_BYTES: Final = 1700
_NS_IN_US: Final = 1000
_EXPORTER: Final = "benchmark"
_ENVIRONMENT: Final = {**os.environ, "OTEL_LOGS_EXPORTER": _EXPORTER}  # noqa: TID251  the machine's, with our exporter
_STOCK: Final = "stock SDK"
_OURS: Final = "otel_incident"
_ACTOR: Final = Actor(id="7b1x9rj3etyy8k5m4hq6dwncao", roles=("end_user", "system_admin"))
_INCIDENT: Final = Incident(
    id="8f3kq1zt9bgy5xw7mhc4ndrepo",
    active=True,
    commander_id="7b1x9rj3etyy8k5m4hq6dwncao",
    team_id="t5hq8w3nbjgz7mfx1kc9ydrepa",
    created_at=datetime(2026, 11, 1, 12, tzinfo=UTC),
    post_id="p9dm4x7kqtbz1hwc5ny8grfjeo",
    checklist_count=3,
    checklist_item_count=0,
)
_EVENTS: Final[Mapping[str, Callable[[IncidentEmitter], None]]] = {
    "change_stage": lambda emitter: emitter.change_stage(_INCIDENT, actor=_ACTOR, stage_index=1),
    "end": lambda emitter: emitter.end(_INCIDENT, actor=_ACTOR),
}


class NoOpExporter(LogRecordExporter):
    """Takes a batch and forgets it."""

    def export(self, _batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Do nothing."""
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept."""
        return timeout_millis > 0


def say(line: str = "") -> None:
    """Print one line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def provider_with(processor: LogRecordProcessor) -> LoggerProvider:
    """A provider of the stock SDK."""
    provider = LoggerProvider()
    provider.add_log_record_processor(processor)
    return provider


def ours(meter_provider: ApiMeterProvider, **variables: str) -> IncidentEmitter:
    """An emitter on a pipeline of its own, as it is where nothing but the environment configures it."""
    pipeline = Pipeline(Config.from_env({**_ENVIRONMENT, **variables}), meter_provider=meter_provider)
    return IncidentEmitter(route=pipeline.route)


def sent_by(report: Callable[[IncidentEmitter], None]) -> tuple[str, dict[str, Any]]:
    """The name and the attributes that an event ends up with."""
    memory = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # untyped upstream
    provider = provider_with(SimpleLogRecordProcessor(memory))
    pipeline = Pipeline(
        Config.from_env(_ENVIRONMENT), logger_provider=provider, meter_provider=NoOpMeterProvider()
    )
    report(IncidentEmitter(route=pipeline.route))
    (finished,) = memory.get_finished_logs()
    record = finished.log_record
    return record.event_name or "", dict(record.attributes or {})


@contextmanager
def installed_exporter() -> Iterator[None]:
    """The exporter that does nothing, as a distribution would bring it: by its entry point."""
    with tempfile.TemporaryDirectory() as directory:
        metadata = Path(directory) / f"{_EXPORTER}-0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {_EXPORTER}\nVersion: 0\n")
        target = f"{NoOpExporter.__module__}:{NoOpExporter.__name__}"
        (metadata / "entry_points.txt").write_text(f"[opentelemetry_logs_exporter]\n{_EXPORTER} = {target}\n")
        sys.path.insert(0, directory)
        yield


def stock(name: str, attributes: dict[str, Any]) -> Call:
    """The same record through `Logger.emit` alone."""
    logger = provider_with(BatchLogRecordProcessor(NoOpExporter())).get_logger("benchmark")

    def call() -> None:
        now = time.time_ns()
        logger.emit(
            timestamp=now,
            observed_timestamp=now,
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            attributes=attributes,
            event_name=name,
        )

    return call


def counted(call: Call, attributes: dict[str, Any]) -> Call:
    """The stock call, and after it what the stock Metrics API takes for the metrics that we record."""
    meter = MeterProvider(metric_readers=[InMemoryMetricReader()]).get_meter("benchmark")
    events, durations = meter.create_counter("events"), meter.create_histogram("durations")
    action, duration = attributes["incident.action"], attributes.get("incident.duration")

    def both() -> None:
        call()
        events.add(1, {"incident.action": action})
        if duration is not None:
            durations.record(duration)

    return both


def segment(name: str, attributes: dict[str, Any]) -> Call | None:
    """`track` of segment-analytics-python; None where it is not installed."""
    try:
        from segment.analytics.client import (  # type: ignore[import-not-found]  # noqa: PLC0415  optional
            Client,
        )
    except ImportError:
        return None
    client = Client("no-key", host="http://127.0.0.1:9", send=False)
    return lambda: client.track(user_id=_ACTOR.id, event=name, properties=attributes)


def rudder(name: str, attributes: dict[str, Any]) -> Call | None:
    """`track` of rudder-sdk-python; None where it is not installed."""
    try:
        from rudderstack.analytics.client import (  # type: ignore[import-not-found]  # noqa: PLC0415  optional
            Client,
        )
    except ImportError:
        return None
    client = Client("no-key", host="http://127.0.0.1:9", send=False)
    return lambda: client.track(user_id=_ACTOR.id, event=name, properties=attributes)


def candidates(event: str, directory: Path) -> dict[str, Call]:
    """Everything that is compared for one event, the stock SDK first.

    None of ours follows another of ours, whose code it would find in the caches.
    """
    directory.mkdir()
    report = _EVENTS[event]
    name, attributes = sent_by(report)
    plain = ours(NoOpMeterProvider(), OTEL_INCIDENT_SPOOL_DIR=str(directory / "plain"))
    with_metrics = ours(
        MeterProvider(metric_readers=[InMemoryMetricReader()]),
        OTEL_INCIDENT_SPOOL_DIR=str(directory / "metrics"),
    )
    in_memory = ours(NoOpMeterProvider(), OTEL_INCIDENT_SPOOL="false")
    found: dict[str, Call] = {
        _STOCK: stock(name, attributes),
        _OURS: lambda: report(plain),
        f"{_STOCK}, metrics on": counted(stock(name, attributes), attributes),
        f"{_OURS}, metrics on": lambda: report(with_metrics),
    }
    for package, make in (("segment-analytics-python", segment), ("rudder-sdk-python", rudder)):
        call = make(name, attributes)
        if call is None:
            say(f"skipped: {package} is not installed")
        else:
            found[package] = call
    found[f"{_OURS}, spool off"] = lambda: report(in_memory)
    found["a bare os.write"] = written(directory / name)
    return found


def written(path: Path) -> Call:
    """What no event can do without that outlives its process: one write of a line as long as an event's."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    line = b"x" * _LINE_BYTES
    return lambda: os.write(descriptor, line)


def tight(calls: Mapping[str, Call], rounds: int, count: int) -> dict[str, list[int]]:
    """Nanoseconds of each call, one after the other; each round begins with another candidate."""
    clock = time.perf_counter_ns
    taken: dict[str, list[int]] = {name: [] for name in calls}
    for index in range(rounds):
        for name, call in rotated(calls, index):
            for _ in range(count):
                before = clock()
                call()
                taken[name].append(clock() - before)
    return taken


def paced(calls: Mapping[str, Call], count: int) -> dict[str, list[int]]:
    """Nanoseconds of each call at 500 a second: the caches are cold, as in a host that does other work.

    Every candidate has its turn in every period, since the machine's speed and what else it does change
    within tenths of a second.
    """
    clock = time.perf_counter_ns
    taken: dict[str, list[int]] = {name: [] for name in calls}
    due = time.perf_counter()
    for index in range(count):
        for name, call in rotated(calls, index):
            due += _PERIOD / len(calls)
            time.sleep(max(0.0, due - time.perf_counter()))
            before = clock()
            call()
            taken[name].append(clock() - before)
    return taken


def rotated(calls: Mapping[str, Call], by: int) -> list[tuple[str, Call]]:
    """The candidates, beginning with another one."""
    items = list(calls.items())
    first = by % len(items)
    return items[first:] + items[:first]


def show(title: str, taken: Mapping[str, list[int]]) -> float:
    """Print one table; returns how many times the stock SDK's median ours is."""
    say(f"\n{title}, {len(taken[_STOCK])} events each\n")
    say("| candidate | median µs | p99 µs | median / stock | p99 / stock |")
    say("|---|---:|---:|---:|---:|")
    rows = {
        name: (statistics.median(values) / _NS_IN_US, statistics.quantiles(values, n=100)[98] / _NS_IN_US)
        for name, values in taken.items()
    }
    for name, (median, p99) in rows.items():
        ratios = f"{median / rows[_STOCK][0]:.2f} | {p99 / rows[_STOCK][1]:.2f}"
        say(f"| {name} | {median:.1f} | {p99:.1f} | {ratios} |")
    return rows[_OURS][0] / rows[_STOCK][0]


def main() -> None:
    """Run all and say whether the target is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paced", type=int, default=5000, help="events of each, paced")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of the tight loop")
    parser.add_argument("--tight", type=int, default=1000, help="events in a round, in a tight loop")
    parser.add_argument("--directory", type=Path, help="where the spool is; a temporary one unless given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as directory, installed_exporter():
        say(f"load average {os.getloadavg()[0]:.1f} at the beginning")
        compare(given, Path(directory))


def compare(given: argparse.Namespace, directory: Path) -> None:
    """All of them, event by event."""
    # in a tight loop every queue is full at times, and each candidate's log says so
    logging.disable()
    for event in _EVENTS:
        calls = candidates(event, directory / event)
        tight(calls, 1, _WARM_UP)
        ratio = show(f"{event}, paced at 500/s", paced(calls, given.paced))
        show(f"{event}, tight loop", tight(calls, given.rounds, given.tight))
        verdict = "met" if ratio <= TARGET else "MISSED"
        say(f"\n{event}: ours paced is {ratio:.2f} x stock; target {TARGET} x: {verdict}")


if __name__ == "__main__":
    main()
