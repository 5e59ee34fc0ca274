"""Forks: they wait for what they must not come between, and for no more than a second."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from otel_incident.spool.forks import no_fork, no_fork_while_importing

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


@pytest.mark.parametrize("moment", [no_fork, no_fork_while_importing])
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


def test_a_fork_does_not_wait_for_ever() -> None:
    """A thread that hangs in there costs the host a second, and still leaves in good order."""
    entered, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with no_fork():
            entered.set()
            assert leave.wait(30)

    thread = threading.Thread(target=stay)
    thread.start()
    assert entered.wait(30)
    assert forked() < 20
    leave.set()
    thread.join(30)
    with no_fork():
        pass
