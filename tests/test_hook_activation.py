"""Hook files in place: an operator's at once, a preset with its host, each whatever becomes of the others."""

import logging
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import pytest

from otel_incident.events import Incident, IncidentEvent
from otel_incident.guard import set_reraise, swallowed
from otel_incident.hooks.activation import Activation, read_files
from otel_incident.hooks.spec import parse
from tests.host_package import desk_package as desk_package  # noqa: PLC0414  a fixture is used by its name
from tests.host_package import hook_file, imported, services, watching

if TYPE_CHECKING:
    from otel_incident.hooks.definitions import HookFile

PRESET: Final = """
[host]
name = "desk"
module = "desk"
distribution = "acme-desk"

[[hook]]
name = "declare"
kind = "call"
target = "desk.services:declare"
action = "create"
incident.id = "result.id"
"""
GOOD: Final = PRESET.replace('module = "desk"\n', "")


@pytest.mark.usefixtures("desk_package")
def test_preset_waits_for_its_host() -> None:
    """A preset watches nothing until its host's module is imported, and then all that it names."""
    with watching(parse(PRESET, "desk", preset=True)) as watched:
        assert imported("desk") is None
        assert watched.activation.host_distribution() == ""
        assert services().declare(3) is services().RESULT
        assert watched.event == IncidentEvent(action="create", incident=Incident(id=7))
        assert watched.activation.host_distribution() == "acme-desk"


@pytest.mark.usefixtures("desk_package")
def test_preset_of_a_host_that_runs_already() -> None:
    """Where the host was imported before us, its preset is on at once."""
    services()
    with watching(parse(PRESET, "desk", preset=True)) as watched:
        services().declare(3)
        assert len(watched.events) == 1


@pytest.mark.usefixtures("desk_package")
def test_preset_taken_away_before_its_host_came() -> None:
    """A preset that was uninstalled does not come back with its host."""
    with watching(parse(PRESET, "desk", preset=True)) as watched:
        pass
    services().declare(3)
    assert watched.events == []
    assert not hasattr(services().declare, "__wrapped__")


@pytest.mark.usefixtures("desk_package")
def test_host_distribution_is_that_of_a_match() -> None:
    """The host is that of the first file whose target was found, not of one that is merely there."""
    missing = parse(
        GOOD.replace("services:declare", "services:nothing").replace("acme-desk", "other"), "1.toml"
    )
    silent = parse(GOOD.replace('distribution = "acme-desk"\n', ""), "2.toml")
    found = parse(GOOD, "3.toml")
    with watching(missing, silent, found) as watched:
        services()
        assert watched.activation.host_distribution() == "acme-desk"


def test_a_refused_file_is_one_error_and_the_others_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of several files the refused one is said, with file, hook, key and reason; the others are in force."""
    bad, good = tmp_path / "bad.toml", tmp_path / "good.toml"
    bad.write_text(GOOD.replace('"create"', '"stop"'))
    good.write_text(GOOD)
    long, pipe = tmp_path / "long.toml", tmp_path / "pipe.toml"
    long.write_text(f"x = {'1' * 5000}")
    os.mkfifo(pipe)
    files = read_files([bad, tmp_path / "missing.toml", long, pipe, good])
    assert [file.source for file in files] == [str(good)]
    actions = "create, end, restart, change_commander, change_stage"
    reasons = (
        f"{bad}, hook 'declare', key 'action': must be one of {actions}",
        f"{tmp_path / 'missing.toml'}: cannot be read (No such file or directory)",
        f"{long}: holds a number that is too long",
        f"{pipe}: cannot be read (It is no regular file)",
    )
    assert caplog.record_tuples == [
        ("otel_incident", logging.WARNING, f"{reason}. The file is not in force; the host runs without it.")
        for reason in reasons
    ]


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("content", ['["title"]', '"title"', "[]", "5", '"tit*"'])
def test_what_a_refused_file_names_as_content_is_said_to_hold(
    content: str,
    gated: bool,  # noqa: FBT001  a case of a table
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only where there is a name that can be read, and a gate to take it out."""
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.replace('"create"', '"stop"').replace("[host]", f"[host]\ncontent = {content}"))
    read_files([path], gated=gated)
    (line,) = caplog.messages
    end = "The file is not in force; the host runs without it."
    although = " What it names as content holds all the same." if "title" in content and gated else ""
    assert line.partition(". ")[2] == f"{end}{although}"


def test_a_refused_file_is_said_where_opentelemetry_alone_listens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Where the only log handler sends lines away, whoever is at the machine reads it, too."""

    class LoggingHandler(logging.Handler):
        __module__ = "opentelemetry.instrumentation.logging.handler"

        def emit(self, record: logging.LogRecord) -> None:
            """Send it away."""

    monkeypatch.setattr(logging.getLogger(), "handlers", [LoggingHandler()])
    read_files([tmp_path / "missing.toml"])
    assert capsys.readouterr().err == (
        f"{tmp_path / 'missing.toml'}: cannot be read (No such file or directory). "
        "The file is not in force; the host runs without it.\n"
    )


def test_a_log_handler_that_raises_costs_no_other_file(tmp_path: Path) -> None:
    """A host's log handler may raise: the files after the refused one are still read."""

    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise LookupError(record.name)

    handler = Raising()
    logger = logging.getLogger("otel_incident")
    logger.addHandler(handler)
    try:
        assert [file.source for file in read_files([tmp_path / "missing.toml"])] == []
    finally:
        logger.removeHandler(handler)


class _Immutable(ModuleType):
    """A module of a host's that lets itself be changed once."""

    changed = False

    def __setattr__(self, name: str, value: Any) -> None:
        if self.changed:
            raise AttributeError(name)
        vars(self)["changed"] = True
        super().__setattr__(name, value)


@pytest.mark.usefixtures("desk_package")
def test_uninstall_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a host does not let one function be put back, the others are."""
    set_reraise(reraise=False)
    frozen = _Immutable("frozen")
    vars(frozen)["declare"] = lambda: None
    monkeypatch.setitem(sys.modules, "frozen", frozen)
    original = services().declare
    in_frozen = parse(GOOD.replace("desk.services:", "frozen:"), "frozen.toml")
    with watching(hook_file("declare"), in_frozen) as watched:
        assert services().declare is not original
    assert services().declare is original
    assert swallowed() == {"hook": 1}
    frozen.declare()
    assert watched.events == []


def test_the_same_file_twice() -> None:
    """Two activations do not know of each other: each watches, and each takes away its own."""
    module = ModuleType("twice")
    module.declare = original = lambda: None  # type: ignore[attr-defined]  # a module made up here
    sys.modules["twice"] = module
    try:
        file: HookFile = parse(GOOD.replace("desk.services:", "twice:"), "twice.toml")
        events: list[IncidentEvent] = []
        first, second = Activation([file], events.append), Activation([file], events.append)
        first.install()
        second.install()
        module.declare()
        assert len(events) == 2
        second.uninstall()
        module.declare()
        assert len(events) == 3
        first.uninstall()
        assert module.declare is original
    finally:
        del sys.modules["twice"]
