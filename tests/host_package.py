"""A host of the tests' own as a package on disk: imported when a test says so, forgotten when it ends."""

import importlib
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from otel_incident.events import IncidentEvent
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.definitions import HookFile
from otel_incident.hooks.spec import parse
from tests.zero_code import distribution

SERVICES: Final = '''
"""What an incident desk does. It knows nothing of telemetry."""

import asyncio
import functools
from types import SimpleNamespace

RESULT = SimpleNamespace(id=7, owner_id=3, stage="contain", priority=2, tasks=[[1, 2], [3]])
LIMIT = 5


class Trouble(ValueError):
    pass


def declare(owner, team=1, *, public=True, error=None):
    """Declare an incident."""
    if error is not None:
        raise error
    return RESULT


async def declare_async(owner, team=1, *, public=True, error=None):
    """Declare an incident, some time."""
    await asyncio.sleep(0)
    return declare(owner, team, public=public, error=error)


def declare_later(owner, team=1, *, public=True, error=None):
    """Give what will declare an incident."""
    return declare_async(owner, team, public=public, error=error)


def declare_any(*people, **facts):
    """Take whatever comes."""
    return RESULT


def traced(function):
    """A decorator that hides the first argument and claims the signature of what it wraps."""
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(RESULT, *args, **kwargs)
    return inner


@traced
def declare_decorated(session, owner):
    """Called without the session."""
    return RESULT


@functools.lru_cache
def declare_cached(owner):
    """Not a plain function."""
    return RESULT


declare_partial = functools.partial(declare, team=4)
declare_alias = declare


class Desk:
    """A desk."""

    def __init__(self, team=5):
        self.id = 7
        self.team_id = team

    def declare(self, owner, team=1, *, public=True, error=None):
        """Declare an incident at this desk."""
        return declare(owner, team, public=public, error=error)

    async def declare_async(self, owner, team=1, *, public=True, error=None):
        """Declare an incident at this desk, some time."""
        return await declare_async(owner, team, public=public, error=error)

    @classmethod
    def declare_class(cls, owner, team=1, *, public=True, error=None):
        """Declare an incident at no desk."""
        return declare(owner, team, public=public, error=error)

    @staticmethod
    def declare_static(owner, team=1, *, public=True, error=None):
        """Declare an incident anywhere."""
        return declare(owner, team, public=public, error=error)

    @property
    def chief(self):
        """The chief."""
        return 11

    class Night:
        """The desk at night."""

        def declare(self, owner, team=1, *, public=True, error=None):
            """Declare an incident at night."""
            return declare(owner, team, public=public, error=error)


class Branch(Desk):
    """A desk elsewhere, which declares like any."""


main_desk = Desk(team=6)
'''


def forget_package() -> None:
    """Let the next import read it from disk again."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "desk"]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def desk_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package `desk` of the distribution `acme-desk` can be imported; nobody has done so."""
    folder = tmp_path / "host" / "desk"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "services.py").write_text(SERVICES)
    distribution(folder.parent, "acme-desk")
    monkeypatch.syspath_prepend(str(folder.parent))
    forget_package()
    yield
    forget_package()


def services() -> Any:
    """The module of the host, imported now if it is not yet."""
    return importlib.import_module("desk.services")


def imported(name: str) -> ModuleType | None:
    """A module if somebody has imported it."""
    return sys.modules.get(name)


def hook_file(
    target: str, more: str = "", *, action: str = "create", identifier: str = "result.id"
) -> HookFile:
    """An operator's file with one call hook; `more` is further TOML of the hook."""
    text = f"""
        [host]
        name = "desk"

        [[hook]]
        name = "watched"
        kind = "call"
        target = "desk.services:{target}"
        action = "{action}"
        incident.id = "{identifier}"
    """
    return parse(textwrap.dedent(text) + textwrap.dedent(more), "hooks.toml")


class Watched:
    """Hooks in place, and the events they made."""

    def __init__(self, *files: HookFile) -> None:
        self.events: list[IncidentEvent] = []
        self.activation = Activation(files, self._take)

    def _take(self, event: IncidentEvent) -> None:
        self.events.append(event)

    @property
    def event(self) -> IncidentEvent:
        """The one event so far."""
        (event,) = self.events
        return event


@contextmanager
def watching(*files: HookFile) -> Iterator[Watched]:
    """Hooks in place for the time of the context."""
    watched = Watched(*files)
    watched.activation.install()
    try:
        yield watched
    finally:
        watched.activation.uninstall()
