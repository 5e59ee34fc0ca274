"""The lease: one process delivers at a time, another one when it ends, is killed, or is stopped for long."""

import contextlib
import errno
import fcntl
import os
import signal
import stat
from pathlib import Path
from typing import Final

import pytest

from otel_incident.spool.answers import Answer
from otel_incident.spool.lease import SILENCE_SECONDS, Lease
from tests.processes import start, succeed
from tests.spool_backlog import DELIVERED, Course, Endpoint


def test_one_has_it(tmp_path: Path) -> None:
    """While one has it another cannot; given back, it can."""
    first, second = Lease(tmp_path / "lease"), Lease(tmp_path / "lease")
    assert first.held() is False
    assert first.take() is True
    assert first.take() is True
    assert first.held() is True
    assert second.take() is False
    assert second.held() is False
    first.give_back()
    assert first.held() is False
    assert second.take() is True
    assert first.take() is False
    assert (tmp_path / "lease").stat().st_mode & 0o777 == 0o600


HOLDER: Final = """
    import os, sys
    from pathlib import Path
    from otel_incident.spool.lease import Lease

    lease = Lease(Path(os.environ["LEASE"]))
    print(lease.take(), flush=True)
    sys.stdin.readline()
    print(lease.held(), lease.take(), flush=True)
    sys.stdin.readline()
"""


def test_a_holder_that_is_killed(tmp_path: Path) -> None:
    """The kernel gives its lease back."""
    process = start(HOLDER, {"LEASE": str(tmp_path / "lease")})
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    lease = Lease(tmp_path / "lease")
    assert lease.take() is False
    process.kill()
    process.communicate()
    assert lease.take() is True


def test_a_holder_that_is_stopped(tmp_path: Path) -> None:
    """After a long silence another one takes over; the one that goes on knows that it has lost it."""
    process = start(HOLDER, {"LEASE": str(tmp_path / "lease")})
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "True\n"
    process.send_signal(signal.SIGSTOP)
    now = 1000.0
    lease, third = Lease(tmp_path / "lease", lambda: now), Lease(tmp_path / "lease", lambda: now)
    assert lease.take() is False
    now += SILENCE_SECONDS - 1
    assert lease.take() is False
    now += 1
    assert lease.take() is True
    assert lease.held() is True
    assert third.take() is False
    process.send_signal(signal.SIGCONT)
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "False False\n"
    assert lease.held() is True
    process.kill()
    process.communicate()
    assert lease.take() is True
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lease"]


def test_a_holder_that_lives_is_left_alone(tmp_path: Path) -> None:
    """Whoever takes the lease it has says that it lives, and so keeps it for ever."""
    now = 1000.0
    holder, other = Lease(tmp_path / "lease"), Lease(tmp_path / "lease", lambda: now)
    assert holder.take() is True
    for tick in range(1, 6):
        now += SILENCE_SECONDS / 2
        os.utime(tmp_path / "lease", ns=(tick, tick))  # the file system's clock may be coarse
        assert other.take() is False
    assert holder.held() is True


def test_two_that_take_over_at_once(tmp_path: Path) -> None:
    """The first one has it: the other one looks again before it puts its file in that one's place."""
    now = 1000.0
    stopped, first, second = (Lease(tmp_path / "lease", lambda: now) for _ in range(3))
    assert stopped.take() is True
    assert (first.take(), second.take()) == (False, False)
    now += SILENCE_SECONDS
    assert first.take() is True
    assert second._replace() is False
    assert (stopped.held(), first.held(), second.held()) == (False, True, False)


def test_one_that_takes_over_while_another_one_does(tmp_path: Path) -> None:
    """It leaves it to that one, and has it at its next look where that one has ended meanwhile."""
    now = 1000.0
    stopped, lease = Lease(tmp_path / "lease"), Lease(tmp_path / "lease", lambda: now)
    assert (stopped.take(), lease.take()) == (True, False)
    now += SILENCE_SECONDS
    directory = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    assert lease.take() is False
    os.close(directory)
    assert lease.take() is True


def test_a_file_system_that_locks_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There the lease of one that is stopped is taken over all the same."""
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        real(descriptor, operation)

    now = 1000.0
    stopped, lease = Lease(tmp_path / "lease"), Lease(tmp_path / "lease", lambda: now)
    assert (stopped.take(), lease.take()) == (True, False)
    now += SILENCE_SECONDS
    monkeypatch.setattr(fcntl, "flock", flock)
    assert lease.take() is True
    assert stopped.held() is False


def test_a_lock_file_that_is_deleted(tmp_path: Path) -> None:
    """Whoever held it has lost it: another one would lock a new file beside it."""
    lease = Lease(tmp_path / "lease")
    assert lease.take() is True
    (tmp_path / "lease").unlink()
    assert lease.held() is False
    assert lease.take() is True


@pytest.mark.parametrize("what", ["gone", "link"])
def test_where_there_can_be_no_lock(tmp_path: Path, what: str) -> None:
    """It is an error that says so, and nothing is followed or left behind."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    lease = Lease(tmp_path / what if what == "link" else tmp_path / what / "lease")
    with pytest.raises(OSError, match=r"No such file|Too many levels"):
        lease.take()
    assert lease.held() is False
    assert not (tmp_path / "elsewhere").exists()


FORKS: Final = """
    import os
    from pathlib import Path
    from otel_incident.spool.lease import Lease

    lease = Lease(Path(os.environ["LEASE"]))
    assert lease.take()
    read, write = os.pipe()
    done, go = os.pipe()
    child = os.fork()
    if child == 0:
        print(lease.held(), lease.take(), flush=True)
        os.write(write, b"x")
        os.read(done, 1)
        print(lease.take(), flush=True)
        os._exit(0)
    os.read(read, 1)
    print(lease.held(), flush=True)
    lease.give_back()
    os.write(go, b"x")
    os.waitpid(child, 0)
"""


def test_a_fork_shares_no_lease(tmp_path: Path) -> None:
    """A child neither has the parent's lease nor keeps it alive."""
    ended = succeed(FORKS, {"LEASE": str(tmp_path / "lease")})
    assert ended.stdout == "False False\nTrue\nTrue\n"


def test_whoever_has_it_says_so(tmp_path: Path) -> None:
    """Each time the lease is taken again its file is touched, which is what others look at."""
    lease = Lease(tmp_path / "lease")
    assert lease.take() is True
    os.utime(tmp_path / "lease", ns=(1, 1))
    assert lease.take() is True
    assert (tmp_path / "lease").stat().st_mtime_ns > 1


def open_in(directory: Path) -> list[str]:
    """What this process has open below a directory; elsewhere garbage of other tests may close meanwhile."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            found.append(str(descriptor.readlink()))
    return [name for name in found if name.startswith(str(directory))]


def test_a_file_that_is_replaced_while_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock on what is no longer the lease's file is no lease, and is not kept open."""
    real = fcntl.flock

    def replaced(descriptor: int, operation: int) -> None:
        (tmp_path / "other").touch()
        (tmp_path / "other").replace(tmp_path / "lease")
        real(descriptor, operation)

    lease = Lease(tmp_path / "lease")
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", replaced)
        assert lease.take() is False
    assert open_in(tmp_path) == []
    assert lease.take() is True


def test_an_attempt_that_outlasts_the_lease(tmp_path: Path) -> None:
    """The one that takes over delivers the same batch again, and only its notes hold from then on."""
    now = 1000.0
    first, second = (Lease(tmp_path / "lease", lambda: now) for _ in range(2))

    def slowly(_: list[int]) -> Answer:
        nonlocal now
        assert second.take() is False
        now += SILENCE_SECONDS
        assert second.take() is True
        other = Course(tmp_path, quick, may_keep=second.held)
        other.write(3)
        other.run()
        return DELIVERED

    quick, slow = Endpoint(), Endpoint(judge=slowly)
    holder = Course(tmp_path, slow, may_keep=first.held)
    holder.write(1, 2)
    holder.writer.close()
    assert first.take() is True
    assert holder.delivery.step() == 0.0
    assert (slow.taken, quick.taken) == ([1, 2], [1, 2, 3])
    assert (first.held(), second.held()) == (False, True)
    Course(tmp_path, quick, may_keep=second.held).run()
    assert quick.taken == [1, 2, 3]
