"""Waiting for a host's modules: each who waits is told once, and who leaves leaves nothing behind."""

import importlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from wrapt import importer  # type: ignore[attr-defined]  # not among what it shows

from otel_incident import imports
from otel_incident.imports import when_imported
from otel_incident.instrumentor import IncidentInstrumentor
from tests.host_package import forget_package


@pytest.fixture(autouse=True)
def _host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module `desk` that can be imported; nobody has done so."""
    (tmp_path / "desk.py").write_text("READY = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    forget_package()
    yield
    forget_package()


def test_all_who_wait_are_told_once() -> None:
    """Each is called with the module once it has run, in the order in which they came; who left is not."""
    told: list[tuple[str, Any]] = []

    def told_as(name: str) -> Callable[[ModuleType], None]:
        return lambda module: told.append((name, module.READY))

    when_imported("desk", told_as("first"))
    leave = when_imported("desk", told_as("second"))
    when_imported("desk", told_as("third"))
    leave()
    leave()
    importlib.import_module("desk")
    assert told == [("first", True), ("third", True)]
    leave = when_imported("desk", told_as("late"))
    leave()
    assert told[2:] == [("late", True)]


def test_a_module_that_comes_again() -> None:
    """A host that forgets a module and imports it again is watched again by who comes then."""
    told: list[int] = []
    for number in (1, 2):
        when_imported("desk", partial(lambda number, _: told.append(number), number))
        importlib.import_module("desk")
        forget_package()
    assert told == [1, 2]


def test_a_module_that_came_past_the_import_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may put a module where modules are: who comes then is called at once."""
    told: list[Any] = []
    when_imported("desk", told.append)
    made = ModuleType("desk")
    monkeypatch.setitem(sys.modules, "desk", made)
    when_imported("desk", told.append)
    assert told == [made]


def test_who_comes_while_the_others_are_told() -> None:
    """One who begins to wait while a module is told of is called, too."""
    told: list[int] = []

    def second(_: Any) -> None:
        told.append(2)

    def first(_: Any) -> None:
        told.append(1)
        when_imported("desk", second)

    when_imported("desk", first)
    importlib.import_module("desk")
    assert told == [1, 2]


def test_rounds_of_instrumentation_leave_nothing_behind(tmp_path: Path) -> None:
    """However often a host instruments and uninstruments, nobody waits any longer and nothing has grown."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text(
        '[host]\nname = "desk"\n[[hook]]\nname = "a"\nkind = "call"\ntarget = "desk:work"\n'
        'action = "end"\nincident.id = "arg.id"\n'
        '[[hook]]\nname = "b"\nkind = "model"\nmodel = "desk.Incident"\nincident.id = "self.pk"\n'
    )

    def held() -> dict[str, int]:
        registered = importer._post_import_hooks  # noqa: SLF001  what is left there is what this is about
        return {name: len(waiting or ()) for name, waiting in registered.items()}

    before = list(imports._waiting)  # noqa: SLF001  the same
    instrumentor = IncidentInstrumentor()
    sizes = []
    for _ in range(3):
        instrumentor.instrument(hooks=str(hooks), skip_dep_check=True)
        assert len(imports._waiting) > len(before)  # noqa: SLF001  the same
        instrumentor.uninstrument()
        assert imports._waiting == before  # noqa: SLF001  the same
        sizes.append(held())
    assert sizes[0]["desk"] == 1
    assert sizes[0] == sizes[1] == sizes[2]
