"""Environments of hosts: what a host needs, pinned, and this package as the wheel that a user would install.

What a host needs is installed into a cache once, which takes a minute. The wheel is built from the current
tree in each session and installed into a directory of that session: so what is tested is what the wheel
contains, and sessions with different trees share the cache without seeing one another.
"""

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.environments import Environment
from tests.backend import everything_required
from tests.collector import ROOT
from tests.host_packages import HOSTS, environment_of, pyproject, requirements_of
from tests.processes import Ended, environment


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

    def run(
        self, words: list[str], variables: Mapping[str, str], directory: Path, *, timeout: float = 60.0
    ) -> Ended:
        """Run a program in it to its end; TimeoutExpired if that takes longer than `timeout` seconds.

        Args:
            words: The command; its first is one of `tool`.
            variables: Of its environment, besides those that make it run here.
            directory: Where it runs.
            timeout: In seconds.
        """
        return run_in(directory, words, {**self.variables(), **variables}, timeout=timeout)


def host_environment(
    name: str, scratch: Path, requirements: tuple[str, ...] | None = None
) -> HostEnvironment:
    """The environment of a host. Without one the test is skipped, or fails if everything is required.

    Args:
        name: Of the host.
        scratch: A directory of this session.
        requirements: What to install; by default `tests/hosts/<name>.txt`, and what the package needs.
    """
    base = cached_environment(name, requirements_of(name) if requirements is None else requirements)
    package = scratch / "package"
    pip(base, "install", "--no-deps", "--no-index", "--target", str(package), str(built_wheel(scratch)))
    return HostEnvironment(base, package)


def cached_environment(name: str, requirements: tuple[str, ...]) -> Environment:
    """An environment with this and nothing of ours, made once for all sessions.

    Without one the test is skipped, or fails if everything is required: it needs a package index.
    """
    made = environment_of(name, requirements)
    try:
        made.prepare()
    except (SystemExit, OSError) as error:
        reason = f"the environment {name} cannot be made: {_last_words(str(error))}"
        if everything_required():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return made


def built_wheel(scratch: Path, source: Path = ROOT) -> Path:
    """The wheel of this tree, or of another source, in a directory of this session."""
    wheels = scratch / "wheels"
    # without isolation, which would ask the package index each time
    pip(builder(), "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source))
    (wheel,) = wheels.glob("*.whl")
    return wheel


def builder() -> Environment:
    """The environment that builds."""
    return cached_environment("builder", tuple(pyproject()["build-system"]["requires"]))


def pip(environment: Environment, *words: str) -> str:
    """Run an environment's pip and return what it says; AssertionError with its last words if it fails."""
    command = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "--no-input", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  the words are ours
    assert done.returncode == 0, _last_words(done.stderr)
    return done.stdout


def run_in(
    directory: Path, words: list[str], variables: Mapping[str, str], *, timeout: float = 60.0
) -> Ended:
    """Run a program to its end with exactly these variables; TimeoutExpired after `timeout` seconds."""
    started = time.monotonic()
    done = subprocess.run(  # noqa: S603  the words are the tests' own
        words,
        cwd=directory,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - started)


def _last_words(said: str) -> str:
    return " ".join(said.split())[-500:]
