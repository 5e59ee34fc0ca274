"""Forks: they wait for what they must not come between, and for no more than a second each."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from otel_incident.exporters import DeferredExporter
from otel_incident.forks import Stays, no_fork, no_fork_while_importing, no_fork_while_sending
from otel_incident.spool.attempts import Attempts
from tests.spool_records import numbered

Moment = Callable[[], AbstractContextManager[None]]


class OverGrpc:
    """What the SDK's exporters over gRPC have."""

    def _initialize_channel_and_stub(self) -> None: ...


def no_fork_while_sending_over_grpc() -> AbstractContextManager[None]:
    """As an exporter's caller says it."""
    return no_fork_while_sending(OverGrpc())


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


@pytest.mark.parametrize("moment", [no_fork, no_fork_while_importing, no_fork_while_sending_over_grpc])
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


@pytest.mark.parametrize("moment", [no_fork, no_fork_while_importing, no_fork_while_sending_over_grpc])
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


def test_a_request_over_http_holds_up_no_fork() -> None:
    """Only gRPC has hooks of its own for a fork."""
    assert isinstance(no_fork_while_sending(object()), contextlib.nullcontext)


class Forking(LogRecordExporter):
    """Over gRPC, in a host another thread of which forks during each request."""

    _client = None

    def __init__(self) -> None:
        """Nobody has forked yet."""
        self.forked_meanwhile: bool | None = None

    def _initialize_channel_and_stub(self) -> None:
        """As the SDK's has."""

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Have another thread fork, and look whether it can."""
        self.thread = threading.Thread(target=forked)
        self.thread.start()
        self.thread.join(0.2)
        self.forked_meanwhile = not self.thread.is_alive()
        return LogRecordExportResult.SUCCESS if batch else LogRecordExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait for the fork."""
        self.thread.join(timeout_millis / 1000)
        return not self.thread.is_alive()

    def shutdown(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("by_way_of", ["disk", "memory"])
def test_a_fork_waits_for_a_request_over_grpc(by_way_of: str) -> None:
    """With the spool and without it, another thread's fork comes after the answer."""
    exporter = Forking()
    batch = [numbered(1)]
    if by_way_of == "disk":
        assert Attempts(exporter)(batch).verdict == "delivered"
    else:
        deferred = DeferredExporter("otlp_proto_grpc", lambda: exporter)
        assert deferred.export(batch) is LogRecordExportResult.SUCCESS
    assert exporter.force_flush()
    assert exporter.forked_meanwhile is False
