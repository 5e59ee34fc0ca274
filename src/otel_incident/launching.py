"""What `opentelemetry-instrument` reads of ours before it starts the host: variables, and who comes first.

What packages have run before the instrumentors (`pre_instrument`) comes in no certain order, and the first of
them that raises keeps the others from it: ours might never have its turn. A distro has it before all of them.
So where strict is asked for and no distro is named, ours is, which gives way to the one that would be taken.

The name stays in the environment: servers start their workers anew (uvicorn's, a reloader's), and those need
the gate as well. A Python that does not have our distro would take none at all for that name and lose its
exporters' defaults, so where one is going to be started, as far as that can be seen, the name is not set.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_incident.environment_variables import *  # noqa: F403  each of them becomes an option of the command
from otel_incident.pre_instrument import DISTRO, NAME, is_disabled, may_be_strict

if TYPE_CHECKING:
    from collections.abc import Iterable

_PYTHON: Final = re.compile(r"(?:python|pypy)[0-9.]*(?:\.exe)?")
_SHARES: Final = re.compile(r"include-system-site-packages\s*=\s*true", re.IGNORECASE)
_FIRST_LINE: Final = 512  # bytes; systems read no more of it than that


def name_distro() -> None:
    """Name our distro in the environment of the host that is going to be started, if strict is asked for."""
    if not may_be_strict() or is_disabled():
        return
    # TID251: config.py reads our settings; this one is upstream's, and is written
    named = os.environ.get(DISTRO)  # noqa: TID251  upstream's variable, not a setting of ours
    if named is None:
        if not _starts_another_python():
            os.environ[DISTRO] = NAME  # noqa: TID251  upstream's variable, not a setting of ours
    elif named != NAME:
        _say_who_comes_first()


def _say_who_comes_first() -> None:
    """Say who could keep the gate from being there, which nobody could say afterwards."""
    names = [each.name for each in entry_points(group="opentelemetry_pre_instrument")]
    before = names[: names.index(NAME)] if NAME in names else []
    if before:
        from otel_incident.guard import say  # noqa: PLC0415  the others need none of it

        say(
            "OTEL_PYTHON_DISTRO names another distro than incident, so what these packages have run comes "
            "before the gate (strict): %s. If one of them raises, there is no gate, and the host's own "
            "spans, logs and metrics leave as they are. Name incident, which gives way to the distro that is "
            "installed.",
            ", ".join(before),
        )


def _starts_another_python() -> bool:
    """Whether what is going to be started is known to be a Python of another environment than ours."""
    try:
        python = _python_of(shutil.which(_program(sys.argv[1:])))
        return python is not None and _environment(python) not in {None, _environment(Path(sys.executable))}
    except (OSError, ValueError):  # what cannot be read is not known
        return False


def _program(arguments: Iterable[str]) -> str:
    """What the command is told to start: the first argument that is no option, nor the value of one."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return next(rest, "")
        if not argument.startswith("-"):
            return argument
        if "=" not in argument:
            next(rest, None)
    return ""


def _python_of(program: str | None) -> Path | None:
    """The interpreter that runs a program: itself, or the one that a script names; None where unknown."""
    if program is None:
        return None
    line = _first_line(program)
    if line.startswith(b"#!"):
        words = os.fsdecode(line[2:]).split()
        if words and Path(words[0]).name == "env":
            words = [shutil.which(word) or "" for word in words[1:2]]
        program = words[0] if words else ""
    if not _PYTHON.fullmatch(Path(program).name):
        return None
    # one that is a script itself starts an interpreter of its own choice, as pyenv's do
    return None if _first_line(program).startswith(b"#!") else Path(program)


def _first_line(program: str) -> bytes:
    with Path(program).open("rb") as file:
        return file.readline(_FIRST_LINE)


def _environment(python: Path) -> Path | None:
    """What tells an interpreter's packages from another's; None where it also has those of another."""
    folder = python.absolute().parent
    for home in (folder, folder.parent):
        settings = home / "pyvenv.cfg"
        if settings.is_file():
            return None if _SHARES.search(settings.read_text("utf-8", "replace")) else home.resolve()
    return python.resolve()


name_distro()
