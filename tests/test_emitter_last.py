"""A process's first event in a handler of its exit: no handler of ours follows, and no thread may start."""

from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident.config_exporters import Batch
from otel_incident.destinations import Destination
from otel_incident.ending import exit_has_begun
from otel_incident.processors import LastProcessor
from tests.emitting_host import endpoint_of
from tests.otlp_receiver import HANG, OtlpReceiver
from tests.processes import succeed
from tests.scripted_exporter import FAILURE, SUCCESS, Scripted, take

PROGRAM: Final = """
    import atexit, threading
    from otel_incident import Incident, IncidentEmitter

    class Thread(threading.Thread):
        def start(self):
            if not threading.main_thread().is_alive():  # as Python 3.12 has it
                raise RuntimeError("can't create new thread at interpreter shutdown")
            super().start()

    if {no_threads}:
        threading.Thread = Thread
    emitter = IncidentEmitter()

    def report():
        emitter.create(Incident(id=1))
        emitter.end(Incident(id=1))
        print("the host's own")

    atexit.register(report)
"""
THREADS: Final = pytest.mark.parametrize("no_threads", [True, False], ids=["3.12", "3.11"])
NAMES: Final = ["incident.create", "incident.end"]
LOST: Final = (
    "Incident events that came when the process was ending are lost to the exporter {} ({}). "
    "This is said once."
)


def variables(directory: Path, transport: str, receiver: OtlpReceiver) -> dict[str, str]:
    """Those of a host that sends to the receiver."""
    return {
        **endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint),
        "OTEL_INCIDENT_STATE_DIR": str(directory),
        "OTEL_INCIDENT_SERVER_VERSION": "1",
    }


@THREADS
@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_without_a_spool_it_is_delivered_at_once(
    receiver: OtlpReceiver,
    tmp_path: Path,
    transport: str,
    no_threads: bool,  # noqa: FBT001  a table's column
) -> None:
    """In memory nothing would keep it: the thread that reports it delivers it."""
    told = variables(tmp_path, transport, receiver) | {"OTEL_INCIDENT_SPOOL": "false"}
    ended = succeed(PROGRAM.format(no_threads=no_threads), told)
    assert (ended.stdout, ended.stderr) == ("the host's own\n", "")
    assert [event.event_name for event in receiver.wait_for_events(2)] == NAMES


@THREADS
def test_in_the_spool_it_waits_for_the_next_start(
    receiver: OtlpReceiver,
    tmp_path: Path,
    no_threads: bool,  # noqa: FBT001  a table's column
) -> None:
    """On disk it is safe: the next process delivers it, and nothing is said."""
    told = variables(tmp_path, "http", receiver)
    ended = succeed(PROGRAM.format(no_threads=no_threads), told)
    assert (ended.stdout, ended.stderr) == ("the host's own\n", "")
    (segment,) = tmp_path.glob("spool/*/segments/*")
    assert segment.read_text().count("\n") == 2
    succeed("from otel_incident import *; IncidentEmitter().restart(Incident(id=1))", told)
    names = [event.event_name for event in receiver.wait_for_events(3)]
    assert names == [*NAMES, "incident.restart"]


def test_an_endpoint_that_hangs_costs_the_exit_its_bound(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """The first attempt ends by its time limit, the second is not made, and one line says so."""
    receiver.answer_with(HANG)
    told = variables(tmp_path, "http", receiver) | {"OTEL_INCIDENT_SPOOL": "false"}
    ended = succeed(PROGRAM.format(no_threads=True), told, timeout=30)
    assert ended.stdout == "the host's own\n"
    assert ended.stderr == LOST.format("otlp_proto_http", "ReadTimeout") + "\n"
    assert len(receiver.requests) == 1


def last(scripted: Any, *times: float) -> LastProcessor:
    """One that delivers within two seconds, by a clock that says these times."""
    destination = Destination("x", "x", "", Batch(), lambda: scripted)
    clock = iter(times)
    return LastProcessor(destination, 2.0, lambda: next(clock))


def test_none_begins_when_half_the_time_is_used(caplog: pytest.LogCaptureFixture) -> None:
    """Two attempts of at most half the bound each stay within it; what comes then is lost, said once."""
    scripted = Scripted(SUCCESS)
    processor = last(scripted, 0.0, 0.5, 7.0, 7.5, 8.0, 8.0)
    for _ in range(4):
        take(processor, 1)
    assert scripted.batches == [["0"], ["0"]]
    assert caplog.messages == [LOST.format("x", "the process has to end")]
    assert (processor.gave_up, processor.force_flush()) == (True, False)


def test_a_refusal_is_the_last_attempt(caplog: pytest.LogCaptureFixture) -> None:
    """Where one was not taken no other is tried."""
    scripted = Scripted(FAILURE)
    processor = last(scripted, 0.0, 0.0)
    take(processor, 2)
    assert scripted.batches == [["0"]]
    assert caplog.messages == [LOST.format("x", "no answer")]


@pytest.mark.parametrize("error", [ValueError, RuntimeError])
def test_an_exporter_that_cannot_be_made(error: type[Exception], caplog: pytest.LogCaptureFixture) -> None:
    """It is said by the class of what was raised, and the host goes on."""

    def build() -> Any:
        raise error("s3cr3t")

    processor = LastProcessor(Destination("x", "x", "", Batch(), build), 2.0)
    take(processor, 2)
    processor.shutdown()
    assert caplog.messages == [LOST.format("x", error.__name__)]


def test_a_process_at_work_has_not_begun_its_exit() -> None:
    """While the main thread runs handlers can be registered."""
    assert exit_has_begun() is False
