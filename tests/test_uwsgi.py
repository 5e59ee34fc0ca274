"""In uWSGI: no thread of ours before its workers are forked, and what came before leaves from a worker."""

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Final, NoReturn

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource

from otel_incident import DurableLogRecordProcessor, uwsgi
from otel_incident import handover as module_of_handover
from otel_incident.config_exporters import Batch
from otel_incident.exporters import BoundedBatchProcessor, DeferredExporter
from otel_incident.handover import Handover
from otel_incident.spool import sender
from tests.host_environment import HostEnvironment, host_environment
from tests.otlp_receiver import OtlpReceiver
from tests.otlp_servers import LOOPBACK
from tests.spool_exporters import otlp_exporter
from tests.spool_hosts import EMITTER, deliver_all, variables
from tests.test_spool_prefork import all_is_delivered, ask, serving
from tests.waiting import wait_until

WORDS: Final = (
    *("uwsgi", "--master", "--processes=2", "--die-on-term", "--need-app"),
    *("--http-socket=s", "--module=host:application"),
)
EVENTS: Final = """
    import os
    from otel_incident import Incident, IncidentEmitter

    emitter = IncidentEmitter()

    def emit(number):
        emitter.create(Incident(id=number))
"""
HOST: Final = """
    import json, os, threading

    emit(1)
    from uwsgidecorators import postfork  # its hook comes in the place of whatever was there

    with open("threads", "w") as file:
        json.dump([thread.name for thread in threading.enumerate()], file)

    @postfork
    def own():
        open(f"forked-{os.getpid()}", "w").close()

    def application(environment, respond):
        emit(int(environment["PATH_INFO"][1:]))
        respond("200 OK", [("Content-Type", "text/plain")])
        return [b"%d" % os.getpid()]
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where uWSGI is installed, with this package's wheel."""
    return host_environment("prefork", tmp_path_factory.mktemp("prefork"))


def write_host(directory: Path, emitter: str, host: str = HOST) -> None:
    """An application that reports 1 when it is loaded, and in each request what it is asked for."""
    (directory / "host.py").write_text(dedent(emitter) + dedent(host))


def threads(directory: Path) -> list[str]:
    """Those of the master once it had loaded the application."""
    names: list[str] = json.loads((directory / "threads").read_text())
    return names


def numbers(receiver: OtlpReceiver) -> list[str]:
    """The ids of the incidents that have arrived."""
    return sorted(str(event.attributes["incident.id"]) for event in receiver.telemetry().events)


def test_what_the_master_reports(
    environment: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """It leaves from a worker before any request, once, and the master has no thread but its own."""
    write_host(tmp_path, EMITTER)
    with serving(environment, tmp_path, list(WORDS), variables(tmp_path / "spool", receiver)) as process:
        receiver.wait_for_events(1, 60)
        assert threads(tmp_path) == ["MainThread"]
        wait_until(
            lambda: len(list(tmp_path.glob("forked-*"))) == 2, 60, "the host's own hook in each worker"
        )
        assert ask(tmp_path / "s", 2)
        receiver.wait_for_events(2, 60)
        wait_until(partial(all_is_delivered, tmp_path / "spool"), 30, "all that was delivered is ticked off")
        process.terminate()
        process.wait(60)
    assert sorted(deliver_all(tmp_path / "spool", receiver)) == [1, 2]


def test_what_the_master_reports_in_memory(
    environment: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """One of the workers delivers it, though all of them have it, and one that comes later does not."""
    write_host(tmp_path, EVENTS)
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_INCIDENT_SPOOL": "off",
        "OTEL_INCIDENT_STATE_DIR": str(tmp_path / "state"),
        "OTEL_BLRP_SCHEDULE_DELAY": "10",
    }
    with serving(environment, tmp_path, list(WORDS), settings) as process:
        receiver.wait_for_events(1, 60)
        assert threads(tmp_path) == ["MainThread"]
        wait_until(lambda: len(list(tmp_path.glob("forked-*"))) == 2, 60, "both workers")
        for number in range(2, 12):
            assert ask(tmp_path / "s", number)
        receiver.wait_for_events(11, 60)
        process.terminate()
        process.wait(60)
    assert numbers(receiver) == sorted(map(str, range(1, 12)))


LEFTOVERS: Final = """
    def application(environment, respond):
        respond("200 OK", [("Content-Type", "text/plain")])
        return [b"1"]
"""
SAY_THREADS: Final = """
    import json, threading
    with open("threads", "w") as file:
        json.dump([thread.name for thread in threading.enumerate()], file)
"""


@pytest.mark.parametrize("more", [(), ("--lazy-apps",)])
def test_what_is_left_when_python_starts(
    environment: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path, more: tuple[str, ...]
) -> None:
    """It leaves from a worker, though uWSGI's module is not there yet when the spool is made."""
    settings = variables(tmp_path / "spool", receiver)
    ended = environment.run(
        [environment.tool("python"), "-c", dedent(EMITTER) + "emit(1)\nos._exit(0)"],
        {**settings, "ENDPOINT": f"http://{LOOPBACK}:1"},
        tmp_path,
    )
    assert (ended.status, ended.stderr) == (0, "")
    write_host(tmp_path, "", LEFTOVERS)
    start = tmp_path / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text(dedent(EMITTER) + dedent(SAY_THREADS))
    settings["PYTHONPATH"] = os.pathsep.join([str(start), environment.variables()["PYTHONPATH"]])
    with serving(environment, tmp_path, [*WORDS, *more], settings) as process:
        assert [event.timestamp for event in receiver.wait_for_events(1, 60)] == [1]
        assert threads(tmp_path) == ["MainThread"]
        process.terminate()
        process.wait(60)


Fake = Callable[..., ModuleType]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a module of uWSGI's in place."""

    def put(worker: int, master: int, **more: object) -> ModuleType:
        module = ModuleType("uwsgi")
        vars(module).update(worker_id=lambda: worker, masterpid=lambda: master, **more)
        monkeypatch.setitem(sys.modules, "uwsgi", module)
        return module

    monkeypatch.setattr(uwsgi, "_told", set())
    return put


@pytest.mark.parametrize(
    ("worker", "master", "expected"),
    [(0, os.getpid(), True), (0, 0, True), (1, os.getpid(), False), (1, 0, False), (0, 1, False)],
)
def test_is_to_fork(fake: Fake, worker: int, master: int, expected: bool) -> None:  # noqa: FBT001  a case
    """A master is to fork, and what has no master until it is the first worker; a worker or a mule is not."""
    fake(worker, master)
    assert uwsgi.is_to_fork() is expected


def test_another_module_of_that_name(fake: Fake) -> None:
    """A file of the host's that is called uwsgi, or an object without these functions, changes nothing."""
    fake(0, 0, __file__="uwsgi.py")
    assert uwsgi.is_to_fork() is False
    vars(fake(0, 0)).pop("masterpid")
    assert uwsgi.is_to_fork() is False


def test_no_uwsgi() -> None:
    """In a program called python nothing is forked by uWSGI."""
    assert uwsgi.is_to_fork() is False


def test_workers_begin(
    fake: Fake, receiver: OtlpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the master a flush ends at once; in a worker the host's hook is called, then what waits leaves."""
    called: list[int] = []
    module = fake(0, os.getpid(), post_fork_hook=lambda: called.append(1))
    exporter = otlp_exporter("http", receiver.http_endpoint)
    processor = DurableLogRecordProcessor(exporter, tmp_path, delay=0.0)
    provider = LoggerProvider(Resource({}), shutdown_on_exit=False)
    provider.add_log_record_processor(processor)
    try:
        provider.get_logger("tests").emit(LogRecord(timestamp=1, observed_timestamp=1))
        with monkeypatch.context() as patched:
            patched.setattr(sender, "GLANCE_SECONDS", None)  # a wait would fail
            assert processor.force_flush() is False
        assert [each.name for each in threading.enumerate() if each.name.startswith("otel-incident")] == []
        vars(module)["worker_id"] = lambda: 1
        vars(module)["post_fork_hook"]()
        assert called == [1]
        assert [event.timestamp for event in receiver.wait_for_events(1, 30)] == [1]
    finally:
        provider.shutdown()


def test_uwsgi_without_threads(fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
    """One line says once that nothing leaves between two requests; none where threads run."""
    fake(1, 0, has_threads=1)
    uwsgi.say_without_threads()
    assert caplog.messages == []
    fake(1, 0, has_threads=0)
    uwsgi.say_without_threads()
    uwsgi.say_without_threads()
    (line,) = caplog.messages
    assert line == (
        "uWSGI runs without threads: log records leave only while a worker handles a request, and when it "
        "ends. Start uWSGI with --enable-threads."
    )


class Exporter(LogRecordExporter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.taken: list[int | None] = []

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Keep the timestamps."""
        self.taken += [each.log_record.timestamp for each in batch]
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing ends."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits."""
        return timeout_millis > 0


def record(number: int) -> ReadableLogRecord:
    """A record that is complete."""
    return ReadableLogRecord(LogRecord(timestamp=number), Resource({}))


Losses = list[tuple[int, str]]


def handover_of(exporter: LogRecordExporter, lost: Losses, most: int = 9) -> Handover:
    """One whose processor delivers to an exporter."""
    deferred = DeferredExporter("otlp", lambda: exporter)
    build = partial(BoundedBatchProcessor, deferred, Batch())
    return Handover(build, lambda count, why: lost.append((count, why)), most)


def test_a_master_that_ends(fake: Fake) -> None:
    """What it holds in memory, the newest of it, is delivered when it ends if there never was a worker."""
    fake(0, os.getpid())
    exporter, lost = Exporter(), Losses()
    handover = handover_of(exporter, lost, 2)
    for number in range(1, 4):
        handover.take(record(number))
    assert handover.force_flush() is False
    assert exporter.taken == []
    handover.shutdown()
    assert exporter.taken == [2, 3]
    assert lost == [(1, "its queue is full")]
    assert handover.gave_up is False


def in_worker(fake: Fake, handover: Handover, exporter: Exporter) -> list[int]:
    """What a worker that is forked now delivers, which ends at once."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        with suppress(BaseException):
            fake(1, os.getppid())
            handover.begin()
            handover.shutdown()
            os.write(write, json.dumps(exporter.taken).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as answer:
        taken: list[int] = json.load(answer)
    return taken


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 of forks beside threads
def test_what_comes_to_the_master_beside_its_workers(fake: Fake) -> None:
    """Each worker delivers what no other has taken, and the master at its end what is left."""
    fake(0, os.getpid())
    exporter, lost = Exporter(), Losses()
    handover = handover_of(exporter, lost)
    handover.take(record(1))
    handover.take(record(2))
    assert in_worker(fake, handover, exporter) == [1, 2]
    assert in_worker(fake, handover, exporter) == []
    handover.take(record(3))
    assert in_worker(fake, handover, exporter) == [3]
    handover.take(record(4))
    handover.shutdown()
    assert exporter.taken == [4]
    assert lost == []


def test_a_worker_that_is_killed_while_it_takes(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody knows any more what was taken, all that is held is delivered, rather twice than never."""
    monkeypatch.setattr(module_of_handover, "_NUMBER_SECONDS", 0.01)
    fake(0, os.getpid())
    exporter, lost = Exporter(), Losses()
    handover = handover_of(exporter, lost)
    ends = os.pipe()
    monkeypatch.setattr(os, "pipe", lambda: ends)
    handover.take(record(1))
    assert os.read(ends[0], 9) == bytes(8)
    handover.shutdown()
    assert exporter.taken == [1]


def test_a_host_that_closes_files_it_does_not_know(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file of the host's that has a descriptor of ours by then is neither read, written nor closed."""
    fake(0, os.getpid())
    exporter, lost = Exporter(), Losses()
    handover = handover_of(exporter, lost)
    ends = os.pipe()
    with monkeypatch.context() as patched:
        patched.setattr(os, "pipe", lambda: ends)
        handover.take(record(1))
    host_file = tmp_path / "desk.db"
    host_file.write_bytes(b"the host's own data")
    opened = os.open(host_file, os.O_RDWR)
    for end in ends:
        os.dup2(opened, end)
    handover.shutdown()
    assert exporter.taken == [1]
    assert host_file.read_bytes() == b"the host's own data"
    assert [os.lseek(end, 0, os.SEEK_CUR) for end in ends] == [0, 0]
    for end in (opened, *ends):
        os.close(end)


def test_no_file_can_be_opened(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no pipe can be made, what is held is delivered by whoever has it."""
    fake(0, os.getpid())
    exporter, lost = Exporter(), Losses()
    handover = handover_of(exporter, lost)
    monkeypatch.setattr(os, "pipe", partial(fails, OSError("no pipe")))
    with pytest.raises(OSError, match="no pipe"):
        handover.take(record(1))
    handover.shutdown()
    assert exporter.taken == [1]


def fails(error: Exception) -> NoReturn:
    """In the place of something that goes wrong."""
    raise error


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 of forks beside threads
def test_a_master_that_can_start_no_thread(fake: Fake) -> None:
    """What it still holds when it ends, and what comes then, is counted as lost where no thread starts."""
    fake(0, os.getpid())
    lost = Losses()
    handover = Handover(partial(fails, RuntimeError()), lambda count, why: lost.append((count, why)), 2)
    handover.take(record(1))
    handover.shutdown()
    handover.take(record(2))
    assert lost == [(1, "uWSGI ended before a worker was there"), (1, "the process is ending")]
    assert handover.gave_up is True
