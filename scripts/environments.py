"""Virtual environments made on demand, for scripts that must run where there is nothing but Python.

Making one takes half a minute, so a stamp inside says what it was made from, and it is made again only when
that has changed. Standard library only: this runs before anything is installed.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, final

ROOT: Final = Path(__file__).resolve().parent.parent

_STAMP: Final = "made-from"


@final
class _Waiting:
    """Says on stderr what is being waited for: a clock on a terminal, else a line for each thing."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._what = ""

    def __call__(self, what: str) -> None:
        """Told often; says it as often as is useful."""
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\033[K{what} ({time.monotonic() - self._began:.0f} s)")
        elif what != self._what:
            sys.stderr.write(f"{what} ...\n")
        sys.stderr.flush()
        self._what = what

    def done(self) -> None:
        """Leave the terminal's line empty."""
        if self._what and sys.stderr.isatty():
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


@final
@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with this checkout installed in it, editable.

    Attributes:
        directory: Where it is.
        requirements: What pip is to install, as it takes it on its command line.
    """

    directory: Path
    requirements: tuple[str, ...]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    @property
    def up_to_date(self) -> bool:
        """Whether it was made from what it would be made from now."""
        try:
            return (self.directory / _STAMP).read_text() == self._made_from() and self.python.exists()
        except OSError:
            return False

    def prepare(self) -> float:
        """Make it unless it is up to date, and say so on stderr; two callers at once make it once.

        Returns:
            How long it took, in s; 0.0 if there was nothing to do.
        """
        if self.up_to_date:
            return 0.0
        began = time.monotonic()
        beside = cache_directory() / f"environment-{key_of([str(self.directory)])}"
        beside.parent.mkdir(parents=True, exist_ok=True)
        with _locked(beside.with_suffix(".lock")):
            if not self.up_to_date:
                waiting = _Waiting()
                self._make(waiting, beside.with_suffix(".log"))
                waiting.done()
        return time.monotonic() - began

    def _make(self, waiting: _Waiting, log: Path) -> None:
        log.unlink(missing_ok=True)
        # Of another Python, or broken: from the start. Otherwise pip only adds what is missing.
        if not self._is_of_this_python():
            shutil.rmtree(self.directory, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(self.directory)], log, waiting, "making the environment")
        (self.directory / _STAMP).unlink(missing_ok=True)
        pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        _run([*pip, "install", "--upgrade", "pip >= 25.1"], log, waiting, "updating pip")
        _run([*pip, "install", *self.requirements], log, waiting, "installing packages")
        (self.directory / _STAMP).write_text(self._made_from())
        log.unlink()

    def _made_from(self) -> str:
        # Only what pip reads there: a linter's setting is no reason to install everything again.
        pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        metadata = {key: pyproject.get(key) for key in ("build-system", "project", "dependency-groups")}
        digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()
        return "\n".join([_python_version(), str(ROOT), *self.requirements, digest, ""])

    def _is_of_this_python(self) -> bool:
        asked = "import sys; print('{}.{}'.format(*sys.version_info))"
        try:
            done = subprocess.run([self.python, "-c", asked], capture_output=True, text=True, check=False)  # noqa: S603  the environment's own interpreter
        except OSError:
            return False
        return done.returncode == 0 and done.stdout.strip() == _python_version()


def cache_directory() -> Path:
    """Where things are kept that can be made again: `OTEL_INCIDENT_CACHE_DIR`, else below XDG's."""
    # TID251, twice: the rule is for the package; scripts stand alone.
    explicit = os.environ.get("OTEL_INCIDENT_CACHE_DIR", "")  # noqa: TID251  no variable of the package's
    if explicit:
        return Path(explicit).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME", "") or "~/.cache"  # noqa: TID251  no variable of the package's
    return Path(base).expanduser().absolute() / "otel-incident"


def key_of(parts: Iterable[str]) -> str:
    """A short name for an environment that differs by these."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _python_version() -> str:
    return "{}.{}".format(*sys.version_info)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], log: Path, waiting: _Waiting, what: str) -> None:
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603  the words are ours
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                waiting(what)
                try:
                    process.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        _fail(what, log)


def _fail(what: str, log: Path) -> NoReturn:
    said = log.read_text(errors="replace")
    sys.stderr.write("\n".join(said.splitlines()[-15:]))
    hint = ""
    if "ensurepip" in said:
        hint = " This Python lacks the venv module's parts: on Debian and Ubuntu, apt install python3-venv."
    raise SystemExit(f"\n{what} failed; everything it said is in {log}.{hint}")
