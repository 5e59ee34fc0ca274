"""Delivery: everything leaves once and in order, whatever the endpoint answers and in whatever sequence."""

import errno
import fcntl
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_incident.spool.answers import Answer
from otel_incident.spool.backlog import FullQuarantineError, NotKeptError
from otel_incident.spool.cursors import Cursor
from otel_incident.spool.delivery import ROUNDS, SUSPECT_AFTER, Outage
from otel_incident.spool.quarantine import RESERVE_BYTES, Quarantine
from otel_incident.spool.segments import segments_in
from tests.spool_backlog import DELIVERED, DOWN, OWN_ERROR, REFUSED, TOO_LARGE, Course, Endpoint
from tests.spool_records import line


def quarantined(course: Course) -> dict[str, list[bytes]]:
    """What is set aside, by file."""
    return {path.name: path.read_bytes().splitlines(keepends=True) for path in course.quarantine.files()}


def test_batches_in_order(tmp_path: Path) -> None:
    """Records leave in the order they were written, over segments, in full batches."""
    endpoint = Endpoint()
    course = Course(tmp_path, endpoint, batch_size=3)
    course.write(1, 2, 3, 4)
    course.writer.close()
    course.write(5, 6, 7)
    assert course.run() == [0.0, 0.0, 0.0]
    assert endpoint.batches == [[1, 2, 3], [4, 5, 6], [7]]
    assert course.delivery.counts.delivered == 7
    assert course.delivery.step() is None


def test_a_restart_goes_on(tmp_path: Path) -> None:
    """Another process begins where the last one stopped."""
    first, second = Endpoint(), Endpoint()
    course = Course(tmp_path, first, batch_size=2)
    course.write(1, 2, 3)
    assert course.delivery.step() == 0.0
    Course(tmp_path, second).run()
    assert (first.taken, second.taken) == ([1, 2], [3])


def test_an_outage_holds_everything(tmp_path: Path) -> None:
    """All is held in order; waits double up to a minute; what comes meanwhile waits behind."""
    endpoint = Endpoint(*[DOWN] * 9)
    course = Course(tmp_path, endpoint)
    course.write(1)
    waits = [course.delivery.step() for _ in range(8)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert course.delivery.outage == Outage(8, "HTTP 503")
    course.write(2)
    assert course.delivery.step() == 60.0
    assert course.delivery.step() == 0.0
    assert course.delivery.outage == Outage()
    assert endpoint.taken == [1, 2]
    assert (course.delivery.counts.retried, course.delivery.counts.failed) == (9, 9)


@pytest.mark.parametrize("jitter", [0.0, 0.25, 1.0])
def test_full_jitter(tmp_path: Path, jitter: float) -> None:
    """A wait is any part of its bound, so that workers do not come back together."""
    course = Course(tmp_path, Endpoint(DOWN, DOWN), jitter=jitter)
    course.write(1)
    assert [course.delivery.step(), course.delivery.step()] == [jitter, 2 * jitter]


def test_the_endpoint_s_own_time(tmp_path: Path) -> None:
    """It is not asked again before the time it has given."""
    course = Course(tmp_path, Endpoint(Answer("hold", "HTTP 503", 30.0), Answer("hold", "HTTP 503", 0.0)))
    course.write(1)
    assert [course.delivery.step(), course.delivery.step()] == [30.0, 2.0]


def test_what_is_too_large_is_halved(tmp_path: Path) -> None:
    """The batch is halved at once until it fits; a record that is too large alone is set aside."""
    endpoint = Endpoint(judge=lambda numbers: TOO_LARGE if len(numbers) > 2 or 7 in numbers else DELIVERED)
    course = Course(tmp_path, endpoint, batch_size=8)
    course.write(*range(1, 9))
    assert set(course.run()) == {0.0}
    assert endpoint.taken == [1, 2, 3, 4, 5, 6, 8]
    assert endpoint.batches[:3] == [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4], [1, 2]]
    assert quarantined(course) == {"20200913-http-413.jsonl": [line(7)]}


def test_what_is_refused_is_set_aside(tmp_path: Path) -> None:
    """Of a batch that is refused only the offenders are set aside, and counted."""
    endpoint = Endpoint(judge=lambda numbers: REFUSED if {5, 6, 13} & set(numbers) else DELIVERED)
    course = Course(tmp_path, endpoint, batch_size=16)
    course.write(*range(16))
    assert set(course.run()) == {0.0}
    assert endpoint.taken == [number for number in range(16) if number not in {5, 6, 13}]
    assert quarantined(course) == {"20200913-http-400.jsonl": [line(5), line(6), line(13)]}
    assert (course.backlog.quarantined, course.backlog.reason) == (3, "HTTP 400")
    assert course.quarantine.counts() == {"http-400": 3}


def test_an_endpoint_that_refuses_everything(tmp_path: Path) -> None:
    """After ten records in a row it is asked less and less often, down to one record a second."""
    course = Course(tmp_path, Endpoint(judge=lambda _: REFUSED), batch_size=16)
    course.write(*range(16))
    waits = course.run()
    assert [wait for wait in waits if wait] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert course.quarantine.counts() == {"http-400": 16}


def test_many_refused_among_others(tmp_path: Path) -> None:
    """However many are refused, while others are taken in between there is no pause."""
    endpoint = Endpoint(judge=lambda numbers: REFUSED if any(n % 2 for n in numbers) else DELIVERED)
    course = Course(tmp_path, endpoint, batch_size=16)
    course.write(*range(40))
    assert set(course.run()) == {0.0}
    assert endpoint.taken == list(range(0, 40, 2))


def test_a_quarantine_that_is_full(tmp_path: Path) -> None:
    """Nothing more is set aside and nothing deleted: what is refused waits until there is room."""
    course = Course(tmp_path, Endpoint(judge=lambda _: REFUSED), batch_size=1)
    course.backlog._quarantine = Quarantine(  # noqa: SLF001  the course has another one
        tmp_path / "x.quarantine", now=lambda: 1_600_000_000.0, most=len(line(1) + line(2))
    )
    course.write(1, 2, 3)
    assert [course.delivery.step(), course.delivery.step()] == [0.0, 0.0]
    for _ in range(2):
        with pytest.raises(FullQuarantineError):
            course.delivery.step()
    assert course.delivery.outage == Outage(2, "HTTP 400")
    (kept,) = course.quarantine.files()
    assert kept.read_bytes() == line(1) + line(2)
    kept.unlink()
    course.run()
    assert kept.read_bytes() == line(3)
    assert course.delivery.outage == Outage()


@pytest.mark.parametrize("durable", [True, False])
def test_what_is_flushed_of_a_quarantine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, durable: bool
) -> None:
    """What is set aside is on the disk before its segment may go, and so is the way to it; or nothing is."""
    flushed: list[str] = []
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(
            f"os.{name}",
            lambda descriptor: flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name),
        )
    quarantine = Quarantine(tmp_path / "x.quarantine", now=lambda: 1_600_000_000.0, durable=durable)
    quarantine.put([b"a\n"], "HTTP 400")
    quarantine.put([b"b\n"], "HTTP 400")
    file = "20200913-http-400.jsonl"
    assert flushed == ([tmp_path.name, file, "x.quarantine", file] if durable else [])


def test_a_quarantine_file_that_goes_back_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is not written into a file that somebody has just given back and deleted."""
    quarantine = Quarantine(tmp_path / "x.quarantine")

    def lock(descriptor: int, _: int) -> None:
        Path(f"/proc/self/fd/{descriptor}").readlink().unlink()

    with monkeypatch.context() as patched:
        patched.setattr("otel_incident.spool.quarantine.fcntl.flock", lock)
        with pytest.raises(BlockingIOError):
            quarantine.put([b"a\n"], "HTTP 400")
    quarantine.put([b"a\n"], "HTTP 400")
    assert quarantine.counts() == {"http-400": 1}


def test_two_who_send_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one has given back before the other has the file's lock goes back once."""
    quarantine = Quarantine(tmp_path / "x.quarantine")
    quarantine.put([b"a\n"], "HTTP 400")
    back: list[bytes] = []
    real = fcntl.flock

    def keep(line: bytes) -> bool:
        back.append(line)
        return True

    def lock(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", real)
        assert quarantine.requeue(keep) == 1
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lock)
    assert quarantine.requeue(keep) == 0
    assert back == [b"a\n"]


def test_a_cursor_of_somebody_else_s(tmp_path: Path) -> None:
    """Who has lost the lease in the middle of an attempt leaves the new holder's cursor alone."""
    endpoint = Endpoint()
    course = Course(tmp_path, endpoint)
    course.backlog._may_keep = lambda: False  # noqa: SLF001  what the lease says
    course.write(1)
    course.run()
    (segment,) = segments_in(course.segments)
    assert (endpoint.taken, Cursor(tmp_path / "x.cursor").of(segment.name)) == ([1], 0)


def test_a_cursor_of_somebody_else_s_while_a_line_is_set_aside(tmp_path: Path) -> None:
    """Nor does he note in it what he is about to set aside."""
    course = Course(tmp_path, Endpoint(), may_keep=lambda: False)
    course.writer.append(b"x\n")
    course.run()
    assert quarantined(course) == {"20200913-unreadable.jsonl": [b"x\n"]}
    assert list(tmp_path.glob("x.cursor*")) == []


@pytest.mark.parametrize(("left", "expected"), [(2 * RESERVE_BYTES, True), (2 * RESERVE_BYTES - 1, False)])
def test_room_for_a_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int, *, expected: bool
) -> None:
    """It is not taken from a disk that has hardly any left for the host's records."""
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_bavail=left, f_frsize=1))
    Quarantine(tmp_path / "x.quarantine").reserve()
    assert (tmp_path / ".reserve").exists() is expected


def test_what_is_counted_when_nothing_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sees by the cursor that nothing waits, as `spool drain` does, sees by the counts what has left."""
    course = Course(tmp_path, Endpoint())
    real, seen = Cursor.keep, []

    def keep(cursor: Cursor, *make_room: Callable[[], bool]) -> bool:
        seen.append(course.delivery.counts.delivered)
        return real(cursor, *make_room)

    monkeypatch.setattr(Cursor, "keep", keep)
    course.write(1, 2, 3)
    assert course.delivery.step() == 0.0
    assert seen == [3]


@pytest.mark.parametrize("reason", ["ReadTimeout", "HTTP 504", "gRPC DEADLINE_EXCEEDED"])
def test_a_server_too_slow_for_a_full_batch(tmp_path: Path, reason: str) -> None:
    """A batch that takes longer than the deadline is halved until it does not; all leave, in order."""
    endpoint = Endpoint(judge=lambda batch: Answer("hold", reason) if len(batch) > 100 else DELIVERED)
    course = Course(tmp_path, endpoint)
    course.write(*range(1, 1001))
    course.run()
    assert endpoint.taken == list(range(1, 1001))
    assert quarantined(course) == {}


def test_partial_success(tmp_path: Path) -> None:
    """What an endpoint has refused of a batch that it took is counted, and the batch is not sent again."""
    course = Course(tmp_path, Endpoint(Answer("delivered", rejected=2), Answer("delivered", rejected=99)))
    course.write(1, 2, 3)
    course.run()
    course.write(4)
    course.run()
    assert (course.delivery.counts.delivered, course.delivery.counts.rejected) == (4, 3)


@pytest.mark.parametrize("offenders", [{1}, {5, 6}, {16}, {2, 3, 4, 9}])
def test_a_record_that_breaks_the_server(tmp_path: Path, offenders: set[int]) -> None:
    """A record whose batch earns the server's own error while others pass is found and set aside, alone."""
    endpoint = Endpoint(judge=lambda numbers: OWN_ERROR if offenders & set(numbers) else DELIVERED)
    course = Course(tmp_path, endpoint, batch_size=16)
    course.write(*range(1, 60))
    course.run(limit=400)
    assert sorted(endpoint.taken) == [number for number in range(1, 60) if number not in offenders]
    assert [line(number) for number in sorted(offenders)] == [
        each for lines in quarantined(course).values() for each in lines
    ]
    assert course.delivery.outage == Outage()


@pytest.mark.parametrize(("offender", "seconds"), [(0, 490.0), (256, 265.0), (511, 46.0)])
def test_how_long_a_record_that_breaks_the_server_holds_others(
    tmp_path: Path, offender: int, seconds: float
) -> None:
    """The first of a batch of 512 holds it up the longest, as nothing before it passes: 490 s at most."""
    course = Course(tmp_path, Endpoint(judge=lambda numbers: OWN_ERROR if offender in numbers else DELIVERED))
    course.write(*range(600))
    assert sum(course.run()) == seconds
    assert quarantined(course) == {"20200913-http-500.jsonl": [line(offender)]}


@pytest.mark.parametrize("answer", [OWN_ERROR, Answer("split", "gRPC RESOURCE_EXHAUSTED", suspect=True)])
def test_a_server_that_fails_for_all(tmp_path: Path, answer: Answer) -> None:
    """While no record passes none is set aside, however long that takes; then all leave in order."""
    endpoint = Endpoint(judge=lambda _: answer)
    course = Course(tmp_path, endpoint, batch_size=8)
    course.write(*range(20))
    for _ in range(200):
        course.delivery.step()
    assert quarantined(course) == {}
    endpoint.judge = lambda _: DELIVERED
    course.run()
    assert sorted(endpoint.taken) == list(range(20))
    assert quarantined(course) == {}


def test_a_lone_record_is_never_suspected(tmp_path: Path) -> None:
    """Without enough other records to compare with, the server's own error is an outage."""
    endpoint = Endpoint(judge=lambda numbers: OWN_ERROR if 1 in numbers else DELIVERED)
    course = Course(tmp_path, endpoint)
    course.write(1)
    for _ in range(50):
        assert course.delivery.step() != 0.0
    course.write(*range(2, ROUNDS + 1))
    for _ in range(50):
        course.delivery.step()
    assert quarantined(course) == {}
    course.write(ROUNDS + 1)
    course.run()
    assert sorted(endpoint.taken) == list(range(2, ROUNDS + 2))
    assert quarantined(course) == {"20200913-http-500.jsonl": [line(1)]}


@pytest.mark.parametrize("failing", [0.5, 0.67, 0.8, 0.9])
def test_a_server_that_fails_at_random(tmp_path: Path, failing: float) -> None:
    """An endpoint that answers its own error to a part of all requests has every record in the end."""
    chance = random.Random(1)  # noqa: S311  nothing here is a secret
    endpoint = Endpoint(judge=lambda _: OWN_ERROR if chance.random() < failing else DELIVERED)
    course = Course(tmp_path, endpoint, batch_size=64)
    for first in range(0, 2000, 50):
        course.write(*range(first, first + 50))
        course.run()
    assert quarantined(course) == {}
    assert sorted(endpoint.taken) == list(range(2000))


def test_a_server_that_fails_while_records_are_in_memory(tmp_path: Path) -> None:
    """What was delivered before its turn takes no place in a batch, and nothing is sent without a record."""
    chance = random.Random(1)  # noqa: S311  nothing here is a secret
    endpoint = Endpoint(judge=lambda _: OWN_ERROR if chance.random() < 0.8 else DELIVERED)
    course = Course(tmp_path, endpoint, batch_size=4)
    for number in range(100):
        course.memory.put(line(number))
    course.run()
    assert sorted(endpoint.taken) == list(range(100))
    assert [] not in endpoint.batches
    assert len(course.memory) == 0


def test_a_server_that_recovers_while_it_is_probed(tmp_path: Path) -> None:
    """A suspect is tried once more after another has passed: if it passes too, nothing is set aside."""
    endpoint = Endpoint(*[OWN_ERROR] * (SUSPECT_AFTER + 4))
    course = Course(tmp_path, endpoint, batch_size=4)
    course.write(1, 2, 3, 4)
    course.run()
    assert sorted(endpoint.taken) == [1, 2, 3, 4]
    assert quarantined(course) == {}


def test_an_outage_in_the_middle_of_a_search(tmp_path: Path) -> None:
    """An endpoint that goes away while a batch is taken apart clears everybody."""
    endpoint = Endpoint(*[OWN_ERROR] * (SUSPECT_AFTER + 2), DELIVERED, DOWN)
    course = Course(tmp_path, endpoint, batch_size=4)
    course.write(1, 2, 3, 4)
    course.run()
    assert sorted(endpoint.taken) == [1, 2, 3, 4]
    assert quarantined(course) == {}


def test_lines_that_are_no_records(tmp_path: Path) -> None:
    """They are set aside once, whatever becomes of the batch around them, and hold up nothing."""
    endpoint = Endpoint(DOWN, DOWN)
    course = Course(tmp_path, endpoint, batch_size=2)
    for each in (b"{}\n", line(1), b"x\n", b"\xff\n", line(2), line(3), b"[]\n"):
        course.writer.append(each)
    course.run()
    assert endpoint.taken == [1, 2, 3]
    assert quarantined(course) == {"20200913-unreadable.jsonl": [b"{}\n", b"x\n", b"\xff\n", b"[]\n"]}
    (segment,) = segments_in(course.segments)
    assert Cursor(tmp_path / "x.cursor").of(segment.name) == segment.size()


def test_half_a_line_of_a_writer_that_is_gone(tmp_path: Path) -> None:
    """It is set aside when nobody can finish it any more, and its segment is done with."""
    course = Course(tmp_path, Endpoint())
    course.write(1)
    (segment,) = segments_in(course.segments)
    with segment.path.open("ab") as file:
        file.write(line(2)[:-5])
    course.run()
    assert quarantined(course) == {}
    course.writer.close()
    course.run()
    assert quarantined(course) == {"20200913-incomplete.jsonl": [line(2)[:-5] + b"\n"]}
    assert course.cursor.of(segment.name) == segment.size()


def test_a_segment_that_cannot_be_read(tmp_path: Path) -> None:
    """It holds up no other."""
    endpoint = Endpoint()
    course = Course(tmp_path, endpoint)
    (course.segments / "0.jsonl").symlink_to("nowhere.jsonl")
    course.write(1)
    course.run()
    assert endpoint.taken == [1]


@pytest.mark.parametrize("before", [[], [1, 2]])
def test_a_full_disk_keeps_what_cannot_be_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: list[int]
) -> None:
    """A bad line that cannot be put anywhere stays, what stands before it leaves, nothing is lost."""
    endpoint = Endpoint()
    course = Course(tmp_path, endpoint)
    course.write(*before)
    course.writer.append(b"bad\n")
    course.write(3)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Quarantine, "put", full)
        if before:
            assert course.delivery.step() == 0.0
        with pytest.raises(NotKeptError):
            course.delivery.step()
    assert endpoint.taken == before
    course.run()
    assert endpoint.taken == [*before, 3]
    assert quarantined(course) == {"20200913-unreadable.jsonl": [b"bad\n"]}


def test_a_cursor_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delivery goes on from memory's offset; only another process would send again."""
    endpoint = Endpoint()
    course = Course(tmp_path, endpoint, batch_size=1)
    course.write(1, 2, 3)
    monkeypatch.setattr(Cursor, "keep", lambda *_: False)
    course.run()
    assert endpoint.taken == [1, 2, 3]


def test_what_is_in_memory_comes_after_what_is_on_disk(tmp_path: Path) -> None:
    """And leaves without the lease, which is about the disk alone."""
    endpoint = Endpoint(DOWN)
    course = Course(tmp_path, endpoint)
    course.memory.put(line(3))
    course.write(1, 2)
    course.delivery.step(from_disk=False)
    assert endpoint.batches == [[3]]
    course.run()
    assert endpoint.taken == [1, 2, 3]
    assert len(course.memory) == 0


def test_the_reserve_of_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is set aside in the room that is held for it."""
    quarantine = Quarantine(tmp_path / "x.quarantine", now=lambda: 1_600_000_000.0)
    quarantine.reserve()
    quarantine.reserve()
    reserve = tmp_path / ".reserve"
    assert reserve.stat().st_size == RESERVE_BYTES
    real = Quarantine._append  # noqa: SLF001  the disk's part

    def append(self: Quarantine, name: str, data: bytes, begin: Callable[[str, int], object]) -> None:
        if reserve.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, name, data, begin)

    monkeypatch.setattr(Quarantine, "_append", append)
    quarantine.put([b"a\n"], "HTTP 400")
    assert not reserve.exists()
    assert quarantine.counts() == {"http-400": 1}


def test_requeue(tmp_path: Path) -> None:
    """What was set aside goes back into a segment and leaves; a crash meanwhile means twice, not never."""
    endpoint = Endpoint(judge=lambda _: REFUSED)
    course = Course(tmp_path, endpoint)
    course.write(1, 2)
    course.run()
    assert course.backlog.quarantined == 2

    def crash(_: bytes) -> bool:
        raise KeyboardInterrupt

    def keep(line: bytes) -> bool:
        course.writer.append(line)
        return True

    with pytest.raises(KeyboardInterrupt):
        course.quarantine.requeue(crash)
    endpoint.judge = lambda _: DELIVERED
    assert course.quarantine.requeue(keep) == 2
    assert course.quarantine.requeue(keep) == 0
    course.run()
    assert endpoint.taken == [1, 2]
    assert quarantined(course) == {}


ANSWERS: Final = st.lists(
    st.sampled_from((DELIVERED, DOWN, OWN_ERROR, TOO_LARGE, REFUSED, Answer("delivered", rejected=1))),
    max_size=60,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers=ANSWERS, count=st.integers(1, 12), size=st.integers(1, 5), restart=st.booleans())
def test_whatever_is_answered(
    tmp_path_factory: pytest.TempPathFactory, answers: list[Answer], count: int, size: int, *, restart: bool
) -> None:
    """In any sequence of answers each record is delivered or set aside, none is lost, none comes twice."""
    directory = tmp_path_factory.mktemp("spool")
    endpoint = Endpoint(*answers)
    course = Course(directory, endpoint, batch_size=size)
    course.write(*range(count))
    for _ in range(len(answers) // 2):
        course.delivery.step()
    taken = len(endpoint.taken)
    if restart:
        course.writer.close()
        course = Course(directory, endpoint, batch_size=size)
    course.run()
    aside = [
        int(each.split(b'"timeUnixNano":"')[1].split(b'"')[0])
        for lines in quarantined(course).values()
        for each in lines
    ]
    assert sorted({*endpoint.taken, *aside}) == list(range(count))
    assert taken <= len(endpoint.taken)
    if not restart:
        assert len(endpoint.taken) + len(aside) == count
    if OWN_ERROR not in answers:
        assert endpoint.taken == sorted(endpoint.taken)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(st.data())
def test_a_segment_that_is_cut_or_flipped_anywhere(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever byte is changed, and wherever the file ends: all other lines arrive, what does not is kept."""
    directory = tmp_path_factory.mktemp("spool")
    endpoint = Endpoint()
    course = Course(directory, endpoint, batch_size=2)
    lines = [line(number) for number in range(1, 6)]
    content = bytearray(b"".join(lines))
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] = data.draw(st.integers(0, 255))
    else:
        del content[at:]
    course.writer.append(bytes(content) or b"\n")
    course.writer.close()
    course.run()
    hit = at // len(lines[0]) + 1
    beyond = hit + 1 if at == hit * len(lines[0]) - 1 else hit  # a line's end: the next is in it then
    expected = [number for number in range(1, 6) if number not in {hit, beyond}]
    if len(content) < len(b"".join(lines)):
        expected = [number for number in expected if number < hit]
    taken = iter(endpoint.taken)  # a digit of the one that was hit may have become another's
    assert all(number in taken for number in expected)
    kept = sum(len(each) for lines in quarantined(course).values() for each in lines)
    assert kept + len(endpoint.taken) * len(lines[0]) >= len(content) - 1


def test_half_a_line_is_set_aside_once(tmp_path: Path) -> None:
    """However often the batch before it is tried."""
    course = Course(tmp_path, Endpoint(DOWN, DOWN))
    course.write(1)
    course.writer.append(line(2)[:-5])
    course.writer.close()
    course.run()
    assert quarantined(course) == {"20200913-incomplete.jsonl": [line(2)[:-5] + b"\n"]}
