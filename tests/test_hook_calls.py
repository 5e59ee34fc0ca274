"""Call hooks: every kind of callable is reported once it has returned, with what its paths find."""

import asyncio
import inspect
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Final

import pytest

from otel_incident.events import Actor, Incident, IncidentEvent
from otel_incident.hooks.actors import user_reader
from tests.emitting import Emitting
from tests.host_package import desk_package as desk_package  # noqa: PLC0414  a fixture is used by its name
from tests.host_package import hook_file, imported, services, watching

pytestmark = pytest.mark.usefixtures("desk_package")

CALLS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "declare": lambda desk, error: desk.declare(3, error=error),
    "declare_async": lambda desk, error: asyncio.run(desk.declare_async(3, error=error)),
    "declare_later": lambda desk, error: asyncio.run(desk.declare_later(3, error=error)),
    "declare_partial": lambda desk, error: desk.declare_partial(3, error=error),
    "Desk.declare": lambda desk, error: desk.Desk().declare(3, error=error),
    "Desk.declare_async": lambda desk, error: asyncio.run(desk.Desk().declare_async(3, error=error)),
    "Desk.declare_class": lambda desk, error: desk.Desk.declare_class(3, error=error),
    "Desk.declare_static": lambda desk, error: desk.Desk.declare_static(3, error=error),
    "Desk.Night.declare": lambda desk, error: desk.Desk.Night().declare(3, error=error),
    "Branch.declare": lambda desk, error: desk.Branch().declare(3, error=error),
    "Branch.declare_class": lambda desk, error: desk.Branch().declare_class(3, error=error),
    "Branch.declare_static": lambda desk, error: desk.Branch().declare_static(3, error=error),
    "main_desk.declare": lambda desk, error: desk.main_desk.declare(3, error=error),
}
"""How the host calls what a target names."""

ERRORS: Final = (ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError)


def created(identifier: object = 7) -> IncidentEvent:
    """The event of a create of which nothing else is known."""
    return IncidentEvent(action="create", incident=Incident(id=identifier))  # type: ignore[arg-type]  # whatever it is


@pytest.mark.parametrize("target", CALLS)
def test_reports(target: str) -> None:
    """Whatever kind of callable it is: one event once it has returned, and the host gets its own result."""
    with watching(hook_file(target)) as watched:
        desk = services()
        assert CALLS[target](desk, None) is desk.RESULT
        assert watched.event == created()


@pytest.mark.parametrize("target", CALLS)
def test_reports_what_is_imported_already(target: str) -> None:
    """A module that the host imported before us is watched at once."""
    desk = services()
    with watching(hook_file(target)) as watched:
        assert CALLS[target](desk, None) is desk.RESULT
        assert watched.event == created()


def test_imports_nothing() -> None:
    """The host's module is not imported by us, and watched as soon as the host imports it."""
    with watching(hook_file("declare")) as watched:
        assert imported("desk") is None
        assert imported("desk.services") is None
        services().declare(3)
        assert watched.event == created()


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("target", CALLS)
def test_what_it_raises_passes(target: str, kind: type[BaseException]) -> None:
    """What the host raises passes, the same object, and means that nothing happened."""
    error = kind("the host's own")
    with watching(hook_file(target)) as watched:
        with pytest.raises(kind) as raised:
            CALLS[target](services(), error)
        if kind is not asyncio.CancelledError:  # asyncio.run makes a new one of a cancellation
            assert raised.value is error
        assert watched.events == []


@pytest.mark.parametrize(
    ("path", "call", "value"),
    [
        ("arg.owner", lambda desk: desk.declare(3), 3),
        ("arg.owner", lambda desk: desk.declare(owner=3), 3),
        ("arg.team", lambda desk: desk.declare(3, 9), 9),
        ("arg.team", lambda desk: desk.declare(3, team=9), 9),
        ("arg.team", lambda desk: desk.declare(3), 1),
        ("arg.nobody", lambda desk: desk.declare(3), None),
        ("result.owner_id", lambda desk: desk.declare(3), 3),
        ("self.id", lambda desk: desk.declare(3), None),
        ("len(result.tasks)", lambda desk: desk.declare(3), 2),
    ],
)
def test_paths_of_a_function(path: str, call: Callable[[Any], object], value: object) -> None:
    """`arg` is an argument by its name, positional, by keyword or by default; `result` what it returned."""
    with watching(hook_file("declare", identifier=path)) as watched:
        call(services())
        assert watched.event == created(value)


@pytest.mark.parametrize(
    ("target", "path", "value"),
    [
        ("Desk.declare", "self.team_id", 5),
        ("Desk.declare", "arg.owner", 3),
        ("Desk.declare", "arg.self.id", None),
        ("Desk.declare_async", "self.team_id", 5),
        ("Desk.declare_static", "self.team_id", None),
        ("Desk.declare_static", "arg.owner", 3),
        ("Desk.declare_class", "arg.owner", 3),
        ("main_desk.declare", "self.team_id", 6),
    ],
)
def test_paths_of_a_method(target: str, path: str, value: object) -> None:
    """`self` is the instance of a method, and of no other; it is no argument."""
    with watching(hook_file(target, identifier=path)) as watched:
        CALLS[target](services(), None)
        assert watched.event == created(value)


def test_method_called_on_its_class() -> None:
    """A method that is called on its class with the instance is reported like any."""
    with watching(
        hook_file("Desk.declare", identifier="self.team_id", more='incident.team_id = "arg.team"')
    ) as watched:
        desk = services()
        desk.Desk.declare(desk.Desk(), 3, 9)
        desk.Desk().declare(3, 9)
        assert watched.events == [IncidentEvent(action="create", incident=Incident(id=5, team_id=9))] * 2


def test_constructor() -> None:
    """`__init__` is a method like any: its result is nothing, its instance is what was made."""
    with watching(hook_file("Desk.__init__", identifier="self.team_id")) as watched:
        services().Desk(team=8)
        assert watched.event == created(8)


def test_arguments_without_names() -> None:
    """What a function takes as *args and **kwargs stands under these names."""
    more = 'incident.team_id = "arg.facts.team"'
    with watching(hook_file("declare_any", identifier="arg.people[1]", more=more)) as watched:
        services().declare_any(1, 2, team=3)
        assert watched.event == IncidentEvent(action="create", incident=Incident(id=2, team_id=3))


def test_signature_that_is_not_true() -> None:
    """A decorator that claims another signature costs the positional arguments, not the event."""
    more = 'incident.team_id = "arg.owner"'
    with watching(hook_file("declare_decorated", more)) as watched:
        services().declare_decorated(3)
        services().declare_decorated(owner=3)
        assert [event.incident for event in watched.events] == [Incident(id=7), Incident(id=7, team_id=3)]


def test_no_signature() -> None:
    """A function without a signature is reported; of its arguments those that were named are known."""
    with watching(hook_file("asyncio.events._get_running_loop", identifier="arg.x")) as watched:
        services().asyncio.events._get_running_loop()  # noqa: SLF001  built in, and without arguments
        assert watched.event == created(None)


def test_every_value_of_an_incident() -> None:
    """Each key of `incident` fills the parameter of `Incident` of that name; what is absent is left out."""
    more = """
        incident.active = "arg.public"
        incident.commander_id = "result.owner_id"
        incident.team_id = "self.team_id"
        incident.created_at = "arg.nobody"
        incident.post_id = "result.nobody.id"
        incident.checklist_count = "len(result.tasks)"
        incident.checklist_item_count = "sum(len(result.tasks[*]))"
    """
    with watching(hook_file("Desk.declare", more, action="change_commander")) as watched:
        services().Desk().declare(3)
        assert watched.event == IncidentEvent(
            action="change_commander",
            incident=Incident(
                id=7, active=True, commander_id=3, team_id=5, checklist_count=2, checklist_item_count=3
            ),
        )


def test_a_path_that_fails_leaves_its_value_out() -> None:
    """A count of what is not there is no count, and the event goes out without it: 0 items is the default."""
    more = """
        incident.checklist_count = "len(result.id)"
        incident.checklist_item_count = "sum(len(result.nobody[*]))"
    """
    with watching(hook_file("declare", more)) as watched:
        services().declare(3)
        assert watched.event == created()


@pytest.mark.parametrize(
    ("more", "public"),
    [
        ("", None),
        ("create.public = true", True),
        ("create.public = false", False),
        ('create.public = "arg.public"', True),
        ('create.public = "arg.nobody"', None),
    ],
)
def test_public(more: str, public: bool | None) -> None:  # noqa: FBT001  a test's parameter
    """Whether an incident is public is said by the hook itself, or found by a path."""
    with watching(hook_file("declare", more)) as watched:
        services().declare(3)
        assert watched.event.public is public


@pytest.mark.parametrize(
    ("more", "index"),
    [
        ("", None),
        ('stage.path = "result.priority"', 2),
        ('stage.path = "result.priority"\nstage.offset = -1', 1),
        ('stage.path = "result.stage"\nstage.order = ["triage", "contain", "recover"]', 1),
        ('stage.path = "result.stage"\nstage.order = ["triage", "recover"]', None),
        ('stage.path = "result.stage"', None),
        ('stage.path = "arg.nobody"', None),
    ],
)
def test_stage(more: str, index: int | None) -> None:
    """A stage is the host's own integer moved by an offset, or its place in the hook's list; never text."""
    with watching(hook_file("declare", more, action="change_stage")) as watched:
        services().declare(3)
        assert watched.event.action == "change_stage"
        assert watched.event.stage_index == index


@pytest.fixture
def request_user() -> Iterator[SimpleNamespace]:
    """Somebody is logged in while a request is handled."""
    user = SimpleNamespace(pk=42, uid="0123456789ab", is_superuser=False, is_staff=True)
    token = user_reader.set(lambda: user)
    yield user
    user_reader.reset(token)


@pytest.mark.usefixtures("request_user")
@pytest.mark.parametrize(
    ("more", "actor"),
    [
        ("", Actor(id=42, roles=("end_user",))),
        ('actor.system_admin = "user.is_staff"', Actor(id=42, roles=("system_admin",))),
        ('actor.system_admin = "user.nothing"', Actor(id=42)),
        ('actor.system_admin = "user.pk"', Actor(id=42)),
        ('actor.id = "user.uid"', Actor(id="0123456789ab")),
        ('actor.id = "arg.owner"', Actor(id=3)),
        ('actor.id = "arg.owner"\nactor.system_admin = "arg.public"', Actor(id=3, roles=("system_admin",))),
        ('actor.id = "arg.nobody"', None),
    ],
)
def test_actor(more: str, actor: Actor | None) -> None:
    """Who did it: the request's user and whether he is a superuser, or what the hook names.

    Whoever is named by the hook has no role unless the hook names that, too; nobody else takes his place.
    """
    with watching(hook_file("declare", more)) as watched:
        services().declare(3)
        assert watched.event.actor == actor


def test_superuser(request_user: SimpleNamespace) -> None:
    """A superuser is a system administrator."""
    request_user.is_superuser = True
    with watching(hook_file("declare")) as watched:
        services().declare(3)
        assert watched.event.actor == Actor(id=42, roles=("system_admin",))


def test_no_actor_outside_a_request() -> None:
    """Where no request is handled, nobody is named."""
    with watching(hook_file("declare")) as watched:
        services().declare(3)
        assert watched.event.actor is None


@pytest.mark.parametrize(
    ("more", "identifier"),
    [
        ("", "hmac-"),
        ('ids."incident.id" = "contain|triage"', "contain"),
        ('ids."incident.id" = "con"', "hmac-"),
    ],
)
def test_id_shapes(more: str, identifier: str) -> None:
    """What a hook says its host uses as an id passes in full match; anything else is hashed."""
    host = Emitting()
    with watching(hook_file("declare", more, identifier="result.stage")) as watched:
        services().declare(3)
        host.emitter.emit(watched.event)
    (attributes,) = host.attributes()
    host.close()
    assert re.sub("hmac-[0-9a-f]{32}", "hmac-", attributes["incident.id"]) == identifier


def test_two_hooks_on_one_function() -> None:
    """One call can mean two things: the hook that stands last is nearest to the caller, so reports last."""
    files = hook_file("declare"), hook_file("declare", action="change_commander")
    with watching(*files) as watched:
        desk = services()
        original = inspect.unwrap(desk.declare)
        desk.declare(3)
        assert [event.action for event in watched.events] == ["create", "change_commander"]
    assert desk.declare is original


def test_async_is_reported_when_it_is_done() -> None:
    """A coroutine that was made has done nothing yet; it is reported when it has been awaited."""

    async def host(desk: Any, events: list[IncidentEvent]) -> None:
        pending = desk.declare_async(3)
        assert events == []
        assert await pending is desk.RESULT
        assert events == [created()]

    with watching(hook_file("declare_async")) as watched:
        asyncio.run(host(services(), watched.events))
