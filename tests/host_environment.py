"""Environments of hosts: what a host needs, pinned, and this package as the wheel that a user would install.

What a host needs is installed into a cache once, which takes a minute. The wheel is built from the current
tree in each session and installed into a directory of that session: so what is tested is what the wheel
contains, and sessions with different trees share the cache without seeing one another.
"""

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from scripts.environments import Environment, cache_directory, key_of
from tests.backend import everything_required
from tests.collector import ROOT
from tests.processes import environment

HOSTS: Final = ROOT / "tests" / "hosts"


@dataclass(frozen=True, slots=True)
class HostEnvironment:
    """A host's environment, ready to be used.

    Attributes:
        base: The host and its requirements.
        package: Where this package is installed, from its wheel.
    """

    base: Environment
    package: Path

    def tool(self, name: str) -> str:
        """One of the environment's programs."""
        return str(self.base.directory / "bin" / name)

    def variables(self, *, installed: bool = True) -> dict[str, str]:
        """What makes a process run in it.

        Args:
            installed: Whether this package is.
        """
        path = [str(HOSTS), *([str(self.package)] if installed else [])]
        return {**environment(), "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}


def host_environment(name: str, scratch: Path) -> HostEnvironment:
    """The environment of a host. Without one the test is skipped, or fails if everything is required.

    Args:
        name: Its requirements are in `tests/hosts/<name>.txt`.
        scratch: A directory of this session.
    """
    try:
        base = _made(name, (*_lines(HOSTS / f"{name}.txt"), *_own_requirements()))
        return HostEnvironment(base, _installed(base, scratch))
    except (SystemExit, OSError, subprocess.CalledProcessError) as error:
        reason = f"the environment of the host {name} cannot be made: {_why(error)}"
    if everything_required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _made(name: str, requirements: tuple[str, ...]) -> Environment:
    python = "{}.{}".format(*sys.version_info)
    directory = cache_directory() / "hosts" / f"{name}-{key_of([python, *requirements])}"
    made = Environment(directory, requirements)
    made.prepare()
    return made


def _lines(path: Path) -> tuple[str, ...]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return tuple(line for line in lines if line)


def _own_requirements() -> tuple[str, ...]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return (*project["dependencies"], *project["optional-dependencies"]["auto"])


def _installed(base: Environment, scratch: Path) -> Path:
    """Build the wheel and install it, and nothing else, into a directory."""
    backend = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    builder = _made("builder", tuple(backend))
    wheels, package = scratch / "wheels", scratch / "package"
    # without isolation, which would ask the package index each time
    _pip(builder, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT))
    (wheel,) = wheels.glob("*.whl")
    _pip(base, "install", "--no-deps", "--no-index", "--target", str(package), str(wheel))
    return package


def _pip(base: Environment, *words: str) -> None:
    pip = [str(base.python), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    # S603: the words are ours.
    subprocess.run([*pip, *words], check=True, capture_output=True, text=True)  # noqa: S603


def _why(error: BaseException) -> str:
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    return " ".join(str(said).split())[-500:]
