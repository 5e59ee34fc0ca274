"""Whose a module is: a preset holds for the modules of its own distribution, wherever that is installed."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from otel_incident.hooks import activation
from otel_incident.hooks.content import ContentNames
from otel_incident.hooks.definitions import HookFile
from otel_incident.hooks.ownership import is_of, places_of
from otel_incident.hooks.shipped import PRESETS
from otel_incident.hooks.spec import parse
from tests.host_package import watching
from tests.zero_code import distribution


@pytest.fixture(autouse=True)
def _imported() -> Iterator[None]:
    """What a test imports is forgotten."""
    before = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(before):
        if name.partition(".")[0] in {"helpdesk", "acme_site"}:
            del sys.modules[name]


def package(directory: Path, name: str = "helpdesk") -> Path:
    """A package in a directory."""
    for part in (directory / name, *(directory / name).parents):
        if part == directory:
            break
        part.mkdir(parents=True, exist_ok=True)
        (part / "__init__.py").write_text("")
    return directory


def mine(module: str = "helpdesk") -> bool:
    """Whether what is imported is django-helpdesk's."""
    found = importlib.import_module(module)
    return is_of("django-helpdesk", module, places_of(found))


def test_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module where its distribution is installed is its own, a part of a package and a single file, too."""
    distribution(tmp_path, "django-helpdesk", modules={"helpdesk_urls": ""})
    package(tmp_path, "helpdesk/management")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert mine("helpdesk")
    assert mine("helpdesk.management")
    assert mine("helpdesk_urls")


def test_an_app_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app of the host's own is not, whether or not the distribution is there besides."""
    monkeypatch.syspath_prepend(str(package(tmp_path / "site")))
    assert not mine()
    monkeypatch.syspath_prepend(str(distribution(package(tmp_path / "installed"), "django-helpdesk")))
    assert not mine()


def test_what_is_developed_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editable installation says where its source is."""
    source = package(tmp_path / "a source" / "src")
    installed = distribution(tmp_path / "installed", "django-helpdesk")
    said = {"url": (tmp_path / "a source").as_uri(), "dir_info": {"editable": True}}
    link = installed / "django_helpdesk-5.4.0.dist-info" / "direct_url.json"
    link.write_text(json.dumps(said))
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.syspath_prepend(str(source))
    assert mine()
    link.write_text(json.dumps({**said, "dir_info": {}}))
    assert not mine()
    link.write_text("[")
    assert not mine()


@pytest.mark.parametrize("place", ["", None])
def test_a_module_from_nowhere(place: str | None) -> None:
    """One that was made in memory is nobody's."""
    module = ModuleType("helpdesk")
    module.__file__ = place
    assert not is_of("pytest", "helpdesk", places_of(module))


PRESET: Final = """
[host]
name = "helpdesk"
module = "helpdesk"
distribution = "django-helpdesk"
content = ["title"]
"""


@pytest.mark.parametrize(("name", "own"), [("django-helpdesk", True), ("acme-site", False)])
def test_a_preset_watches_its_own_host_alone(
    name: str, own: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another host whose module has the same name nothing is watched, and nothing is forbidden there."""
    monkeypatch.syspath_prepend(str(distribution(package(tmp_path), name)))
    file = parse(PRESET, "django-helpdesk", preset=True)
    started: list[HookFile] = []

    def note(each: HookFile) -> str:
        started.append(each)
        return ""

    monkeypatch.setattr(activation, "about_version", note)
    forbidden: list[str] = []
    presets = [preset for preset in PRESETS if preset.name == file.source]
    content = ContentNames([], presets, forbidden.extend)
    content.install()
    with watching(file):
        importlib.import_module("helpdesk")
    content.uninstall()
    assert started == ([file] if own else [])
    assert forbidden == ([*presets[0].content()] if own else [])
