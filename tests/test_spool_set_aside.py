"""What can never be delivered is set aside exactly once, over restarts and kills, and waits no more."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_incident.spool.backlog import NotKeptError
from otel_incident.spool.cursors import Begun, Cursor
from otel_incident.spool.elsewhere import take_over
from otel_incident.spool.quarantine import Quarantine
from otel_incident.spool.retention import Bounds, tidy
from otel_incident.spool.segments import Segment, segments_in
from otel_incident.spool.waiting import count_records, waiting
from tests.spool_backlog import DOWN, REFUSED, Course, Endpoint
from tests.spool_records import line

DAMAGED: Final = (b"{}\n", line(1), b"x\n", b"x\n", line(2), b"x\n", line(3), b"half")
GOOD: Final = len(line(1)) + len(line(2)) + len(line(3))
ASIDE: Final = {
    "20200913-unreadable.jsonl": b"{}\nx\nx\nx\n",
    "20200913-incomplete.jsonl": b"half\n",
}


class KilledError(BaseException):
    """The process ends here."""


def write(directory: Path, lines: tuple[bytes, ...] = DAMAGED) -> Segment:
    """A segment of a writer that is gone."""
    course = Course(directory, Endpoint())
    course.writer.append(b"".join(lines))
    course.writer.close()
    (segment,) = segments_in(course.segments)
    return segment


def aside(course: Course) -> dict[str, bytes]:
    """What is set aside, by file."""
    return {path.name: path.read_bytes() for path in course.quarantine.files()}


@contextmanager
def killed_at(number: int, *, done: bool) -> Iterator[list[str]]:
    """Kill whoever writes to a cursor or a quarantine for the nth time, before it is done or behind.

    Args:
        number: Which time, from 0.
        done: Whether it has been written by then.
    """
    written: list[str] = []

    def dying(owner: Any, name: str) -> Callable[..., Any]:
        real = getattr(owner, name)

        def method(*arguments: Any, **named: Any) -> Any:
            written.append(name)
            dies = len(written) == number + 1
            if dies and not done:
                raise KilledError
            result = real(*arguments, **named)
            if dies:
                raise KilledError
            return result

        return method

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Cursor, "_write", dying(Cursor, "_write"))
        patched.setattr(Quarantine, "_append", dying(Quarantine, "_append"))
        yield written


def test_it_is_set_aside_once_over_restarts(tmp_path: Path) -> None:
    """However many processes read it while the endpoint is down, each damaged line is in quarantine once."""
    write(tmp_path)
    for _ in range(3):
        course = Course(tmp_path, Endpoint(DOWN, DOWN))
        course.delivery.step()
        course.delivery.step()
        assert aside(course) == ASIDE
    assert course.backlog.quarantined == 0
    endpoint = Endpoint()
    course = Course(tmp_path, endpoint)
    course.run()
    assert endpoint.taken == [1, 2, 3]
    assert aside(course) == ASIDE


def test_it_waits_no_more(tmp_path: Path) -> None:
    """What was set aside counts neither as records nor as bytes that wait, whatever waits before it."""
    segment = write(tmp_path)
    Course(tmp_path, Endpoint(DOWN)).delivery.step()
    cursor = Cursor(tmp_path / "x.cursor")
    assert waiting(tmp_path / "segments", cursor).bytes == GOOD
    assert count_records(tmp_path / "segments", cursor) == 3
    assert cursor.of(segment.name) == len(DAMAGED[0])
    assert [cursor.waits(segment.name, at) for at in starts()] == [
        False, True, False, False, True, False, True, False,
    ]  # fmt: skip


def starts() -> list[int]:
    """Where each of the lines begins."""
    return [len(b"".join(DAMAGED[:number])) for number in range(len(DAMAGED))]


@pytest.mark.parametrize("size", [1, 2, 512])
def test_the_segment_is_done_with_once_the_rest_has_left(tmp_path: Path, size: int) -> None:
    """Nothing of it waits then, and it is deleted without a record dropped."""
    segment = write(tmp_path)
    endpoint = Endpoint(DOWN)
    course = Course(tmp_path, endpoint, batch_size=size)
    course.run()
    assert endpoint.taken == [1, 2, 3]
    cursor = Cursor(tmp_path / "x.cursor")
    assert (cursor.of(segment.name), cursor.aside(segment.name)) == (segment.size(), {})
    assert tidy(tmp_path / "segments", [cursor], Bounds()) == {}
    assert segments_in(tmp_path / "segments") == []


def test_it_is_not_dropped_a_second_time(tmp_path: Path) -> None:
    """Of a segment that goes because there is too much, only records that waited count as dropped."""
    write(tmp_path)
    Course(tmp_path, Endpoint(DOWN)).delivery.step()
    cursors = [Cursor(tmp_path / "x.cursor")]
    assert tidy(tmp_path / "segments", cursors, Bounds(max_bytes=1)) == {"max_bytes": 3}
    cursors.append(Cursor(tmp_path / "y.cursor"))
    write(tmp_path)
    assert tidy(tmp_path / "segments", cursors, Bounds(max_bytes=1)) == {"max_bytes": 7}  # `half` is no line


def test_it_is_set_aside_by_each_exporter(tmp_path: Path) -> None:
    """What one exporter has set aside another one finds by itself."""
    segment = write(tmp_path)
    Course(tmp_path, Endpoint(DOWN)).delivery.step()
    assert Cursor(tmp_path / "y.cursor").left(segment.name, segment.size()) == segment.size()


@pytest.mark.parametrize("done", [False, True])
def test_it_is_set_aside_once_over_kills(tmp_path_factory: pytest.TempPathFactory, *, done: bool) -> None:
    """Whichever write a process is killed at, another one leaves each damaged line in quarantine once."""
    for down in ((DOWN,), ()):
        for number in range(100):
            directory = tmp_path_factory.mktemp("spool")
            write(directory)
            with killed_at(number, done=done) as written:
                try:
                    Course(directory, Endpoint(*down)).delivery.step()
                except KilledError:
                    pass
                else:
                    assert len(written) == number
                    break
            course = Course(directory, Endpoint(DOWN))
            course.run()
            assert aside(course) == ASIDE, (number, written)
        assert number > 3 * 5 - 1  # a note, the line and another note for each of the five


@pytest.mark.parametrize("done", [False, True])
def test_what_is_refused_is_set_aside_once_over_kills(
    tmp_path_factory: pytest.TempPathFactory, *, done: bool
) -> None:
    """A record that the endpoint refuses is in quarantine once, whichever write a process is killed at."""
    for number in range(100):
        directory = tmp_path_factory.mktemp("spool")
        write(directory, (line(1), line(1)))
        with killed_at(number, done=done) as written:
            try:
                Course(directory, Endpoint(judge=lambda _: REFUSED)).run()
            except KilledError:
                pass
            else:
                break
        course = Course(directory, Endpoint(judge=lambda _: REFUSED))
        course.run()
        assert aside(course) == {"20200913-http-400.jsonl": line(1) * 2}, (number, written)
    assert number >= 6


def test_what_was_begun_and_went_back_meanwhile(tmp_path: Path) -> None:
    """A line on its way back into the queue counts as set aside: the same name, whatever is behind it."""
    segment = write(tmp_path)
    with killed_at(0, done=True), pytest.raises(KilledError):
        Course(tmp_path, Endpoint(DOWN)).delivery.step()
    assert Cursor(tmp_path / "x.cursor").begun == Begun(segment.name, 0, 3, "20200913-unreadable.jsonl", 0)
    file = tmp_path / "x.quarantine" / "20200913-unreadable.jsonl"
    file.rename(file.with_name(f"{file.name}.0a1b2c3d.taken"))
    course = Course(tmp_path, Endpoint(DOWN))
    course.delivery.step()
    assert aside(course)["20200913-unreadable.jsonl"] == b"x\nx\nx\n"


def test_what_could_not_be_set_aside_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that took the note and not the line leaves the line where it is until it takes it."""
    write(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("otel_incident.spool.quarantine.os.write", lambda *_: 0)
        with pytest.raises(NotKeptError):
            Course(tmp_path, Endpoint(DOWN)).delivery.step()
    course = Course(tmp_path, Endpoint(DOWN))
    course.run()
    assert aside(course) == ASIDE


def test_it_moves_with_its_segment(tmp_path: Path) -> None:
    """A place that is taken over has the notes of the former one: nothing is set aside a second time."""
    here, there = tmp_path / "here", tmp_path / "there"
    for each in (here, there):
        (each / "segments").mkdir(parents=True, mode=0o700)
    write(there)
    Course(there, Endpoint(DOWN)).delivery.step()
    take_over([there], here, ["x"])
    endpoint = Endpoint()
    course = Course(here, endpoint)
    course.run()
    assert endpoint.taken == [1, 2, 3]
    kept = [each.read_bytes() for each in course.quarantine.all_files()]
    assert sorted(kept) == sorted(ASIDE.values())


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=12),
    st.lists(st.tuples(st.booleans(), st.integers(0, 11)), max_size=30),
)
def test_what_a_cursor_knows(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], steps: list[tuple[bool, int]]
) -> None:
    """In whatever order lines are set aside and delivered, what waits is all else, kept and read again."""
    ends = [sum(lengths[: number + 1]) for number in range(len(lengths))]
    begins = [0, *ends[:-1]]
    cursor = Cursor(tmp_path_factory.mktemp("cursor") / "x.cursor")
    gone: set[int] = set()
    for delivers, number in steps:
        if number >= len(lengths):
            continue
        if delivers and ends[number] > cursor.of("a"):
            cursor.move("a", ends[number])
            gone |= set(range(number + 1))
        elif not delivers and number not in gone:
            cursor.set_aside("a", begins[number], ends[number])
            gone.add(number)
    for each in (cursor, _read_again(cursor)):
        assert [each.waits("a", begin) for begin in begins] == [n not in gone for n in range(len(lengths))]
        assert each.left("a", ends[-1]) == sum(n for at, n in enumerate(lengths) if at not in gone)
        assert each.of("a") == next((begins[n] for n in range(len(lengths)) if n not in gone), ends[-1])


def _read_again(cursor: Cursor) -> Cursor:
    assert cursor.keep()
    path = cursor._paths[0]  # noqa: SLF001  where it is
    return Cursor(path.with_name("x.cursor"))
