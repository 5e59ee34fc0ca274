"""Forks: they wait for what they must not come between, and for no more than a second each."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from otel_incident import forks
from otel_incident.forks import Stays, no_fork, no_fork_while_importing, no_fork_while_sending

Moment = Callable[[], AbstractContextManager[None]]


pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def forked() -> float:
    """Fork a child that ends at once; how many seconds the fork took."""
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os._exit(0)
    taken = time.monotonic() - started
    assert os.waitpid(child, 0)[1] == 0
    return taken


@pytest.mark.parametrize("moment", [no_fork, no_fork_while_importing, no_fork_while_sending])
def test_a_fork_waits(moment: Moment) -> None:
    """Until another thread has left, and afterwards everybody can enter."""
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()

    def stay() -> None:
        with moment():
            entered.set()
            assert leave.wait(30)
            left.set()

    def let_go() -> None:
        leave.wait(0.1)
        leave.set()

    threads = [threading.Thread(target=stay), threading.Thread(target=let_go)]
    threads[0].start()
    assert entered.wait(30)
    threads[1].start()
    forked()
    assert left.is_set()
    for thread in threads:
        thread.join(30)
    with moment():
        forked()  # its own fork does not wait for itself
    with moment():
        pass


@pytest.mark.parametrize("moment", [no_fork, no_fork_while_importing, no_fork_while_sending])
def test_a_fork_does_not_wait_for_ever(moment: Moment) -> None:
    """A thread that hangs in there costs the host a second, and still leaves in good order."""
    entered, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with moment():
            entered.set()
            assert leave.wait(30)

    thread = threading.Thread(target=stay)
    thread.start()
    assert entered.wait(30)
    assert forked() < 20
    leave.set()
    thread.join(30)
    with moment():
        forked()


def test_imports_do_not_wait_for_each_other() -> None:
    """Several threads import at once, and one may come again within itself."""
    everybody = threading.Barrier(3)

    def stay() -> None:
        with no_fork_while_importing(), no_fork_while_importing():
            everybody.wait(30)

    threads = [threading.Thread(target=stay) for _ in range(2)]
    for thread in threads:
        thread.start()
    with no_fork_while_importing():
        everybody.wait(30)
    for thread in threads:
        thread.join(30)


def test_an_import_waits_for_a_fork() -> None:
    """One that would begin while another thread forks begins afterwards, or a few seconds later."""
    imports = Stays(60.0, 60.0)
    forking, imported = threading.Event(), threading.Event()
    failed: list[int] = []

    def fork() -> None:
        imports.before()
        forking.set()
        failed.extend([1] * imported.wait(0.2))
        imports.in_parent()

    thread = threading.Thread(target=fork)
    thread.start()
    assert forking.wait(30)
    with imports():
        imported.set()
    thread.join(30)
    assert not failed
    brief = Stays(0.1, 60.0)
    endless = threading.Thread(target=brief.before)
    endless.start()
    endless.join(30)
    with brief():
        pass


def test_who_waits_to_fork_keeps_nobody_out() -> None:
    """While a fork waits for one import another one comes and goes: the first may be waiting for it."""
    imports = Stays(60.0, 60.0)
    entered, done = threading.Event(), threading.Event()

    def stay() -> None:
        with imports():
            entered.set()
            assert done.wait(30)

    first, fork = threading.Thread(target=stay), threading.Thread(target=imports.before)
    first.start()
    assert entered.wait(30)
    fork.start()
    with imports():
        assert fork.is_alive()
    done.set()
    for thread in (first, fork):
        thread.join(30)
    assert not fork.is_alive()


def test_who_was_interrupted_on_his_way_in_is_not_waited_for() -> None:
    """An import that never left, since a signal handler raised, holds up forks for a minute and no longer."""
    imports = Stays(3600.0, 60.0)
    lost = imports()
    lost.__enter__()
    lost.since -= 61
    fork = threading.Thread(target=imports.before, daemon=True)
    fork.start()
    fork.join(30)
    assert not fork.is_alive()


class Clock:
    """A clock that only waiting moves on."""

    now = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.now += seconds


@pytest.mark.parametrize(("begun", "waited"), [(0.0, 0.5), (-0.3, 0.2), (-0.6, 0.0), (0.4, 0.5)])
def test_a_fork_waits_for_the_first_half_second_of_a_request(
    monkeypatch: pytest.MonkeyPatch, begun: float, waited: float
) -> None:
    """One that takes longer waits for its answer: a fork does it no harm, and does not wait for it."""
    clock = Clock()
    monkeypatch.setattr(forks, "time", clock)
    with no_fork_while_sending(), contextlib.ExitStack() as afterwards:
        (request,) = no_fork_while_sending._inside  # noqa: SLF001  who is in there can be seen nowhere else
        request.thread, request.since = -1, begun
        afterwards.callback(no_fork_while_sending.in_parent)
        no_fork_while_sending.before()
    assert clock.now == pytest.approx(waited, abs=0.01)
