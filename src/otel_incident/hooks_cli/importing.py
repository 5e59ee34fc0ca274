"""Puts hooks in place, imports what they wait for, and looks at what has become of each.

Nothing that the host does meanwhile is reported, and everything is put back.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import wrapt

from otel_incident.hooks.activation import Activation
from otel_incident.hooks.mentions import ABOUT_VALUES
from otel_incident.hooks.watched import Watched
from otel_incident.hooks_cli.captured import holders
from otel_incident.hooks_cli.elsewhere import imported_by_name
from otel_incident.hooks_cli.findings import Finding
from otel_incident.hooks_cli.parameters import Parameters, astray
from otel_incident.overhearing import overhearing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks_cli.findings import Subject, Verdict

_CLASSES: Final = "a class of SQLAlchemy's is named as in desk.models:Incident"
_SETTINGS: Final = "set DJANGO_SETTINGS_MODULE to the project's settings, as for the host"
_NO_PARAMETER: Final = " has no parameter at the beginning of "
_NOT_CONFIGURED: Final = ("ImproperlyConfigured", "AppRegistryNotReady")


def look(subjects: Sequence[Subject]) -> list[Finding]:
    """What becomes of each when its module is imported after the hooks are in place."""
    from_here = str(Path.cwd())  # as `python -m` and `manage.py` would find the host
    if from_here not in sys.path:
        sys.path.insert(0, from_here)
    places = [_Place(subject) for subject in subjects]
    with overhearing() as heard, contextlib.redirect_stdout(sys.stderr):
        try:
            for place in places:
                place.activation.install()
            troubles = [_BRING[_kind(subject)](subject) for subject in subjects]
            return [place.finding(trouble, heard) for place, trouble in zip(places, troubles, strict=True)]
        finally:
            for place in reversed(places):
                place.activation.uninstall()


@final
class _Place:
    """One subject, with its hooks in place."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        # a preset says nothing of what it does not find, and waits for its host
        self.activation = Activation([replace(subject.file, preset=False)], _ignore)

    def finding(self, trouble: str, heard: Sequence[str]) -> Finding:
        """What has become of it."""
        subject = self.subject
        if not trouble and not self.activation.matched:
            self.activation._ended()  # noqa: SLF001  what the interpreter calls: then the host says why
        said = [*dict.fromkeys([*([trouble] if trouble else []), *self._said(heard)])]
        if not self.activation.matched:
            verdict: Verdict = "missing"
            return Finding(subject, verdict, tuple(said or [f"{subject.target} was not found"]))
        notes: list[str] = []
        verdict = "wrong path" if said else "found"
        if said and all(any(part in line for part in ABOUT_VALUES) for line in said):
            verdict = "wrong value"
        if subject.kind != "model":
            parent, attribute, wrapper = wrapt.resolve_path(sys.modules[subject.module], subject.name)
            original = wrapper
            while type(original) is Watched:  # there may be several hooks on one function
                original = original.__wrapped__
            if original is not wrapper:
                lost = astray(subject, Parameters.of(parent, original))
                said = [line for line in said if _NO_PARAMETER not in line]  # what was found here says more
                verdict = "wrong path" if lost else verdict
                held = holders(parent, attribute, original)
                verdict = "captured too early" if held else verdict
                notes = [*_captured(subject.target, held), *lost]
            else:
                verdict = "missing"
                notes = [f"{subject.target} has been replaced since by something else, so it reports nothing"]
            others = imported_by_name(subject.module, subject.name)
            notes += _elsewhere(others)
        return Finding(subject, verdict, (*said, *notes))

    def _said(self, heard: Sequence[str]) -> Iterator[str]:
        """What the host's log would say of it."""
        names = ("client",) if self.subject.kind == "http" else self.subject.hooks
        for line in heard:
            for name in names:
                prefix = f"{self.subject.file.source}, hook {name!r}: "
                if line.startswith(prefix) and (name != "client" or self.subject.target in line):
                    yield line.removeprefix(prefix).removesuffix(".")


def _ignore(event: IncidentEvent) -> None:
    """What the host does while it is imported is not reported."""


def _captured(target: str, held: Sequence[str]) -> list[str]:
    if not held:
        return []
    return [
        (
            f"{target} was taken by {', '.join(held)} before the hook could come: what is called through "
            "that is "
            "not reported; name a function that it calls, or watch the model"
        )
    ]


def _elsewhere(modules: Sequence[str]) -> list[str]:
    if not modules:
        return []
    return [
        (
            f"imported by name in {', '.join(modules)}: watched there, too, under opentelemetry-instrument; "
            "a host "
            "that instruments itself has to do so before it imports them"
        )
    ]


# -- bringing in what is watched; each kind is one function, which says what went wrong


def _kind(subject: Subject) -> str:
    return "django" if subject.kind == "model" and not subject.module else subject.kind


def _module(subject: Subject) -> str:
    """Import the module of a function or a class."""
    if "django" in sys.modules or _django_is_named():
        _django(subject)  # its models cannot be imported before
    return _import(subject.module, "model" if subject.kind == "model" else "target")


def _mapped(subject: Subject) -> str:
    """Import a class that SQLAlchemy maps, and configure its mapper, as the host's first use of it does."""
    trouble = _module(subject)
    if trouble:
        return trouble
    try:
        from sqlalchemy.orm import configure_mappers  # noqa: PLC0415  the host's library
    except ImportError:
        return "SQLAlchemy is not installed"
    try:
        configure_mappers()
    except Exception as error:  # noqa: BLE001  a class that a relation names may be in a module not imported
        return (
            f"SQLAlchemy cannot configure its mappers here ({type(error).__name__}): a class may be in a "
            "module "
            f"that {subject.module} does not import"
        )
    return ""


def _django(_subject: Subject) -> str:
    """Set Django up, once."""
    try:
        django: Any = importlib.import_module("django")
    except ImportError:
        return "Django is not installed"
    from django.apps import apps  # noqa: PLC0415  the host's library

    if apps.ready:
        return ""
    if not _django_is_named():
        return f"its models are known only once Django is set up: {_SETTINGS} ({_CLASSES})"
    try:
        django.setup()
    except (Exception, SystemExit) as error:  # noqa: BLE001  the project's own code runs
        if isinstance(error, ModuleNotFoundError) and error.name:
            return f"Django cannot be set up: there is no module {error.name}; correct DJANGO_SETTINGS_MODULE"
        return f"Django cannot be set up ({type(error).__name__}): see `python -m django check`"
    return ""


def _django_is_named() -> bool:
    """Whether there is Django, with settings for it."""
    try:
        from django.conf import ENVIRONMENT_VARIABLE, settings  # noqa: PLC0415  the host's library
    except ImportError:
        return False
    from otel_incident.config import variables_of_process  # noqa: PLC0415  what may read the environment

    return settings.configured or bool(variables_of_process().get(ENVIRONMENT_VARIABLE))


_BRING: Final[dict[str, Callable[[Subject], str]]] = {
    "call": _module,
    "http": _module,
    "model": _mapped,
    "django": _django,
}


def _import(module: str, key: str) -> str:
    """Import a module that stands under a key of the hook."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            return f"there is no module {error.name} in this environment; correct `{key}`, or install it"
        return f"{module} cannot be imported: there is no module {error.name}, which it needs"
    except (Exception, SystemExit) as error:  # noqa: BLE001  the host's own code runs
        if type(error).__name__ in _NOT_CONFIGURED:
            return f"{module} cannot be imported before Django is set up: {_SETTINGS}"
        return (
            f"{module} cannot be imported ({type(error).__name__}): see `python -c 'import {module}'`, "
            "run from "
            "here"
        )
    return ""
