"""The spool on disks that fail: full, read-only, damaged at any byte; and under a clock that jumps back."""

import contextlib
import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import pytest

from otel_incident.cli import main
from otel_incident.spool.cursors import ROOM_BYTES, Cursor
from otel_incident.spool.memory import Store
from otel_incident.spool.processor import DurableLogRecordProcessor
from otel_incident.spool.quarantine import Quarantine
from otel_incident.spool.segments import segments_in
from otel_incident.spool.spool import Status
from otel_incident.spool.writer import SegmentWriter
from tests import processes
from tests.backend import everything_required
from tests.spool_backlog import Course, Endpoint
from tests.spool_exporters import FAILURE, SUCCESS, Obedient
from tests.spool_records import line, numbered
from tests.spooled import AT, HTTP, Spooled, environment
from tests.waiting import wait_until

FULL: Final = "Log records cannot be kept on disk (No space left on device)"
AGAIN: Final = "Log records are kept on disk again."
READ_ONLY: Final = "Log records cannot be kept on disk (Read-only file system)"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    mount = tmp_path / "small"
    mount.mkdir()
    refused = command("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount))
    if refused:
        reason = f"the right to mount is needed: {refused}"
        if everything_required():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    try:
        yield mount
    finally:
        # a test that has failed leaves a thread that uses it: it goes from its place at once, and then wholly
        assert command("umount", "--lazy", str(mount)) == ""


def command(*words: str) -> str:
    """A command of the system's; what it complains of, "" if it has done its work."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  the words are the tests' own
    return done.stderr.strip() or f"status {done.returncode}" if done.returncode else ""


def remount(mount: Path, mode: Literal["ro", "rw"]) -> None:
    """Make a file system read-only, or not."""
    assert command("mount", "-o", f"remount,{mode}", str(mount)) == ""


def fill(directory: Path) -> None:
    """Leave no byte on a file system."""
    with (directory / "filler").open("ab", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the host's log was told, in the words before a colon."""
    return [
        record.getMessage().partition(":")[0] for record in caplog.records if record.name == "otel_incident"
    ]


def take_until_kept(
    processor: DurableLogRecordProcessor, number: int, caplog: pytest.LogCaptureFixture
) -> int:
    """Give records, from a number on, until one is on disk again; the last one's number."""
    numbers = itertools.count(number)

    def take() -> int | None:
        last = next(numbers)
        processor.take(numbered(last))
        return last if AGAIN in lines(caplog) else None

    return wait_until(take, 30, "the disk is used again")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at now and then is looked at soon."""
    monkeypatch.setattr("otel_incident.spool.turns.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("otel_incident.spool.memory.AGAIN_SECONDS", 0.02)


FULL_HOST: Final = """
    import os, time
    from pathlib import Path
    from otel_incident.guard import swallowed
    from otel_incident.spool import writer
    from otel_incident.spool.processor import DurableLogRecordProcessor
    from tests.spool_exporters import FAILURE, SUCCESS, Obedient
    from tests.spool_records import numbered
    from tests.test_spool_disks import fill
    from tests.waiting import wait_until

    writer.SEGMENT_BYTES = 2**16
    small = Path(os.environ["SMALL"])
    exporter = Obedient(lambda: FAILURE)
    processor = DurableLogRecordProcessor(exporter, small / "spool", delay=0.0)
    processor.take(numbered(0))
    processor.force_flush()  # cursor and reserve are there
    for number in range(1, 41):
        processor.take(numbered(number, "x" * 10000))
    segments = small / "spool" / "segments"
    other = writer.SegmentWriter(segments)
    other.append(b"no record\\n")
    other.close()
    before = len(list(segments.iterdir()))
    fill(small)
    free = os.statvfs(small).f_bavail
    exporter.answer = lambda: SUCCESS
    wait_until(processor.force_flush, 30, "everything delivered")
    assert exporter.taken == list(range(41)), exporter.taken
    wait_until(lambda: len(list(segments.iterdir())) == 1, 30, "delivered segments deleted")
    status = processor.status()
    print(before, free, status.delivered, status.quarantined, status.in_memory, swallowed(), flush=True)
    fill(small)
    os.kill(os.getpid(), 9)
"""


def test_what_was_sent_from_a_full_disk(small: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is deleted, or set aside where it is no record, and no later process sends it again."""
    ended = processes.run(FULL_HOST, {"SMALL": str(small)})
    assert (ended.status, ended.stdout) == (-9, "7 0 41 1 0 {}\n"), ended.stderr
    (kept,) = Quarantine(small / "spool" / "exporter.quarantine").files()
    assert kept.read_bytes() == b"no record\n"
    exporter = Obedient()
    processor = DurableLogRecordProcessor(exporter, small / "spool", delay=0.0)
    processor.take(numbered(100))
    exporter.wait_for(lambda: exporter.taken == [100])
    processor.shutdown()
    assert exporter.taken == [100]
    assert list((small / "spool" / "segments").iterdir()) == []
    assert set(lines(caplog)) <= {FULL, AGAIN}


def test_a_disk_that_was_full_before(small: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where there never was any room events go from memory, and to disk as soon as there is some."""
    fill(small)
    exporter = Obedient()
    processor = DurableLogRecordProcessor(exporter, small / "spool", delay=0.0)
    for number in range(1, 101):
        processor.take(numbered(number))
    exporter.wait_for(lambda: len(exporter.taken) == 100)
    (small / "filler").unlink()
    last = take_until_kept(processor, 101, caplog)
    processor.take(numbered(last + 1))
    assert list((small / "spool" / "segments").iterdir()) != []
    assert processor.force_flush() is True
    processor.shutdown()
    assert exporter.taken == list(range(1, last + 2))
    assert processor.status() == Status(delivered=last + 1)
    assert lines(caplog) == [FULL, AGAIN]


def test_what_was_delivered_before_the_disk_was_full(small: Path) -> None:
    """A process that has no room for its next record lets go of what it has delivered, which is deleted."""
    exporter = Obedient()
    processor = DurableLogRecordProcessor(exporter, small / "spool", delay=0.0)
    for number in range(20):
        processor.take(numbered(number, "x" * 10000))
    assert processor.force_flush() is True
    segments = small / "spool" / "segments"
    (before,) = segments.iterdir()
    assert before.stat().st_size > 200_000
    fill(small)
    processor.take(numbered(20, "x" * 10000))
    wait_until(lambda: not before.exists(), 30, "the segment deleted")
    assert processor.force_flush() is True
    assert exporter.taken == list(range(21))
    processor.take(numbered(21))
    wait_until(lambda: len(exporter.taken) == 22, 30, "the next record")
    processor.shutdown()
    assert processor.status().dropped == {}


def test_a_disk_that_is_full_before_the_first_delivery(small: Path) -> None:
    """What is delivered then is noted all the same, so that a kill does not send it again."""
    exporter = Obedient(lambda: FAILURE)
    processor = DurableLogRecordProcessor(exporter, small / "spool", delay=0.0)
    processor.take(numbered(1))
    assert processor.force_flush() is False
    files = [small / "spool" / f"exporter.cursor.{number}" for number in range(2)]
    assert [file.stat().st_size for file in files] == [ROOM_BYTES, ROOM_BYTES]
    fill(small)
    exporter.answer = lambda: SUCCESS
    assert processor.force_flush() is True
    (segment,) = segments_in(small / "spool" / "segments")
    assert Cursor(small / "spool" / "exporter.cursor").of(segment.name) == len(line(1))
    assert (small / "spool" / ".reserve").exists()
    processor.shutdown()


def test_the_reserve_is_for_cursors_too(small: Path) -> None:
    """Where a cursor has no room of its own yet, it takes what is held for such a moment."""
    quarantine = Quarantine(small / "exporter.quarantine")
    quarantine.reserve()
    fill(small)
    cursor = Cursor(small / "exporter.cursor")
    cursor.move("a", 1)
    assert cursor.keep() is False
    assert cursor.keep(quarantine.make_room) is True
    assert Cursor(small / "exporter.cursor").of("a") == 1
    assert quarantine.make_room() is False


def test_a_disk_that_is_read_only(small: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Events go from memory, one line says why; what waits there is delivered when it can be ticked off."""
    store = Store(small / "spool", ["exporter"])
    for number in range(1, 11):
        store.keep(line(number))
    store.close()
    remount(small, "ro")
    exporter = Obedient()
    processor = DurableLogRecordProcessor(exporter, small / "spool", delay=0.0)
    for number in range(11, 21):
        processor.take(numbered(number))
    exporter.wait_for(lambda: exporter.taken == list(range(11, 21)))
    assert processor.status().waiting_bytes == sum(len(line(number)) for number in range(1, 11))
    assert lines(caplog) == [READ_ONLY]
    remount(small, "rw")
    exporter.wait_for(lambda: len(exporter.taken) == 20)
    last = take_until_kept(processor, 21, caplog)
    assert processor.force_flush() is True
    processor.shutdown()
    assert exporter.taken == [*range(11, 21), *range(1, 11), *range(21, last + 1)]
    assert processor.status() == Status(delivered=last)
    assert lines(caplog) == [READ_ONLY, AGAIN]


def test_an_end_on_a_disk_that_is_read_only(small: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What neither the disk nor the endpoint has taken ends with the process, is counted and said."""
    (small / "spool").mkdir(0o700)
    remount(small, "ro")
    processor = DurableLogRecordProcessor(Obedient(lambda: FAILURE), small / "spool", delay=0.0)
    for number in range(3):
        processor.take(numbered(number))
    processor.force_flush()
    processor.shutdown()
    assert processor.status().dropped == {"ended": 3}
    assert lines(caplog)[0] == READ_ONLY
    assert lines(caplog)[-1].startswith("3 log records ended with the process")


def damaged(directory: Path, content: bytes) -> tuple[list[int], bytes]:
    """A segment of this content: which records leave it, and what is set aside of it."""
    endpoint = Endpoint()
    directory.mkdir()
    course = Course(directory, endpoint, batch_size=2)
    course.writer.append(content)
    course.writer.close()
    course.run()
    assert course.cursor.of(next(course.segments.iterdir()).name) == len(content)
    return endpoint.taken, b"".join(file.read_bytes() for file in course.quarantine.files())


LINES: Final = [line(number) for number in (1, 2, 3)]


def test_a_segment_that_is_cut_at_every_byte(tmp_path: Path) -> None:
    """Every whole line before the cut leaves, and exactly the rest of a line is set aside."""
    content = b"".join(LINES)
    for end in range(1, len(content)):
        whole = content[:end].count(b"\n")
        rest = content[:end].rpartition(b"\n")[2]
        expected = list(range(1, whole + 1)), rest + b"\n" if rest else b""
        assert damaged(tmp_path / str(end), content[:end]) == expected


@pytest.mark.parametrize("bit", [0x01, 0x20, 0x80])
def test_a_segment_with_a_byte_flipped_at_every_position(tmp_path: Path, bit: int) -> None:
    """The lines beside it leave as they were; the one that was hit leaves or is set aside."""
    for at in range(len(LINES[0]), len(LINES[0]) + len(LINES[1])):
        content = bytearray(b"".join(LINES))
        content[at] ^= bit
        taken, kept = damaged(tmp_path / str(at), bytes(content))
        if at == len(LINES[0]) + len(LINES[1]) - 1:  # its end: it runs into the next one
            assert (taken, kept) == ([1], bytes(content[len(LINES[0]) :]))
            continue
        assert (taken[0], taken[-1]) == (1, 3)
        hit = bytes(content[len(LINES[0]) : -len(LINES[2])])
        assert (len(taken), kept) in {(3, b""), (2, hit)}


def test_a_clock_that_jumps_back_between_processes(tmp_path: Path) -> None:
    """Processes of a later and an earlier time: all records leave once, each process's in order."""
    endpoint = Endpoint()
    course = Course(tmp_path, endpoint)
    year = 365 * 86400 * 10**9
    for process, now in enumerate((50 * year, 20 * year, 60 * year)):
        writer = SegmentWriter(course.segments, now=lambda now=now: now)  # type: ignore[misc]  # bound early
        for number in range(3):
            writer.append(line(process * 10 + number))
        writer.close()
    course.run()
    assert endpoint.taken == [10, 11, 12, 0, 1, 2, 20, 21, 22]


def test_a_clock_that_jumps_back_in_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment of the future is neither too old nor of a negative age, and is delivered and deleted."""
    exporter = Obedient(lambda: FAILURE)
    processor = DurableLogRecordProcessor(exporter, tmp_path / "spool", delay=0.0)
    processor.take(numbered(1))
    monkeypatch.setattr("otel_incident.spool.spool.time.time", lambda: 1.0)
    processor.force_flush()
    status = processor.status()
    assert (status.oldest_seconds, status.dropped) == (0.0, {})
    exporter.answer = lambda: SUCCESS
    assert processor.force_flush() is True
    processor.shutdown()
    assert processor.status() == Status(delivered=1, retried=processor.status().retried)
    assert list((tmp_path / "spool" / "segments").iterdir()) == []


def test_the_commands_on_a_read_only_disk(
    small: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`status` and `drain` say that nothing can leave from there, `requeue` that nothing was put back."""
    environment(monkeypatch)
    monkeypatch.setattr("otel_incident.cli.logging.basicConfig", lambda **_: None)
    small.chmod(0o700)
    monkeypatch.setenv("OTEL_INCIDENT_STATE_DIR", str(small))
    spooled = Spooled()
    spooled.write(1)
    spooled.end()
    spooled.set_aside("HTTP 400", [line(AT)])
    remount(small, "ro")
    problem = (
        f"{spooled.name} cannot be used (Read-only file system): make it writable for the user "
        f"{spooled.path.owner()}"
    )
    assert main(["spool", "status"]) == 0
    assert f"; no process can deliver, since {problem}\n" in capsys.readouterr().out
    assert main(["spool", "drain", "--timeout", "0.1"]) == 1
    (complaint,) = [each for each in capsys.readouterr().err.splitlines() if "still waits" in each]
    assert complaint.endswith(
        f" for {HTTP} at http://collector.invalid:4318/v1/logs: {problem}; 0.1 s have passed."
    )
    assert main(["spool", "requeue"]) == 1
    assert capsys.readouterr() == (
        "",
        (
            f"otel-incident: {spooled.name}: not all that was set aside could be put back (Read-only file "
            "system); what was not is still set aside. Mend that and run this again.\n"
        ),
    )
    assert main(["spool", "show"]) == 0
