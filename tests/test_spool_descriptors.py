"""A host that closes descriptors it does not know: its own files, which get their numbers, are left alone."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from otel_incident.spool.descriptors import file_of
from otel_incident.spool.lease import Lease
from otel_incident.spool.segments import segments_in
from otel_incident.spool.writer import SegmentWriter, SpoolError
from tests.processes import run, succeed

HOSTS: Final = b"the host's own data"


class HostFiles:
    """What a host opens in the place of what it has closed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.descriptors: list[int] = []

    def take_place_of(self, descriptor: int) -> None:
        """Close a descriptor and open a file of the host's under its number."""
        path = self._directory / f"host-{descriptor}"
        path.write_bytes(HOSTS)
        opened = os.open(path, os.O_RDWR)
        os.dup2(opened, descriptor)  # closes it first
        os.close(opened)
        self.descriptors.append(descriptor)

    def are_whole(self) -> bool:
        """Whether they are open, unlocked for the host, and hold what the host has written."""
        return all(os.pread(each, 99, 0) == HOSTS for each in self.descriptors)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[HostFiles]:
    """A host's files, apart from the spool's."""
    directory = tmp_path / "host"
    directory.mkdir()
    files = HostFiles(directory)
    yield files
    for descriptor in files.descriptors:
        os.close(descriptor)


def opened_by(writer: SegmentWriter | Lease) -> int:
    """The descriptor that it has open."""
    return writer._descriptor  # noqa: SLF001  which number it is can be seen nowhere else


def give_inode_of(writer: SegmentWriter) -> None:
    """Make the host's file look like the writer's, opened in another way.

    It is what a file system does when it pleases; a test cannot ask for it.
    """
    ours = writer._file  # noqa: SLF001  it can be seen nowhere else
    assert ours is not None
    writer._file = file_of(opened_by(writer))._replace(flags=ours.flags)  # noqa: SLF001  the same


def kept_in(directory: Path) -> list[bytes]:
    """All lines, the oldest segment's first."""
    return [line for each in segments_in(directory) for line in each.path.read_bytes().splitlines()]


@pytest.mark.parametrize("durable", [False, True])
def test_a_line_is_not_written_to_the_hosts_file(tmp_path: Path, host: HostFiles, durable: bool) -> None:  # noqa: FBT001  a case
    """It begins another segment, which has it; what was kept before is there, too."""
    spool = tmp_path / "spool"
    spool.mkdir()
    writer = SegmentWriter(spool, durable=durable)
    writer.append(b"1\n")
    host.take_place_of(opened_by(writer))
    writer.append(b"2\n")
    assert host.are_whole()
    assert kept_in(spool) == [b"1", b"2"]
    host.take_place_of(opened_by(writer))
    writer.close()
    assert host.are_whole()


def test_a_file_of_the_hosts_that_has_the_inode_of_a_deleted_segment(tmp_path: Path, host: HostFiles) -> None:
    """It is neither written to nor closed, nor by a forked child; the lines go on in another segment."""
    writer = SegmentWriter(tmp_path)
    for line in (b"1\n", b"2\n", b"3\n"):
        writer.append(line)
        host.take_place_of(opened_by(writer))
        give_inode_of(writer)
    writer.close()
    writer.append(b"4\n")
    host.take_place_of(opened_by(writer))
    give_inode_of(writer)
    writer.forget()
    assert host.are_whole()
    assert kept_in(tmp_path) == [b"1", b"2", b"3", b"4"]


def test_an_empty_file_of_the_hosts_that_has_the_inode_of_an_empty_segment(
    tmp_path: Path, host: HostFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a full disk has left empty takes no line when it is the host's, though the sizes are the same."""
    writer = SegmentWriter(tmp_path)

    def full(_: int, __: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(SpoolError):
            writer.append(b"1\n")
    descriptor = opened_by(writer)
    host.take_place_of(descriptor)
    os.ftruncate(descriptor, 0)
    give_inode_of(writer)
    writer.append(b"2\n")
    assert os.fstat(descriptor).st_size == 0
    assert kept_in(tmp_path) == [b"2"]


def test_a_forked_child_leaves_it_open(tmp_path: Path, host: HostFiles) -> None:
    """What a child lets go of is what it has inherited from us."""
    writer, lease = SegmentWriter(tmp_path), Lease(tmp_path / "lease")
    writer.append(b"1\n")
    assert lease.take()
    for each in (writer, lease):
        host.take_place_of(opened_by(each))
        each.forget()
    assert host.are_whole()


def test_a_full_disk_cuts_nothing_off_it(
    tmp_path: Path, host: HostFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The half line that is taken back is one of ours."""
    writer = SegmentWriter(tmp_path)
    writer.append(b"1\n")
    descriptor = opened_by(writer)

    def full(number: int, _: bytes) -> int:
        host.take_place_of(number)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(SpoolError):
            writer.append(b"2\n")
    assert host.descriptors == [descriptor]
    assert host.are_whole()


def test_a_flush_of_the_hosts_file_proves_nothing(
    tmp_path: Path, host: HostFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line whose segment was closed before it was flushed is not called safe."""
    writer = SegmentWriter(tmp_path, durable=True)
    writer.append(b"1\n")
    flushed: list[int] = []
    monkeypatch.setattr(os, "fdatasync", flushed.append)
    append = writer._append  # noqa: SLF001  between a write and its flush nothing else can come

    def append_and_lose(line: bytes) -> None:
        append(line)
        host.take_place_of(opened_by(writer))

    monkeypatch.setattr(SegmentWriter, "_append", lambda _, line: append_and_lose(line))
    with pytest.raises(SpoolError):
        writer.append(b"2\n")
    assert flushed == []


def test_a_lease_is_lost_and_taken_again(tmp_path: Path, host: HostFiles) -> None:
    """Its file is not held by a number that is the host's now; the host's is neither touched nor closed."""
    path = tmp_path / "lease"
    lease, other = Lease(path), Lease(path)
    assert lease.take() is True
    host.take_place_of(opened_by(lease))
    assert lease.held() is False
    assert lease.take() is True
    assert other.take() is False
    host.take_place_of(opened_by(lease))
    lease.give_back()
    assert host.are_whole()
    assert other.take() is True


DAEMON: Final = """
    import logging, os, sqlite3, threading
    from otel_incident import Incident, IncidentEmitter

    class Said(logging.Handler):
        said = threading.Event()

        def emit(self, record):
            self.said.set()

    logging.getLogger("otel_incident").addHandler(Said())
    emitter = IncidentEmitter()
    emitter.create(Incident(id=1))
    assert Said.said.wait(30)  # until then a thread opens modules and a connection
    os.closerange(3, 256)  # as a daemon does
    database = sqlite3.connect(os.environ["DATABASE"])
    database.execute("CREATE TABLE desk (id)")
    for number in range(2, 50):
        database.execute("INSERT INTO desk VALUES (?)", (number,))
        database.commit()
        emitter.create(Incident(id=number))
    print(*database.execute("SELECT count(*) FROM desk").fetchone())
"""


def test_a_daemon_with_a_database(tmp_path: Path) -> None:
    """A host that has closed all it does not know goes on with its own files, and its events are kept."""
    path = tmp_path / "desk.db"
    ended = run(
        DAEMON,
        {
            "DATABASE": str(path),
            "OTEL_INCIDENT_STATE_DIR": str(tmp_path / "state"),
            "OTEL_INCIDENT_SERVER_VERSION": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_BLRP_SCHEDULE_DELAY": "60000",
        },
    )
    assert (ended.status, ended.stdout) == (0, "48\n"), ended.stderr
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    kept = [line for each in (tmp_path / "state").rglob("*.jsonl") for line in each.read_text().splitlines()]
    assert sum('"incident.create"' in line for line in kept) == 49


def test_no_file_of_ours_stands_for_a_standard_stream(tmp_path: Path) -> None:
    """In a host that starts with those closed, nothing that is printed goes into a segment."""
    ended = succeed(
        """
        import os
        from pathlib import Path
        from otel_incident.spool.lease import Lease
        from otel_incident.spool.writer import SegmentWriter

        directory = Path(os.environ["SPOOL"])
        output = os.dup(1)
        os.closerange(0, 3)
        writer, lease = SegmentWriter(directory), Lease(directory / "lease")
        writer.append(b"1\\n")
        lease.take()
        os.write(output, repr([min(each._descriptor, 3) for each in (writer, lease)]).encode())
        """,
        {"SPOOL": str(tmp_path)},
    )
    assert ended.stdout == "[3, 3]"
