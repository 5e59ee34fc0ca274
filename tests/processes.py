"""Hosts of the tests' own: Python programs in processes of their own, as a user would start them."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.collector import ROOT

# What a child needs of this environment; nothing else of it decides anything there.
_INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended."""

    status: int
    stdout: str
    stderr: str
    seconds: float


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: only what is said, and where to find the tests."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}  # noqa: TID251  about the tests, not the package's configuration
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))  # noqa: TID251  about the tests, not the package's configuration
    return {**inherited, "PYTHONPATH": path, **(variables or {})}


def start(
    code: str, variables: Mapping[str, str] | None = None, *, group: bool = False
) -> subprocess.Popen[str]:
    """Start a program, in a process group of its own if need be; stdout and stderr are pipes."""
    return subprocess.Popen(  # noqa: S603  the words are the tests' own
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment(variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0 if group else None,
    )


def run(code: str, variables: Mapping[str, str] | None = None, *, timeout: float = 60.0) -> Ended:
    """Run a program to its end; TimeoutExpired if that takes longer than `timeout` seconds."""
    started = time.monotonic()
    process = start(code, variables)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ended(process.returncode, stdout, stderr, time.monotonic() - started)


def succeed(code: str, variables: Mapping[str, str] | None = None, *, timeout: float = 60.0) -> Ended:
    """Run a program that must end with status 0."""
    ended = run(code, variables, timeout=timeout)
    assert ended.status == 0, f"status {ended.status}\n{ended.stdout}\n{ended.stderr}"
    return ended
