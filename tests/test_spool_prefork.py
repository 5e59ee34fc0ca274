"""The spool in servers that fork their workers: over an outage, and a worker that is killed."""

import errno
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from otel_incident.spool.cursors import Cursor
from otel_incident.spool.segments import SEGMENTS
from otel_incident.spool.waiting import waiting
from tests.host_environment import HostEnvironment, host_environment
from tests.otlp_receiver import OtlpReceiver
from tests.spool_hosts import EMITTER, deliver_all, variables
from tests.waiting import wait_until

WSGI: Final = (
    EMITTER
    + """
    import atexit
    from otel_incident.spool import delivery, turns

    turns.LOOK_SECONDS = 0.05
    delivery.LAST_BACKOFF = 0.2
    atexit.register(provider.shutdown)
    if os.environ["EARLY"]:
        emit(1)  # before the workers are there
        processor.force_flush()

    def application(environment, respond):
        number = int(environment["PATH_INFO"][1:])
        emit(number)
        if number % 1000 == 0:  # the next request is for another worker
            with open("gate") as gate:
                gate.read()
        respond("200 OK", [("Content-Type", "text/plain")])
        return [b"%d" % os.getpid()]
"""
)
CELERY: Final = (
    EMITTER
    + """
    from celery import Celery

    app = Celery("jobs", broker="filesystem://")
    app.conf.broker_transport_options = {
        "data_folder_in": os.environ["QUEUE"], "data_folder_out": os.environ["QUEUE"]
    }
    if os.environ["EARLY"]:
        emit(1)

    @app.task(name="jobs.work")
    def work(number):
        emit(number)
"""
)
SERVERS: Final[Mapping[str, tuple[str, ...]]] = {
    "gunicorn": ("gunicorn", "--workers=2", "--bind=unix:{socket}", "host:application"),
    "gunicorn, preloaded": (
        *("gunicorn", "--preload", "--workers=2", "--bind=unix:{socket}", "host:application"),
    ),
    "uwsgi": (
        *("uwsgi", "--master", "--processes=2", "--enable-threads", "--die-on-term", "--need-app"),
        *("--http-socket={socket}", "--module=host:application"),
    ),
    "uwsgi, lazy": (
        *("uwsgi", "--master", "--processes=2", "--enable-threads", "--die-on-term", "--need-app"),
        *("--http-socket={socket}", "--module=host:application", "--lazy-apps"),
    ),
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where the servers are installed, with this package's wheel."""
    return host_environment("prefork", tmp_path_factory.mktemp("prefork"))


@contextmanager
def serving(
    environment: HostEnvironment, directory: Path, words: list[str], more: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A server in its own group, which is ended if the test fails; what it says is in a file."""
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  the words are the test's own
            [environment.tool(words[0]), *words[1:]],
            cwd=directory,
            env={**environment.variables(), **more},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def ask(path: Path, number: int) -> int:
    """Have a worker emit a number; its process id, or 0 where nobody answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        try:
            connection.connect(str(path))
            connection.sendall(b"GET /%d HTTP/1.0\r\n\r\n" % number)
            answer = b""
            while more := connection.recv(4096):
                answer += more
        except OSError:
            return 0
    return int(answer.rpartition(b"\r\n\r\n")[2] or 0)


def opened(gate: Path) -> int | None:
    """The writing end of a named pipe, once somebody reads from it."""
    try:
        return os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None


def all_is_delivered(spool: Path) -> bool:
    """Whether whoever delivers knows that all has arrived: else the end may come between the two."""
    return waiting(spool / SEGMENTS, Cursor(spool / "exporter.cursor")).bytes == 0


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_with_workers(server: str, environment: HostEnvironment, tmp_path: Path) -> None:
    """What workers were told during an outage arrives once, though one of them is killed in the middle."""
    with OtlpReceiver() as away:  # nobody listens until the kill: what it cuts off has not arrived
        settings, port = variables(tmp_path / "spool", away), away.http_port
    early = "1" if server in {"gunicorn, preloaded", "uwsgi"} else ""
    (tmp_path / "host.py").write_text(WSGI.replace("\n    ", "\n"))
    path, gate = tmp_path / "s", tmp_path / "gate"
    os.mkfifo(gate)
    words = [word.format(socket=path) for word in SERVERS[server]]
    told: set[int] = {1} if early else set()
    with (
        ExitStack() as backend,
        serving(environment, tmp_path, words, {**settings, "EARLY": early}) as process,
        ThreadPoolExecutor(1) as aside,
    ):
        for first in (1000, 2000):
            held = aside.submit(wait_until, partial(ask, path, first), 60, "a worker")
            release = wait_until(partial(opened, gate), 60, "a worker that is held")
            others = {number: ask(path, number) for number in range(first + 1, first + 31)}
            os.close(release)
            one = held.result(60)
            assert one not in others.values()
            told |= {first, *(number for number, worker in others.items() if worker)}
            if first == 1000:
                os.kill(one, signal.SIGKILL)
                # from here on they deliver while they work
                receiver = backend.enter_context(OtlpReceiver(http_port=port))
        receiver.wait_for(lambda it: told <= {event.timestamp for event in it.telemetry().events}, 30)
        wait_until(partial(all_is_delivered, tmp_path / "spool"), 30, "all that was delivered is ticked off")
        process.terminate()
        process.wait(60)
        arrived = deliver_all(tmp_path / "spool", receiver)
    assert told <= set(arrived), (tmp_path / "log").read_text()
    assert len(arrived) == len(set(arrived))
    assert len(told) >= 62


def test_celery(receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path) -> None:
    """What tasks report in a pool of forked processes arrives once, beside what its parent has reported."""
    (tmp_path / "jobs.py").write_text(CELERY.replace("\n    ", "\n"))
    (tmp_path / "queue").mkdir()
    settings = variables(tmp_path / "spool", receiver, EARLY="1", QUEUE=str(tmp_path / "queue"))
    words = ["celery", "-A", "jobs", "worker", "--pool=prefork", "--concurrency=2", "--loglevel=WARNING"]
    produce = "import jobs\nfor number in range(100, 120): jobs.work.delay(number)\njobs.processor.shutdown()"
    with serving(environment, tmp_path, words, settings) as process:
        ended = environment.run(
            [environment.tool("python"), "-c", produce], {**settings, "EARLY": ""}, tmp_path
        )
        assert (ended.status, ended.stderr) == (0, "")
        receiver.wait_for_events(21, 60)
        process.terminate()
        process.wait(60)
    assert sorted(deliver_all(tmp_path / "spool", receiver)) == [1, *range(100, 120)]
