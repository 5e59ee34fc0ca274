"""The state directory: made once, private, the same for all, and never at the host's expense."""

import errno
import fcntl
import os
import re
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident import state
from otel_incident.errors import StateDirectoryError
from otel_incident.state import StateDirectory
from tests.processes import start

# Python warns of forks beside threads, of which these tests make none that matters.
FORKS: Final = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
GOOD: Final = b"good 1\n"


def is_good(content: bytes) -> bool:
    """What these tests keep."""
    return content.startswith(b"good")


def make() -> bytes:
    """Another good content each time."""
    make.calls += 1  # type: ignore[attr-defined]  # a function with a counter
    return b"good %d\n" % make.calls  # type: ignore[attr-defined]  # the same


@pytest.fixture(autouse=True)
def _from_one() -> None:
    make.calls = 0  # type: ignore[attr-defined]  # the same


def mode(path: Path) -> int:
    """Permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def names(directory: Path) -> list[str]:
    """What is in a directory, besides the lock."""
    return sorted(path.name for path in directory.iterdir() if path.name != ".lock")


def test_nothing_is_touched_before_the_first_read(tmp_path: Path) -> None:
    """A state directory that nobody reads is not made; looking does not make it either."""
    directory = StateDirectory(tmp_path / "state")
    assert directory.configured == tmp_path / "state"
    assert directory.peek("key", is_good) is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_made_once(tmp_path: Path) -> None:
    """The first read makes it, 0600 in a directory 0700; later ones, of any process, get the same."""
    path = tmp_path / "deep" / "er" / "state"
    assert StateDirectory(path).read_or_make("key", make, is_good) == GOOD
    assert StateDirectory(path).read_or_make("key", make, is_good) == GOOD
    assert StateDirectory(path).peek("key", is_good) == GOOD
    assert make.calls == 1  # type: ignore[attr-defined]  # a function with a counter
    assert (path / "key").read_bytes() == GOOD
    assert mode(path / "key") == 0o600
    assert mode(path) == 0o700
    assert names(path) == ["key"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_umask_does_not_matter(tmp_path: Path, umask: int) -> None:
    """However open the host makes its files, ours are closed."""
    before = os.umask(umask)
    try:
        StateDirectory(tmp_path / "state").read_or_make("key", make, is_good)
    finally:
        os.umask(before)
    assert mode(tmp_path / "state") == 0o700
    assert {mode(path) for path in (tmp_path / "state").iterdir()} == {0o600}


@pytest.mark.parametrize("content", [b"", b"bad", b"\xff\x00", b"go"])
def test_a_file_that_is_not_valid_is_set_aside_and_kept(tmp_path: Path, content: bytes) -> None:
    """What cannot be read as what it should be stays beside the new one, for a person to look at."""
    tmp_path.chmod(0o700)
    (tmp_path / "key").write_bytes(content)
    assert StateDirectory(tmp_path).peek("key", is_good) is None
    assert names(tmp_path) == ["key"]
    assert StateDirectory(tmp_path).read_or_make("key", make, is_good) == GOOD
    new, aside = names(tmp_path)
    assert new == "key"
    assert re.fullmatch(r"key\.unreadable-[0-9]+", aside)
    assert (tmp_path / aside).read_bytes() == content


@pytest.mark.parametrize("bits", [0o2775, 0o755, 0o750, 0o777, 0o1777, 0o701])
def test_a_directory_that_is_not_ours_alone(tmp_path: Path, bits: int) -> None:
    """A mounted volume stays as it is and gets a 0700 folder of ours, always the same."""
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(bits)
    for _ in range(2):
        assert StateDirectory(volume).read_or_make("key", make, is_good) == GOOD
        assert StateDirectory(volume).peek("key", is_good) == GOOD
    assert mode(volume) == bits
    assert names(volume) == ["otel-incident"]
    assert mode(volume / "otel-incident") & 0o777 == 0o700  # a setgid bit is inherited and lets nobody in
    assert names(volume / "otel-incident") == ["key"]


def test_a_folder_of_ours_that_lets_others_in_is_closed(tmp_path: Path) -> None:
    """Our own folder is made 0700 again if somebody opened it."""
    tmp_path.chmod(0o755)
    (tmp_path / "otel-incident").mkdir()
    (tmp_path / "otel-incident").chmod(0o755)
    StateDirectory(tmp_path).read_or_make("key", make, is_good)
    assert mode(tmp_path / "otel-incident") == 0o700


def test_a_folder_that_somebody_else_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a shared directory another user may have been first: not even root puts the key there."""
    (tmp_path / "otel-incident").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / "otel-incident").stat().st_uid + 1)
    with pytest.raises(StateDirectoryError, match=r"\(otel-incident in it is somebody else's\)"):
        StateDirectory(tmp_path).read_or_make("key", make, is_good)
    assert names(tmp_path / "otel-incident") == []


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """In a shared directory a link could lead our files anywhere."""
    target = tmp_path / "target"
    target.mkdir(0o700)
    shared = tmp_path / "shared"
    shared.mkdir(0o777)
    shared.chmod(0o777)
    (shared / "otel-incident").symlink_to(target)
    with pytest.raises(StateDirectoryError):
        StateDirectory(shared).read_or_make("key", make, is_good)
    assert names(target) == []


def test_what_others_may_write_is_not_looked_at(tmp_path: Path) -> None:
    """A file that anyone could have put into a shared directory is not taken for ours."""
    tmp_path.chmod(0o777)
    (tmp_path / "key").write_bytes(b"good but planted")
    assert StateDirectory(tmp_path).peek("key", is_good) is None
    assert StateDirectory(tmp_path).read_or_make("key", make, is_good) == GOOD


UNUSABLE: Final[dict[str, tuple[Callable[[Path], Path], str]]] = {
    "a file in its place": (lambda base: _file(base / "state"), "Not a directory"),
    "a file on its way": (lambda base: _file(base / "file") / "state", "Not a directory"),
    "a file system that takes none": (lambda _: Path("/proc/self/otel/state"), "No such file or directory"),
    "a link to nothing": (lambda base: _link(base / "state"), "No such file or directory"),
    "a directory in the file's place": (
        lambda base: _directory(base / "state" / "key"),
        "key in it is no regular file",
    ),
    "a pipe in the file's place": (
        lambda base: _in_place(base / "state" / "key", os.mkfifo),
        "key in it is no regular file",
    ),
    "a link to a device in the file's place": (
        lambda base: _in_place(base / "state" / "key", lambda path: path.symlink_to("/dev/zero")),
        "key in it is a link",
    ),
    "a link in the lock's place": (
        lambda base: _in_place(base / "state" / ".lock", lambda path: path.symlink_to("/dev/zero")),
        "Too many levels of symbolic links",
    ),
}


def _file(path: Path) -> Path:
    path.write_text("a file")
    return path


def _link(path: Path) -> Path:
    path.symlink_to(path.with_name("nothing"))
    return path


def _in_place(path: Path, make_it: Callable[[Path], None]) -> Path:
    path.parent.mkdir(mode=0o700)
    make_it(path)
    return path.parent


def _directory(path: Path) -> Path:
    path.mkdir(parents=True)
    path.parent.chmod(0o700)
    return path.parent


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_directory_that_cannot_be_used(tmp_path: Path, case: str) -> None:
    """One error says which directory, why, and what to do."""
    prepare, why = UNUSABLE[case]
    path = prepare(tmp_path)
    with pytest.raises(StateDirectoryError) as raised:
        StateDirectory(path).read_or_make("key", make, is_good)
    assert str(raised.value) == (
        f"The state directory {path} cannot be used ({why}): make it writable for this process, or set "
        "OTEL_INCIDENT_STATE_DIR to a directory that is."
    )


AS_NOBODY: Final = """
    import os, sys
    from pathlib import Path
    from otel_incident.errors import StateDirectoryError
    from otel_incident.state import StateDirectory
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        StateDirectory(Path(sys.stdin.readline().strip())).read_or_make("key", lambda: b"good", bool)
    except StateDirectoryError as error:
        print(error)
"""


def test_a_directory_that_is_read_only(tmp_path: Path) -> None:
    """Without the permission to write, the same error."""
    tmp_path.chmod(0o555)
    # nobody may not write coverage data either, and would say so
    unmeasured = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}
    process = start(AS_NOBODY, unmeasured)
    stdout, stderr = process.communicate(f"{tmp_path / 'state'}\n", timeout=30)
    tmp_path.chmod(0o755)
    assert stderr == ""
    assert stdout.startswith(f"The state directory {tmp_path / 'state'} cannot be used (Permission denied):")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails is an error, and no half-written file stays."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StateDirectoryError, match="No space left on device"):
        StateDirectory(tmp_path / "state").read_or_make("key", make, is_good)
    assert names(tmp_path / "state") == []


def unsupported(*_: object) -> None:
    """What a file system without links or locks does."""
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


def test_a_file_system_without_links_or_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where neither exists a file is still made whole, and once."""
    monkeypatch.setattr(os, "link", unsupported)
    monkeypatch.setattr(fcntl, "flock", unsupported)
    for _ in range(2):
        assert StateDirectory(tmp_path / "state").read_or_make("key", make, is_good) == GOOD
    assert names(tmp_path / "state") == ["key"]


def test_who_comes_second_takes_the_first_one_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even without a lock, of two who make the same file at once both get the one that was placed first."""
    real = os.link

    def late(source: Any, target: Any, **settings: Any) -> None:
        Path(target).write_bytes(b"good of the other")
        real(source, target, **settings)

    monkeypatch.setattr(os, "link", late)
    assert StateDirectory(tmp_path / "state").read_or_make("key", make, is_good) == b"good of the other"
    assert names(tmp_path / "state") == ["key"]


def test_who_waits_for_the_lock_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process made while we waited for the lock is taken; nothing is made or set aside."""
    monkeypatch.setattr(state, "_LOCK_SECONDS", 30.0)
    waiting, real, found = threading.Event(), state._try_lock, []  # noqa: SLF001  to see that it waits

    def try_lock(descriptor: int) -> bool:
        taken = real(descriptor)
        if not taken:
            waiting.set()
        return taken

    monkeypatch.setattr(state, "_try_lock", try_lock)
    directory = tmp_path / "state"
    directory.mkdir(0o700)
    (directory / "key").write_bytes(b"broken")
    thread = threading.Thread(
        target=lambda: found.append(StateDirectory(directory).read_or_make("key", make, is_good))
    )
    with (directory / ".lock").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        thread.start()
        assert waiting.wait(30)
        (directory / "key").write_bytes(b"good of the other")
    thread.join()
    assert found == [b"good of the other"]
    assert names(directory) == ["key"]


@FORKS
def test_a_child_forked_meanwhile_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A worker that is forked while its parent makes the file holds nothing that others wait for."""
    children: list[int] = []
    reading, writing = os.pipe()

    def fork_and_make() -> bytes:
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)  # until the parent closes its end
            os._exit(0)
        children.append(child)
        return GOOD

    directory = tmp_path / "state"
    StateDirectory(directory).read_or_make("key", fork_and_make, is_good)
    try:
        with (directory / ".lock").open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(writing)
        os.close(reading)
        os.waitpid(children[0], 0)
