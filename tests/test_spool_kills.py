"""kill -9 at 200 random moments of a busy four-worker host, with the real collector going up and down.

Every event whose call had returned arrives; the stock pipeline, treated the same, is printed beside it.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.collector import Collector
from tests.killed_host import OURS, SPAN, STOCK, KilledHost
from tests.processes import succeed
from tests.spool_hosts import KNOWN
from tests.telemetry import LogEvent

KILLS: Final = 200
SEED: Final = 20261123
HOST_EVERY: Final = 25
"""Each so manyth kill takes the master and all workers at once."""
COLLECTOR_EVERY: Final = 10
"""After so many kills the collector is killed too, or started again."""

# What is left once everything has ended; a start without an event of its own delivers it.
LEFT: Final = """
    from otel_incident.pipeline import default_pipeline
    pipeline = default_pipeline()
    pipeline.deliver_leftovers()
    assert pipeline.force_flush()
"""


@dataclass(frozen=True, slots=True)
class Course:
    """What a host had reported when it ended, and what had arrived."""

    acknowledged: list[int]
    events: list[LogEvent]

    def numbers(self) -> list[int]:
        """Of the events that arrived, in order."""
        return [int(str(event.attributes["incident.id"])) for event in self.events]

    def lost(self) -> set[int]:
        """Whose calls had returned, and which did not arrive."""
        return set(self.acknowledged) - set(self.numbers())


def run(setup: str, binary: Path, directory: Path) -> Course:
    """Kill a host and its collector, then let them end well."""
    directory.mkdir()
    with Collector(binary, directory / "collector") as collector:
        variables = {
            "OTEL_SERVICE_NAME": "desk",
            "OTEL_INCIDENT_STATE_DIR": str(directory / "state"),
            **KNOWN,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_endpoint,
            "OTEL_BLRP_SCHEDULE_DELAY": "100",
        }
        host = KilledHost(setup, directory, variables, SEED)
        host.start()
        for kill, up in zip(range(1, KILLS + 1), _ups_and_downs(), strict=False):
            host.moment()
            if kill % HOST_EVERY:
                host.kill_a_worker()
            else:
                host.kill()
                host.start()
            if kill % COLLECTOR_EVERY == 0:
                collector.start() if up else collector.kill()
        assert host.end() == 0
        if setup is OURS:
            succeed(LEFT, variables)
        return Course(host.acknowledged(), list(collector.telemetry().events))


def _ups_and_downs() -> Iterator[bool]:
    """Whether the collector is started, by turns; after the last kill it runs."""
    return itertools.chain.from_iterable(
        itertools.repeat(up, COLLECTOR_EVERY) for up in itertools.cycle((False, True))
    )


@pytest.fixture(scope="module")
def ours(collector_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """What became of our events."""
    return run(OURS, collector_path, tmp_path_factory.mktemp("ours") / "host")


def test_nothing_is_lost(ours: Course, collector_path: Path, tmp_path: Path) -> None:
    """Each event whose call had returned arrives; the stock pipeline loses some in the same course."""
    stock = run(STOCK, collector_path, tmp_path / "stock")
    for name, course in (("the spool", ours), ("the stock batch processor", stock)):
        reported, twice = len(course.acknowledged), len(course.events) - len(set(course.numbers()))
        line = f"{name}: {reported} reported, {len(course.lost())} lost, {twice} twice"
        print(f"\n{KILLS} kills, {line}", end="")  # noqa: T201  for a person
    assert ours.lost() == set()
    assert len(ours.acknowledged) > 10 * KILLS
    assert stock.lost() != set()  # else this test shows nothing


def test_each_event_has_a_uid_of_its_own(ours: Course) -> None:
    """However often an event arrives its uid is the same, and no other event's."""
    pairs = {
        (event.attributes["log.record.uid"], number)
        for event, number in zip(ours.events, ours.numbers(), strict=True)
    }
    assert len(pairs) == len({uid for uid, _ in pairs}) == len({number for _, number in pairs})


def test_order_within_a_process(ours: Course) -> None:
    """What one process has reported arrives in that order."""
    last: dict[int, int] = {}
    for number in dict.fromkeys(ours.numbers()):
        worker = number // SPAN
        assert number > last.get(worker, 0)
        last[worker] = number
    assert len(last) > KILLS / 2  # most others were killed before their first event
