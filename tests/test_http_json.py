"""OTLP over HTTP as JSON: its exporter is a package of its own, and the SDK does not know the protocol."""

import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.backend import Backend
from tests.host_environment import HostEnvironment, host_environment
from tests.incident_course import DESCRIBED, GOES_ON, IN_CODE, assert_five_calls, assert_hooked, desk
from tests.otlp_receiver import HANG, OtlpReceiver, Status
from tests.processes import Ended, succeed

SDK: Final = "1.45.2"
BY_NAME: Final = {"OTEL_LOGS_EXPORTER": "otlp_json_http"}
BY_PROTOCOL: Final = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}
BY_LOGS_PROTOCOL: Final = {
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/json",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
}
CHOSEN: Final = pytest.mark.parametrize(
    "chosen",
    [BY_NAME, BY_PROTOCOL, BY_LOGS_PROTOCOL],
    ids=["exporter", "protocol", "protocol of logs"],
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where the JSON exporter is installed, with this package's wheel."""
    return host_environment("http_json", tmp_path_factory.mktemp("http-json"))


def in_code(environment: HostEnvironment, directory: Path, variables: Mapping[str, str]) -> Ended:
    """The five calls in a process there."""
    return environment.run([environment.tool("python"), "-c", IN_CODE], {**DESCRIBED, **variables}, directory)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Status, stdout and stderr of a desk that is let go."""
    stdout, stderr = process.communicate(timeout=60.0)
    return process.returncode, stdout, stderr


@CHOSEN
def test_the_five_calls_arrive(
    chosen: dict[str, str], backend: Backend, environment: HostEnvironment, tmp_path: Path
) -> None:
    """At any backend, the events have exactly the attributes and types that protobuf gives them."""
    done = in_code(environment, tmp_path, {**chosen, "OTEL_EXPORTER_OTLP_ENDPOINT": backend.http_endpoint})
    assert (done.status, done.stdout, done.stderr) == (0, GOES_ON, "")
    assert_five_calls(backend.wait_for_events(5), SDK)


@CHOSEN
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_what_goes_over_the_wire_is_json(
    compression: str,
    chosen: dict[str, str],
    receiver: OtlpReceiver,
    environment: HostEnvironment,
    tmp_path: Path,
) -> None:
    """One request with a JSON body, compressed or not as asked for, with an id as a JSON string."""
    done = in_code(
        environment,
        tmp_path,
        {
            **chosen,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
        },
    )
    assert (done.status, done.stdout, done.stderr) == (0, GOES_ON, "")
    (request,) = receiver.requests
    assert (request.transport, request.signal, request.content_type) == ("http", "logs", "application/json")
    assert request.headers.get("content-encoding", "none") == compression
    assert (request.raw == request.payload) == (compression == "none")
    assert b'{"key": "incident.commander.id", "value": {"stringValue": "7"}}' in request.payload
    assert_five_calls(receiver.telemetry().events, SDK)


def test_hooks_arrive_without_a_line_of_code(
    backend: Backend, environment: HostEnvironment, tmp_path: Path
) -> None:
    """Under `opentelemetry-instrument` the exporter's name is enough, and no content is in what arrives."""
    variables = {
        **BY_NAME,
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.http_endpoint,
    }
    with desk(environment, tmp_path, variables) as process:
        assert_hooked(backend.wait_for_events(2), SDK)
        assert ended(process) == (0, GOES_ON, "")
    assert b"incident.create" in backend.raw_bytes()
    assert b"Checkout" not in backend.raw_bytes()


def test_the_protocol_beside_the_exporters_names(
    receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """With an exporter named for each signal, the SDK bears the protocol, and events arrive as JSON."""
    names = {"OTEL_TRACES_EXPORTER": "otlp_json_http", **BY_NAME, "OTEL_METRICS_EXPORTER": "none"}
    variables = {**BY_PROTOCOL, **names, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint}
    with desk(environment, tmp_path, variables) as process:
        assert_hooked(receiver.wait_for_events(2), SDK)
        assert ended(process) == (0, GOES_ON, "")
    assert {request.content_type for request in receiver.requests} == {"application/json"}


def test_the_protocol_alone_keeps_opentelemetry_from_starting(
    receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """Under `opentelemetry-instrument` the SDK refuses it before we are loaded: it says so, the host runs."""
    variables = {**BY_PROTOCOL, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint}
    with desk(environment, tmp_path, variables) as process:
        status, stdout, stderr = ended(process)
    assert (status, stdout) == (0, GOES_ON)
    assert "RuntimeError: Unsupported OTLP protocol 'http/json' is configured\n" in stderr
    assert "otel_incident" not in stderr
    assert receiver.requests == ()


@pytest.mark.parametrize("chosen", [BY_NAME, BY_PROTOCOL], ids=["exporter", "protocol"])
def test_without_the_exporter_s_package_one_line_says_what_to_install(chosen: dict[str, str]) -> None:
    """Where it is not installed the host runs, and one line names the package."""
    done = succeed(IN_CODE, {**DESCRIBED, **chosen})
    assert done.stdout == GOES_ON
    assert done.stderr == (
        "Incident events cannot be delivered by the exporter otlp_json_http (no installed package has an "
        "exporter of that name in the group opentelemetry_logs_exporter: "
        "install opentelemetry-exporter-otlp-json-http); they are dropped until its endpoint takes them "
        "again. This is said once for an outage.\n"
    )


@pytest.mark.parametrize(
    ("answer", "reason"), [(Status(400), "HTTP 400"), (Status(401), "HTTP 401"), (Status(413), "HTTP 413")]
)
def test_a_refusal_is_one_line(
    answer: Status, reason: str, receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """What the exporter logs of a refusal becomes our one line with the status; the host runs."""
    receiver.answer_with(answer)
    done = in_code(environment, tmp_path, {**BY_NAME, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint})
    assert (done.status, done.stdout) == (0, GOES_ON)
    assert done.stderr == (
        f"Incident events cannot be delivered by the exporter otlp_json_http ({reason}); they are dropped "
        "until its endpoint takes them again. This is said once for an outage.\n"
    )


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "absent"])
def test_the_exit_does_not_wait_for_a_backend(
    hangs: bool,  # noqa: FBT001  a parameter of the test
    receiver: OtlpReceiver,
    environment: HostEnvironment,
    tmp_path: Path,
) -> None:
    """A host that ends while nobody answers keeps its status, and one line says what it cost."""
    receiver.answer_with(HANG)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and nobody listens there
        endpoint = receiver.http_endpoint if hangs else f"http://127.0.0.1:{held.getsockname()[1]}"
        done = environment.run(
            [environment.tool("python"), "-c", IN_CODE.replace("default_pipeline().force_flush()", "")],
            {**DESCRIBED, **BY_NAME, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint},
            tmp_path,
        )
    assert (done.status, done.stdout) == (0, GOES_ON)
    reason = "no answer" if hangs else "MaxRetryError"
    assert done.stderr == (
        "5 incident events were not delivered by the exporter otlp_json_http when the process ended "
        f"({reason}).\n"
    )


def test_the_doctor_asks_the_endpoint(
    receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """Its exporter sends the request without a record, past the proxies that it does not know."""
    words = [environment.tool("python"), "-m", "otel_incident.cli", "doctor"]
    variables = {**BY_NAME, "OTEL_SERVICE_NAME": "desk", "OTEL_INCIDENT_STATE_DIR": str(tmp_path / "state")}
    variables |= {"http_proxy": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    said = []
    for url in (receiver.http_endpoint, "http://collector.invalid:4318"):
        done = environment.run(words, {**variables, "OTEL_EXPORTER_OTLP_ENDPOINT": url}, tmp_path)
        assert "past the proxy in http_proxy: this exporter knows none\n" in done.stdout
        said += [line for line in done.stdout.splitlines() if " endpoint " in line]
    assert said == [
        (
            f"ok       endpoint  {receiver.http_endpoint}/v1/logs takes events (asked with a request without "
            "a record)"
        ),
        (
            "failure  endpoint  DNS knows no address for collector.invalid; correct "
            "OTEL_EXPORTER_OTLP_ENDPOINT, or the "
            "name server"
        ),
    ]
    (request,) = receiver.requests
    assert (request.content_type, request.payload) == ("application/json", b"{}")
