"""Call hooks on one function under several names: one call is one event for each meaning."""

import importlib
from pathlib import Path

import pytest

from otel_incident.hooks.definitions import HookFile
from otel_incident.hooks.spec import parse
from tests.host_package import desk_package as desk_package  # noqa: PLC0414  a fixture is used by its name
from tests.host_package import services, watching

pytestmark = pytest.mark.usefixtures("desk_package")


def on(target: str, name: str, action: str = "create") -> str:
    """A hook of a file, on a target in the desk's package; the incident of one called specific is public."""
    public = f"create.public = {str(name == 'specific').lower()}"
    return f"""
        [[hook]]
        name = "{name}"
        kind = "call"
        target = "desk.{target}"
        action = "{action}"
        incident.id = "result.id"
        incident.post_id = "self.id"
        {public if action == "create" else ""}
    """


def two(first: str, second: str) -> HookFile:
    """A file with two hooks."""
    return parse(f'host.name = "desk"\n{first}\n{second}', "hooks.toml")


@pytest.mark.parametrize("method", ["declare", "declare_class", "declare_static"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("files", [1, 2])
def test_an_inherited_method_is_reported_once(method: str, turned: object, files: int) -> None:
    """Of hooks on a class and on one that inherits from it the more specific holds, whatever their order."""
    hooks = [on(f"services:Desk.{method}", "general"), on(f"services:Branch.{method}", "specific")]
    first, second = hooks[::-1] if turned else hooks
    together = [two(first, second)] if files == 1 else [two(first, ""), two(second, "")]
    before = services(), vars(services().Desk)[method]
    with watching(*together) as watched:
        for desk, is_specific in ((services().Branch(), True), (services().Desk(), False)):
            getattr(desk, method)(3)
            assert [event.public for event in watched.events] == [is_specific]
            watched.events.clear()
    assert (services(), vars(services().Desk)[method]) == before
    assert method not in vars(services().Branch)


@pytest.mark.parametrize("turned", [False, True])
def test_an_inherited_method_may_mean_two_things(turned: object) -> None:
    """Hooks that make different actions of one call are both reported, whatever their order."""
    hooks = [on("services:Desk.declare", "general"), on("services:Branch.declare", "specific", "restart")]
    first, second = hooks[::-1] if turned else hooks
    with watching(two(first, second)) as watched:
        services().Branch().declare(3)
        assert sorted(event.action for event in watched.events) == ["create", "restart"]
        watched.events.clear()
        services().Desk().declare(3)
        assert [event.action for event in watched.events] == ["create"]
    assert "declare" not in vars(services().Branch)


def test_of_three_hooks_on_a_method_that_is_inherited_two_hold() -> None:
    """What says the same is left out between others that do not."""
    text = "host.name = 'desk'\n" + on("services:Desk.declare", "specific")
    text += on("services:Desk.declare", "end", "end")
    text += on("services:Branch.declare", "more")
    with watching(parse(text, "hooks.toml")) as watched:
        services().Branch().declare(3)
    assert [(event.action, event.public) for event in watched.events] == [("end", None), ("create", False)]


def test_a_function_that_is_imported_by_name_is_reported_once(tmp_path: Path) -> None:
    """Hooks on where it is and on where it is imported are about one call."""
    (tmp_path / "host" / "desk" / "views.py").write_text("from desk.services import declare\n")
    general, specific = on("services:declare", "general"), on("views:declare", "specific")
    with watching(two(general, specific)) as watched:
        importlib.import_module("desk.views").declare(3)
        services().declare(3)
    assert [event.public for event in watched.events] == [True, False]
