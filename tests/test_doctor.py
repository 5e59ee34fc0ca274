"""`otel-incident doctor`: each switch, part of the path and way of not arriving has a line of its own."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from opentelemetry.util._importlib_metadata import entry_points

from otel_incident.cli import main
from otel_incident.config import Config
from otel_incident.doctor import installation, packages
from otel_incident.identity import Identity
from tests.certificates import Certificates
from tests.emitting_host import endpoint_of
from tests.otlp_receiver import HANG, OtlpReceiver, PartialSuccess, Status, Tls
from tests.zero_code import distribution

SECRETS: Final = ("s3cr3t", "jane")
"""In headers, in URLs' users and queries: none of them may be shown."""

HOOKS: Final = """
[host]
name = "desk"
distribution = "pytest"

[[hook]]
name = "declare"
kind = "call"
target = "desk.services:declare"
action = "create"
incident.id = "result.id"
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with a name and secrets, and nothing of this machine's way to the network."""
    # TID251: about the tests, not the package's configuration.
    for name in list(os.environ):  # noqa: TID251
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "desk")
    monkeypatch.setenv("OTEL_INCIDENT_SERVER_VERSION", "5.4.0")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cr3t")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")


@pytest.fixture(params=["grpc", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    """Either transport."""
    return str(request.param)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def send_to(monkeypatch: pytest.MonkeyPatch, transport: str, url: str) -> None:
    """Configure an endpoint, given without a path."""
    for name, value in endpoint_of(transport, url, url).items():
        monkeypatch.setenv(name, value)


def diagnosis(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    """The doctor's exit status and lines; nothing else is said, and no secret."""
    status = main(["doctor", *options])
    said = capsys.readouterr()
    assert said.err == ""
    assert not any(secret in said.out for secret in SECRETS)
    return status, said.out.splitlines()


def about(topic: str, lines: list[str]) -> list[str]:
    """The lines of a topic, without it."""
    return [
        f"{level}: {text}" for level, of, text in (line.split(maxsplit=2) for line in lines) if of == topic
    ]


def endpoint_line(capsys: pytest.CaptureFixture[str], status: int = 1) -> str:
    """The one line about the endpoint, which decides the exit status."""
    ended, lines = diagnosis(capsys)
    (line,) = about("endpoint", lines)
    assert ended == status
    return line


# -- the whole


def test_a_path_that_is_whole(
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Every line is ok, the status is 0, and the endpoint has got one request without a record."""
    (tmp_path / "hooks.toml").write_text(HOOKS)
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", str(tmp_path / "hooks.toml"))
    url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
    send_to(monkeypatch, transport, url)
    monkeypatch.setattr(installation, "_MOUNTINFO", tmp_path / "none")
    kept = Identity(Config.from_env()).diagnostic_id()

    status, lines = diagnosis(capsys)

    name = {"grpc": "otlp_proto_grpc", "http": "otlp_proto_http"}[transport]
    package = f"opentelemetry-exporter-otlp-proto-{transport}"
    spoken = {"grpc": "gRPC", "http": "HTTP"}[transport]
    shown = url if transport == "grpc" else f"{url}/v1/logs"
    versions = {
        each: packages.version(each) for each in ("opentelemetry-sdk", "opentelemetry-distro", package)
    }
    assert lines == [
        "ok       on        no switch is off",
        (
            f"ok       packages  otel-incident {packages.version('otel-incident')}, "
            f"opentelemetry-sdk {versions['opentelemetry-sdk']}, "
            f"opentelemetry-distro {versions['opentelemetry-distro']}"
        ),
        f"ok       hooks     {tmp_path}/hooks.toml: 1 hook for desk",
        (
            "ok       gate      standard: takes what hosts call their content out of the host's own signals, "
            "and nothing else"
        ),
        f"ok       identity  diagnostic id {kept}, kept in {tmp_path}/state",
        "ok       service   desk",
        f"ok       exporter  {name} {versions[package]}: OTLP over {spoken} to {shown}",
        f"ok       endpoint  {shown} takes events (asked with a request without a record)",
    ]
    assert status == 0
    (request,) = receiver.requests
    assert request.payload == b""
    assert request.headers["authorization"] == "Bearer s3cr3t"


def test_as_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`--json` gives the worst level, and each finding's level, topic, text and what to do."""
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    assert main(["doctor", "--json", "--offline"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["level"] == "failure"
    assert told["findings"][0] == {
        "level": "failure",
        "topic": "on",
        "text": "off: DO_NOT_TRACK is set",
        "to_do": "unset DO_NOT_TRACK",
    }
    assert {"level": "ok", "topic": "service", "text": "desk", "to_do": ""} in told["findings"]


def test_offline_connects_to_nothing(
    receiver: OtlpReceiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--offline` says where events go, and asks nobody."""
    send_to(monkeypatch, "grpc", receiver.grpc_endpoint)
    status, lines = diagnosis(capsys, "--offline")
    assert about("endpoint", lines) == ["ok: not asked (--offline)"]
    assert (status, receiver.requests) == (0, ())


def test_nothing_is_made(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A look makes neither a directory nor an id."""
    diagnosis(capsys, "--offline")
    assert list(tmp_path.iterdir()) == []


# -- is it on?


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("OTEL_SDK_DISABLED", "true", "off: OTEL_SDK_DISABLED=true; unset OTEL_SDK_DISABLED"),
        ("DO_NOT_TRACK", "1", "off: DO_NOT_TRACK is set; unset DO_NOT_TRACK"),
        (
            "OTEL_INCIDENT_ENABLED",
            "false",
            "off: OTEL_INCIDENT_ENABLED is not true; unset OTEL_INCIDENT_ENABLED or set it to true",
        ),
        (
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
            "flask, incident",
            (
                "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names incident: opentelemetry-instrument does not "
                "load "
                "this "
                "package; take incident out of it"
            ),
        ),
        (
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
            "*",
            (
                "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names *: opentelemetry-instrument does not load this "
                "package; take * out of it"
            ),
        ),
        (
            "OTEL_LOGS_EXPORTER",
            "none",
            "OTEL_LOGS_EXPORTER=none: events are made and sent nowhere; unset it or set it to otlp",
        ),
    ],
)
def test_a_switch_that_is_off(
    name: str, value: str, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the switch and what to do with it."""
    monkeypatch.setenv(name, value)
    status, lines = diagnosis(capsys, "--offline")
    assert about("on", lines) == [f"failure: {line}"]
    assert status == 1


def test_every_switch_that_is_off_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only the first, or one would be found after the other; and the rest is said as if it were on."""
    for name in ("OTEL_SDK_DISABLED", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("OTEL_INCIDENT_ENABLED", "perhaps")
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "incident")
    status, lines = diagnosis(capsys, "--offline")
    assert [line.split(";")[0] for line in about("on", lines)] == [
        "failure: off: OTEL_SDK_DISABLED=true",
        "failure: off: DO_NOT_TRACK is set",
        "failure: off: OTEL_INCIDENT_ENABLED is not true",
        (
            "failure: OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names incident: opentelemetry-instrument does "
            "not "
            "load "
            "this package"
        ),
    ]
    assert about("settings", lines) == [
        "warning: OTEL_INCIDENT_ENABLED='perhaps' cannot be used: expected true or false; false holds"
    ]
    assert about("service", lines) == ["ok: desk"]
    assert status == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            'file_format: "1.0"\ndisabled: true\n',
            "off: OTEL_CONFIG_FILE says disabled: true; say disabled: false in it, or unset OTEL_CONFIG_FILE",
        ),
        (
            (
                'file_format: "1.0"\nlogger_provider: {processors: [{batch: {exporter: {console: {}}}}]}\n'
                "instrumentation/development: {python: {incident: {enabled: false}}}\n"
            ),
            (
                "off: OTEL_INCIDENT_ENABLED is not true; unset it, and `enabled` in OTEL_CONFIG_FILE, or set "
                "them to "
                "true"
            ),
        ),
        (
            'file_format: "1.0"\n',
            (
                "OTEL_CONFIG_FILE names no log exporter: events are made and sent nowhere; describe a "
                "processor with "
                "an exporter under logger_provider"
            ),
        ),
        (
            "headers: [s3cr3t",
            (
                "off: OTEL_CONFIG_FILE (FILE) cannot be read (ConfigurationError); correct the file, or "
                "unset "
                "OTEL_CONFIG_FILE; the host's log says more"
            ),
        ),
    ],
)
def test_a_configuration_file_that_is_a_switch(
    text: str,
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a file turns off is said with what to write; of one that cannot be read nothing is quoted."""
    file = tmp_path / "otel.yaml"
    file.write_text(text)
    monkeypatch.setenv("OTEL_CONFIG_FILE", str(file))
    status, lines = diagnosis(capsys, "--offline")
    assert about("on", lines) == [f"failure: {line}".replace("FILE)", f"{file})")]
    assert status == 1


# -- what is set up


def test_without_the_distro(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the command configures no SDK, which a warning says: incident events need none."""
    real = entry_points
    monkeypatch.setattr(
        packages,
        "entry_points",
        lambda **named: () if named["group"] == "opentelemetry_configurator" else real(**named),
    )
    status, lines = diagnosis(capsys, "--offline")
    assert about("packages", lines)[1:] == [
        (
            "warning: opentelemetry-distro is not installed: opentelemetry-instrument configures no SDK, "
            "so the "
            "host's own spans, logs and metrics go nowhere; incident events leave all the same; pip install "
            "opentelemetry-distro"
        )
    ]
    assert status == 0


def test_settings_that_cannot_be_used(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a warning that says what holds instead, be it read early or late."""
    monkeypatch.setenv("OTEL_INCIDENT_ID_MODE", "plane")
    monkeypatch.setenv("OTEL_INCIDENT_LICENSE_ID", "acme license")
    _, lines = diagnosis(capsys, "--offline")
    assert about("settings", lines) == [
        (
            "warning: OTEL_INCIDENT_ID_MODE='plane' cannot be used: expected plain, hmac or drop, alone "
            "or as "
            "<id "
            "attribute>=<mode>, separated by commas; it is passed over, and plain holds; correct it"
        )
    ]
    assert (
        "warning: OTEL_INCIDENT_LICENSE_ID cannot be used: expected an id that a machine made; left out"
        in about("identity", lines)
    )


def test_hook_files(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that is refused is a failure with the reason, one without a hook a warning."""
    good, bare, bad, absent = (tmp_path / name for name in ("good", "bare", "bad", "absent"))
    good.write_text(HOOKS)
    bare.write_text('[host]\nname = "bare"\n')
    bad.write_text(HOOKS.replace('"create"', '"made"'))
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", os.pathsep.join(map(str, (good, bare, bad, absent))))
    status, lines = diagnosis(capsys, "--offline")
    assert about("hooks", lines) == [
        (
            f"failure: {bad}, hook 'declare', key 'action': must be one of create, end, restart, "
            "change_commander, change_stage; the file is not in force; correct it"
        ),
        (
            f"failure: {absent}: cannot be read (No such file or directory); the file is not in force; "
            "correct "
            "it"
        ),
        f"ok: {good}: 1 hook for desk",
        f"warning: {bare} has no hook: nothing of bare is reported; add one",
    ]
    assert status == 1


def test_no_hooks_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    """That nothing is hooked is a warning: the host's own code may report."""
    _, lines = diagnosis(capsys, "--offline")
    assert about("hooks", lines) == [
        (
            "warning: there is no hook file and no host with a preset: only what the host's own code reports "
            "becomes "
            "an event; name one in OTEL_INCIDENT_HOOKS"
        )
    ]


def test_a_preset_whose_host_is_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It would switch itself on, so it is named."""
    distribution(tmp_path, "django-helpdesk")
    (tmp_path / "helpdesk").mkdir()
    (tmp_path / "helpdesk" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    _, lines = diagnosis(capsys, "--offline")
    assert about("hooks", lines) == ["ok: preset django-helpdesk: 1 hook for django-helpdesk"]


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("off", "warning: off: the host's own spans, logs and metrics leave as they are"),
        ("audit", "ok: audit: does what standard does, and counts what strict would take out"),
        (
            "strict",
            "ok: strict: takes whatever is not known to be free of content out of the host's own signals",
        ),
    ],
)
def test_the_gate(
    mode: str, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mode is said in words."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", mode)
    _, lines = diagnosis(capsys, "--offline")
    assert about("gate", lines) == [line]


def test_a_state_directory_that_cannot_be(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file in its way is a failure, found without making anything."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("OTEL_INCIDENT_STATE_DIR", str(tmp_path / "file" / "state"))
    status, lines = diagnosis(capsys, "--offline")
    assert about("identity", lines) == [
        (
            f"failure: the state directory {tmp_path}/file/state cannot be: {tmp_path}/file is a file; set "
            "OTEL_INCIDENT_STATE_DIR to a directory that is writable for the host's user"
        )
    ]
    assert status == 1


def test_a_state_directory_that_ends_with_its_container(tmp_path: Path) -> None:
    """An ephemeral file system is a warning that says what is lost with it."""
    (tmp_path / "mountinfo").write_text("1 0 0:1 / / rw - overlay overlay rw\n")
    (line,) = installation.identity(Config(state_dir=Path("/var/desk")), tmp_path / "mountinfo")
    assert line.line == (
        "warning  identity  /var/desk is on overlay and ends with its container or machine: so do the "
        "identity, "
        "and the events that wait there; mount a volume there, or set OTEL_INCIDENT_STATE_DIR"
    )


def test_without_a_home(tmp_path: Path) -> None:
    """Where there is no place to keep an id, it is another one at each start."""
    (line,) = installation.identity(Config(state_dir=None), tmp_path / "mountinfo")
    assert line.line == (
        "warning  identity  there is no home directory to keep the diagnostic id in: it is another one at "
        "each "
        "start; set OTEL_INCIDENT_STATE_DIR to a writable directory"
    )


def test_a_service_without_a_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name that the SDK makes up is a warning."""
    monkeypatch.delenv("OTEL_SERVICE_NAME")
    _, lines = diagnosis(capsys, "--offline")
    (line,) = about("service", lines)
    assert line.startswith("warning: has no name of its own: unknown_service:python")
    assert line.endswith("; set OTEL_SERVICE_NAME")


@pytest.mark.parametrize(
    ("exporter", "line"),
    [
        (
            "otlp_json_http",
            "failure: otlp_json_http is not installed; pip install opentelemetry-exporter-otlp-json-http",
        ),
        (
            "acme",
            "failure: acme is not installed; install its package, or correct OTEL_LOGS_EXPORTER",
        ),
        ("console", "ok: console writes to the console"),
    ],
)
def test_other_exporters(
    exporter: str, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not installed is a failure with the package's name, if it is known."""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", exporter)
    _, lines = diagnosis(capsys)
    assert about("exporter", lines) == [line]
    assert about("endpoint", lines) == []


# -- can the endpoint be reached?


def test_a_name_that_nobody_knows(
    transport: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name server's no is told from all else."""
    send_to(monkeypatch, transport, "http://collector.invalid:4999")
    assert endpoint_line(capsys) == (
        "failure: DNS knows no address for collector.invalid; correct OTEL_EXPORTER_OTLP_ENDPOINT, or the "
        "name "
        "server"
    )


def test_a_port_that_is_closed(
    transport: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens there."""
    send_to(monkeypatch, transport, "http://127.0.0.1:1")
    assert endpoint_line(capsys) == (
        "failure: connection refused by 127.0.0.1 port 1; start the collector there, or correct "
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    )


def test_a_server_that_hangs(
    transport: str, silent: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for as long as the exporter would wait."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    send_to(monkeypatch, transport, f"http://127.0.0.1:{silent}")
    assert endpoint_line(capsys) == (
        f"failure: timeout: no answer from 127.0.0.1 port {silent}; see whether a firewall drops the "
        "packets, or "
        "the endpoint hangs"
    )


def test_a_collector_that_hangs(
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that has got the request and says nothing is a timeout, too."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    receiver.answer_with(HANG)
    send_to(monkeypatch, transport, receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint)
    assert endpoint_line(capsys).startswith("failure: timeout: no answer from 127.0.0.1 port ")


ANSWERS: Final = {
    401: ("UNAUTHENTICATED", "the endpoint does not know who is asking", "CREDENTIALS"),
    403: ("PERMISSION_DENIED", "the endpoint does not let this sender in", "CREDENTIALS"),
    429: ("RESOURCE_EXHAUSTED", "the endpoint takes no more for now", "LATER"),
    500: ("INTERNAL", "the endpoint has an error of its own", "LATER"),
    503: ("UNAVAILABLE", "the endpoint has an error of its own", "LATER"),
}
TO_DO: Final = {
    "CREDENTIALS": "correct the credentials in OTEL_EXPORTER_OTLP_HEADERS",
    "LATER": "nothing is lost meanwhile: events wait in the spool; ask whoever runs the endpoint",
}


@pytest.mark.parametrize("status", list(ANSWERS))
def test_an_answer_that_is_no_success(
    status: int,
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The status is said, and what to do about it; what the server says besides is not repeated."""
    receiver.answer_with(Status(status, message="jane has no account"))
    url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
    send_to(monkeypatch, transport, url)
    code, meaning, to_do = ANSWERS[status]
    said = f"gRPC {code} from {url}" if transport == "grpc" else f"HTTP {status} from {url}/v1/logs"
    assert endpoint_line(capsys) == f"failure: {said}: {meaning}; {TO_DO[to_do]}"


def test_a_path_that_is_not_there(
    receiver: OtlpReceiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """404 is mostly a path that was written where it is added, or the other way round."""
    send_to(monkeypatch, "http", f"{receiver.http_endpoint}/v1/logs")
    assert endpoint_line(capsys) == (
        f"failure: HTTP 404 from {receiver.http_endpoint}/v1/logs/v1/logs: there is nothing at this path; "
        "correct "
        "it: /v1/logs is added to OTEL_EXPORTER_OTLP_ENDPOINT, and not to OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
    )


def test_a_collector_without_logs(
    receiver: OtlpReceiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over gRPC the same is a service that is not implemented."""
    receiver.answer_with(Status(404))
    send_to(monkeypatch, "grpc", receiver.grpc_endpoint)
    assert endpoint_line(capsys) == (
        f"failure: gRPC UNIMPLEMENTED from {receiver.grpc_endpoint}: the endpoint speaks gRPC, but takes no "
        "OTLP "
        "logs; give the collector a pipeline for logs, or correct OTEL_EXPORTER_OTLP_ENDPOINT"
    )


def test_an_endpoint_that_redirects(
    receiver: OtlpReceiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event follows a redirection, so it is a failure."""
    receiver.answer_with(Status(308))
    send_to(monkeypatch, "http", receiver.http_endpoint)
    assert endpoint_line(capsys) == (
        f"failure: HTTP 308 from {receiver.http_endpoint}/v1/logs: it redirects, and no event follows; "
        "write the "
        "last address into OTEL_EXPORTER_OTLP_ENDPOINT"
    )


def test_an_endpoint_that_wants_a_record(
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refusal of the request as such says nothing of events: a warning, and the status is 0."""
    receiver.answer_with(Status(400))
    url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
    send_to(monkeypatch, transport, url)
    said = f"gRPC INVALID_ARGUMENT from {url}" if transport == "grpc" else f"HTTP 400 from {url}/v1/logs"
    assert endpoint_line(capsys, status=0) == (
        f"warning: {said}: it refuses a request without a record; events may be taken all the same; see the "
        "collector's log when one is sent"
    )


def test_a_partial_success_is_one(
    receiver: OtlpReceiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of no record nothing can be refused."""
    receiver.answer_with(PartialSuccess(0, "s3cr3t"))
    send_to(monkeypatch, "http", receiver.http_endpoint)
    assert endpoint_line(capsys, status=0).startswith("ok: ")


def test_the_wrong_protocol(
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client of gRPC at the port of HTTP, and the other way round, is told, with what mends it."""
    url = receiver.http_endpoint if transport == "grpc" else receiver.grpc_endpoint
    send_to(monkeypatch, transport, url)
    port = url.rpartition(":")[2]
    to_do = {
        "grpc": "gRPC's port is usually 4317: correct it, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        "http": "HTTP's port is usually 4318: correct it, or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
    }
    assert endpoint_line(capsys) == (
        f"failure: 127.0.0.1 port {port} speaks another protocol; {to_do[transport]}"
    )


@pytest.mark.parametrize(
    ("served", "trusted", "line"),
    [
        (
            "server_cert",
            False,
            (
                "TLS: the certificate of 127.0.0.1 is of an authority that is not trusted here; name the "
                "authority's "
                "file in OTEL_EXPORTER_OTLP_CERTIFICATE"
            ),
        ),
        ("expired_cert", True, "TLS: the certificate of 127.0.0.1 has expired; renew it there"),
        (
            "misnamed_cert",
            True,
            (
                "TLS: the certificate of 127.0.0.1 is for other names; use one of those in "
                "OTEL_EXPORTER_OTLP_ENDPOINT, or renew the certificate with 127.0.0.1 in it"
            ),
        ),
    ],
)
def test_a_certificate_that_is_wrong(
    served: str,
    trusted: bool,  # noqa: FBT001  a case of a table
    line: str,
    transport: str,
    certificates: Certificates,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the wrong authority, expired, or for another name: each is said as what it is."""
    if trusted:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificates.ca))
    with OtlpReceiver(tls=Tls(getattr(certificates, served), certificates.server_key)) as receiver:
        url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
        send_to(monkeypatch, transport, url)
        assert endpoint_line(capsys) == f"failure: {line}"
        assert receiver.requests == ()


def test_tls_that_is_as_it_should_be(
    transport: str,
    certificates: Certificates,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the authority's file the request arrives."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificates.ca))
    with OtlpReceiver(tls=Tls(certificates.server_cert, certificates.server_key)) as receiver:
        url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
        send_to(monkeypatch, transport, url)
        assert endpoint_line(capsys, status=0).startswith(f"ok: {url}")


def test_an_authority_whose_file_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that is named and cannot be read is no fault of the endpoint's."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "ca.pem"))
    send_to(monkeypatch, "http", "https://127.0.0.1:1")
    assert endpoint_line(capsys) == (
        "failure: TLS: a certificate file that is configured cannot be read; correct "
        "OTEL_EXPORTER_OTLP_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_*"
    )


def test_tls_where_there_is_none(
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`https` at a port without TLS, which gRPC also speaks where no scheme is written."""
    url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
    send_to(monkeypatch, transport, url.replace("http", "https", 1))
    port = url.rpartition(":")[2]
    assert endpoint_line(capsys) == (
        f"failure: TLS: 127.0.0.1 port {port} speaks none; write http:// in OTEL_EXPORTER_OTLP_ENDPOINT, or "
        "use "
        "its port for TLS"
    )


def test_no_tls_where_there_is_some(
    transport: str,
    certificates: Certificates,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`http` at a port with TLS: all that is seen is that the connection is closed, and that is said."""
    with OtlpReceiver(tls=Tls(certificates.server_cert, certificates.server_key)) as receiver:
        url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
        send_to(monkeypatch, transport, url.replace("https", "http"))
        port = url.rpartition(":")[2]
        assert endpoint_line(capsys) == (
            f"failure: 127.0.0.1 port {port} has closed the connection without an answer; it may ask for TLS "
            "(https:// in OTEL_EXPORTER_OTLP_ENDPOINT), for a client's certificate, or not speak OTLP"
        )


def test_a_proxy_that_is_not_there(
    transport: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy in use is named without its user, and what fails at it is not said of the endpoint."""
    monkeypatch.setenv("http_proxy", "http://jane:s3cr3t@127.0.0.1:1")
    send_to(monkeypatch, transport, "http://collector.example:4999")
    status, lines = diagnosis(capsys)
    (exporter,) = about("exporter", lines)
    assert exporter.endswith(" through the proxy 127.0.0.1:1")
    assert about("endpoint", lines) == [
        (
            "failure: proxy: connection refused by 127.0.0.1 port 1; correct HTTPS_PROXY or HTTP_PROXY, or "
            "name the "
            "endpoint's host in NO_PROXY"
        )
    ]
    assert status == 1


def test_a_host_that_needs_no_proxy(
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`no_proxy` is heeded as the exporters heed it."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    send_to(monkeypatch, transport, receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint)
    status, lines = diagnosis(capsys)
    assert "proxy" not in "".join(lines)
    assert status == 0


@pytest.mark.parametrize(
    "endpoint", ["http://jane:s3cr3t@127.0.0.1:1/?key=s3cr3t", "jane:s3cr3t@127.0.0.1:1"]
)
def test_secrets_in_an_endpoint_are_not_shown(
    endpoint: str, transport: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a user nor a password nor a query, with a scheme or without."""
    send_to(monkeypatch, transport, endpoint)
    status, lines = diagnosis(capsys)
    assert len(about("exporter", lines)) == len(about("endpoint", lines)) == status == 1
