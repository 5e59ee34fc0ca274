"""`otel-incident doctor`: each switch, part of the path and way of not arriving has a line of its own."""

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.sdk._logs import Logger
from opentelemetry.sdk.trace import Span
from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor as MultiSpanProcessor
from opentelemetry.util._importlib_metadata import entry_points

from otel_incident.cli import main
from otel_incident.config import Config
from otel_incident.distributions import version_of
from otel_incident.doctor import installation, packages
from otel_incident.identity import Identity
from tests.doctor import about, diagnosis, host, send_to
from tests.otlp_receiver import OtlpReceiver
from tests.processes import run
from tests.zero_code import distribution

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
TO_CHECK: Final = "`otel-incident hooks check` says whether the host has what is named"


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch)


@pytest.fixture(params=["grpc", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    """Either transport."""
    return str(request.param)


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
    versions = {each: version_of(each) for each in ("opentelemetry-sdk", "opentelemetry-distro", package)}
    assert lines == [
        "ok       on        no switch is off",
        (
            f"ok       packages  otel-incident {version_of('otel-incident')}, "
            f"opentelemetry-sdk {versions['opentelemetry-sdk']}, "
            f"opentelemetry-distro {versions['opentelemetry-distro']}"
        ),
        f"ok       hooks     {tmp_path}/hooks.toml: 1 hook read for desk; {TO_CHECK}",
        (
            "ok       gate      standard: takes what hosts call their content out of the host's own signals, "
            "and nothing else"
        ),
        f"ok       identity  diagnostic id {kept}, kept in {tmp_path}/state",
        "ok       service   desk",
        f"ok       exporter  {name} {versions[package]}: OTLP over {spoken} to {shown}",
        f"ok       endpoint  {shown} takes events (asked with a request without a record)",
        "ok       waiting   nothing",
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
                "off: OTEL_CONFIG_FILE (FILE) cannot be read (ConfigurationError). No gate is set, and none "
                "is in place; correct the file, or unset OTEL_CONFIG_FILE; the host's log says more"
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


def test_what_opentelemetry_would_log_of_a_file_is_not_shown(tmp_path: Path) -> None:
    """Its reader quotes lines of a file that it cannot read, in which a header may stand."""
    file = tmp_path / "otel.yaml"
    file.write_text("headers: [s3cr3t")
    ended = run(
        """
        import sys
        from otel_incident.cli import main
        sys.exit(main(["doctor", "--offline"]))
        """,
        {"OTEL_CONFIG_FILE": str(file), "OTEL_INCIDENT_STATE_DIR": str(tmp_path / "state")},
    )
    assert (ended.status, ended.stderr) == (1, "")
    assert "s3cr3t" not in ended.stdout


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
    """A refused file is a failure with the reason, one without a hook a warning unless it names content."""
    good, bare, alone, bad, absent = (tmp_path / name for name in ("good", "bare", "alone", "bad", "absent"))
    good.write_text(HOOKS)
    bare.write_text('[host]\nname = "bare"\n')
    alone.write_text('[host]\nname = "alone"\ncontent = ["title"]\n')
    bad.write_text(HOOKS.replace('"create"', '"made"').replace("[host]", '[host]\ncontent = ["title"]'))
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", os.pathsep.join(map(str, (good, bare, alone, bad, absent))))
    status, lines = diagnosis(capsys, "--offline")
    assert about("hooks", lines) == [
        (
            f"failure: {bad}, hook 'declare', key 'action': must be one of create, end, restart, "
            "change_commander, change_stage; the file is not in force, but what it names as content is; "
            "correct it"
        ),
        (
            f"failure: {absent}: cannot be read (No such file or directory); the file is not in force; "
            "correct "
            "it"
        ),
        f"ok: {good}: 1 hook read for desk; {TO_CHECK}",
        f"warning: {bare} has no hook: nothing of bare is reported; add one",
        f"ok: {alone}: no hook; it names content of alone for the gate",
    ]
    assert status == 1


@pytest.mark.parametrize("variable", ["OTEL_INCIDENT_GATE=off", "DO_NOT_TRACK=1"])
def test_content_without_a_gate(
    variable: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where there is no gate nothing is said to hold, and a file that names content alone is a warning."""
    alone, bad = tmp_path / "alone", tmp_path / "bad"
    alone.write_text('[host]\nname = "alone"\ncontent = ["title"]\n')
    bad.write_text(HOOKS.replace('"create"', '"made"').replace("[host]", '[host]\ncontent = ["title"]'))
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", os.pathsep.join(map(str, (alone, bad))))
    monkeypatch.setenv(*variable.split("="))
    _, lines = diagnosis(capsys, "--offline")
    assert about("hooks", lines) == [
        (
            f"failure: {bad}, hook 'declare', key 'action': must be one of create, end, restart, "
            "change_commander, change_stage; the file is not in force; correct it"
        ),
        f"warning: {alone}: no hook; it names content of alone, and there is no gate",
    ]


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
    assert about("hooks", lines) == [
        f"ok: preset django-helpdesk: 1 hook read for django-helpdesk; {TO_CHECK}"
    ]


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


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("DO_NOT_TRACK", "1", "DO_NOT_TRACK is set"),
        ("OTEL_INCIDENT_ENABLED", "false", "OTEL_INCIDENT_ENABLED is not true"),
        (
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
            "incident",
            (
                "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names incident: opentelemetry-instrument does not "
                "load this package"
            ),
        ),
    ],
)
@pytest.mark.parametrize(
    ("mode", "level", "to_do"),
    [("standard", "warning", ""), ("strict", "failure", "; see the switch named there")],
)
def test_a_gate_of_a_package_that_is_off(
    variable: str,
    value: str,
    why: str,
    mode: str,
    level: str,
    to_do: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What turns events off keeps the gate out, too, and an operator who asked for one is told."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", mode)
    monkeypatch.setenv(variable, value)
    _, lines = diagnosis(capsys, "--offline")
    line = (
        f"{level}: {mode} is not in place ({why}): the host's own spans, logs and metrics leave as they are"
    )
    assert about("gate", lines) == [line + to_do]


@pytest.mark.parametrize(("owner", "name"), [(Span, "end"), (Logger, "emit"), (MultiSpanProcessor, "on_end")])
def test_a_gate_where_somebody_has_changed_the_sdk(
    owner: type, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method of the SDK's that an agent has put its own over before is named, and the gate is in place."""
    before = vars(owner)[name]

    def own(*args: Any, **kwargs: Any) -> Any:
        return before(*args, **kwargs)

    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    monkeypatch.setattr(owner, name, own)
    _, lines = diagnosis(capsys, "--offline")
    assert about("gate", lines) == [
        "ok: strict: takes whatever is not known to be free of content out of the host's own signals",
        f"warning: strict does not cover what somebody has put into the SDK's {owner.__name__}.{name}",
    ]


@pytest.mark.parametrize(
    ("mode", "state"), [("off", "off"), ("strict", "strict is not in place (OTEL_SDK_DISABLED=true)")]
)
def test_a_gate_where_the_sdk_is_off(
    mode: str, state: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the SDK makes nothing, nothing can leave: that is said, and no gate is no failure."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", mode)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    _, lines = diagnosis(capsys, "--offline")
    leaves = "the SDK makes no spans, logs or metrics, so nothing of the host's leaves either"
    assert about("gate", lines) == [f"warning: {state}: {leaves}"]


def test_a_gate_that_holds_although_telemetry_is_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A switch that cannot be read turns events off, and not the gate that was asked for."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    monkeypatch.setenv("OTEL_INCIDENT_ENABLED", "flase")
    _, lines = diagnosis(capsys, "--offline")
    assert about("gate", lines) == [
        "ok: strict: takes whatever is not known to be free of content out of the host's own signals"
    ]


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


def test_a_state_directory_of_another_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever asks is told to ask as the host's user."""
    Identity(Config.from_env()).diagnostic_id()
    other = (tmp_path / "state").stat().st_uid + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    found = installation.identity(Config.from_env(), tmp_path / "none")
    assert [each.line for each in found if each.level == "warning"] == [
        (
            f"warning  identity  the state directory {tmp_path}/state is another user's; run this as the "
            "user of the "
            "host, or what it says holds for you alone"
        )
    ]


def test_a_gate_that_cannot_be_put_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SDK that the gate does not know is a failure, found before the host starts."""

    class Unknown:
        def __init__(self, _rules: object) -> None:
            self.ungated = ["spans of BatchSpanProcessor"]

        def install(self) -> None:
            pass

        def changed(self) -> list[str]:
            return []

        def undo(self) -> None:
            pass

    monkeypatch.setattr(installation, "Wrapping", Unknown)
    (finding,) = installation.gate(Config(gate="strict"))
    assert finding.line == (
        "failure  gate      strict cannot be put in place with this SDK (spans of BatchSpanProcessor); "
        "install "
        "another release of opentelemetry-sdk"
    )


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the path alone it is found by nobody who looks for entry points."""
    monkeypatch.setattr(packages, "entry_points", lambda **_: ())
    assert packages.general()[1].line == (
        "failure  packages  otel-incident is on the path, but not installed: opentelemetry-instrument "
        "does not find "
        "it; install it into this environment with pip"
    )
