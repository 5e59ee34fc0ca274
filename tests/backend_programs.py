"""Real backends for the README's blocks, built from pinned Go modules: no package index of Python's has them.

    python3 -m tests.backend_programs    # builds what is missing; minutes the first time, then nothing

They are kept beside the collector, outside the tree. Standard library only, as for the collector's script.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from scripts.environments import cache_directory, key_of


@final
@dataclass(frozen=True, slots=True)
class Program:
    """A Go program.

    Attributes:
        name: As its makers call it.
        package: Its main package.
        modules: Module and version of what is pinned; their own requirements decide about all others.
        tags: Build tags.
    """

    name: str
    package: str
    modules: tuple[str, ...]
    tags: str = ""

    @property
    def path(self) -> Path:
        """Where it is, built or not; another version is another place."""
        key = key_of([self.package, *self.modules, self.tags])
        return cache_directory() / "backends" / key / self.name.lower()


VICTORIALOGS: Final = Program(
    "VictoriaLogs",
    "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs",
    (
        # the module proxy knows no release of it, and not the commit of the other that this one asks for
        "github.com/VictoriaMetrics/VictoriaLogs v1.51.1-0.20260624061259-dc94972a8708",
        "github.com/VictoriaMetrics/VictoriaMetrics v1.148.8",
    ),
)
JAEGER: Final = Program(
    "Jaeger",
    "github.com/jaegertracing/jaeger/cmd/all-in-one",
    # its later releases need twice the time to build, and are asked the same question
    ("github.com/jaegertracing/jaeger v1.42.0",),
)
PROMETHEUS: Final = Program(
    "Prometheus",
    "github.com/prometheus/prometheus/cmd/prometheus",
    ("github.com/prometheus/prometheus v0.316.0",),
    tags="remove_all_sd",  # without the libraries of every cloud
)
PROGRAMS: Final = (VICTORIALOGS, JAEGER, PROMETHEUS)


class NotBuiltError(Exception):
    """A program is missing; the message says what to do."""


def find(program: Program, *, build: bool) -> Path:
    """A program's path; NotBuiltError if it is not there.

    Args:
        program: Which one.
        build: Whether to build it where it is missing; two callers at once build once.
    """
    if program.path.exists():
        return program.path
    if not build:
        raise NotBuiltError(
            f"{program.name} is not built yet; with Go on PATH: python3 -m tests.backend_programs"
        )
    go = shutil.which("go")
    if go is None:
        raise NotBuiltError(f"{program.name} is not built yet, and building it needs Go on PATH")
    program.path.parent.mkdir(parents=True, exist_ok=True)
    with (program.path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.path.exists():
            _build(program, go)
    return program.path


def _build(program: Program, go: str) -> None:
    """Build beside the target and rename: a killed build leaves no half a program."""
    # TID251, twice: the rule is for the package; the Go tools need the caller's environment.
    variables = {
        **os.environ,  # noqa: TID251  the Go tools need the caller's environment
        "GOTOOLCHAIN": "local",  # the Go that is there, not one it would download
        "CGO_ENABLED": "0",
        "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -mod=mod".strip(),  # noqa: TID251  the Go tools need the caller's environment
    }
    with tempfile.TemporaryDirectory(dir=program.path.parent) as work:
        required = "".join(f"require {module}\n" for module in program.modules)
        Path(work, "go.mod").write_text(f"module build\n\ngo 1.25\n\n{required}")
        built = Path(work) / "built"
        options = ["-trimpath", "-ldflags=-s -w", f"-tags={program.tags}", "-o", str(built)]
        done = subprocess.run(  # noqa: S603  the words are ours
            [go, "build", *options, program.package],
            cwd=work,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise NotBuiltError(f"{program.name} cannot be built: {done.stderr.strip()[-2000:]}")
        built.rename(program.path)


def main() -> int:
    """Build all; the exit status."""
    for program in PROGRAMS:
        sys.stderr.write(f"{program.name} ...\n")
        try:
            sys.stdout.write(f"{find(program, build=True)}\n")
        except NotBuiltError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
