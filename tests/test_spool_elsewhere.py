"""A `chmod` between two runs: what waits in the place that was used before it is delivered all the same."""

from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident.spool.cursors import Cursor
from otel_incident.spool.elsewhere import take_over
from otel_incident.spool.lease import Lease
from otel_incident.spool.memory import Store
from otel_incident.spool.processor import DurableLogRecordProcessor
from otel_incident.spool.quarantine import Quarantine
from otel_incident.spool.segments import SEGMENTS, segments_in
from tests.otlp_receiver import OK, OtlpReceiver, Status
from tests.processes import run, start
from tests.spool_exporters import Obedient
from tests.spool_records import line, numbered
from tests.spooled import give_away
from tests.zero_code import BY_HAND

NAMES: Final = ["x", "y"]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory of this user's alone."""
    made = tmp_path / "shared"
    made.mkdir(0o700)
    return made


def left_in(directory: Path, *numbers: int, names: list[str] = NAMES) -> str:
    """Records of a process that has ended; its segment's name."""
    store = Store(directory, names)
    for number in numbers:
        store.keep(line(number))
    store.close()
    return segments_in(store.directory / SEGMENTS)[-1].name


def segments(directory: Path) -> list[str]:
    """The names of the segments in a place."""
    return [segment.name for segment in segments_in(directory / SEGMENTS)]


@pytest.mark.parametrize(("before", "after"), [(0o700, 0o755), (0o755, 0o700), (0o2775, 0o700)])
def test_a_processor_s_directory(shared: Path, before: int, after: int) -> None:
    """What the former process has left goes first, and nothing is left in either place."""
    shared.chmod(before)
    left_in(shared, 1, 2, names=["exporter"])
    shared.chmod(after)
    exporter = Obedient()
    processor = DurableLogRecordProcessor(exporter, shared, delay=0.0)
    exporter.wait_for(lambda: exporter.taken == [1, 2])  # before there is a record of its own
    processor.take(numbered(3))
    assert processor.force_flush() is True
    processor.shutdown()
    assert exporter.taken == [1, 2, 3]
    assert (segments(shared), segments(shared / "otel-incident")) == ([], [])


REPORT: Final = """
    import os
    from otel_incident import Incident, IncidentEmitter
    IncidentEmitter().create(Incident(id=1))
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("variable", ["OTEL_INCIDENT_SPOOL_DIR", "OTEL_INCIDENT_STATE_DIR"])
@pytest.mark.parametrize("which", ["shared", "desk-*", "*"])
def test_a_host_s_directory(shared: Path, receiver: OtlpReceiver, variable: str, which: str) -> None:
    """A start without an event of its own delivers what waits, whatever was changed, there and back."""
    variables = {
        "OTEL_SERVICE_NAME": "desk",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
        "OTEL_INCIDENT_STATE_DIR": str(shared.parent / "state"),
        "OTEL_INCIDENT_GATE": "off",
        variable: str(shared),
    }
    receiver.answer_with(Status(503))
    assert run(REPORT, variables).status == -9
    folders = [path for path in [shared, *shared.rglob("*")] if path.is_dir() and path.match(which)]
    assert folders != []
    for path in folders:
        path.chmod(0o755)
    assert run(REPORT, variables).status == -9
    shared.chmod(0o700)
    assert len(list(shared.rglob("*.jsonl"))) == 2
    receiver.answer_with(OK)
    process = start(f"{BY_HAND}\n    import sys; sys.stdin.read()\n", variables)
    try:
        receiver.wait_for_events(2, timeout=30)
    finally:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")
    uids = [event.attributes["log.record.uid"] for event in receiver.telemetry().events]
    assert len(set(uids)) == 2
    assert list(shared.rglob("*.jsonl")) == []


def test_an_exporter_goes_on_where_it_was(shared: Path) -> None:
    """What one has had of a segment it does not get again; another one gets all of it."""
    there, here = shared / "there", Store(shared / "here", NAMES).directory
    name = left_in(there, 1, 2)
    cursor = Cursor(there / "x.cursor")
    cursor.move(name, len(line(1)))
    cursor.keep()
    others = Cursor(here / "x.cursor")
    others.move("another", 7)
    others.keep()
    take_over([there], here, NAMES)
    assert (segments(there), segments(here)) == ([], [name])
    assert [Cursor(here / f"{each}.cursor").of(name) for each in NAMES] == [len(line(1)), 0]
    assert Cursor(here / "x.cursor").of("another") == 7


@pytest.mark.parametrize("waits", [False, True])
def test_what_was_set_aside_is_taken_over(shared: Path, *, waits: bool) -> None:
    """What an exporter could not deliver is set aside in the new place for the same reason, none is lost."""
    there, here = shared / "there", Store(shared / "here", NAMES).directory
    Store(there, NAMES).close()
    if waits:
        left_in(there, 1)
    for place, number in ((there, 2), (here, 3)):
        Quarantine(place / "x.quarantine", now=lambda: 0.0).put([line(number)], "HTTP 400")
    take_over([there], here, NAMES)
    assert Quarantine(there / "x.quarantine").counts() == {}
    assert Quarantine(here / "x.quarantine").counts() == {"http-400": 2}
    assert Quarantine(here / "y.quarantine").counts() == {}
    taken: list[bytes] = []

    def keep(each: bytes) -> bool:
        taken.append(each)
        return True

    assert Quarantine(here / "x.quarantine").requeue(keep, "http-400") == 2
    assert sorted(taken) == [line(2), line(3)]


def test_what_others_could_have_set_aside_is_not_taken_over(
    shared: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A quarantine that others may write to stays where it is, and one line says so."""
    there, here = shared / "there", Store(shared / "here", NAMES).directory
    Store(there, NAMES).close()
    Quarantine(there / "x.quarantine").put([line(2)], "HTTP 400")
    (there / "x.quarantine").chmod(0o777)
    take_over([there], here, NAMES)
    assert Quarantine(there / "x.quarantine").counts() == {"http-400": 1}
    assert Quarantine(here / "x.quarantine").counts() == {}
    assert [each.getMessage() for each in caplog.records] == [
        (
            f"Log records wait in {there} and cannot be moved to {here} (others may write there): they stay "
            "there, and every start tries again."
        )
    ]


def test_what_everybody_has_had_is_not_taken_over(shared: Path) -> None:
    """A process that was killed before it could delete a segment has delivered it all the same."""
    there, here = shared / "there", Store(shared / "here", NAMES).directory
    name = left_in(there, 1)
    for each in NAMES:
        cursor = Cursor(there / f"{each}.cursor")
        cursor.move(name, len(line(1)))
        cursor.keep()
    take_over([there], here, NAMES)
    assert (segments(there), segments(here)) == ([], [])


def test_what_a_process_still_delivers_stays_with_it(shared: Path) -> None:
    """Where another process has the lease, or writes, nothing is taken from under it."""
    there, here = shared / "there", Store(shared / "here", NAMES).directory
    name = left_in(there, 1)
    lease = Lease(there / "y.lease")
    assert lease.take()
    take_over([there], here, NAMES)
    assert (segments(there), segments(here)) == ([name], [])
    lease.give_back()
    writing = Store(there, NAMES)
    writing.keep(line(2))
    take_over([there], here, NAMES)
    assert (len(segments(there)), segments(here)) == (1, [name])
    assert Lease(there / "x.lease").take()  # each was given back
    assert Lease(here / "x.lease").take()
    writing.close()


def test_a_place_that_another_process_delivers_from_gets_it(shared: Path) -> None:
    """Its cursor is not touched from outside: it may get again what it has had, and misses nothing."""
    there, here = shared / "there", Store(shared / "here", NAMES).directory
    name = left_in(there, 1, 2)
    cursor = Cursor(there / "x.cursor")
    cursor.move(name, len(line(1)))
    cursor.keep()
    lease = Lease(here / "x.lease")
    assert lease.take()
    take_over([there], here, NAMES)
    assert (segments(there), segments(here)) == ([], [name])
    assert not (here / "x.cursor.0").exists()
    assert not (here / "x.cursor.1").exists()
    assert lease.held()


def test_another_user_s_is_not_taken(
    shared: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What somebody else has put there is none of ours."""
    there, here = shared / "there", Store(shared / "here", NAMES).directory
    name = left_in(there, 1)
    give_away(there / SEGMENTS, monkeypatch)
    take_over([there], here, NAMES)
    assert (segments(there), segments(here)) == ([name], [])
    assert caplog.records == []


def _open(place: Path) -> None:
    (place / SEGMENTS).chmod(0o777)


def _link(place: Path) -> None:
    (place / SEGMENTS).rename(place / "elsewhere")
    (place / SEGMENTS).symlink_to(place / "elsewhere")


@pytest.mark.parametrize("prepare", [_open, _link])
def test_what_others_can_have_put_there_stays(
    shared: Path, prepare: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can have us send what is theirs; that records stay there is said."""
    there, here = shared / "there", Store(shared / "here", NAMES).directory
    name = left_in(there, 1)
    prepare(there)
    take_over([there], here, NAMES)
    assert (segments(there), segments(here)) == ([name], [])
    (record,) = caplog.records
    assert record.getMessage() == (
        f"Log records wait in {there} and cannot be moved to {here} (others may write there): they stay "
        "there, and every start tries again."
    )


def test_a_file_that_others_may_write_stays(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One segment among others that somebody can have changed is not sent, which is said."""
    there, here = shared / "there", Store(shared / "here", NAMES).directory
    names = [left_in(there, 1), left_in(there, 2)]
    (there / SEGMENTS / names[0]).chmod(0o666)
    take_over([there], here, NAMES)
    assert (segments(there), segments(here)) == (names[:1], names[1:])
    assert len(caplog.records) == 1


def test_nothing_is_made_where_nothing_waits(shared: Path) -> None:
    """A place that is not there, or empty, stays so."""
    here = Store(shared / "here", NAMES).directory
    (shared / "empty" / SEGMENTS).mkdir(parents=True)
    take_over([shared / "empty", shared / "none", here], here, NAMES)
    found = sorted(str(path.relative_to(shared)) for path in shared.rglob("*"))
    assert found == ["empty", f"empty/{SEGMENTS}", "here", f"here/{SEGMENTS}"]
