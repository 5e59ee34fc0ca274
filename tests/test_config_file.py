"""`OTEL_CONFIG_FILE`: our options in it, its switches, and its exporters in place of the variables'."""

import builtins
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from otel_incident import Incident, IncidentEmitter
from otel_incident.config import Config
from otel_incident.config_exporters import Batch
from otel_incident.config_file import described_processors
from otel_incident.pipeline import default_pipeline
from tests.otlp_receiver import OtlpReceiver

Write = Callable[[str], str]
START: Final = 'file_format: "1.0"\n'
INCIDENT: Final = START + "instrumentation/development:\n  python:\n    incident: "


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file, and get its path."""

    def to(text: str) -> str:
        path = tmp_path / "otel.yaml"
        path.write_text(text)
        return str(path)

    return to


def read(path: str, /, **variables: str) -> Config:
    """The configuration of an environment with this file."""
    return Config.from_env({"HOME": "/home/desk", "OTEL_CONFIG_FILE": path, **variables})


def test_every_option(write: Write) -> None:
    """The options of the file are the variables in lower case, and keep their rules."""
    config = read(
        write(
            INCIDENT
            + """
      enabled: true
      gate: audit
      hooks: [a.toml, /b c.toml]
      id_mode: {user.id: drop, "": hmac}
      state_dir: /state
      diagnostic_id: 123e4567-e89b-12d3-a456-426614174000
      license_id: 77
      server_version: 5.4.0
      span_events: true
"""
        )
    )
    assert config.off == ""
    assert (config.gate, config.gate_is_set) == ("audit", True)
    assert config.hook_files == (Path("a.toml"), Path("/b c.toml"))
    assert config.id_modes == {"user.id": "drop", "": "hmac"}
    assert config.state_dir == Path("/state")
    assert config.diagnostic_id == "123e4567-e89b-12d3-a456-426614174000"
    assert config.license_id == "77"
    assert config.server_version == "5.4.0"
    assert config.span_events is True
    assert config.problems == ()


@pytest.mark.parametrize(
    ("text", "variables", "options", "gate"),
    [
        ("{}", {"OTEL_INCIDENT_GATE": "off"}, {}, "off"),
        ("{gate: audit}", {"OTEL_INCIDENT_GATE": "off"}, {}, "audit"),
        ("{gate: audit}", {"OTEL_INCIDENT_GATE": "off"}, {"gate": "strict"}, "strict"),
        ("{gate: nonsense}", {"OTEL_INCIDENT_GATE": "off"}, {}, "strict"),
        ("{gate: null}", {"OTEL_INCIDENT_GATE": "off"}, {}, "off"),
    ],
)
def test_who_is_heard(
    write: Write, text: str, variables: dict[str, str], options: dict[str, Any], gate: str
) -> None:
    """Options of a call come before the file's, the file's before the environment's."""
    environ = {"OTEL_CONFIG_FILE": write(INCIDENT + text), **variables}
    assert Config.from_env(environ, options).gate == gate


def test_options_of_a_call_need_no_file(tmp_path: Path) -> None:
    """`instrument(hooks=..., enabled=...)` has the options of the file, and takes paths."""
    options = {"hooks": [tmp_path / "a.toml"], "state_dir": tmp_path, "enabled": True}
    config = Config.from_env({}, options)
    assert config.hook_files == (tmp_path / "a.toml",)
    assert config.state_dir == tmp_path
    assert Config.from_env({"OTEL_INCIDENT_GATE": "off"}, {"gate": "audit"}).gate == "audit"
    assert Config.from_env({}, {"enabled": False}).off == "OTEL_INCIDENT_ENABLED is not true"


def test_a_file_that_is_disabled(write: Write) -> None:
    """`disabled: true` of the whole file turns us off; what it or a call says of the gate is known still."""
    off = "OTEL_CONFIG_FILE says disabled: true"
    path = write(START + "disabled: true\n")
    assert read(path) == Config(off=off)
    by_call = Config.from_env({"OTEL_CONFIG_FILE": path}, {"gate": "strict"})
    assert by_call == Config(off=off, gate="strict", gate_is_set=True)
    by_file = read(write(INCIDENT + "{gate: audit, hooks: [a.toml]}\ndisabled: true\n"))
    assert by_file == Config(off=off, gate="audit", gate_is_set=True, hook_files=(Path("a.toml"),))
    assert Config.from_env({"OTEL_CONFIG_FILE": path}, as_if_on=True).config_file.disabled is True
    assert read(write(START + "disabled: false\n")).off == ""


def test_an_instrumentation_that_is_disabled(write: Write) -> None:
    """`incident: {enabled: false}` turns us off alone; a value that is neither does, too."""
    assert read(write(INCIDENT + "{enabled: false}")).off == "OTEL_INCIDENT_ENABLED is not true"
    assert read(write(INCIDENT + "{enabled: nonsense}")).off == "OTEL_INCIDENT_ENABLED is not true"


MISTYPED: Final = "span_event: true"
NO_GATE: Final = " No gate is set, and none is in place."
WHOLE: Final = {
    "gate": "standard",
    "gate_is_set": True,
    "gate_alone": True,
    "allowed_attributes": ("desk.*",),
    "forbidden_attributes": ("note",),
    "hook_files": (Path("a.toml"), Path("b.toml")),
    "disabled_hooks": ("pagerduty",),
}
WRITTEN: Final = {
    "gate": "gate: standard",
    "allowed_attributes": "allowed_attributes: [desk.*]",
    "forbidden_attributes": "forbidden_attributes: [note]",
    "hooks": "hooks: [a.toml, b.toml]",
    "disabled_hooks": "disabled_hooks: [pagerduty]",
}
OF_THE_ENVIRONMENT: Final = {
    "OTEL_INCIDENT_ALLOWED_ATTRIBUTES": "*",
    "OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES": "other",
    "OTEL_INCIDENT_HOOKS": "c.toml",
    "OTEL_INCIDENT_DISABLED_HOOKS": "thehive4py",
}


@pytest.mark.parametrize(
    ("written", "differs"),
    [
        ({}, {}),
        ({"gate": "gate: [standard]"}, {"gate": "strict"}),
        ({"gate": "gate: false"}, {"gate": "off"}),
        ({"allowed_attributes": "allowed_attributes: [desk.*, 1]"}, {"allowed_attributes": ()}),
        ({"allowed_attributes": ""}, {"allowed_attributes": ("*",)}),
        ({"forbidden_attributes": "forbidden_attributes: [note, 1]"}, {}),
        ({"forbidden_attributes": "forbidden_attributes: {a: b}"}, {"forbidden_attributes": ("other",)}),
        ({"hooks": "hooks: [a.toml, 1, b.toml]"}, {}),
        ({"hooks": "hooks: {a: b}"}, {"hook_files": (Path("c.toml"),)}),
        ({"disabled_hooks": "disabled_hooks: [pagerduty, 1]"}, {"disabled_hooks": ("thehive4py",)}),
    ],
    ids=lambda each: next(iter(each.values()), None) if isinstance(each, dict) else None,
)
@pytest.mark.parametrize("by_call", [False, True])
def test_what_the_gate_needs_of_a_block_that_cannot_be_used(
    write: Write, by_call: object, written: dict[str, str], differs: dict[str, Any]
) -> None:
    """A gate that was asked for has all that can be read; what cannot be is said, and lets less leave."""
    block = f"{{{', '.join(filter(None, (MISTYPED, *{**WRITTEN, **written}.values())))}}}"
    if by_call:
        config = Config.from_env(OF_THE_ENVIRONMENT, yaml.safe_load(block))
    else:
        config = Config.from_env({**OF_THE_ENVIRONMENT, "OTEL_CONFIG_FILE": write(INCIDENT + block)})
    assert config.off == "the configuration cannot be read"
    assert {name: getattr(config, name) for name in WHOLE} == {**WHOLE, **differs}
    holds = f" Incident telemetry stays off. The gate ({config.gate}) holds all the same."
    assert config.problems[0].endswith(holds) is (config.gate != "off")
    named = {name for line in config.problems for name in re.findall("The option '([a-z_]+)'", line)}
    assert named == {"span_event", *(name for name, text in written.items() if text[-1:] in {"]", "}"})}


AS_OTHERS: Final[dict[str, Callable[[Any], Any]]] = {
    "a tuple": tuple,
    "a set": set,
    "an iterator": iter,
}
OPTIONS_OF_SEVERAL: Final = {
    "gate": "standard",
    "hooks": ["a.toml", Path("b.toml")],
    "allowed_attributes": ["desk.*"],
    "forbidden_attributes": ["note", "title"],
    "disabled_hooks": ["pagerduty"],
}


def read_by_call(several: Callable[[Any], Any], **options: Any) -> dict[str, Any]:
    """What a call says of the gate with something else in place of each list; sets have no order."""
    given = {
        name: several(value) if isinstance(value, list) else value
        for name, value in {**OPTIONS_OF_SEVERAL, **options}.items()
    }
    config = Config.from_env({}, given)
    return {
        "off": config.off,
        "allowed_attributes": config.allowed_attributes,
        "forbidden_attributes": sorted(config.forbidden_attributes),
        "hook_files": sorted(config.hook_files),
        "disabled_hooks": config.disabled_hooks,
    }


@pytest.mark.parametrize("several", ["a tuple", "a set", "an iterator"])
@pytest.mark.parametrize(
    ("mistyped", "off"), [({}, ""), ({"span_event": True}, "the configuration cannot be read")]
)
def test_what_a_call_gives_in_place_of_a_list(several: str, mistyped: dict[str, Any], off: str) -> None:
    """A tuple, a set or an iterator of texts is read as the list is, also for the gate alone."""
    assert read_by_call(AS_OTHERS[several], **mistyped) == {
        "off": off,
        "allowed_attributes": ("desk.*",),
        "forbidden_attributes": ["note", "title"],
        "hook_files": [Path("a.toml"), Path("b.toml")],
        "disabled_hooks": ("pagerduty",),
    }


@pytest.mark.parametrize("several", ["a tuple", "an iterator"])
def test_of_what_a_call_gives_in_place_of_a_list_the_texts_count(several: str) -> None:
    """One item of a wrong type turns telemetry off, and the names beside it are forbidden still."""
    found = read_by_call(AS_OTHERS[several], forbidden_attributes=["note", 1, "title"], hooks=["a.toml", 2])
    assert found["off"] == "the configuration cannot be read"
    assert (found["forbidden_attributes"], found["hook_files"]) == (["note", "title"], [Path("a.toml")])


def test_an_iterable_that_raises_is_of_the_wrong_type() -> None:
    """What the host's own iterator raises does not reach it, and costs no other option."""

    def failing() -> Iterator[str]:
        yield "note"
        raise LookupError

    found = read_by_call(list, forbidden_attributes=failing())
    assert found["off"] == "the configuration cannot be read"
    assert (found["forbidden_attributes"], found["disabled_hooks"]) == ([], ("pagerduty",))


def test_a_call_that_cannot_be_used_leaves_the_file(write: Write) -> None:
    """What a call mistypes of the gate does not take what the file says of it."""
    text = "{gate: standard, forbidden_attributes: [note], allowed_attributes: [desk.*]}"
    options = {
        "forbidden_attributes": {"a": 1},
        "allowed_attributes": {"a": 1},
        "gate": None,
        "hooks": [Path("a.toml"), 1],
    }
    config = Config.from_env({"OTEL_CONFIG_FILE": write(INCIDENT + text)}, options)
    assert (config.gate, config.gate_alone) == ("standard", True)
    assert (config.forbidden_attributes, config.allowed_attributes) == (("note",), ())
    assert config.hook_files == (Path("a.toml"),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "{title: x}",
            "The option 'title' of the incident instrumentation is not known; known are enabled, gate,",
        ),
        ("{gate: [strict]}", "The option 'gate' of the incident instrumentation has the wrong type (list)."),
        ("{gate: {a: b}}", "The option 'gate' of the incident instrumentation has the wrong type (dict)."),
        ("{hooks: [1]}", "The option 'hooks' of the incident instrumentation has the wrong type (list)."),
        (
            "{server_version: 5.4}",
            "The option 'server_version' of the incident instrumentation has the wrong type",
        ),
        (
            "{id_mode: [hmac]}",
            "The option 'id_mode' of the incident instrumentation has the wrong type (list).",
        ),
        ("true", "cannot be read (ConfigurationError: Configuration does not match schema:"),
    ],
)
def test_a_block_that_cannot_be_used(write: Write, text: str, reason: str) -> None:
    """A block with an unknown option or a wrong type is refused whole: we stay off, with one line."""
    config = read(write(INCIDENT + text))
    assert config.off == "the configuration cannot be read"
    (line,) = config.problems
    assert reason in line
    holds = " The gate (strict) holds all the same." if "gate" in text else NO_GATE
    assert line.endswith(f" Incident telemetry stays off.{holds}")
    assert "\n" not in line


@pytest.mark.parametrize(
    "text", ["", "a: b: c\n  d\n- e", "file_format: '9.0'\n", START + "logger_provider: 5\n", "[]", "\t"]
)
def test_a_file_that_cannot_be_read(write: Write, text: str) -> None:
    """A file that is empty, no YAML or not by the schema leaves us off, with one line that names it."""
    path = write(text)
    config = read(path)
    assert config.off == "the configuration cannot be read"
    (line,) = config.problems
    assert line.startswith(f"OTEL_CONFIG_FILE ({path}) cannot be read (")
    assert line.endswith(f"). Incident telemetry stays off.{NO_GATE}")
    assert "\n" not in line


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A path to nothing, or to a directory, is the same."""
    for path in (tmp_path / "missing.yaml", tmp_path):
        config = read(str(path))
        assert config.off == "the configuration cannot be read"
        assert config.problems[0].startswith(f"OTEL_CONFIG_FILE ({path}) cannot be read (")


def test_what_reads_files_is_not_installed(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `opentelemetry-configuration` we stay off and say what to install."""
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **settings: Any) -> Any:
        if name == "opentelemetry.configuration":
            raise ImportError(name)
        return real(name, *arguments, **settings)

    monkeypatch.setattr(builtins, "__import__", missing)
    config = read(write(START))
    line = (
        "OTEL_CONFIG_FILE is set, but opentelemetry-configuration is not installed: install it, or unset "
        f"the variable. Incident telemetry stays off.{NO_GATE}"
    )
    assert config == Config(off="the configuration cannot be read", problems=(line,))


TWO_EXPORTERS: Final = (
    START
    + """
logger_provider:
  processors:
    - batch:
        schedule_delay: 50
        max_queue_size: 10
        exporter: {otlp_http: {endpoint: "http://127.0.0.1:1/v1/logs"}}
    - simple:
        exporter: {console: }
    - event_to_span_event_bridge/development:
"""
)


def test_the_file_s_exporters_take_the_variables_place(write: Write) -> None:
    """With a file its processors count, each with its own settings, and the variables are not looked at."""
    config = read(
        write(TWO_EXPORTERS),
        OTEL_LOGS_EXPORTER="none,console",
        OTEL_EXPORTER_OTLP_PROTOCOL="kafka",
        OTEL_BLRP_MAX_QUEUE_SIZE="many",
    )
    assert config.exporters == ("file:0", "file:1")
    assert config.problems == ()
    assert [Batch.described_by(each) for each in described_processors(config.config_file)] == [
        Batch(schedule_delay_millis=50, max_queue_size=10, max_export_batch_size=10),
        Batch(),
    ]


def test_settings_that_no_processor_takes(write: Write) -> None:
    """What the SDK's processor would raise for is the default: the schema allows more than it does."""
    text = """
logger_provider:
  processors:
    - batch:
        schedule_delay: 0
        max_queue_size: 99999999999999999999
        max_export_batch_size: 4096
        exporter: {console: }
"""
    (described,) = described_processors(read(write(START + text)).config_file)
    assert Batch.described_by(described) == Batch(max_export_batch_size=2048)


BRIDGE_ALONE: Final = "logger_provider: {processors: [{event_to_span_event_bridge/development: null}]}\n"


@pytest.mark.parametrize("text", ["", BRIDGE_ALONE], ids=["no provider", "no exporter"])
def test_a_file_without_exporters(write: Write, text: str) -> None:
    """A file that sends no logs sends none of ours, whatever the variables say."""
    config = read(write(START + text), OTEL_LOGS_EXPORTER="otlp")
    assert (config.off, config.exporters) == ("", ())


def test_events_take_the_file_s_way(
    write: Write, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event goes to the endpoint that the file names, with its headers and its resource."""
    path = write(
        START
        + f"""
resource:
  schema_url: https://opentelemetry.io/schemas/1.40.0
  attributes:
    - {{name: service.name, value: incident desk}}
    - {{name: incident.title, value: secret}}
  detection/development:
    detectors: [{{process: }}]
logger_provider:
  processors:
    - batch:
        exporter:
          otlp_http:
            endpoint: {receiver.http_endpoint}/v1/logs
            headers: [{{name: authorization, value: token}}]
instrumentation/development:
  python:
    incident: {{server_version: "5.4.0"}}
"""
    )
    monkeypatch.setenv("OTEL_CONFIG_FILE", path)
    IncidentEmitter().create(Incident(id="1"))
    assert default_pipeline().force_flush()
    (event,) = receiver.wait_for_events(1)
    assert receiver.requests[0].headers["authorization"] == "token"
    assert event.event_name == "incident.create"
    assert event.resource_schema_url == ""
    assert set(event.resource) == {
        "service.name",
        "service.version",
        "incident.diagnostic.id",
        "incident.plugin.version",
        "incident.server.version",
        "telemetry.sdk.language",
        "telemetry.sdk.name",
        "telemetry.sdk.version",
    }
    assert event.resource["service.name"] == "incident desk"
    assert event.resource["incident.server.version"] == "5.4.0"
