"""What goes from a spool: what every exporter has had, and the oldest where it is too much or too old."""

import os
from pathlib import Path
from typing import Final

import pytest

from otel_incident.spool import writer as writer_module
from otel_incident.spool.cursors import Cursor
from otel_incident.spool.retention import Bounds, tidy
from otel_incident.spool.segments import Segment, segments_in
from otel_incident.spool.writer import SegmentWriter

SECOND: Final = 10**9
START: Final = 1_600_000_000
AT_THE_EPOCH: Final = 86_400.0


@pytest.fixture
def segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Segment]:
    """Three segments of two lines, 20 bytes each, 100 s apart, the last one still written to."""
    monkeypatch.setattr(writer_module, "SEGMENT_BYTES", 20)
    now = START
    writer = SegmentWriter(tmp_path, now=lambda: now * SECOND)
    for number in range(6):
        now = START + 100 * (number // 2)
        writer.append(b"123456789\n")
    found = segments_in(tmp_path)
    for number, segment in enumerate(found):
        os.utime(segment.path, (START, START + 100 * number))
    return found


def cursor(tmp_path: Path, name: str, segments: list[Segment], *offsets: int) -> Cursor:
    """One that has got so far in each segment."""
    made = Cursor(tmp_path / name)
    for segment, offset in zip(segments, offsets, strict=True):
        made.move(segment.name, offset)
    return made


def test_what_all_exporters_have_had(tmp_path: Path, segments: list[Segment]) -> None:
    """A segment goes when it is complete and every exporter has had all of it; then nothing was dropped."""
    first = cursor(tmp_path, "a", segments, 20, 20, 20)
    second = cursor(tmp_path, "b", segments, 20, 10, 20)
    assert tidy(tmp_path, [first, second], Bounds(), START) == {}
    assert [each.name for each in segments_in(tmp_path)] == [each.name for each in segments[1:]]
    second.move(segments[1].name, 20)
    tidy(tmp_path, [first, second], Bounds(), START)
    assert [each.name for each in segments_in(tmp_path)] == [segments[2].name]


def test_too_much(tmp_path: Path, segments: list[Segment]) -> None:
    """The oldest goes first; what some exporter had not had is counted, the rest of the lines is not."""
    had = cursor(tmp_path, "a", segments, 20, 0, 0)
    late = cursor(tmp_path, "b", segments, 10, 0, 0)
    assert tidy(tmp_path, [had, late], Bounds(max_bytes=50), START) == {}  # ten bytes of sixty were delivered
    assert tidy(tmp_path, [had, late], Bounds(max_bytes=49), START) == {"max_bytes": 1}
    assert [each.name for each in segments_in(tmp_path)] == [each.name for each in segments[1:]]
    assert tidy(tmp_path, [had, late], Bounds(max_bytes=40), START) == {}
    assert tidy(tmp_path, [had, late], Bounds(max_bytes=1), START) == {"max_bytes": 2}
    assert [each.name for each in segments_in(tmp_path)] == [segments[2].name]


def test_too_old(tmp_path: Path, segments: list[Segment]) -> None:
    """A segment goes when its last line is older than the bound, unless a process still writes to it."""
    none = cursor(tmp_path, "a", segments, 0, 0, 0)
    assert tidy(tmp_path, [none], Bounds(max_age=100.0), START + 100) == {}
    assert tidy(tmp_path, [none], Bounds(max_age=100.0), START + 101) == {"max_age": 2}
    assert tidy(tmp_path, [none], Bounds(max_age=100.0), START + 10**6) == {"max_age": 2}
    assert [each.name for each in segments_in(tmp_path)] == [segments[2].name]


def test_a_segment_that_was_long_written_to(tmp_path: Path, segments: list[Segment]) -> None:
    """What a host has reported just before its end is not as old as what it had reported at its start."""
    os.utime(segments[0].path, (START, START + 10**7))
    none = cursor(tmp_path, "a", segments, 0, 0, 0)
    assert tidy(tmp_path, [none], Bounds(max_age=100.0), START + 10**7) == {"max_age": 2}
    assert [each.name for each in segments_in(tmp_path)] == [segments[0].name, segments[2].name]


def test_what_was_delivered_does_not_wait(tmp_path: Path, segments: list[Segment]) -> None:
    """Segments that live processes hold open, and that have left, take no room from what has not."""
    for segment in segments[1:]:
        with segment.path.open("ab") as file:
            file.write(b"123456789\n" * 100)
    reached = cursor(tmp_path, "a", segments, 0, segments[1].size(), segments[2].size())
    assert tidy(tmp_path, [reached], Bounds(max_bytes=20), START) == {}
    assert segments[0].size() == 20
    assert tidy(tmp_path, [reached], Bounds(max_bytes=19), START) == {"max_bytes": 2}


def test_a_machine_that_did_not_know_the_time(tmp_path: Path, segments: list[Segment]) -> None:
    """What was written before the clock was set has not waited for fifty years."""
    for segment in segments:
        os.utime(segment.path, (AT_THE_EPOCH, AT_THE_EPOCH))
    none = cursor(tmp_path, "a", segments, 0, 0, 0)
    assert tidy(tmp_path, [none], Bounds(), START) == {}
    assert len(segments_in(tmp_path)) == 3


def test_a_line_that_comes_while_it_is_decided(
    tmp_path: Path, segments: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment whose writer adds a line and ends, between a look at its size and one at its lock, stays."""
    is_complete = Segment.is_complete

    def grown(segment: Segment) -> bool:
        if segment.name == segments[0].name:
            with segment.path.open("ab") as file:
                file.write(b"123456789\n")
        return is_complete(segment)

    monkeypatch.setattr(Segment, "is_complete", grown)
    all_of_it = cursor(tmp_path, "a", segments, 20, 0, 0)
    assert tidy(tmp_path, [all_of_it], Bounds(), START) == {}
    assert segments[0].size() == 30


def test_the_defaults() -> None:
    """A gigabyte, thirty days."""
    assert Bounds() == Bounds(max_bytes=1_073_741_824, max_age=2_592_000.0)


def test_drafts_of_writers_that_were_killed(tmp_path: Path) -> None:
    """They go after an hour; a younger one may be about to be used."""
    old, young = tmp_path / ".1-1-a.jsonl", tmp_path / ".2-1-b.jsonl"
    for path, age in ((old, 3601), (young, 3599)):
        path.touch()
        os.utime(path, (START - age, START - age))
    assert tidy(tmp_path, [], Bounds(), START) == {}
    assert list(tmp_path.iterdir()) == [young]


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    """There is nothing to do."""
    assert tidy(tmp_path / "gone", [], Bounds()) == {}
