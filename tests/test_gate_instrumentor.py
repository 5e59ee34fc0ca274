"""The gate that `IncidentInstrumentor` puts in place: its mode, what it forbids, and what it says."""

import functools
import importlib
import logging
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final, Literal

import pytest
import wrapt
from opentelemetry import trace
from opentelemetry.distro import OpenTelemetryDistro
from opentelemetry.instrumentation.distro import DefaultDistro  # type: ignore[attr-defined]  # hidden upstream
from opentelemetry.sdk._logs._internal import Logger, SynchronousMultiLogRecordProcessor
from opentelemetry.sdk._shared_internal import BatchProcessor
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    Span,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otel_incident import launching, post_instrument, pre_instrument
from otel_incident.config import GATES, Config
from otel_incident.gate.checks import UNKNOWN
from otel_incident.gate.rules import FIELD, GateRules, Mode
from otel_incident.gate.self_check import AGENTS, SelfCheck
from otel_incident.gate.wrapping import Wrapping
from otel_incident.guard import set_reraise, swallowed
from otel_incident.hooks.shipped import Preset
from otel_incident.instrumentor import IncidentInstrumentor
from tests.gated_pipelines import ATTRIBUTES, CANARY, FREE, KEPT, LEFT, Sent, gated, make_span
from tests.host_package import desk_package as desk_package  # noqa: PLC0414  a fixture is used by its name
from tests.host_package import services
from tests.processes import environment
from tests.zero_code import distribution

IN_PLACE: Final = (
    "The gate ({}) is in place: spans, log records and metrics of every provider of the OpenTelemetry SDK in "
    "this process pass it."
)
NOT_IN_PLACE: Final = (
    "The gate ({}) is not in place, because incident telemetry is off ({}): the host's own spans, logs and "
    "metrics leave as they are."
)
HOOKS: Final = """
[host]
name = "desk"
content = ["queue", "headline"]

[[hook]]
name = "declare"
kind = "call"
target = "desk.services:declare"
action = "create"
incident.id = "result.id"
"""


@pytest.fixture
def instrumentor() -> Iterator[Any]:
    """The instrumentor, which is one for the process; switched off again at the end."""
    found: Any = IncidentInstrumentor()
    yield found
    if found.is_instrumented_by_opentelemetry:
        found.uninstrument()
    found.remove_gate()  # one that stood before


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What we say from level INFO on."""
    caplog.set_level(logging.INFO, "otel_incident")
    return caplog


@pytest.fixture(autouse=True)
def _no_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the agents is there, whatever other tests have imported."""
    for agent in AGENTS:
        monkeypatch.delitem(sys.modules, agent, raising=False)


def sent(attributes: Any = ATTRIBUTES) -> dict[str, Any]:
    """What leaves of a span with these attributes."""
    exporter = Sent()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("desk").start_span(CANARY, attributes=attributes).end()
    return exporter.attributes()[0]


@pytest.mark.parametrize("mode", GATES)
def test_the_mode(mode: str, instrumentor: Any, lines: pytest.LogCaptureFixture) -> None:
    """Each mode does what it says, in one line of information; `off` does and says nothing."""
    instrumentor.instrument(gate=mode)
    assert sent() == (ATTRIBUTES if mode == "off" else LEFT[mode])  # type: ignore[index]  # a mode by now
    said = [(record.levelname, record.getMessage()) for record in lines.records]
    assert said == ([] if mode == "off" else [("INFO", IN_PLACE.format(mode))])


def test_the_default(instrumentor: Any) -> None:
    """Without a setting the gate is `standard`."""
    instrumentor.instrument()
    assert sent() == LEFT["standard"]


def test_a_mode_that_does_not_exist(instrumentor: Any, lines: pytest.LogCaptureFixture) -> None:
    """A value that is none of the modes is `strict`, and said."""
    instrumentor.instrument(gate="loose")
    assert sent() == LEFT["strict"]
    assert lines.messages == [
        IN_PLACE.format("strict"),
        (
            "The option gate='loose' cannot be used: expected one of standard, strict, audit, off; "
            "strict holds."
        ),
    ]


def test_instrument_twice_and_again(instrumentor: Any) -> None:
    """A second call changes nothing, and after `uninstrument()` the classes are what they were."""
    before = dict(vars(SimpleSpanProcessor)), dict(vars(SynchronousMultiSpanProcessor))
    for _ in range(2):
        instrumentor.instrument(gate="strict")
        during = dict(vars(SimpleSpanProcessor))
        IncidentInstrumentor().instrument(gate="off")
        assert dict(vars(SimpleSpanProcessor)) == during
        assert sent() == LEFT["strict"]
        instrumentor.uninstrument()
        assert (dict(vars(SimpleSpanProcessor)), dict(vars(SynchronousMultiSpanProcessor))) == before
        assert sent() == ATTRIBUTES


@pytest.mark.parametrize("as_list", [True, False])
def test_the_operator_s_keys(as_list: object, instrumentor: Any) -> None:
    """Globs of keys widen strict and narrow standard; neither opens or needs our own namespaces."""
    globs: Any = ["desk.*", "incident.title"] if as_list else " desk.*, incident.title ,"
    instrumentor.instrument(gate="strict", allowed_attributes=globs)
    assert sent() == {FREE: CANARY, KEPT: "42"}
    instrumentor.uninstrument()
    instrumentor.instrument(gate="standard", forbidden_attributes=globs)
    assert sent({**ATTRIBUTES, "x": 1}) == {KEPT: "42", "x": 1}


def test_the_environment_s_keys(instrumentor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables do the same."""
    monkeypatch.setenv("OTEL_INCIDENT_ALLOWED_ATTRIBUTES", "desk.qu?ue")
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    instrumentor.instrument()
    assert sent() == {FREE: CANARY, KEPT: "42"}
    instrumentor.uninstrument()
    monkeypatch.setenv("OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES", "desk.qu?ue")
    instrumentor.instrument()
    assert sent() == {KEPT: "42"}
    instrumentor.uninstrument()
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "standard")
    instrumentor.instrument()
    assert sent() == {KEPT: "42"}


WAYS: Final[dict[str, tuple[Callable[[], None], dict[str, str]]]] = {
    "in our turn": (lambda: IncidentInstrumentor().instrument(), {}),
    "an instrumentor raised before it": (pre_instrument.begin, {}),
    "telemetry off": (
        lambda: IncidentInstrumentor().instrument(),
        {"OTEL_INCIDENT_ENABLED": "tru", "OTEL_INCIDENT_GATE": "standard"},
    ),
}
"""How a gate can have been put up, and the settings for that."""


@pytest.fixture(params=WAYS)
def begin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Puts the gate up, in each way."""
    start, variables = WAYS[request.param]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return start


REFUSED: Final = {
    "an action that there is not": HOOKS.replace('"create"', '"creat"'),
    "a host without a name": HOOKS.replace('name = "desk"\ncontent', "content"),
    "a key that is not known": HOOKS.replace("content =", "kind = 1\ncontent ="),
}


@pytest.mark.usefixtures("instrumentor")
@pytest.mark.parametrize(
    "text",
    [HOOKS, HOOKS.replace('"headline"', '" headline "'), *REFUSED.values()],
    ids=["good", "blanks around a name", *REFUSED],
)
def test_what_an_operator_s_file_names_as_content(
    text: str, begin: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a hook file, refused or not, names as content goes, alone or as the last part of a key."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text(text)
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", str(hooks))
    begin()
    assert sent({**ATTRIBUTES, "headline": "x", "head.line": "y"}) == {KEPT: "42", "head.line": "y"}


@pytest.mark.usefixtures("instrumentor")
def test_of_two_files_for_one_thing_the_content_of_both_holds(
    begin: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two files that are about one target is refused, and what it names as content is not."""
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(HOOKS)
    two.write_text(HOOKS.replace('"queue", "headline"', '"note"'))
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", f"{one}{os.pathsep}{two}")
    begin()
    assert sent({"headline": "x", "desk.note": "y", "z": 1}) == {"z": 1}


@pytest.mark.usefixtures("instrumentor")
def test_a_name_of_content_with_dots(
    begin: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a key, and the end of others after a dot, as a name without dots is; the end of a word is not."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text(HOOKS.replace('"headline"', '"ticket.title", "a.b.c", "form[x.y]"'))
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", str(hooks))
    begin()
    gone = ["ticket.title", "desk.ticket.title", "a.desk.ticket.title", "a.b.c", "z.a.b.c", "http.form[x.y]"]
    left = ["ticket", "title", "desk.title", "aticket.title", "ticket.title.en", "b.c", "z.b.c", "y]"]
    assert sent(dict.fromkeys(gone + left, "x")) == dict.fromkeys(left, "x")


@pytest.mark.usefixtures("instrumentor")
@pytest.mark.parametrize("text", ["[host", "[host]\ncontent = 5", "host = 1"])
def test_a_file_whose_content_cannot_be_read(
    text: str,
    begin: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said, once for each reason, and costs no other file: what that one names as content is gone."""
    bad, good = tmp_path / "bad.toml", tmp_path / "good.toml"
    bad.write_text(text)
    good.write_text(HOOKS)
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", f"{bad}{os.pathsep}{good}")
    begin()
    assert sent({"headline": "x", "z": 1}) == {"z": 1}
    said = [line for line in caplog.messages if line.startswith(str(bad))]
    assert len(said) == len(set(said)) >= 1
    assert all(line.endswith(" The file is not in force; the host runs without it.") for line in said)


@pytest.mark.usefixtures("instrumentor")
def test_a_name_of_content_with_brackets(
    begin: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is a name as any other, such as a form's, and nothing is said of it."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text(HOOKS.replace('"headline"', '"form[headline]", "notes[]"'))
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", str(hooks))
    begin()
    attributes = {"form[headline]": "x", "http.form[headline]": "y", "notes[]": "z", "forme": 1}
    assert sent(attributes) == {"forme": 1}
    assert [line for line in caplog.messages if line.startswith(str(hooks))] == []


@pytest.mark.usefixtures("instrumentor")
def test_a_text_alone_in_the_place_of_names_is_one(
    begin: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A file with one is refused in one line, and what it names is gone all the same."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text(HOOKS.replace('["queue", "headline"]', '"headline"'))
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", str(hooks))
    begin()
    assert sent({"queue": "x", "desk.headline": "y"}) == {"queue": "x"}
    assert [line for line in caplog.messages if line.startswith(str(hooks))] == [
        (
            f"{hooks}, key 'host.content': must be a list of texts. The file is not in force; the host runs "
            "without it. What it names as content holds all the same."
        )
    ]


@pytest.mark.usefixtures("desk_package")
@pytest.mark.parametrize("text", [HOOKS, *REFUSED.values(), HOOKS.replace('= "desk"', "= desk")])
def test_a_hook_file_is_parsed_once(
    text: str, instrumentor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Be it refused or not, for the gate, its hooks and what is said of it."""
    text = f"{text}# {tmp_path}\n"  # of no other test
    hooks = tmp_path / "hooks.toml"
    hooks.write_text(text)
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", str(hooks))
    parsed: list[str] = []
    loads = tomllib.loads

    def counted(given: str) -> dict[str, Any]:
        parsed.append(given)
        return loads(given)

    monkeypatch.setattr(tomllib, "loads", counted)
    pre_instrument.begin()
    instrumentor.instrument()
    assert parsed.count(text) == 1


@pytest.mark.parametrize("gate", ["standard", "off"])
def test_of_a_refused_file_content_is_said_to_hold_where_there_is_a_gate(
    gate: str, instrumentor: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a gate nobody is told that what it names as content holds."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text(REFUSED["an action that there is not"])
    instrumentor.instrument(hooks=[hooks], gate=gate)
    (line,) = [line for line in caplog.messages if line.startswith(str(hooks))]
    end = " What it names as content holds all the same." if gate == "standard" else ""
    assert line.partition(". ")[2] == f"The file is not in force; the host runs without it.{end}"


GLOB: Final = (
    "lists 'desk.*', and a glob takes nothing out here; write the name itself (globs go into "
    "OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES)"
)


@pytest.mark.usefixtures("instrumentor")
@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ('"desk.*"', GLOB),
        ("5", "must be a list of texts"),
        ('" "', "must be a list of texts"),
        ('"desk.*", 5', GLOB),
    ],
)
def test_beside_what_is_no_name_the_names_of_content_hold(
    item: str,
    reason: str,
    begin: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is no name is said once and forbids nothing; the names before and after it are forbidden."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text(HOOKS.replace('"queue", "headline"', f'"queue", {item}, "headline"'))
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", str(hooks))
    begin()
    assert sent({"queue": "x", "headline": "y", "desk.z": 1}) == {"desk.z": 1}
    assert [line for line in caplog.messages if line.startswith(str(hooks))] == [
        (
            f"{hooks}, key 'host.content': {reason}. The file is not in force; the host runs without it. "
            "What it names as content holds all the same."
        )
    ]


@pytest.mark.usefixtures("instrumentor")
@pytest.mark.parametrize("own", [False, True])
def test_what_a_preset_names_as_content(
    own: object, begin: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content fields of a preset are forbidden once its own host is imported, not another's."""
    monkeypatch.delitem(sys.modules, "helpdesk", raising=False)
    distribution(tmp_path / "installed", "django-helpdesk" if own else "acme", modules={"helpdesk": ""})
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    begin()
    attributes = {"resolution": CANARY, FREE: CANARY}
    assert sent(attributes) == attributes
    importlib.import_module("helpdesk")
    assert sent(attributes) == ({FREE: CANARY} if own else attributes)
    del sys.modules["helpdesk"]


@pytest.mark.usefixtures("instrumentor")
def test_a_preset_that_cannot_be_asked_breaks_no_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The host is imported all the same; the line says what is not taken out, and not the error's message."""

    def fail(_: Preset) -> tuple[str, ...]:
        raise LookupError(CANARY)

    set_reraise(reraise=False)
    monkeypatch.setattr(Preset, "content", fail)
    monkeypatch.delitem(sys.modules, "helpdesk", raising=False)
    distribution(tmp_path / "installed", "django-helpdesk", modules={"helpdesk": ""})
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    pre_instrument.begin()
    assert importlib.import_module("helpdesk") is sys.modules["helpdesk"]
    del sys.modules["helpdesk"]
    assert [line for line in caplog.messages if "LookupError" in line] == [
        (
            "The preset django-helpdesk cannot be read (LookupError), so the gate does not take what it "
            "names as content out of the host's own spans, logs and metrics. Install otel-incident again, or "
            "name these attributes in OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES."
        )
    ]
    assert swallowed()["gate"] == 1


@pytest.mark.parametrize("ended_by", ["a variable", "an option", "the gate's end"])
def test_a_preset_is_asked_while_there_is_a_gate(
    ended_by: str, instrumentor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is switched off is not asked for its content, and none is where the gate has gone."""

    def fail(_: Preset) -> tuple[str, ...]:
        raise LookupError(CANARY)

    monkeypatch.setattr(Preset, "content", fail)
    monkeypatch.delitem(sys.modules, "helpdesk", raising=False)
    distribution(tmp_path / "installed", "django-helpdesk", modules={"helpdesk": ""})
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    if ended_by == "a variable":
        monkeypatch.setenv("OTEL_INCIDENT_DISABLED_HOOKS", "django-helpdesk")
    pre_instrument.begin()
    if ended_by == "an option":
        instrumentor.instrument(disabled_hooks="django-helpdesk")
    elif ended_by == "the gate's end":
        instrumentor.remove_gate()
    importlib.import_module("helpdesk")  # an error of ours would be raised here
    del sys.modules["helpdesk"]


def test_hook_files_that_come_after_the_gate(instrumentor: Any, tmp_path: Path) -> None:
    """A file that the instrumentor is told of in its turn is known to the gate that stood before."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text(HOOKS)
    pre_instrument.begin()
    assert sent({"headline": "x", "z": 1}) == {"headline": "x", "z": 1}
    instrumentor.instrument(hooks=[hooks])
    assert sent({"headline": "x", "z": 1}) == {"z": 1}


@pytest.mark.usefixtures("desk_package")
@pytest.mark.parametrize("gate", ["strict", "off"])
def test_the_events_are_the_same(gate: str, instrumentor: Any, tmp_path: Path) -> None:
    """The hooks report whatever the gate is."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text(HOOKS)
    instrumentor.instrument(hooks=[hooks], gate=gate)
    assert hasattr(services().declare, "__wrapped__")


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"OTEL_INCIDENT_ENABLED": "false"}, "OTEL_INCIDENT_ENABLED is not true"),
        ({"DO_NOT_TRACK": "1"}, "DO_NOT_TRACK is set"),
    ],
)
@pytest.mark.parametrize("gate", ["", "off", "standard", "strict"])
def test_off(
    variables: dict[str, str],
    reason: str,
    gate: str,
    instrumentor: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Telemetry that is off takes the gate with it; who had set one is warned."""
    caplog.set_level(logging.WARNING, "otel_incident")
    for name, value in {**variables, "OTEL_INCIDENT_GATE": gate}.items():
        monkeypatch.setenv(name, value)
    instrumentor.instrument()
    assert sent() == ATTRIBUTES
    assert caplog.messages == ([NOT_IN_PLACE.format(gate, reason)] if gate in {"standard", "strict"} else [])


@pytest.mark.parametrize("gate", ["off", "standard", "strict"])
def test_a_gate_that_a_disabled_file_names(
    gate: str,
    instrumentor: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who has set a gate in a configuration file that says `disabled: true` is warned that there is none."""
    caplog.set_level(logging.WARNING, "otel_incident")
    file = tmp_path / "otel.yaml"
    block = f"instrumentation/development: {{python: {{incident: {{gate: {gate}}}}}}}"
    file.write_text(f'file_format: "1.0"\ndisabled: true\n{block}\n')
    monkeypatch.setenv("OTEL_CONFIG_FILE", str(file))
    instrumentor.instrument()
    assert sent() == ATTRIBUTES
    line = NOT_IN_PLACE.format(gate, "OTEL_CONFIG_FILE says disabled: true")
    assert caplog.messages == ([] if gate == "off" else [line])


@pytest.mark.parametrize("gate", ["", "off", "standard", "strict"])
def test_a_switch_that_cannot_be_read(
    gate: Literal["", "off", "standard", "strict"],
    instrumentor: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mistyped `OTEL_INCIDENT_ENABLED` turns telemetry off, and keeps the gate that was asked for."""
    monkeypatch.setenv("OTEL_INCIDENT_ENABLED", "flase")
    monkeypatch.setenv("OTEL_INCIDENT_GATE", gate)
    for start in (pre_instrument.begin, instrumentor.instrument):
        start()
        assert sent() == (ATTRIBUTES if gate in {"", "off"} else LEFT[gate])  # type: ignore[index]  # a mode
    line = "OTEL_INCIDENT_ENABLED='flase' cannot be used: expected true or false; false holds."
    assert caplog.messages == [line]
    assert not instrumentor._activation  # noqa: SLF001  nothing else of ours runs


def test_off_with_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the SDK itself is off nothing can leave, and nobody is warned."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    assert not Config.from_env().gate_is_set


@pytest.mark.parametrize(
    ("options", "gate", "left"),
    [
        ({}, "strict", LEFT["strict"]),
        ({}, "", ATTRIBUTES),
        ({"gate": "strict"}, "off", LEFT["strict"]),
        ({"gate": False}, "strict", ATTRIBUTES),
        ({"gate": ["strict"]}, "", LEFT["strict"]),
    ],
)
def test_a_mistake_elsewhere(
    options: dict[str, Any],
    gate: str,
    left: dict[str, Any],
    instrumentor: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An option that is not known turns telemetry off, and not a gate that was asked for."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", gate)
    instrumentor.instrument(titel="x", **options)
    assert sent() == left
    said = ["The option 'titel' of the incident instrumentation is not known"]
    if type(options.get("gate")) is list:
        said.append("The option 'gate' of the incident instrumentation has the wrong type (list)")
    assert [re.split(r"[;.]", line)[0] for line in caplog.messages] == said


@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_a_gate_that_cannot_be_put_in_place(
    mode: Mode, instrumentor: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Strict lets nothing leave, standard lets pass; both say so, and the host runs."""

    def fail(*_: object) -> None:
        raise RuntimeError(CANARY)

    exporter = Sent()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(Wrapping, "install", fail)
    set_reraise(reraise=False)
    instrumentor.instrument(gate=mode)
    make_span(provider)
    assert exporter.attributes() == ([] if mode == "strict" else [ATTRIBUTES])
    assert caplog.messages[0].startswith(f"The gate ({mode}) could not be put in place")
    assert swallowed() == {"gate": 1}
    assert CANARY not in caplog.text


def test_the_self_check_of_the_command(
    instrumentor: Any, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the command the line waits until all instrumentors have run; then an agent is in it."""
    name = "opentelemetry.instrumentation.auto_instrumentation"
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    instrumentor.instrument()
    assert lines.messages == []
    monkeypatch.setitem(sys.modules, "ddtrace", ModuleType("ddtrace"))
    post_instrument.check()
    assert [(record.levelname, record.getMessage()) for record in lines.records] == [
        (
            "WARNING",
            "The gate (standard) is in place, but does not cover: what ddtrace sends by itself.",
        )
    ]


def test_the_self_check_without_a_gate(lines: pytest.LogCaptureFixture, instrumentor: Any) -> None:
    """Where there is no gate, or our instrumentor was never loaded, the command ends without a word."""
    instrumentor.instrument(gate="off")
    post_instrument.check()
    assert lines.messages == []


@pytest.mark.parametrize(
    ("disabled", "asked", "why"),
    [
        ("incident", "strict", "was not loaded (see OTEL_PYTHON_DISABLED_INSTRUMENTATIONS)"),
        ("requests, *", "standard", "was not loaded (see OTEL_PYTHON_DISABLED_INSTRUMENTATIONS)"),
        ("incidents", "standard", "could not be loaded"),
        ("", "audit", "could not be loaded"),
        ("incident", "", ""),
        ("", None, ""),
    ],
)
def test_the_self_check_without_the_instrumentor(
    disabled: str,
    asked: str | None,
    why: str,
    instrumentor: Any,
    lines: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where it was not told to instrument, a gate that was asked for is said to be missing, and why."""
    assert not instrumentor.is_instrumented_by_opentelemetry
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", disabled)
    if asked is not None:
        monkeypatch.setenv("OTEL_INCIDENT_GATE", asked)
    post_instrument.check()
    missing = (
        f"The gate ({asked}) is not in place, because the instrumentation incident {why}: the host's own "
        "spans, logs and metrics leave as they are."
    )
    said = [(record.levelname, record.getMessage()) for record in lines.records]
    assert said == ([("WARNING", missing)] if why else [])


@pytest.mark.parametrize(
    ("variables", "left"),
    [
        ({"OTEL_INCIDENT_GATE": "strict"}, "strict"),
        ({}, "standard"),
        ({"OTEL_INCIDENT_GATE": "off"}, ""),
        ({"OTEL_INCIDENT_GATE": "strict", "OTEL_INCIDENT_ENABLED": "false"}, ""),
    ],
    ids=lambda each: "-".join(each) if isinstance(each, dict) else None,
)
def test_the_gate_before_the_instrumentors(
    variables: dict[str, str], left: Mode | Literal[""], instrumentor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands by the settings of the process, where it is not off, before we are told to instrument."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    pre_instrument.begin()
    assert not instrumentor.is_instrumented_by_opentelemetry
    assert instrumentor.has_begun_gate == bool(left)
    expected = LEFT[left] if left else ATTRIBUTES
    assert sent() == expected
    instrumentor.instrument()
    assert sent() == expected
    instrumentor.uninstrument()
    assert sent() == ATTRIBUTES


def test_disabled_by_name_there_is_no_gate(instrumentor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=incident` nothing is put in place before, either."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "requests , incident")
    pre_instrument.begin()
    assert not instrumentor.has_begun_gate
    assert sent() == ATTRIBUTES


def test_the_gate_is_put_in_place_once(
    instrumentor: Any, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands before the instrumentors is what stands after them: one gate, which speaks once."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    pre_instrument.begin()
    monkeypatch.delattr(Wrapping, "install")
    monkeypatch.delattr(Wrapping, "undo")
    instrumentor.instrument()
    assert sent() == LEFT["strict"]
    monkeypatch.undo()
    assert lines.messages == [IN_PLACE.format("strict")]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"gate": "off"}, ATTRIBUTES),
        ({"gate": "standard"}, LEFT["standard"]),
        ({"enabled": False}, ATTRIBUTES),
        ({"allowed_attributes": "*"}, {**LEFT["strict"], FREE: ATTRIBUTES[FREE]}),
    ],
    ids=lambda each: next(iter(each)),
)
def test_options_that_come_after_the_gate(
    options: dict[str, Any], left: dict[str, Any], instrumentor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the instrumentor is told otherwise in its turn holds from then on."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    pre_instrument.begin()
    assert sent() == LEFT["strict"]
    instrumentor.instrument(**options)
    assert sent() == left


@pytest.mark.parametrize("mode", ["strict", "standard", "off"])
def test_settings_that_can_be_read_only_later(
    mode: str, instrumentor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What refused before the instrumentors, for want of settings, makes room for what they say later."""

    def fail(*_: object, **__: object) -> None:
        raise LookupError(CANARY)

    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    set_reraise(reraise=False)
    with monkeypatch.context() as broken:
        broken.setattr(Config, "from_env", fail)
        pre_instrument.begin()
    exporter = Sent()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    make_span(provider)
    assert exporter.attributes() == []
    instrumentor.instrument(gate=mode)
    make_span(provider)
    assert exporter.attributes() == [ATTRIBUTES if mode == "off" else LEFT[mode]]  # type: ignore[index]  # a mode
    assert swallowed() == {"instrument": 1}


def test_an_agent_that_comes_later(
    instrumentor: Any, lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that the host imports after the line is named then, and not after `uninstrument()`."""
    instrumentor.instrument()
    module = ModuleType("sentry_sdk")
    monkeypatch.setitem(sys.modules, "sentry_sdk", module)
    wrapt.notify_module_loaded(module)
    instrumentor.uninstrument()
    wrapt.notify_module_loaded(module)
    assert lines.messages == [
        IN_PLACE.format("standard"),
        "The gate (standard) does not cover: what sentry_sdk sends by itself.",
    ]


class Foreign:
    """A provider of a vendor's."""

    __module__ = "vendor.tracing"


def test_what_the_self_check_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is not the SDK's, a class that somebody changed and a missing field are named."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", Foreign())
    with gated("strict") as wrapping:
        check = SelfCheck(wrapping)
        wrapping.missing.append("spans (X has no y)")
        own = vars(SimpleSpanProcessor)["span_exporter"]
        SimpleSpanProcessor.span_exporter = None  # type: ignore[assignment]  # as no host should
        try:
            assert check.uncovered() == [
                "spans (X has no y)",
                "what somebody has put in the gate's place in the SDK's classes",
                "the global provider of vendor, which is not the OpenTelemetry SDK's",
            ]
        finally:
            SimpleSpanProcessor.span_exporter = own
        assert "what somebody has put in the gate's place in the SDK's classes" not in check.uncovered()
        check.stop()


def passing(before: Any) -> Any:
    """Somebody's own over a method of the SDK's, which says what it wraps."""

    @functools.wraps(before)
    def method(*args: Any, **kwargs: Any) -> Any:
        return before(*args, **kwargs)

    return method


def replacing(_: Any) -> Any:
    """Somebody's own in the place of a method of the SDK's."""
    return lambda *_, **__: None


def in_wrapt(before: Any) -> Any:
    """Somebody's own over a method of the SDK's, which passes for it in all but its type."""
    return wrapt.FunctionWrapper(before, lambda wrapped, _, args, kwargs: wrapped(*args, **kwargs))


CHANGED: Final[list[tuple[type, str]]] = [
    (SynchronousMultiSpanProcessor, "on_end"),
    (ConcurrentMultiSpanProcessor, "on_start"),
    (SynchronousMultiLogRecordProcessor, "on_emit"),
    (Span, "end"),
    (Logger, "emit"),
    (BatchProcessor, "emit"),
    (BatchProcessor, "_export"),
]


@pytest.mark.parametrize("put", [passing, replacing, in_wrapt])
@pytest.mark.parametrize(("owner", "name"), CHANGED)
@pytest.mark.parametrize("below", [True, False])
def test_the_self_check_names_what_others_have_changed(
    owner: type, name: str, put: Any, *, below: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method of the SDK's that sees what is not filtered yet is named, be it changed before us or after."""
    if below:
        monkeypatch.setattr(owner, name, put(vars(owner)[name]))
    with gated("strict") as wrapping:
        check = SelfCheck(wrapping)
        with monkeypatch.context() as after:
            if not below:
                after.setattr(owner, name, put(vars(owner)[name]))
            gaps = check.uncovered()
        check.stop()
    named = f"what somebody has put into the SDK's {owner.__name__}.{name}"
    displaced = put is replacing and not below and owner not in {Span, Logger, BatchProcessor}
    assert gaps == ["what somebody has put in the gate's place in the SDK's classes" if displaced else named]


def test_a_subclass_of_the_sdk_s_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that inherits from the SDK's is covered, whoever wrote it."""

    class Own(TracerProvider):
        """A vendor's."""

        __module__ = "vendor.tracing"

    monkeypatch.setattr(trace, "_TRACER_PROVIDER", Own(shutdown_on_exit=False))
    with gated("strict") as wrapping:
        check = SelfCheck(wrapping)
        assert check.uncovered() == []
        check.stop()


def test_the_summary() -> None:
    """What was taken out is summed up by signal; in audit also what strict would take out."""
    wrapping = Wrapping(GateRules("audit"))
    check = SelfCheck(wrapping)
    assert check.summary() == ""
    wrapping.rules.count("spans", [UNKNOWN, UNKNOWN])
    assert check.summary() == "The gate (audit) has taken 2 things out of spans."
    wrapping.rules.count("metrics", [FIELD])
    wrapping.rules.would("logs", [FIELD])
    assert check.summary() == (
        "The gate (audit) has taken 2 things out of spans, 1 out of metrics; strict would have taken 1 thing "
        "out of log records."
    )
    check.stop()


FORKED: Final = """
import os
import sys
from otel_incident.gate.checks import UNKNOWN
from otel_incident.gate.rules import GateRules
from otel_incident.gate.self_check import SelfCheck
from otel_incident.gate.wrapping import Wrapping
wrapping = Wrapping(GateRules("standard"))
check = SelfCheck(wrapping)
wrapping.rules.count("spans", [UNKNOWN, UNKNOWN])
print(check.summary(), flush=True)
if os.fork() == 0:
    print(repr(check.summary()), flush=True)
    wrapping.rules.count("logs", [UNKNOWN])
    print(check.summary(), flush=True)
    os._exit(0)
os.wait()
print(check.summary(), flush=True)
"""


def outcome(code: str) -> list[str]:
    """What a process of its own prints; it ends well, and says nothing else."""
    done = subprocess.run(  # noqa: S603  the words are ours
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_summary_of_a_forked_child() -> None:
    """A child sums up what it took out itself; what its parent had taken out, the parent says."""
    assert outcome(FORKED) == [
        "The gate (standard) has taken 2 things out of spans.",
        "''",
        "The gate (standard) has taken 1 thing out of log records.",
        "The gate (standard) has taken 2 things out of spans.",
    ]


def test_a_fork_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was registered for forks does nothing more once the self-check has stopped."""
    registered: list[Any] = []
    monkeypatch.setattr(os, "register_at_fork", lambda **given: registered.append(given["after_in_child"]))
    wrapping = Wrapping(GateRules("standard"))
    check = SelfCheck(wrapping)
    (in_child,) = registered
    wrapping.rules.count("spans", [UNKNOWN])
    in_child()
    assert check.summary() == ""
    check.stop()
    wrapping.rules.count("spans", [UNKNOWN])
    in_child()
    assert check.summary() == "The gate (standard) has taken 1 thing out of spans."


AT_EXIT: Final = """
import atexit
import logging
import sys
from opentelemetry import trace, metrics
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from otel_incident.gate.checks import UNKNOWN
from otel_incident.gate.rules import GateRules
from otel_incident.gate.self_check import SelfCheck
from otel_incident.gate.wrapping import Wrapping

wrapping = Wrapping(GateRules("standard"))

def says(kind, name):
    class Own(kind):
        def shutdown(self, *args, **kwargs):
            wrapping.rules.count(name, [UNKNOWN])
            print(name, flush=True)
    return Own()

trace.set_tracer_provider(says(TracerProvider, "spans"))
metrics.set_meter_provider(says(MeterProvider, "metrics"))
set_logger_provider(says(LoggerProvider, "logs"))
logging.getLogger("otel_incident").setLevel(logging.INFO)
logging.getLogger("otel_incident").addHandler(logging.StreamHandler(sys.stdout))
SelfCheck(wrapping, first={first})
atexit.register(print, "the host's own", flush=True)
"""


def test_the_last_line_when_no_code_of_the_host_s_has_run() -> None:
    """At exit the host's handlers come first, then the providers in the SDK's order, then the last line."""
    assert outcome(AT_EXIT.format(first=True)) == [
        "the host's own",
        "logs",
        "metrics",
        "spans",
        "The gate (standard) has taken 1 thing out of spans, 1 out of log records, 1 out of metrics.",
    ]


def test_the_last_line_when_the_host_came_first() -> None:
    """Where the host has registered handlers before us, their order stays, and nothing is counted yet."""
    assert outcome(AT_EXIT.format(first=False)) == ["the host's own", "logs", "metrics", "spans"]


@pytest.mark.parametrize(
    ("gate", "disabled", "named", "distro"),
    [
        ("strict", "", None, "incident"),
        ("strickt", "requests", None, "incident"),
        ("strict", "", "aws_distro", "aws_distro"),
        ("strict", "incident", None, None),
        ("standard", "", None, None),
        ("", "", None, None),
    ],
)
def test_the_distro_that_the_command_names(
    gate: str, disabled: str, named: str | None, distro: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ours where strict is asked for, nobody has named another, and ours is not disabled."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", gate)
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", disabled)
    monkeypatch.setenv("OTEL_PYTHON_DISTRO", named or "")
    monkeypatch.setattr(sys, "argv", ["opentelemetry-instrument", sys.executable])
    if named is None:
        monkeypatch.delenv("OTEL_PYTHON_DISTRO")
    launching.name_distro()
    # TID251: about the test's own environment, not the package's configuration.
    assert os.environ.get("OTEL_PYTHON_DISTRO") == distro  # noqa: TID251  what was left in the environment is what is tested


def environment_of(directory: Path, settings: str = "include-system-site-packages = false\n") -> Path:
    """A Python of a virtual environment that is not ours."""
    python = directory / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.write_bytes(b"\x7fELF")
    python.chmod(0o755)
    (directory / "pyvenv.cfg").write_text(settings)
    return python


def script(directory: Path, name: str, first_line: str) -> str:
    """A program that begins with this line."""
    file = directory / name
    file.write_text(f"{first_line}\n")
    file.chmod(0o755)
    return str(file)


OTHERS: Final = {
    "python3 app.py": False,
    "--traces_exporter otlp --logs_exporter=none python3": False,
    "-- python3": False,
    "{directory}/starlet": False,
    "{directory}/by-env": False,
    "{directory}/launcher.sh": True,
    "{directory}/shims/python": True,
    "{directory}/by-shim": True,
    "{directory}/sharing/bin/python3": True,
    "{directory}/nothing": True,
    "{directory}/empty": True,
    "--traces_exporter": True,
    "{ours} -c pass": True,
    "{directory}/ours": True,
}
"""What the command is told to start, another environment's `python3` on the path; whether it may be ours."""


@pytest.mark.parametrize("started", OTHERS)
def test_no_distro_is_named_for_another_python(
    started: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of another environment may not have our distro, and would take none; what is not known is named."""
    other = environment_of(tmp_path / "other")
    environment_of(tmp_path / "sharing", "include-system-site-packages = TRUE\n")
    (tmp_path / "shims").mkdir()
    script(tmp_path / "shims", "python", "#!/bin/bash")
    script(tmp_path, "by-shim", f"#!{tmp_path}/shims/python")
    script(tmp_path, "starlet", f"#!{other} -I")
    script(tmp_path, "by-env", "#!/usr/bin/env python3")
    script(tmp_path, "launcher.sh", "#!/bin/sh")
    script(tmp_path, "empty", "")
    script(tmp_path, "ours", f"#!{sys.executable}")
    monkeypatch.setenv("PATH", str(other.parent), prepend=os.pathsep)
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    monkeypatch.delenv("OTEL_PYTHON_DISTRO", raising=False)
    words = started.format(directory=tmp_path, ours=sys.executable).split()
    monkeypatch.setattr(sys, "argv", ["opentelemetry-instrument", *words])
    launching.name_distro()
    # TID251: about the test's own environment, not the package's configuration.
    assert (os.environ.get("OTEL_PYTHON_DISTRO") == "incident") is OTHERS[started]  # noqa: TID251  what was left in the environment is what is tested


def test_one_python_by_two_names_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a virtual environment an interpreter is known by its file, whatever link leads there."""
    python = environment_of(tmp_path)
    (tmp_path / "pyvenv.cfg").unlink()
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "python"
    link.symlink_to(python)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(sys, "argv", ["opentelemetry-instrument", str(link)])
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    monkeypatch.delenv("OTEL_PYTHON_DISTRO", raising=False)
    launching.name_distro()
    assert os.environ["OTEL_PYTHON_DISTRO"] == "incident"  # noqa: TID251  as above


FIRST: Final = (
    "OTEL_PYTHON_DISTRO names another distro than incident, so what these packages have run comes before the "
    "gate (strict): {}. If one of them raises, there is no gate, and the host's own spans, logs and metrics "
    "leave as they are. Name incident, which gives way to the distro that is installed."
)


@pytest.mark.parametrize(
    ("gate", "named", "packages", "said"),
    [
        ("strict", "aws_distro", ["acme", "vendor", "incident", "later"], [FIRST.format("acme, vendor")]),
        ("strict", "aws_distro", ["incident", "later"], []),
        ("strict", "aws_distro", ["acme"], []),
        ("strict", "incident", ["acme", "incident"], []),
        ("standard", "aws_distro", ["acme", "incident"], []),
    ],
)
def test_who_comes_before_the_gate_is_said(
    gate: str,
    named: str,
    packages: list[str],
    said: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where strict is asked for and another distro is named, whoever could keep the gate away is named."""
    entry_points = {"opentelemetry_pre_instrument": [SimpleNamespace(name=name) for name in packages]}
    monkeypatch.setattr(launching, "entry_points", lambda group: entry_points[group])
    monkeypatch.setenv("OTEL_INCIDENT_GATE", gate)
    monkeypatch.setenv("OTEL_PYTHON_DISTRO", named)
    launching.name_distro()
    assert caplog.messages == said


@pytest.mark.parametrize(
    ("variables", "begins"),
    [
        ({"OTEL_PYTHON_DISTRO": "incident"}, True),
        ({"OTEL_PYTHON_DISTRO": "incident", "OTEL_PYTHON_TRACER_PROVIDER": "sdk_tracer_provider"}, False),
        ({"OTEL_PYTHON_DISTRO": "distro"}, False),
    ],
)
def test_the_gate_begins_with_our_distro(
    variables: dict[str, str], begins: object, instrumentor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is named, and no provider would be set by asking for it; it gives way to the one installed."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    named = variables["OTEL_PYTHON_DISTRO"] == "incident"
    assert type(pre_instrument.distro()) is (OpenTelemetryDistro if named else type(None))
    assert instrumentor.has_begun_gate == begins


def test_our_distro_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives way to the one that upstream takes then; what is no distro is passed over."""
    other = SimpleNamespace(name="acme", load=lambda: object)
    monkeypatch.setenv("OTEL_PYTHON_DISTRO", "incident")
    monkeypatch.setattr(pre_instrument, "begin", lambda: None)
    monkeypatch.setattr(pre_instrument, "entry_points", lambda group: [other] if group else [])
    assert type(pre_instrument.distro()) is DefaultDistro
