"""An application that knows nothing of telemetry, as a process that an operator starts without changing it.

It is plain Python: functions and a class, sync and async, class- and staticmethod. What its calls mean stands
in a hook file beside it; how it is started, and with which variables, is the operator's and the test's.
"""

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.desk_app import DESK, HOOKS, MAIN, PRINTED
from tests.processes import Ended, environment

BY_HAND: Final = """
    from otel_incident.instrumentor import IncidentInstrumentor
    IncidentInstrumentor().instrument()
"""
"""What a host writes that instruments itself."""

DIAGNOSTIC_ID: Final = "5f0c7c1e-2f7a-4a55-9d3e-7c1f5f6b8a90"
"""Given, so that no test depends on what file system holds its directory."""


@dataclass(frozen=True, slots=True)
class Day:
    """A process of the application that has ended."""

    status: int
    stdout: str
    stderr: str
    modules: frozenset[str]
    """All that it had imported by its end."""
    threads: tuple[str, ...]
    """Besides the main one, when its work was done."""


def distribution(
    directory: Path,
    name: str,
    entry_points: str = "",
    modules: Mapping[str, str] | None = None,
    version: str = "5.4.0",
) -> Path:
    """An installed distribution, in a directory that is to be put on the path.

    Args:
        directory: Made if it does not exist.
        name: Of the distribution.
        entry_points: The text of its `entry_points.txt`.
        modules: Their code by name.
        version: Of the distribution.
    """
    metadata = directory / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(textwrap.dedent(entry_points))
    for module, code in (modules or {}).items():
        (directory / f"{module}.py").write_text(textwrap.dedent(code))
    return directory


_NEIGHBOUR: Final = """
    import os, sys
    from opentelemetry import trace
    from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

    class Instrumentor(BaseInstrumentor):
        def instrumentation_dependencies(self):
            return ()

        def _instrument(self, **kwargs):
            with trace.get_tracer("acme").start_as_current_span("acme.start"):
                pass
            with open(os.environ["NEIGHBOUR_FILE"], "w") as file:
                file.write("after us" if "otel_incident.instrumentor" in sys.modules else "before us")

        def _uninstrument(self, **kwargs):
            pass
"""


class Neighbour:
    """An instrumentor of somebody else's, which makes one span and remembers when it was loaded."""

    def __init__(self, directory: Path) -> None:
        """Install it.

        Args:
            directory: Must not exist.
        """
        entry_point = "[opentelemetry_instrumentor]\nacme = acme_instrumentor:Instrumentor\n"
        self.installed = distribution(
            directory, "acme-instrumentor", entry_point, {"acme_instrumentor": _NEIGHBOUR}
        )
        self._file = directory / "loaded"
        self.variables = {"NEIGHBOUR_FILE": str(self._file)}

    def loaded(self) -> str:
        """`before us`, `after us`, or nothing if it was not loaded."""
        return self._file.read_text() if self._file.exists() else ""


class App:
    """The application, installed in a directory."""

    def __init__(self, directory: Path) -> None:
        """Install it.

        Args:
            directory: Must exist.
        """
        self.directory = directory
        self.state = directory / "state"
        self.hooks = directory / "hooks.toml"
        self.hooks.write_text(HOOKS)
        self._home = distribution(directory / "installed", "acme-desk")
        package = self._home / "app"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "__main__.py").write_text(MAIN)
        (package / "desk.py").write_text(DESK)

    def run(
        self,
        variables: Mapping[str, str] | None = None,
        *,
        options: Iterable[str] = (),
        words: Iterable[str] = (),
        before: Iterable[Path] = (),
        behind: Iterable[Path] = (),
        hooked: bool = True,
    ) -> Day:
        """A day of the application under `opentelemetry-instrument`.

        Args:
            variables: The operator's.
            options: Of `opentelemetry-instrument` itself.
            words: Of the application.
            before: Directories of distributions that the path names before this package's.
            behind: The same after it.
            hooked: Whether the hook file is named in the environment.
        """
        command = [tool("opentelemetry-instrument"), *options, sys.executable, "-m", "app", *words]
        return self._day(self.call(command, variables, before=before, behind=behind, hooked=hooked))

    def run_in_code(
        self,
        code: str,
        variables: Mapping[str, str] | None = None,
        *,
        before: Iterable[Path] = (),
        instrumented: bool = False,
    ) -> Day:
        """A day of the application in a process whose own code comes first, as in a `manage.py`.

        Args:
            code: Run before the application is imported.
            variables: The operator's.
            before: As for `run`.
            instrumented: Whether it is run under `opentelemetry-instrument`.
        """
        program = f"{textwrap.dedent(code)}\nfrom app.__main__ import main\nmain()\n"
        prefix = [tool("opentelemetry-instrument")] if instrumented else []
        return self._day(self.call([*prefix, sys.executable, "-c", program], variables, before=before))

    def call(
        self,
        command: list[str],
        variables: Mapping[str, str] | None = None,
        *,
        before: Iterable[Path] = (),
        behind: Iterable[Path] = (),
        hooked: bool = True,
    ) -> Ended:
        """Any program in the application's environment, to its end; arguments as for `run`."""
        packages = sysconfig.get_path("purelib")
        inherited = environment()["PYTHONPATH"]
        path = [inherited, str(self._home), *map(str, before), packages, *map(str, behind)]
        given = {
            "PYTHONPATH": os.pathsep.join(path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "APP_REPORT": str(self.directory / "report.json"),
            "OTEL_SERVICE_NAME": "desk",
            "OTEL_INCIDENT_STATE_DIR": str(self.state),
            "OTEL_INCIDENT_DIAGNOSTIC_ID": DIAGNOSTIC_ID,
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
        }
        if hooked:
            given["OTEL_INCIDENT_HOOKS"] = str(self.hooks)
        done = subprocess.run(  # noqa: S603  the words are the tests' own
            command,
            env=environment({**given, **(variables or {})}),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr, 0.0)

    def _day(self, ended: Ended) -> Day:
        path = self.directory / "report.json"
        assert path.exists(), f"the application did not run:\n{ended.stdout}\n{ended.stderr}"
        report = json.loads(path.read_text())
        path.unlink()  # the next process writes its own
        modules, threads = frozenset(report["modules"]), tuple(report["threads"])
        return Day(ended.status, ended.stdout, ended.stderr, modules, threads)


def tool(name: str) -> str:
    """A program of the environment that the tests run in."""
    return str(Path(sys.executable).with_name(name))


@pytest.fixture
def app(tmp_path: Path) -> App:
    """The application, installed."""
    return App(tmp_path)


def assert_untouched(day: Day) -> None:
    """The application did what it does without us, and nobody said a word."""
    assert (day.status, day.stdout, day.stderr) == (0, PRINTED, "")
