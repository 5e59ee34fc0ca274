"""What a durable log record costs the caller's thread, and how fast a spool drains.

An event's own way to disk stands beside the stock `Logger.emit` with a batch processor, which keeps it in
memory; beside both, the same processor behind `Logger.emit`, an analytics client's in-memory `track`, and
other ways to put the record's line on disk. All are in one process and in turn. The exporter does nothing,
so that what is compared is what the host's thread pays, the threads that deliver included; the drain goes
through the SDK's encoder, as the stock batch processor's does.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource

from benchmarks.disk import on_disk
from benchmarks.emit import (
    _EVENTS as EVENTS,
)
from benchmarks.emit import (
    NoOpExporter,
    installed_exporter,
    paced,
    provider_with,
    say,
    segment,
    sent_by,
    stock,
    tight,
    written,
)
from benchmarks.workers import busy_workers
from otel_incident.processors import write_into
from otel_incident.spool.attempts import Attempts
from otel_incident.spool.processor import DurableLogRecordProcessor
from otel_incident.spool.sender import Sender
from otel_incident.spool.spool import Outlet, Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord

    Call = Callable[[], object]

TARGET: Final = 1.5
"""Durable emit is at most this many times the stock, non-durable one."""

DRAIN_TARGET: Final = 0.7
"""A drain has at least this part of the stock batch processor's records a second."""

_STOCK: Final = "stock, in memory"
_DURABLE: Final = "durable, on disk"
_THROUGH_API: Final = "durable, through Logger.emit"
_WARM_UP: Final = 200
_NS_IN_US: Final = 1000


class EncodingExporter(LogRecordExporter):
    """Does what an OTLP exporter does up to the network, and counts."""

    def __init__(self) -> None:
        self.count = 0
        self.pages: list[int] = []

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Encode."""
        encode_logs(batch).SerializeToString()
        self.count += len(batch)
        self.pages.append(int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]))
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept."""
        return timeout_millis > 0


def emitting(processor: Any, name: str, attributes: dict[str, Any]) -> Call:
    """A record through `Logger.emit` into a processor."""
    from opentelemetry._logs import SeverityNumber  # noqa: PLC0415  as the stock candidate does

    logger = provider_with(processor).get_logger("benchmark")

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


def reporting(spool: Spool, name: str, attributes: dict[str, Any]) -> Call:
    """A record on an event's own way, once the policy has let it pass."""
    write = write_into([spool], Resource.create({"service.name": "benchmark"}))

    def call() -> None:
        now = time.time_ns()
        write(name, attributes, timestamp=now, observed_timestamp=now, context=None)

    return call


def show(title: str, taken: Mapping[str, list[int]]) -> float:
    """Print one table; returns how many times the stock median the durable one is."""
    say(f"\n{title}, {len(taken[_STOCK])} records each\n")
    say("| candidate | median µs | p99 µs | median / stock |")
    say("|---|---:|---:|---:|")
    medians = {name: statistics.median(values) / _NS_IN_US for name, values in taken.items()}
    for name, values in taken.items():
        p99 = statistics.quantiles(values, n=100)[98] / _NS_IN_US
        say(f"| {name} | {medians[name]:.1f} | {p99:.1f} | {medians[name] / medians[_STOCK]:.2f} |")
    return medians[_DURABLE] / medians[_STOCK]


def emit_costs(given: argparse.Namespace, directory: Path) -> None:
    """Durable emit beside stock."""
    name, attributes = sent_by(EVENTS["change_stage"])
    spool = Spool(directory / "own", [Outlet("exporter", lambda: Attempts(NoOpExporter()))])
    processor = DurableLogRecordProcessor(NoOpExporter(), directory / "api")
    calls: dict[str, Call] = {
        _STOCK: stock(name, attributes),
        _DURABLE: reporting(spool, name, attributes),
        _THROUGH_API: emitting(processor, name, attributes),
    }
    client = segment(name, attributes)
    if client is None:
        say("skipped: segment-analytics-python is not installed")
    else:
        calls["segment-analytics-python"] = client
    calls |= on_disk(directory, 1600)
    calls["a bare os.write"] = written(directory / "written")
    tight(calls, 1, _WARM_UP)
    ratios = {
        "paced at 500/s": show("Paced at 500/s", paced(calls, given.paced)),
        "in a tight loop": show("Tight loop", tight(calls, given.rounds, given.tight)),
    }
    spool.shutdown()
    processor.shutdown()
    for title, ratio in ratios.items():
        verdict = "met" if ratio <= TARGET else "MISSED"
        say(f"\ndurable emit {title}: {ratio:.2f} x stock; target {TARGET} x: {verdict}")


def drain_rates(given: argparse.Namespace, directory: Path) -> None:
    """A backlog's drain beside the stock batch processor's."""
    name, attributes = sent_by(EVENTS["change_stage"])
    best = {"stock batch processor": 0.0, "drain of a spool": 0.0}
    for turn in range(3):
        gc.collect()
        exporter = EncodingExporter()
        batch = BatchLogRecordProcessor(exporter, max_queue_size=given.drained)
        call = emitting(batch, name, attributes)
        batch._batch_processor._exporter = NoOpExporter()  # noqa: SLF001  fill first
        batch._batch_processor._max_export_batch_size = given.drained + 1  # noqa: SLF001  and send nothing yet
        batch._batch_processor._schedule_delay = 3600.0  # noqa: SLF001  the same
        for _ in range(given.drained):
            call()
        batch._batch_processor._exporter = exporter  # noqa: SLF001  the same
        batch._batch_processor._max_export_batch_size = 512  # noqa: SLF001  the same
        waiting = len(batch._batch_processor._queue)  # noqa: SLF001  the same
        started = time.perf_counter()
        batch.force_flush()
        rate = waiting / (time.perf_counter() - started)
        best["stock batch processor"] = max(best["stock batch processor"], rate)
        batch.shutdown()  # type: ignore[no-untyped-call]  # untyped upstream
        place = directory / str(turn)
        exporter = EncodingExporter()
        filler = DurableLogRecordProcessor(exporter, place)
        held, Sender.notify = Sender.notify, lambda _: None  # type: ignore[method-assign,assignment]  # fill first
        call = emitting(filler, name, attributes)
        for _ in range(given.drained):
            call()
        Sender.notify = held  # type: ignore[method-assign]  # put back
        filler.shutdown()
        started = time.perf_counter()
        drained = DurableLogRecordProcessor(exporter, place, delay=0.0)
        drained.force_flush(600_000)
        rate = exporter.count / (time.perf_counter() - started)
        best["drain of a spool"] = max(best["drain of a spool"], rate)
        drained.shutdown()
        growth = max(exporter.pages) - exporter.pages[len(exporter.pages) // 10]
    say(f"\nDrain of {given.drained} records, best of three\n")
    say("| candidate | records/s | / stock |")
    say("|---|---:|---:|")
    for title, rate in best.items():
        say(f"| {title} | {rate:.0f} | {rate / best['stock batch processor']:.2f} |")
    grown = growth * os.sysconf("SC_PAGE_SIZE") / 2**20
    say(f"\nmemory from a tenth of the last drain on: at most {grown:+.1f} MiB")
    ratio = best["drain of a spool"] / best["stock batch processor"]
    verdict = "met" if ratio >= DRAIN_TARGET else "MISSED"
    say(f"\ndrain: {ratio:.2f} x stock; target {DRAIN_TARGET} x: {verdict}")


def main() -> None:
    """Run all and say whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paced", type=int, default=5000, help="records of each, paced")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of the tight loop")
    parser.add_argument("--tight", type=int, default=1000, help="records in a round, in a tight loop")
    parser.add_argument("--drained", type=int, default=50_000, help="records in the backlog")
    parser.add_argument("--directory", type=Path, help="where the spool is; a temporary one unless given")
    given = parser.parse_args()
    logging.disable()  # in a tight loop the stock queue is full at times, and says so
    with tempfile.TemporaryDirectory(dir=given.directory) as directory, installed_exporter():
        say(f"{os.uname().sysname} {os.uname().release}, {os.cpu_count()} cores")
        say(f"load average {os.getloadavg()[0]:.1f} at the beginning")
        emit_costs(given, Path(directory) / "emit")
        drain_rates(given, Path(directory) / "drain")
        busy_workers(Path(directory) / "workers", *sent_by(EVENTS["change_stage"]))


if __name__ == "__main__":
    main()
