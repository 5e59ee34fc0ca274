"""Every variable of ours: its default, what it takes, and the one line for what it does not take."""

from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_incident import environment_variables
from otel_incident.config import GATES, Config
from otel_incident.config_exporters import Batch
from otel_incident.config_spool import Spooling

HOME: Final = {"HOME": "/home/desk"}
STATE: Final = Path("/home/desk/.local/state/otel-incident")
GATE_LINE: Final = "cannot be used: expected one of standard, strict, audit, off; strict holds."
MODE_LINE: Final = (
    "cannot be used: expected plain, hmac or drop, alone or as <id attribute>=<mode>, separated by commas; "
    "it is passed over, and plain holds."
)


def read(**variables: str) -> Config:
    """The configuration of an environment in which only this is set."""
    return Config.from_env({**HOME, **variables})


def test_defaults() -> None:
    """With nothing set, events go to OTLP over gRPC, ids are plain, the gate is standard."""
    assert read() == Config(
        off="",
        gate="standard",
        gate_is_set=False,
        gate_alone=False,
        allowed_attributes=(),
        forbidden_attributes=(),
        hook_files=(),
        disabled_hooks=(),
        id_modes={},
        state_dir=STATE,
        diagnostic_id="",
        license_id="",
        server_version="",
        span_events=False,
        exporters=("otlp_proto_grpc",),
        batch=Batch(
            schedule_delay_millis=1000,
            max_queue_size=2048,
            max_export_batch_size=512,
            export_timeout_millis=30_000,
        ),
        endpoints={
            "otlp_proto_grpc": "http://localhost:4317",
            "otlp_proto_http": "http://localhost:4318/v1/logs",
            "otlp_json_http": "http://localhost:4318/v1/logs",
        },
        insecure=None,
        spooling=Spooling(
            on=True,
            directory=STATE,
            folder="spool",
            sync=False,
            max_bytes=1_073_741_824,
            max_age_millis=2_592_000_000,
        ),
        config_file=None,
        problems=(),
    )


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mapping the process's own variables are read, at the time of the call."""
    monkeypatch.setenv("OTEL_INCIDENT_SERVER_VERSION", "5.4.0")
    assert Config.from_env().server_version == "5.4.0"


def test_every_variable_is_read() -> None:
    """Each documented variable changes the configuration, so that none is documented in vain."""
    values = {
        "OTEL_INCIDENT_ENABLED": "false",
        "OTEL_INCIDENT_GATE": "audit",
        "OTEL_INCIDENT_ALLOWED_ATTRIBUTES": "desk.*",
        "OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES": "desk.*",
        "OTEL_INCIDENT_HOOKS": "hooks.toml",
        "OTEL_INCIDENT_DISABLED_HOOKS": "pagerduty",
        "OTEL_INCIDENT_ID_MODE": "hmac",
        "OTEL_INCIDENT_STATE_DIR": "/state",
        "OTEL_INCIDENT_DIAGNOSTIC_ID": "1",
        "OTEL_INCIDENT_LICENSE_ID": "2",
        "OTEL_INCIDENT_SERVER_VERSION": "3",
        "OTEL_INCIDENT_SPAN_EVENTS": "true",
        "OTEL_INCIDENT_SPOOL": "false",
        "OTEL_INCIDENT_SPOOL_DIR": "/spool",
        "OTEL_INCIDENT_SPOOL_SYNC": "full",
        "OTEL_INCIDENT_SPOOL_MAX_BYTES": "1",
        "OTEL_INCIDENT_SPOOL_MAX_AGE": "1",
    }
    documented = {name for name in vars(environment_variables) if name.startswith("OTEL_INCIDENT_")}
    assert documented == set(values)
    for name, value in values.items():
        assert read(**{name: value}) != read(), name
        assert read(**{name: value}).problems == ()


@pytest.mark.parametrize("value", ["true", "TRUE", " True ", "1", "yes", "on", ""])
def test_enabled(value: str) -> None:
    """Reporting is on by default, and by any word that says so."""
    assert read(OTEL_INCIDENT_ENABLED=value).off == ""
    assert read(OTEL_INCIDENT_ENABLED=value).problems == ()


@pytest.mark.parametrize("value", ["false", "False", "0", "no", "off"])
def test_disabled(value: str) -> None:
    """A word that says so turns reporting off, without a complaint."""
    assert read(OTEL_INCIDENT_ENABLED=value).off == "OTEL_INCIDENT_ENABLED is not true"
    assert read(OTEL_INCIDENT_ENABLED=value).problems == ()


@pytest.mark.parametrize("value", ["ture", "2", "-1", "enabled", "none", "n"])
def test_a_switch_that_cannot_be_read_is_off(value: str) -> None:
    """Who mistypes the switch may have meant off: off it is, with one line."""
    config = read(OTEL_INCIDENT_ENABLED=value)
    assert config.off == "OTEL_INCIDENT_ENABLED is not true"
    assert config.problems == (
        f"OTEL_INCIDENT_ENABLED={value!r} cannot be used: expected true or false; false holds.",
    )


@pytest.mark.parametrize("value", ["true", "True", " TRUE "])
def test_sdk_disabled(value: str) -> None:
    """`OTEL_SDK_DISABLED=true` turns us off like the SDK; nothing else is then read."""
    config = read(OTEL_SDK_DISABLED=value, OTEL_INCIDENT_GATE="nonsense", OTEL_CONFIG_FILE="/missing.yaml")
    assert config == Config(off="OTEL_SDK_DISABLED=true")


@pytest.mark.parametrize("value", ["", "false", "1", "yes", "off"])
def test_sdk_not_disabled(value: str) -> None:
    """As the specification has it, only `true` disables the SDK."""
    assert read(OTEL_SDK_DISABLED=value).off == ""


@pytest.mark.parametrize("value", ["1", "true", "yes", " 1 ", "please"])
def test_do_not_track(value: str) -> None:
    """`DO_NOT_TRACK`, by any word that is not a no, turns us off."""
    assert read(DO_NOT_TRACK=value) == Config(off="DO_NOT_TRACK is set")


@pytest.mark.parametrize("value", ["", "0", "false", "False", "no", "off"])
def test_do_track(value: str) -> None:
    """A word that says no leaves us on."""
    assert read(DO_NOT_TRACK=value).off == ""


@pytest.mark.parametrize("gate", GATES)
def test_gate(gate: str) -> None:
    """Each of the four gates by its name, in any case."""
    assert read(OTEL_INCIDENT_GATE=gate).gate == gate
    assert read(OTEL_INCIDENT_GATE=f" {gate.upper()} ").gate == gate
    assert read(OTEL_INCIDENT_GATE=gate).gate_is_set
    assert read(OTEL_INCIDENT_GATE=gate).problems == ()


@pytest.mark.parametrize("value", ["strikt", "none", "true", "standard,strict", "0"])
def test_a_gate_that_cannot_be_read_is_strict(value: str) -> None:
    """Who mistypes the gate wanted one: the strictest holds, with one line."""
    config = read(OTEL_INCIDENT_GATE=value)
    assert (config.gate, config.gate_is_set) == ("strict", True)
    assert config.problems == (f"OTEL_INCIDENT_GATE={value!r} {GATE_LINE}",)


@pytest.mark.parametrize("name", ["allowed_attributes", "forbidden_attributes"])
@pytest.mark.parametrize("glob", ["title;body", "title body", "title\tbody"])
def test_keys_that_no_comma_separates_are_said(name: str, glob: str) -> None:
    """They are one key, which may be meant, and a warning says so; those beside it hold."""
    variable = f"OTEL_INCIDENT_{name.upper()}"
    config = read(**{variable: f"desk.* , form[title],{glob}"})
    assert getattr(config, name) == ("desk.*", "form[title]", glob)
    (line,) = config.problems
    assert line == (
        f"{variable}={glob!r} cannot be used: expected attribute keys separated by commas; "
        "it is taken as one key."
    )


def test_hooks() -> None:
    """Hook files are separated as in PATH; empty entries and spaces around them do not count."""
    assert read(OTEL_INCIDENT_HOOKS="a.toml").hook_files == (Path("a.toml"),)
    assert read(OTEL_INCIDENT_HOOKS=":/a b.toml: c.toml :").hook_files == (Path("/a b.toml"), Path("c.toml"))


@pytest.mark.parametrize(
    ("value", "modes"),
    [
        ("plain", {"": "plain"}),
        ("HMAC", {"": "hmac"}),
        ("drop", {"": "drop"}),
        ("user.id=drop,incident.post.id=hmac", {"user.id": "drop", "incident.post.id": "hmac"}),
        (" hmac , user.id = Drop ,", {"": "hmac", "user.id": "drop"}),
        ("hmac,plain", {"": "plain"}),
        (",", {}),
    ],
)
def test_id_mode(value: str, modes: dict[str, str]) -> None:
    """One mode for all, one by attribute, or both; the last word on an attribute holds."""
    config = read(OTEL_INCIDENT_ID_MODE=value)
    assert config.id_modes == modes
    assert config.problems == ()


@pytest.mark.parametrize(
    "value",
    [
        *("hash", "user.id", "user.id=", "=hash", "user.id=hash", "incident.title=drop", "user.hash=drop"),
        # not on events: a mode for these would promise what does not happen
        *("incident.diagnostic.id=drop", "incident.license.id=hmac", "log.record.uid=drop"),
    ],
)
def test_an_id_mode_that_cannot_be_used(value: str) -> None:
    """A mode or an attribute that is none costs one line; the rest of the value holds."""
    config = read(OTEL_INCIDENT_ID_MODE=f"{value},incident.team.id=hmac")
    assert config.id_modes == {"incident.team.id": "hmac"}
    assert config.problems == (f"OTEL_INCIDENT_ID_MODE={value!r} {MODE_LINE}",)


@pytest.mark.parametrize(
    ("value", "bad", "holds"),
    [
        ("hmac,user.id=dorp", "user.id=dorp", "hmac"),
        ("user.id=dorp,drop", "user.id=dorp", "drop"),
        ("user.id=dorp,user.id=drop,hmac", "user.id=dorp", "drop"),
        ("hmac,incident.title=drop", "incident.title=drop", "hmac"),
        ("hsah,user.id=drop", "hsah", "plain"),
        ("user.id=dorp", "user.id=dorp", "plain"),
    ],
)
def test_the_id_mode_that_holds_is_said(value: str, bad: str, holds: str) -> None:
    """Where one part is passed over, the line names what the others leave in force."""
    (line,) = read(OTEL_INCIDENT_ID_MODE=value).problems
    assert line.startswith(f"OTEL_INCIDENT_ID_MODE={bad!r} cannot be used: ")
    assert line.endswith(f"; it is passed over, and {holds} holds.")


@pytest.mark.parametrize(
    ("variables", "directory"),
    [
        ({"OTEL_INCIDENT_STATE_DIR": "/explicit", "STATE_DIRECTORY": "/systemd"}, "/explicit"),
        ({"STATE_DIRECTORY": "/systemd", "XDG_STATE_HOME": "/xdg"}, "/systemd"),
        ({"STATE_DIRECTORY": "/first:/second"}, "/first"),
        ({"XDG_STATE_HOME": "/xdg"}, "/xdg/otel-incident"),
        ({"XDG_STATE_HOME": "relative"}, str(STATE)),
        ({}, str(STATE)),
        ({"OTEL_INCIDENT_STATE_DIR": " ", "STATE_DIRECTORY": "", "XDG_STATE_HOME": ""}, str(STATE)),
    ],
)
def test_state_directory(variables: dict[str, str], directory: str) -> None:
    """Ours before systemd's before XDG's before the home directory's."""
    assert read(**variables).state_dir == Path(directory)


def test_a_relative_state_directory_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that changes its directory after its start does not change its identity."""
    monkeypatch.chdir(tmp_path)
    assert read(OTEL_INCIDENT_STATE_DIR="state").state_dir == tmp_path / "state"


@pytest.mark.parametrize("variable", ["OTEL_INCIDENT_STATE_DIR", "OTEL_INCIDENT_SPOOL_DIR"])
@pytest.mark.parametrize(("value", "directory"), [("~/desk", "/home/desk/desk"), ("~", "/home/desk")])
def test_a_home_that_no_shell_has_expanded(variable: str, value: str, directory: str) -> None:
    """Of a service manager's `~` the home directory is made, never a directory of that name."""
    config = read(**{variable: value, "HOME": "/home/desk"})
    found = config.state_dir if variable == "OTEL_INCIDENT_STATE_DIR" else config.spooling.directory
    assert found == Path(directory)
    assert config.problems == ()


@pytest.mark.parametrize(
    ("variable", "holds"),
    [("OTEL_INCIDENT_STATE_DIR", "its default"), ("OTEL_INCIDENT_SPOOL_DIR", "the state directory")],
)
@pytest.mark.parametrize(("value", "home"), [("~morgan/desk", "/home/desk"), ("~/desk", "")])
def test_a_home_that_is_not_known(variable: str, holds: str, value: str, home: str) -> None:
    """Another user's home, and one's own where there is none, are said in one line, and the default holds."""
    config = read(**{variable: value, "HOME": home, "STATE_DIRECTORY": "/systemd"})
    assert (config.state_dir, config.spooling.directory) == (Path("/systemd"), Path("/systemd"))
    assert config.spooling.folder == "spool"
    expected = "a directory, of which only ~/ is expanded, and only where HOME is set"
    assert config.problems == (f"{variable}={value!r} cannot be used: expected {expected}; {holds} holds.",)


def test_no_home_no_state_directory() -> None:
    """Where there is no home there is no directory, and never one in a shared temporary directory."""
    assert Config.from_env({}).state_dir is None


@pytest.mark.parametrize(
    ("variable", "field"),
    [
        ("OTEL_INCIDENT_DIAGNOSTIC_ID", "diagnostic_id"),
        ("OTEL_INCIDENT_LICENSE_ID", "license_id"),
        ("OTEL_INCIDENT_SERVER_VERSION", "server_version"),
    ],
)
def test_texts(variable: str, field: str) -> None:
    """What the identity is made of is read as it stands, without spaces around it; it is checked there."""
    assert getattr(read(**{variable: " any thing "}), field) == "any thing"


@pytest.mark.parametrize(("value", "on"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_span_events(value: str, on: object) -> None:
    """Span events are off unless asked for."""
    assert read(OTEL_INCIDENT_SPAN_EVENTS=value).span_events is on


def test_span_events_that_cannot_be_read_are_off() -> None:
    """A value that is neither costs one line and the default."""
    config = read(OTEL_INCIDENT_SPAN_EVENTS="maybe")
    assert config.span_events is False
    assert config.problems == (
        "OTEL_INCIDENT_SPAN_EVENTS='maybe' cannot be used: expected true or false; false holds.",
    )


def test_a_line_is_one_line_whatever_the_value() -> None:
    """A value with line breaks or thousands of characters does not make a line of many."""
    (line,) = read(OTEL_INCIDENT_GATE="a\nb" + "c" * 5000).problems
    assert "\n" not in line
    assert len(line) < 300


NAMES: Final = st.sampled_from(
    sorted(
        {name for name in vars(environment_variables) if name.startswith("OTEL_INCIDENT_")}
        | {"OTEL_SDK_DISABLED", "DO_NOT_TRACK", "OTEL_LOGS_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL"}
        | {"OTEL_BLRP_SCHEDULE_DELAY", "OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"}
        | {"STATE_DIRECTORY", "XDG_STATE_HOME", "HOME", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"}
    )
)
VALUES: Final = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@given(st.dictionaries(NAMES, st.one_of(VALUES, st.integers().map(str))))
def test_no_environment_raises(variables: dict[str, str]) -> None:
    """Any environment is a configuration, with bounds that the SDK's processor takes."""
    config = Config.from_env(variables)
    batch: Any = config.batch
    assert 0 < batch.max_export_batch_size <= batch.max_queue_size < 2**31
    assert 0 < batch.schedule_delay_millis < 2**31
    assert all("\n" not in line for line in config.problems)
