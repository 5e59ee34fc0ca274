"""What is ours never hurts the host: not by an exception, nor by a log line, nor by a lock."""

import logging
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from otel_incident import guard
from otel_incident.guard import HostLock, boundary, fail_open, say, set_reraise, swallow, swallowed
from tests import strategies

# Python warns of forks beside threads, of which these tests make one on purpose.
FORKS = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


@pytest.fixture(autouse=True)
def _in_production() -> None:
    """Swallow, as production does."""
    set_reraise(reraise=False)


@fail_open("hook")
def fails(error: BaseException) -> int:
    """Raise what it is given."""
    raise error


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said."""
    return [record.getMessage() for record in caplog.records]


def test_a_function_that_fails_returns_none(caplog: pytest.LogCaptureFixture) -> None:
    """An exception ends at the boundary, is counted by place, and said without its message."""
    assert fails(ValueError(strategies.CONTENT)) is None
    assert swallowed() == {"hook": 1}
    assert [(record.name, record.levelname) for record in caplog.records] == [("otel_incident", "WARNING")]
    assert strategies.CONTENT not in caplog.text
    assert caplog.records[0].exc_info is None
    assert re.fullmatch(
        r"An internal error \(ValueError at guard\.py:[0-9]+\) was swallowed in hook; the host is not "
        r"affected, the event may be missing\. Please report this line\.",
        lines(caplog)[0],
    )


def test_a_function_that_works_is_itself() -> None:
    """The boundary changes neither the result nor the name nor the documentation."""

    @fail_open("emit")
    def add(first: int, *, second: int) -> int:
        """Add."""
        return first + second

    assert add(1, second=2) == 3
    assert (add.__name__, add.__doc__) == ("add", "Add.")
    assert swallowed() == {}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException])
def test_what_is_no_exception_passes(error: type[BaseException]) -> None:
    """Exits, interrupts and cancellations are the host's: they pass and are not counted."""
    with pytest.raises(error):
        fails(error())
    assert swallowed() == {}


def test_the_same_error_is_counted_each_time_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A place that fails the same way is said once; another place or class is said for itself."""
    for _ in range(3):
        fails(ValueError())
    fails(KeyError())
    swallow("emit", ValueError())
    assert swallowed() == {"hook": 4, "emit": 1}
    assert [line.partition(" was ")[0] for line in lines(caplog)] == [
        lines(caplog)[0].partition(" was ")[0],
        lines(caplog)[0].partition(" was ")[0].replace("ValueError", "KeyError"),
        "An internal error (ValueError at an unknown line)",
    ]


def test_only_lines_of_ours_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of a traceback the deepest line of ours is said, and no path of the host's, whatever its name."""
    host = tmp_path / "otel_incident" / "secret_project.py"
    host.parent.mkdir()
    host.write_text("def fail():\n    raise ValueError\n")
    namespace: dict[str, Any] = {}
    exec(compile(host.read_text(), str(host), "exec"), namespace)  # noqa: S102  a host's module in a directory of our name, made for this test
    fail_open("hook")(namespace["fail"])()
    assert "secret_project" not in caplog.text
    assert "ValueError at guard.py:" in caplog.text


def test_tests_can_have_errors_raised() -> None:
    """Under `set_reraise` the error passes and is not counted; the setting before is returned."""
    assert set_reraise(reraise=True) is False
    with pytest.raises(ValueError, match="seen"):
        fails(ValueError("seen"))
    assert set_reraise(reraise=False) is True
    assert swallowed() == {}


class FailingHandler(logging.Handler):
    """A log handler of a host's that raises."""

    def emit(self, _: logging.LogRecord) -> NoReturn:
        """Fail."""
        raise strategies.HostileError


@pytest.fixture
def handler() -> Any:
    """A function that attaches a handler to our logger until the test ends."""
    attached: list[logging.Handler] = []
    logger = logging.getLogger("otel_incident")

    def attach(one: logging.Handler) -> None:
        logger.addHandler(one)
        attached.append(one)

    yield attach
    for one in attached:
        logger.removeHandler(one)


def test_a_log_handler_that_raises_stays_alone(handler: Callable[[logging.Handler], None]) -> None:
    """What a host's log handler raises about a line of ours does not come back through us."""
    handler(FailingHandler())
    say("a %s", "line")
    assert fails(ValueError()) is None
    assert swallowed() == {"hook": 1}


def test_a_line_has_its_arguments_and_its_caller(caplog: pytest.LogCaptureFixture) -> None:
    """A line is a warning of our logger, and shows the place that said it."""
    say("a %s", "line")
    record = caplog.records[0]
    assert (record.name, record.levelno, record.getMessage()) == ("otel_incident", logging.WARNING, "a line")
    assert record.filename == "test_guard.py"


def test_a_lock_lets_its_thread_come_back() -> None:
    """A signal handler or a log handler that comes back into the lock does not hang."""
    lock = HostLock()
    with lock, lock:
        pass
    with lock:
        pass


def test_a_lock_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits too long for another thread gets a TimeoutError, and the next one gets the lock."""
    monkeypatch.setattr(guard, "LOCK_SECONDS", 0.01)
    lock = HostLock()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    with pytest.raises(TimeoutError), lock:
        pass
    done.set()
    thread.join()
    with lock:
        pass


@FORKS
def test_a_lock_is_free_in_a_forked_child() -> None:
    """A lock that another thread of the parent held at the fork is free in the child."""
    lock = HostLock()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    child = os.fork()
    if child == 0:
        guard.LOCK_SECONDS = 0.5  # type: ignore[misc]  # so that a lock that is not free ends this child
        try:
            with lock:
                os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    done.set()
    thread.join()


@FORKS
def test_a_lock_survives_a_fork_of_its_own_thread() -> None:
    """A thread that forks while it holds the lock leaves it in parent and child without an error."""
    lock = HostLock()
    with lock:
        child = os.fork()
    if child == 0:
        with lock:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_locks_do_not_outlive_their_owners() -> None:
    """That forks renew them keeps no lock alive."""
    before = len(guard._locks)  # noqa: SLF001  what is kept alive is not seen from outside
    locks = [HostLock() for _ in range(5)]
    assert len(guard._locks) == before + 5  # noqa: SLF001  the same
    locks.clear()
    assert len(guard._locks) == before  # noqa: SLF001  the same


def _ignore(_: object, __: logging.LogRecord) -> None:
    """It sends, which nobody on the machine sees."""


def test_a_line_is_seen_where_opentelemetry_alone_listens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning that is sent away is also written where Python writes those that nobody handles."""
    # alone on the root logger, as OpenTelemetry's logging instrumentation leaves its handler
    kind = type("LoggingHandler", (logging.Handler,), {"__module__": "opentelemetry.sdk", "emit": _ignore})
    monkeypatch.setattr(logging.getLogger(), "handlers", [kind()])
    say("The gate is %s.", "open")
    assert capsys.readouterr().err == "The gate is open.\n"
    logging.getLogger().addHandler(logging.NullHandler())
    say("The gate is %s.", "shut")
    assert capsys.readouterr().err == ""


def test_at_the_end_of_the_process_nothing_is_given_to_opentelemetry(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is said then reaches the host's handlers; sending it might take as long as it tells of."""
    sent: list[logging.LogRecord] = []
    kind = type(
        "LoggingHandler",
        (logging.Handler,),
        {"__module__": "opentelemetry.sdk", "emit": lambda _, record: sent.append(record)},
    )
    logger = logging.getLogger("otel_incident")
    monkeypatch.setattr(logger, "handlers", [kind()])
    monkeypatch.setattr(boundary, "ending", True)
    say("three of %d", 4)
    assert [record.getMessage() for record in caplog.records] == ["three of 4"]
    monkeypatch.setattr(logger, "propagate", False)
    say("once %s", "more")
    assert capsys.readouterr().err == "once more\n"
    caplog.set_level(logging.ERROR, logger="otel_incident")
    say("not at all")
    assert capsys.readouterr().err == ""
    assert sent == []
