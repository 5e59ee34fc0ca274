"""Giving way: delivery stands back while the host keeps a record, and goes on if the host always does."""

from pathlib import Path
from typing import Final

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs

from otel_incident.spool.delivery import Delivery
from otel_incident.spool.giving_way import SLICE_SECONDS, GivingWay, Interruptible
from otel_incident.spool.writer import SegmentWriter
from tests.spool_backlog import Course, Endpoint
from tests.spool_records import numbered

HALF: Final = SLICE_SECONDS / 2


class Host:
    """A host that waits or not, and a clock; notes at which item it could go on."""

    def __init__(self, *, waits: bool) -> None:
        self.waits = waits
        self.time = 0.0
        self.went_on: list[float] = []

    def sleep(self, seconds: float) -> None:
        """It goes on."""
        self.went_on.append(self.time)
        self.time += seconds

    def giving_way(self) -> GivingWay:
        """To this host."""
        return GivingWay(lambda: self.waits, now=lambda: self.time, sleep=self.sleep)


def work(host: Host, giving_way: GivingWay, items: int) -> list[int]:
    """Each item takes half a slice."""
    done = []
    for item in giving_way.between(range(items)):
        done.append(item)
        host.time += HALF
    return done


def test_a_host_that_does_not_wait() -> None:
    """Nobody pauses where nobody waits."""
    host = Host(waits=False)
    assert work(host, host.giving_way(), 6) == list(range(6))
    assert host.went_on == []


def test_a_host_that_always_waits() -> None:
    """It goes on after each slice, and every item is worked on all the same."""
    host = Host(waits=True)
    assert work(host, host.giving_way(), 6) == list(range(6))
    assert len(host.went_on) == 2
    assert host.went_on[0] == 2 * HALF
    assert host.went_on[1] >= host.went_on[0] + 2 * HALF


def test_an_encoder_of_anybody_gives_way() -> None:
    """The SDK's encoder, which knows nothing of this, pauses between the records of a batch."""
    host = Host(waits=True)
    batch = Interruptible([numbered(number) for number in range(3)], host.giving_way())
    host.time = SLICE_SECONDS
    assert encode_logs(batch) == encode_logs(list(batch))
    assert host.went_on == [SLICE_SECONDS]
    assert isinstance(batch, list)


def test_a_delivery_gives_way(tmp_path: Path) -> None:
    """An exporter gets its batch as such a list."""
    host = Host(waits=True)
    course = Course(tmp_path, Endpoint())
    course.write(1, 2)
    endpoint = Endpoint()
    delivery = Delivery(course.backlog, endpoint, giving_way=host.giving_way())
    host.time = SLICE_SECONDS
    assert delivery.step() == 0.0
    assert endpoint.taken == [1, 2]
    assert host.went_on == [SLICE_SECONDS]


def test_a_writer_says_when_it_writes(tmp_path: Path) -> None:
    """It is busy from before its line is written until after, and not when nobody writes."""
    seen: list[bool] = []

    def now() -> int:
        seen.append(writer.is_busy())
        return 1

    writer = SegmentWriter(tmp_path, now=now)
    assert writer.is_busy() is False
    writer.append(b"x\n")
    assert writer.is_busy() is False
    assert seen == [True]
