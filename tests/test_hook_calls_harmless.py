"""Call hooks leave the host as it was: its functions, its errors, its modules, and all once they are gone."""

import asyncio
import copy
import functools
import gc
import inspect
import logging
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from otel_incident.events import IncidentEvent
from otel_incident.guard import set_reraise, swallowed
from otel_incident.hooks.activation import Activation
from tests.host_package import desk_package as desk_package  # noqa: PLC0414  a fixture is used by its name
from tests.host_package import forget_package, hook_file, services, watching

pytestmark = pytest.mark.usefixtures("desk_package")

FUNCTIONS: Final = ("declare", "declare_async", "declare_later", "declare_cached", "declare_partial")
METHODS: Final = (
    *("Desk.__init__", "Desk.declare", "Desk.declare_async", "Desk.declare_class", "Desk.declare_static"),
    *("Desk.Night.declare", "Branch.declare", "Branch.declare_class", "Branch.declare_static"),
)
WARNING: Final = (
    "hooks.toml, hook 'watched': desk.services:{} {}, so it reports nothing; "
    "correct `target` or remove the hook."
)


def look_up(desk: object, target: str) -> Any:
    """What a host finds under a name."""
    return functools.reduce(getattr, target.split("."), desk)


@pytest.fixture
def production() -> Iterator[None]:
    """What is swallowed stays swallowed."""
    before = set_reraise(reraise=False)
    yield
    set_reraise(reraise=before)


@pytest.mark.parametrize("target", [*FUNCTIONS, *METHODS])
def test_looks_the_same(target: str) -> None:
    """Signature, names, module, documentation and kind are those of the host's function."""
    aspects: dict[str, Callable[[Any], object]] = {
        "signature": inspect.signature,
        "coroutine function": inspect.iscoroutinefunction,
        "function": inspect.isfunction,
        "method": inspect.ismethod,
        "name": lambda found: getattr(found, "__name__", None),
        "qualified name": lambda found: getattr(found, "__qualname__", None),
        "module": lambda found: getattr(found, "__module__", None),
        "documentation": lambda found: getattr(found, "__doc__", None),
        "defaults": lambda found: getattr(found, "__defaults__", None),
    }
    before = {name: aspect(look_up(services(), target)) for name, aspect in aspects.items()}
    forget_package()
    with watching(hook_file(target)):
        after = {name: aspect(look_up(services(), target)) for name, aspect in aspects.items()}
    assert after == before


def test_wraps_the_original() -> None:
    """`__wrapped__` is the host's function, as after any decorator."""
    original = services().declare
    with watching(hook_file("declare")):
        assert services().declare.__wrapped__ is original
        assert inspect.unwrap(services().declare) is original


@pytest.mark.parametrize("target", ["declare", "Desk.declare", "Desk.declare_class", "Desk.declare_static"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_can_be_pickled(target: str, protocol: int) -> None:
    """A host that hands its function to another process still can: by name, and the name is watched there."""
    with watching(hook_file(target)) as watched:
        pickled = pickle.dumps(look_up(services(), target), protocol)
        assert b"otel_incident" not in pickled
        assert b"wrapt" not in pickled
        arguments = () if target != "Desk.declare" else (services().Desk(),)
        assert pickle.loads(pickled)(*arguments, 3) is services().RESULT  # noqa: S301  our own bytes
        assert len(watched.events) == 1


def test_can_be_pickled_under_another_name() -> None:
    """A function that is watched under an alias is pickled as the host's own."""
    with watching(hook_file("declare_alias")) as watched:
        found = pickle.loads(pickle.dumps(services().declare_alias))  # noqa: S301  our own bytes
        assert found is services().declare
        assert watched.events == []


def test_bound_method_can_be_pickled() -> None:
    """A method of an instance takes its instance along."""
    with watching(hook_file("Desk.declare", identifier="self.team_id")) as watched:
        pickle.loads(pickle.dumps(services().Desk(team=8).declare))(3)  # noqa: S301  our own bytes
        assert watched.event.incident.id == 8


@pytest.mark.parametrize("target", ["declare", "Desk.declare", "Desk.declare_class", "Desk.declare_static"])
def test_can_be_copied(target: str) -> None:
    """A function is copied as itself, deeply too, as a host may do with a table of them."""
    with watching(hook_file(target)):
        table = {"do": look_up(services(), target)}
        assert copy.copy(table["do"]) is table["do"]
        assert copy.deepcopy(table)["do"] is table["do"]


def test_class_still_works() -> None:
    """A class with a watched method is inherited from, overridden and asked for as before."""
    with watching(hook_file("Desk.declare")) as watched:
        desk = services()

        class Own(desk.Desk):  # type: ignore[misc,name-defined]  # a host's class, known at run time
            def declare(self, owner: int) -> object:
                return super().declare(owner + 1)

        assert Own().declare(3) is desk.RESULT
        assert isinstance(Own(), desk.Desk)
        assert len(watched.events) == 1


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("declare_nothing", "does not exist"),
        ("Desk.nothing", "does not exist"),
        ("Nowhere.declare", "does not exist"),
        ("Desk", "is a class, not a function (its __init__ is one)"),
        ("LIMIT", "is not a function"),
        ("RESULT", "is not a function"),
        ("Desk.chief", "is not a function"),
        ("RESULT.tasks.append", "cannot be replaced where it stands"),
        ("SimpleNamespace.__init__", "cannot be replaced where it stands"),
    ],
)
def test_what_cannot_be_watched(target: str, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """A target that is missing or is no function is one warning that names it; the host imports and runs."""
    with watching(hook_file(target)) as watched:
        desk = services()
        assert desk.LIMIT == 5
        assert type(desk.LIMIT) is int
        assert type(desk.Desk) is type
        assert desk.Desk().chief == 11
        assert desk.declare(3) is desk.RESULT
        assert watched.events == []
    assert caplog.record_tuples == [("otel_incident", logging.WARNING, WARNING.format(target, why))]


def test_a_module_that_does_not_exist_is_the_hosts_error() -> None:
    """A hook on a module that the host never imports costs nothing, and hides no error of an import."""
    with watching(hook_file("declare")):
        (file,) = [hook_file("declare")]
        assert file.hooks[0].target == "desk.services:declare"
        with pytest.raises(ModuleNotFoundError, match=r"^No module named 'desk\.nothing'$"):
            __import__("desk.nothing")


@pytest.mark.usefixtures("production")
@pytest.mark.parametrize("target", ["declare", "declare_async"])
def test_a_broken_sink_never_reaches_the_host(target: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever fails after the call is swallowed, counted and said once; the host gets its result."""

    def broken(_: IncidentEvent) -> None:
        raise LookupError("of the sink")

    activation = Activation([hook_file(target)], broken)
    activation.install()
    try:
        for _ in range(2):
            result = services().__dict__[target](3)
            assert (asyncio.run(result) if inspect.iscoroutine(result) else result) is services().RESULT
    finally:
        activation.uninstall()
    assert swallowed() == {"hook": 2}
    (line,) = caplog.messages
    assert line.startswith("An internal error (LookupError at hooks/nesting.py:")
    assert "of the sink" not in line


def test_an_exit_of_the_sink_passes() -> None:
    """What is no error is nobody's to swallow: a signal handler that ends the process may run in our code."""

    def ending(_: IncidentEvent) -> None:
        raise SystemExit(3)

    activation = Activation([hook_file("declare")], ending)
    activation.install()
    try:
        with pytest.raises(SystemExit):
            services().declare(3)
    finally:
        activation.uninstall()


def warnings_of(run: Callable[[], object]) -> list[str]:
    """What Python warns of while something runs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run()
        gc.collect()
        return [str(warning.message) for warning in caught]


def test_cancelled_before_it_starts() -> None:
    """A task that is cancelled before its first step ends without a warning, and without an event."""

    async def host() -> None:
        task = asyncio.ensure_future(services().declare_async(3))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with watching(hook_file("declare_async")) as watched:
        assert warnings_of(lambda: asyncio.run(host())) == []
        assert watched.events == []


def test_closed_before_it_starts() -> None:
    """A coroutine that the host closes unawaited is closed, without a warning."""
    with watching(hook_file("declare_async")) as watched:
        assert warnings_of(lambda: services().declare_async(3).close()) == []
        assert watched.events == []


def test_never_awaited() -> None:
    """A coroutine that the host forgets is warned of once, by the host's name for it."""
    with watching(hook_file("declare_async")) as watched:
        assert warnings_of(lambda: services().declare_async(3)) == [
            "coroutine 'declare_async' was never awaited"
        ]
        assert watched.events == []


def test_cancelled_while_it_runs() -> None:
    """A task that is cancelled in the middle has done nothing that is known."""

    async def host() -> None:
        task = asyncio.ensure_future(services().declare_async(3))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with watching(hook_file("declare_async")) as watched:
        asyncio.run(host())
        assert watched.events == []


@pytest.mark.parametrize("target", [*FUNCTIONS, *METHODS])
def test_uninstall_restores_exactly(target: str) -> None:
    """Once uninstalled, every namespace holds the very objects that it held before, in their order."""
    desk = services()
    places = [vars(desk), *(vars(place) for place in (desk.Desk, desk.Desk.Night, desk.Branch))]
    before = [list(place.items()) for place in places]
    identities = [[id(value) for value in place.values()] for place in places]
    with watching(hook_file(target)):
        assert [[id(value) for value in place.values()] for place in places] != identities
    assert [list(place.items()) for place in places] == before
    assert [[id(value) for value in place.values()] for place in places] == identities


def test_uninstall_deletes_what_was_inherited() -> None:
    """A method that a class only inherits becomes inherited again."""
    desk = services()
    with watching(hook_file("Branch.declare")):
        assert "declare" in vars(desk.Branch)
    assert "declare" not in vars(desk.Branch)


def test_uninstall_under_another_wrapper() -> None:
    """Where somebody has wrapped over ours, theirs stays and calls through; we say nothing any more."""
    desk = services()
    original = desk.declare
    with watching(hook_file("declare")) as watched:
        ours = desk.declare
        calls = []

        @functools.wraps(ours)
        def theirs(*args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return ours(*args, **kwargs)

        desk.declare = theirs
        desk.declare(1)
        assert len(watched.events) == 1
    assert desk.declare is theirs
    assert desk.declare(2) is desk.RESULT
    assert calls == [(1,), (2,)]
    assert len(watched.events) == 1
    assert inspect.unwrap(desk.declare) is original


def test_uninstall_before_the_import() -> None:
    """Hooks that were taken away before the host imported its module never come."""
    with watching(hook_file("declare")) as watched:
        pass
    assert services().declare(3) is services().RESULT
    assert watched.events == []
    assert not hasattr(services().declare, "__wrapped__")


def test_watched_once_more() -> None:
    """Taken away and put in place again, a hook reports once."""
    with watching(hook_file("declare")):
        services()
    with watching(hook_file("declare")) as watched:
        services().declare(3)
        assert len(watched.events) == 1
