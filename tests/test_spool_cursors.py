"""Cursors: what was delivered is remembered over a crash at any byte, and on a full disk."""

import errno
import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_incident.spool.cursors import ROOM_BYTES, Cursor


def test_what_is_kept_is_read(tmp_path: Path) -> None:
    """Another process finds what was kept last, and what was only moved is not kept."""
    cursor = Cursor(tmp_path / "x.cursor")
    assert cursor.of("a") == 0
    for offset in range(1, 6):
        cursor.move("a", offset)
        assert cursor.keep() is True
    cursor.move("a", 9)
    cursor.move("b", 1)
    assert (cursor.of("a"), cursor.of("b")) == (9, 1)
    other = Cursor(tmp_path / "x.cursor")
    assert (other.of("a"), other.of("b")) == (5, 0)
    cursor.load()
    assert (cursor.of("a"), cursor.of("b")) == (5, 0)


def test_segments_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    """A cursor does not grow for ever."""
    cursor = Cursor(tmp_path / "x.cursor")
    cursor.move("a", 1)
    cursor.move("b", 2)
    cursor.forget_all_but(["b"])
    cursor.keep()
    assert [Cursor(tmp_path / "x.cursor").of(name) for name in "ab"] == [0, 2]


def test_both_files_have_their_room_from_the_beginning(tmp_path: Path) -> None:
    """A full disk has no room for a new file: what is written later goes where something was before."""
    cursor = Cursor(tmp_path / "x.cursor")
    for offset in (1, 2):
        cursor.move("a", offset)
        cursor.keep()
    files = [tmp_path / "x.cursor.0", tmp_path / "x.cursor.1"]
    before = [(file.stat().st_ino, file.stat().st_size, file.stat().st_blocks) for file in files]
    assert [size for _, size, _ in before] == [ROOM_BYTES, ROOM_BYTES]
    for number in range(100):
        cursor.move(f"{number:020d}-{os.getpid()}-abcdefgh.jsonl", 2**22)
        assert cursor.keep() is True
    assert [(file.stat().st_ino, file.stat().st_size, file.stat().st_blocks) for file in files] == before


def test_the_room_is_made_before_the_first_delivery(tmp_path: Path) -> None:
    """Both files are there with all of it, say nothing, and what is there already stays as it is."""
    cursor = Cursor(tmp_path / "x.cursor")
    cursor.move("a", 1)
    assert cursor.keep() is True
    before = (tmp_path / "x.cursor.1").read_bytes()
    cursor.reserve()
    assert (tmp_path / "x.cursor.1").read_bytes() == before
    assert (tmp_path / "x.cursor.0").stat().st_size == ROOM_BYTES
    assert Cursor(tmp_path / "x.cursor").of("a") == 1


def test_more_than_its_room(tmp_path: Path) -> None:
    """A cursor of many segments grows, shrinks, and is read as what it was last."""
    cursor = Cursor(tmp_path / "x.cursor")
    for number in range(1000):
        cursor.move(f"{number:050d}", number)
    assert cursor.keep() is True
    assert Cursor(tmp_path / "x.cursor").of(f"{999:050d}") == 999
    cursor.forget_all_but([])
    cursor.move("a", 1)
    for _ in range(2):
        assert cursor.keep() is True
        assert [Cursor(tmp_path / "x.cursor").of(name) for name in ("a", f"{999:050d}")] == [1, 0]


@given(st.data())
def test_a_crash_in_the_middle_of_a_write(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever part of a write is on the disk, the offset before or after it is read, never another."""
    path = tmp_path_factory.mktemp("cursor") / "x.cursor"
    cursor = Cursor(path)
    for offset in (11, 222, 3333):
        cursor.move("a", offset)
        assert cursor.keep() is True
    newest = path.with_name("x.cursor.1")  # the third
    before = newest.read_bytes()
    cursor.move("a", 44444)
    cursor.keep()
    target = path.with_name("x.cursor.0")
    written = target.read_bytes().partition(b"\n")[0] + b"\n"
    old = data.draw(st.binary(min_size=0, max_size=60))
    cut = data.draw(st.integers(0, len(written)))
    target.write_bytes(written[:cut] + old[cut:])
    assert newest.read_bytes() == before
    assert Cursor(path).of("a") in {3333, 44444}


@given(st.binary(max_size=100))
def test_files_that_are_no_cursor(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """What cannot be read means the beginning, and is written over."""
    path = tmp_path_factory.mktemp("cursor") / "x.cursor"
    for index in range(2):
        path.with_name(f"x.cursor.{index}").write_bytes(content)
    cursor = Cursor(path)
    assert cursor.of("a") == 0
    cursor.move("a", 1)
    assert cursor.keep() is True
    assert Cursor(path).of("a") == 1


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    """Where nothing can be written the offset is still known, and nothing raises."""
    cursor = Cursor(tmp_path / "gone" / "x.cursor")
    cursor.move("a", 1)
    assert cursor.keep() is False
    assert cursor.of("a") == 1


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """What stands in the place of the file is not written through."""
    (tmp_path / "x.cursor.1").symlink_to(tmp_path / "elsewhere")
    cursor = Cursor(tmp_path / "x.cursor")
    cursor.move("a", 1)
    assert cursor.keep() is False
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_whose_digits_have_changed(tmp_path: Path) -> None:
    """An offset that was not written is not believed, however well it reads: the other file's is taken."""
    cursor = Cursor(tmp_path / "x.cursor")
    for offset in (11, 22):
        cursor.move("a", offset)
        cursor.keep()
    newest = tmp_path / "x.cursor.0"
    newest.write_bytes(newest.read_bytes().replace(b'{"a":22}', b'{"a":99}'))
    assert Cursor(tmp_path / "x.cursor").of("a") == 11


@pytest.mark.parametrize("what", ["pipe", "directory", "link"])
def test_what_is_no_file_of_ours(tmp_path: Path, what: str) -> None:
    """Nobody waits for a pipe in the place of a cursor's file; it is named, and why it cannot be used."""
    path = tmp_path / "x.cursor.1"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path)
    reasons = {
        "pipe": "not a regular file",
        "directory": "not a regular file",
        "link": "Too many levels of symbolic links",
    }
    cursor = Cursor(tmp_path / "x.cursor")
    assert cursor.unusable == ("x.cursor.1", reasons[what])
    cursor.move("a", 1)
    assert cursor.keep() is False
    assert cursor.of("a") == 1


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk itself lacks is not the file's fault."""
    cursor = Cursor(tmp_path / "x.cursor")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", full)
        assert cursor.keep() is False
    assert cursor.unusable is None


@pytest.mark.parametrize(
    "state", ["[]", '{"a":{"offset":5}}', '{"aside":[1]}', '{"begun":[1,2]}', '{"begun":5}']
)
def test_a_cursor_of_another_format(tmp_path: Path, state: str) -> None:
    """What a release has written otherwise means the beginning, and is written over by the next offset."""
    data = b"7 " + state.encode()
    for number in range(2):
        (tmp_path / f"x.cursor.{number}").write_bytes(b"%08x %s\n" % (zlib.crc32(data), data))
    cursor = Cursor(tmp_path / "x.cursor")
    assert (cursor.of("a"), cursor.aside("a"), cursor.begun, cursor.unusable) == (0, {}, None, None)
    cursor.move("a", 5)
    assert cursor.keep() is True
    assert Cursor(tmp_path / "x.cursor").of("a") == 5


def test_a_file_that_another_process_is_just_making(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was not there when it was opened, and is a moment later, can be used."""
    opened = os.open

    def open_late(path: Path, flags: int, mode: int = 0o777) -> int:
        try:
            return opened(path, flags, mode)
        except FileNotFoundError:
            Path(path).touch()
            raise

    monkeypatch.setattr(os, "open", open_late)
    cursor = Cursor(tmp_path / "x.cursor")
    assert len(list(tmp_path.iterdir())) == 2
    assert cursor.unusable is None
