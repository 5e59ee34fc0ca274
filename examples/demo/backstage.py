"""Runs the example host as an operator would: under `opentelemetry-instrument`, with variables alone."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self, final

from examples.demo.play import PlayError
from tests.collector import ROOT
from tests.waiting import wait_until

DESK: Final = ROOT / "examples" / "desk"
PEOPLE: Final = DESK / "desk" / "people.json"
HOOKS: Final = DESK / "hooks.toml"

_LISTENING: Final = re.compile(r"development server at (http://127\.0\.0\.1:[0-9]+)/")
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 15.0
# What whoever runs the demonstration has set for other programs: none of it is to decide what is shown.
_NOT_INHERITED: Final = ("OTEL_", "DJANGO_", "PYTHON", "DO_NOT_TRACK")


@final
class Host:
    """The incident desk. A context manager: on exit its process is gone.

    Args:
        directory: For its database and its log.
        telemetry: The `OTEL_*` variables; all it is told of telemetry.
    """

    def __init__(self, directory: Path, telemetry: Mapping[str, str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.database: Final = directory / "desk.sqlite3"
        self.log: Final = directory / "desk.log"
        self.url = ""
        self._telemetry = dict(telemetry)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """The host, prepared and listening."""
        self._prepare()
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and kill it if it does not end."""
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()

    def stop(self) -> float:
        """End it as an operator does, with Ctrl-C; returns how long that took, in s.

        Raises:
            PlayError: It had ended before, or did not end.
        """
        process, began = self._process, time.monotonic()
        if process is None or process.poll() is not None:
            raise PlayError(f"the host has ended by itself; its last words:\n{self.last_words()}")
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise PlayError(f"the host did not end within {_STOP_SECONDS:.0f} s") from None
        return time.monotonic() - began

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def _prepare(self) -> None:
        """Make its database and its members, without telemetry."""
        for command in ("migrate", "seed"):
            done = subprocess.run(  # noqa: S603  the words are ours
                [sys.executable, "-m", "django", command, "--verbosity=0"],
                env=self._environment({}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise PlayError(f"the host's {command} failed:\n{done.stderr}")

    def _start(self) -> None:
        instrument = str(Path(sys.executable).with_name("opentelemetry-instrument"))
        server = [sys.executable, "-m", "django", "runserver", "--noreload", "127.0.0.1:0"]
        with self.log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  the words are ours
                [instrument, *server],
                env=self._environment(self._telemetry),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C is ours: the host is ended before its collector
            )
        self._process = process

        def listening() -> re.Match[str] | bool | None:
            return _LISTENING.search(self.log.read_text(errors="replace")) or process.poll() is not None

        found = wait_until(listening, _START_SECONDS, "a listening host")
        if not isinstance(found, re.Match):
            raise PlayError(f"the host ended with status {process.returncode}:\n{self.last_words()}")
        self.url = found[1]

    def _environment(self, telemetry: Mapping[str, str]) -> dict[str, str]:
        # TID251: a child process gets the environment of whoever runs the demonstration.
        inherited = os.environ.items()  # noqa: TID251
        return {
            **{name: value for name, value in inherited if not name.startswith(_NOT_INHERITED)},
            "PYTHONPATH": str(DESK),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
            "DJANGO_SETTINGS_MODULE": "desk.settings",
            "DJANGO_RUNSERVER_HIDE_WARNING": "true",
            "DESK_DATABASE": str(self.database),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            **telemetry,
        }


def built_collector() -> Path | None:
    """The real collector, if `scripts/collector` has built it."""
    done = subprocess.run(  # noqa: S603  the words are ours
        [sys.executable, str(ROOT / "scripts" / "collector"), "path"],
        capture_output=True,
        text=True,
        check=False,
    )
    return Path(done.stdout.strip()) if done.returncode == 0 else None
