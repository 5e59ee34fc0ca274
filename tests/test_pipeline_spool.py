"""The spool in the events' own pipeline: what was reported is on disk, and leaves in the end."""

import itertools
import json
import os
import signal
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.emitting_host import endpoint_of
from tests.incident_course import IN_CODE
from tests.otlp_receiver import OK, OtlpReceiver, Status
from tests.processes import Ended, run, start, succeed
from tests.spool_hosts import KNOWN
from tests.telemetry import LogEvent
from tests.zero_code import BY_HAND

NOWHERE: Final = "http://127.0.0.1:9"
DESK: Final = {**KNOWN, "OTEL_SERVICE_NAME": "desk", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
REPORT: Final = """
    import os, sys
    from otel_incident import Incident, IncidentEmitter
    emitter = IncidentEmitter()
    for number in range(int(os.environ["FIRST"]), int(os.environ["FIRST"]) + 3):
        emitter.create(Incident(id=number))
    if os.environ.get("KILLED"):
        os.kill(os.getpid(), 9)
"""


class Desk:
    """A host whose processes share a state directory."""

    def __init__(self, directory: Path) -> None:
        """Nothing is there yet.

        Args:
            directory: The state directory.
        """
        self.directory = directory

    def run(self, code: str, endpoint: str = NOWHERE, **variables: str) -> Ended:
        """A process of it."""
        return run(code, self.variables(endpoint, **variables))

    def variables(self, endpoint: str = NOWHERE, **variables: str) -> dict[str, str]:
        """The environment of its processes."""
        state = {"OTEL_INCIDENT_STATE_DIR": str(self.directory), "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        return {**DESK, **state, **variables}

    def lines(self) -> list[dict[str, Any]]:
        """What its segments hold."""
        paths = sorted(self.directory.glob("spool/*/segments/*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A host that has not run yet."""
    return Desk(tmp_path / "state")


def ids(events: Iterable[LogEvent]) -> list[str]:
    """Of which incidents events speak."""
    return [str(event.attributes["incident.id"]) for event in events]


def test_an_event_is_on_disk_when_the_call_returns(desk: Desk, receiver: OtlpReceiver) -> None:
    """A process that is killed right after has lost nothing: the next one delivers it with its own."""
    assert desk.run(REPORT, FIRST="1", KILLED="yes").status == -signal.SIGKILL
    assert len(desk.lines()) == 3
    ended = desk.run(REPORT, receiver.http_endpoint, FIRST="4")
    assert (ended.status, ended.stderr) == (0, "")
    assert receiver.requests == () or ids(receiver.telemetry().events) == ["4", "5", "6"]
    assert len(desk.lines()) == 3  # meant for another endpoint: they stay


def test_a_restart_delivers_what_was_left(desk: Desk) -> None:
    """What a killed process has left the next one delivers, before its own, with the resource of each."""
    with OtlpReceiver() as receiver:
        endpoint = receiver.http_endpoint
        receiver.answer_with(Status(503))
        assert desk.run(REPORT, endpoint, FIRST="1", KILLED="yes", OTEL_RESOURCE_ATTRIBUTES="n=1").status < 0
        receiver.answer_with(OK)
        ended = desk.run(REPORT, endpoint, FIRST="4", OTEL_RESOURCE_ATTRIBUTES="n=2")
        assert (ended.status, ended.stderr) == (0, "")
        events = receiver.wait_for_events(6)
    assert ids(events) == ["1", "2", "3", "4", "5", "6"]
    assert [event.resource["n"] for event in events] == ["1"] * 3 + ["2"] * 3
    assert len({event.attributes["log.record.uid"] for event in events}) == 6
    assert desk.lines() == []


def test_a_start_without_an_event_delivers_what_was_left(desk: Desk, receiver: OtlpReceiver) -> None:
    """An instrumented host does not wait for an incident of its own to deliver those of a former process."""
    variables = desk.variables(receiver.http_endpoint, OTEL_INCIDENT_GATE="off")
    killed = {**variables, "FIRST": "1", "KILLED": "yes"}
    assert run(REPORT, killed).status < 0
    program = f"{BY_HAND}\n    import sys; sys.stdin.read()\n"
    process = start(program, variables)
    try:
        assert ids(receiver.wait_for_events(3, timeout=30)) == ["1", "2", "3"]
    finally:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


REMADE: Final = """
    import os, shutil
    from pathlib import Path
    from otel_incident import Incident, IncidentEmitter

    emitter = IncidentEmitter()
    emitter.create(Incident(id=1))
    spool = Path(os.environ["OTEL_INCIDENT_STATE_DIR"]) / "spool"
    (said,) = spool.glob("*/destination.json")
    text = said.read_text()
    shutil.rmtree(spool)
    emitter.create(Incident(id=2))
    print(said.read_text() == text, [path.name for path in said.parent.glob("segments")])
"""


def test_a_folder_that_is_removed_from_under_a_host(desk: Desk) -> None:
    """It is made anew with the next event, and says again whose it is and where what is in it goes."""
    ended = desk.run(REMADE)
    assert (ended.status, ended.stdout) == (0, "True ['segments']\n"), ended.stderr
    assert [len(desk.lines()), len(list(desk.directory.glob("spool/*/destination.json")))] == [1, 1]


def test_nothing_left_nothing_made(desk: Desk) -> None:
    """A start with an empty spool loads, makes and starts nothing of it."""
    succeed(REPORT, {**desk.variables(), "FIRST": "1", "OTEL_LOGS_EXPORTER": "console"})
    program = f"""{BY_HAND}
    import sys, threading
    print([name for name in sys.modules if name.startswith("otel_incident.spool")], threading.active_count())
    """
    assert succeed(program, desk.variables(OTEL_INCIDENT_GATE="off")).stdout == "[] 1\n"
    assert not (desk.directory / "spool").exists()


def test_two_services_in_one_directory(desk: Desk) -> None:
    """Nothing that waits for the endpoint of one service leaves to that of another."""
    with OtlpReceiver() as one, OtlpReceiver() as other:
        one.answer_with(Status(503))
        other.answer_with(Status(503))
        for receiver, name, first in ((one, "first", "1"), (other, "second", "4")):
            assert desk.run(REPORT, receiver.http_endpoint, FIRST=first, OTEL_SERVICE_NAME=name).status == 0
        one.answer_with(OK)
        other.answer_with(OK)
        desk.run(REPORT, other.http_endpoint, FIRST="7", OTEL_SERVICE_NAME="second")
        assert ids(other.wait_for_events(6)) == ["4", "5", "6", "7", "8", "9"]
        desk.run(REPORT, one.http_endpoint, FIRST="10", OTEL_SERVICE_NAME="first")
        assert ids(one.wait_for_events(6)) == ["1", "2", "3", "10", "11", "12"]
        assert len(other.telemetry().events) == 6
    folders = sorted(path.name.rpartition("-")[0] for path in (desk.directory / "spool").iterdir())
    assert folders == ["first", "second"]


@pytest.mark.parametrize("mode", [0o700, 0o2775])
def test_modes(desk: Desk, mode: int) -> None:
    """Whatever the state directory is like: what is in it is for this user alone."""
    desk.directory.mkdir()
    desk.directory.chmod(mode)
    before = os.umask(0)
    try:
        assert desk.run(REPORT, FIRST="1").status == 0
    finally:
        os.umask(before)
    own = desk.directory if mode == 0o700 else desk.directory / "otel-incident"
    found = [own, *own.rglob("*")]
    assert any(path.name.endswith(".jsonl") for path in found)
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode) & 0o777) for path in found}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_a_spool_directory_of_its_own(desk: Desk, tmp_path: Path) -> None:
    """`OTEL_INCIDENT_SPOOL_DIR` holds the spool; the state directory does not."""
    place = tmp_path / "elsewhere" / "events"
    assert desk.run(REPORT, FIRST="1", OTEL_INCIDENT_SPOOL_DIR=str(place)).status == 0
    assert len(list(place.glob("desk-*/segments/*.jsonl"))) == 1
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert not (desk.directory / "spool").exists()


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_INCIDENT_SPOOL": "false"},
        {"OTEL_LOGS_EXPORTER": "none"},
        {"OTEL_LOGS_EXPORTER": "console"},
        {"OTEL_INCIDENT_ENABLED": "false"},
        {"OTEL_SDK_DISABLED": "true"},
    ],
)
def test_no_spool(desk: Desk, variables: dict[str, str]) -> None:
    """Where nothing is to be kept on disk, nothing is made there."""
    assert desk.run(REPORT, FIRST="1", **variables).status == 0
    assert list(desk.directory.glob("**/*.jsonl")) == []
    assert not (desk.directory / "spool").exists()


def test_without_a_home_directory() -> None:
    """Nowhere to keep events: one line says so, and they are delivered from memory."""
    with OtlpReceiver() as receiver:
        variables = {**DESK, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint, "FIRST": "1"}
        ended = succeed(REPORT, variables)
        assert ids(receiver.wait_for_events(3)) == ["1", "2", "3"]
    assert ended.stderr == (
        "There is no home directory to keep events in until they are delivered, so they wait in memory: set "
        "OTEL_INCIDENT_SPOOL_DIR to a writable directory, or OTEL_INCIDENT_SPOOL=false.\n"
    )


LATE: Final = """
    import atexit
    from otel_incident import Incident, IncidentEmitter
    emitter = IncidentEmitter()
    atexit.register(lambda: emitter.end(Incident(id=2)))  # before us, so that it is called after us
    emitter.create(Incident(id=1))
"""


def test_an_event_after_the_end_of_delivery(desk: Desk, receiver: OtlpReceiver) -> None:
    """What a host reports at its very end is kept, and the next start delivers it."""
    ended = desk.run(LATE, receiver.http_endpoint)
    assert (ended.status, ended.stderr) == (0, "")
    assert ids(receiver.wait_for_events(1)) == ["1"]
    assert len(desk.lines()) == 1
    desk.run(REPORT, receiver.http_endpoint, FIRST="3")
    assert ids(receiver.wait_for_events(5)) == ["1", "2", "3", "4", "5"]


def test_an_event_after_the_end_of_delivery_in_memory(desk: Desk, receiver: OtlpReceiver) -> None:
    """In memory there is nothing that would keep it: one line says that it is lost."""
    ended = desk.run(LATE, receiver.http_endpoint, OTEL_INCIDENT_SPOOL="false")
    assert ended.stderr == (
        "Incident events that came after the end of delivery are lost to the exporter otlp_proto_http: the "
        "process is ending. This is said once.\n"
    )
    assert ids(receiver.wait_for_events(1)) == ["1"]


CHILDREN: Final = """
    import multiprocessing, sys
    from otel_incident import Incident, IncidentEmitter
    from otel_incident.pipeline import default_pipeline

    emitter = IncidentEmitter()

    def work(number):
        emitter.create(Incident(id=number))

    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        emitter.create(Incident(id=100))
        children = [context.Process(target=work, args=(number,)) for number in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join()
"""


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_children_that_end_without_a_farewell(desk: Desk, receiver: OtlpReceiver, transport: str) -> None:
    """Workers of `multiprocessing` end by `os._exit`, perhaps while they deliver: their parent goes on."""
    where = endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint)
    ended = desk.run(
        CHILDREN,
        where["OTEL_EXPORTER_OTLP_ENDPOINT"],
        OTEL_EXPORTER_OTLP_PROTOCOL=where["OTEL_EXPORTER_OTLP_PROTOCOL"],
    )
    assert (ended.status, ended.stdout, ended.stderr) == (0, "", "")
    by_uid = {event.attributes["log.record.uid"]: event for event in receiver.telemetry().events}
    assert sorted(map(int, ids(by_uid.values()))) == [0, 1, 2, 3, 100]  # a batch that was cut off comes twice
    assert desk.lines() == []


def test_a_dead_exporter_holds_up_no_other(desk: Desk, receiver: OtlpReceiver) -> None:
    """Of two exporters the live one gets every event at once; what the dead one lacks waits for it."""
    variables = {
        "OTEL_LOGS_EXPORTER": "otlp_proto_http,otlp_proto_grpc",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{receiver.http_endpoint}/v1/logs",  # which is no gRPC server
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5",
    }
    ended = desk.run(REPORT, FIRST="1", **variables)
    assert ended.status == 0
    assert ended.stderr.startswith("Log records wait in the spool: the exporter otlp_proto_grpc cannot ")
    assert ids(receiver.wait_for_events(3)) == ["1", "2", "3"]
    assert len(desk.lines()) == 3


def test_what_is_on_disk_is_what_leaves(desk: Desk, receiver: OtlpReceiver) -> None:
    """By way of the disk an event is the same as by way of memory, to its last attribute and type."""
    arrived = []
    for number, spool in enumerate(("true", "false")):
        ended = desk.run(IN_CODE, receiver.http_endpoint, OTEL_INCIDENT_SPOOL=spool)
        assert (ended.stdout, ended.stderr) == ("the host goes on\n", "")
        arrived.append(receiver.wait_for_events(5 * (number + 1))[5 * number :])
    changing = {"log.record.uid", "incident.duration"}

    def same(event: LogEvent) -> tuple[object, ...]:
        told = {key: value for key, value in event.attributes.items() if key not in changing}
        origin = (event.resource, event.resource_types, event.scope_name, event.scope_version)
        what = (event.event_name, event.has_body, event.severity_number, event.severity_text, event.flags)
        return told, event.attribute_types, *origin, event.scope_schema_url, *what, event.trace_id

    for on_disk, in_memory in itertools.zip_longest(*arrived):
        assert same(on_disk) == same(in_memory)


MOVED: Final = """
    import os
    from otel_incident import Incident, IncidentEmitter
    from otel_incident.pipeline import default_pipeline

    IncidentEmitter().create(Incident(id=1))
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = os.environ["ELSEWHERE"]
    print(default_pipeline().force_flush())
"""


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_an_environment_that_changes_later(desk: Desk, receiver: OtlpReceiver, transport: str) -> None:
    """An event goes where the environment said when it was filed, though the exporter is made afterwards."""
    where = endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint)
    with OtlpReceiver() as other:
        elsewhere = endpoint_of(transport, other.grpc_endpoint, other.http_endpoint)
        moved = {"ELSEWHERE": elsewhere["OTEL_EXPORTER_OTLP_ENDPOINT"]}
        ended = run(MOVED, {**desk.variables(), **where, **moved})
        assert (ended.status, ended.stdout, ended.stderr) == (0, "True\n", "")
        assert other.requests == ()
    assert ids(receiver.wait_for_events(1)) == ["1"]


RETURNED: Final = """
    import threading
    from otel_incident import Incident, IncidentEmitter
    emitter = IncidentEmitter()

    def serve():
        threading.main_thread().join()
        for number in range(3):
            emitter.create(Incident(id=number))

    threading.Thread(target=serve).start()
"""


def test_a_first_event_when_the_main_thread_has_returned(desk: Desk, receiver: OtlpReceiver) -> None:
    """A host whose work is done by other threads, its main one having returned, loses nothing."""
    ended = desk.run(RETURNED, receiver.http_endpoint)
    assert (ended.status, ended.stderr) == (0, "")
    assert ids(receiver.wait_for_events(3)) == ["0", "1", "2"]
