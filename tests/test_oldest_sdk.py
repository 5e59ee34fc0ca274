"""The oldest versions that `pyproject.toml` allows, all at once: whoever has them gets the same events.

What the gate does with them is in test_gate_sdks.py, beside the newest.
"""

import json
import re
import textwrap
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident.config import Config
from otel_incident.preview import preview
from tests.emitting_host import endpoint_of
from tests.host_environment import HostEnvironment, host_environment, run_in
from tests.host_packages import auto_requirements, runtime_requirements
from tests.incident_course import (
    DESCRIBED,
    DIAGNOSTIC_ID,
    GOES_ON,
    IN_CODE,
    assert_five_calls,
    assert_hooked,
    desk,
)
from tests.otlp_receiver import HANG, OK, OtlpReceiver, PartialSuccess, Status
from tests.processes import Ended
from tests.spool_hosts import EMITTER, variables

SDK: Final = "1.40.0"
TRANSPORTS: Final = pytest.mark.parametrize("transport", ["grpc", "http"])
EXPORTERS: Final = {"grpc": "otlp_proto_grpc", "http": "otlp_proto_http"}


def oldest(requirement: str) -> str:
    """The same requirement, met by its lowest version alone."""
    floor = re.match(r"([\w-]+) *>= *([\w.]+)", requirement)
    assert floor is not None, requirement
    return f"{floor[1]} == {floor[2]}"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where the oldest of everything is installed, with this package's wheel."""
    floors = tuple(oldest(each) for each in (*runtime_requirements(), *auto_requirements()))
    return host_environment("oldest", tmp_path_factory.mktemp("oldest"), floors)


def python(
    environment: HostEnvironment, directory: Path, variables: Mapping[str, str], code: str, *words: str
) -> Ended:
    """A program there."""
    return environment.run(
        [environment.tool("python"), "-c", code, *words], {**DESCRIBED, **variables}, directory
    )


def endpoint(receiver: OtlpReceiver, transport: str = "http") -> dict[str, str]:
    """The variables that send to the receiver."""
    return endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint)


def test_it_is_the_oldest(environment: HostEnvironment, tmp_path: Path) -> None:
    """What is tested here is exactly what is promised, to the last requirement."""
    code = (
        "import json, re\n"
        "from importlib.metadata import requires, version\n"
        "names = sorted(re.match(r'[\\w-]+', each)[0] for each in requires('otel-incident'))\n"
        "print(json.dumps({name: version(name) for name in names}))\n"
    )
    assert json.loads(python(environment, tmp_path, {}, code).stdout) == {
        "opentelemetry-api": SDK,
        "opentelemetry-distro": "0.61b0",
        "opentelemetry-exporter-otlp": SDK,
        "opentelemetry-instrumentation": "0.61b0",
        "opentelemetry-sdk": SDK,
        "wrapt": "1.14.0",
    }


@TRANSPORTS
def test_the_five_calls_arrive(
    transport: str, receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """Over both protocols the events have exactly the attributes, types and envelope of the newest SDK's."""
    ended = python(environment, tmp_path, endpoint(receiver, transport), IN_CODE)
    assert (ended.status, ended.stdout, ended.stderr) == (0, GOES_ON, "")
    assert {request.transport for request in receiver.requests} == {transport}
    assert_five_calls(receiver.wait_for_events(5), SDK)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "1"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many"),
    ],
)
def test_limits_on_attributes_do_not_apply(
    variable: str, value: str, receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """This SDK's providers take no limits, and events are whole all the same."""
    ended = python(environment, tmp_path, {**endpoint(receiver), variable: value}, IN_CODE)
    assert (ended.status, ended.stdout, ended.stderr) == (0, GOES_ON, "")
    assert_five_calls(receiver.wait_for_events(5), SDK)


def test_hooks_arrive_without_a_line_of_code(
    receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """Under its `opentelemetry-instrument` a hook file is enough."""
    with desk(environment, tmp_path, {**endpoint(receiver), "OTEL_TRACES_EXPORTER": "none"}) as process:
        assert_hooked(receiver.wait_for_events(2), SDK)
        stdout, stderr = process.communicate(timeout=60.0)
    assert (process.returncode, stdout, stderr) == (0, GOES_ON, "")
    assert b"Checkout" not in receiver.raw_bytes()


def test_the_preview(environment: HostEnvironment, tmp_path: Path) -> None:
    """`otel-incident preview` prints what it prints with any SDK, but for the SDK's version and the uids."""
    ended = run_in(
        tmp_path,
        [environment.tool("python"), str(environment.package / "bin" / "otel-incident"), "preview"],
        {**environment.variables(), **DESCRIBED},
    )
    assert (ended.status, ended.stderr) == (0, "")
    expected = preview(Config(diagnostic_id=DIAGNOSTIC_ID, server_version="5.4.0"))
    printed = json.loads(ended.stdout)
    assert resource(printed) == {
        **resource(expected),
        "service.name": {"stringValue": "incident desk"},
        "telemetry.sdk.version": {"stringValue": SDK},
    }
    assert resource(expected)["telemetry.sdk.version"] == {"stringValue": version("opentelemetry-sdk")}
    assert records(printed) == records(expected)


def resource(request: dict[str, Any]) -> dict[str, Any]:
    """The resource's attributes in OTLP JSON."""
    (resource_logs,) = request["resourceLogs"]
    return {each["key"]: each["value"] for each in resource_logs["resource"]["attributes"]}


def records(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The records in OTLP JSON, without what is another each time."""
    ((scope_logs,),) = (each["scopeLogs"] for each in request["resourceLogs"])
    for record in scope_logs["logRecords"]:
        del record["observedTimeUnixNano"]
        assert record.pop("body", {}) == {}  # that there is none is encoded as empty by newer SDKs
        record["attributes"] = [each for each in record["attributes"] if each["key"] != "log.record.uid"]
    found: list[dict[str, Any]] = scope_logs["logRecords"]
    return found


@TRANSPORTS
def test_a_refusal_is_one_line(
    transport: str, receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """What its exporters log of a refusal is one line of ours, with the reason; the host runs."""
    receiver.answer_with(Status(400))
    ended = python(environment, tmp_path, endpoint(receiver, transport), IN_CODE)
    reason = {"grpc": "gRPC INVALID_ARGUMENT", "http": "HTTP 400"}[transport]
    assert (ended.status, ended.stdout) == (0, GOES_ON)
    assert ended.stderr == (
        f"Incident events cannot be delivered by the exporter {EXPORTERS[transport]} ({reason}); they are "
        "dropped until its endpoint takes them again. This is said once for an outage.\n"
    )


@TRANSPORTS
def test_the_exit_does_not_wait_for_a_backend(
    transport: str, receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """A host that ends while its backend hangs keeps its status, and one line says what it cost."""
    receiver.answer_with(HANG)
    code = IN_CODE.replace("default_pipeline().force_flush()", "")
    ended = python(environment, tmp_path, endpoint(receiver, transport), code)
    assert (ended.status, ended.stdout) == (0, GOES_ON)
    assert ended.stderr == (
        f"5 incident events were not delivered by the exporter {EXPORTERS[transport]} when the process ended "
        "(no answer).\n"
    )


SPOOLING: Final = textwrap.dedent(
    EMITTER
    + """
    for number in range(1, 9):
        emit(number)
    while not processor.force_flush():
        pass
    provider.shutdown()
    status = processor.status()
    print(status.delivered, status.rejected, status.quarantined, repr(status.outage), status.waiting_bytes)
"""
)


@TRANSPORTS
def test_the_spool(
    transport: str, receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """Its exporters' answers are heard as well: what is held arrives, what is refused in part is counted."""
    receiver.answer_with(Status(503), Status(401), PartialSuccess(1), OK)
    ended = python(environment, tmp_path, variables(tmp_path / "spool", receiver, transport), SPOOLING)
    assert (ended.status, ended.stdout) == (0, "8 1 0 '' 0\n"), ended.stderr
    assert ended.stderr.count("\n") == 3  # the outage, its end, what was refused
    assert [event.timestamp for event in receiver.telemetry().events] == list(range(1, 9))
    assert {request.transport for request in receiver.requests} == {transport}


@TRANSPORTS
def test_the_spool_sets_aside(
    transport: str, receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """A refusal is heard for what it is, which success or failure alone would not tell."""
    receiver.answer_with(Status(400))
    ended = python(environment, tmp_path, variables(tmp_path / "spool", receiver, transport), SPOOLING)
    assert (ended.status, ended.stdout) == (0, "0 0 8 '' 0\n"), ended.stderr
    kept = (tmp_path / "spool" / "exporter.quarantine").glob("*.jsonl")
    names = {"http": "http-400", "grpc": "grpc-invalid-argument"}
    assert [path.stem.partition("-")[2] for path in kept] == [names[transport]]


def test_a_configuration_file_is_not_for_it(
    receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """No SDK of that age reads one: nothing is sent past it, and one line says what to install."""
    variables = {**endpoint(receiver), "OTEL_CONFIG_FILE": str(tmp_path / "otel.yaml")}
    ended = python(environment, tmp_path, variables, IN_CODE)
    assert (ended.status, ended.stdout) == (0, GOES_ON)
    assert ended.stderr == (
        "OTEL_CONFIG_FILE is set, but opentelemetry-configuration is not installed: install it, or unset "
        "the variable. Incident telemetry stays off. No gate is set, and none is in place.\n"
    )
    assert receiver.requests == ()
