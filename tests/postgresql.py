"""A real PostgreSQL of the tests' own, on loopback, for hosts that keep their data in one."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.backend import everything_required
from tests.waiting import wait_until

INSTALLED: Final = Path("/usr/lib/postgresql")
"""Where Debian puts them, a directory for each version: they are not on the path."""

USER: Final = "desk"
UNPRIVILEGED: Final = ("postgres", "nobody")
"""Whom to run it as where the tests run as root, which it refuses: the first that there is."""


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A server that runs.

    Attributes:
        port: On 127.0.0.1.
        password: Of `USER`, who may do everything there.
        programs: Where its clients are.
    """

    port: int
    password: str
    programs: Path

    def url(self, scheme: str = "postgresql", database: str = "postgres") -> str:
        """How clients find a database of it."""
        return f"{scheme}://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def make(self, database: str, template: str = "template1") -> None:
        """Make a database, as a copy of another that nobody is using."""
        self.ask(f"create database {database} template {template}")

    def ask(self, statement: str, database: str = "postgres") -> str:
        """What a statement of the tests' own answers, a line for each row."""
        done = subprocess.run(  # noqa: S603  the words are the tests' own
            [str(self.programs / "psql"), "-XAtq", "-d", self.url(database=database), "-c", statement],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @contextmanager
    def transaction(self, statement: str, database: str) -> Iterator[None]:
        """A transaction in which a statement has been carried out, and which is rolled back at the end."""
        with subprocess.Popen(  # noqa: S603  the words are the tests' own
            [str(self.programs / "psql"), "-XAtq", "-d", self.url(database=database)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write(f"begin; {statement};\n\\echo done\n")
            client.stdin.flush()
            while client.stdout.readline().strip() != "done":
                assert client.poll() is None
            yield
            client.stdin.close()  # it ends, and with it its transaction


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server of this session. Without one the test is skipped, or fails if everything is required."""
    programs = _programs()
    if programs is None:
        reason = f"PostgreSQL is not installed: there is no initdb on the path or below {INSTALLED}"
        if everything_required():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    # not pytest's own directory: another user could not enter it, and a socket's path must be short
    directory = Path(tempfile.mkdtemp(prefix="otel-incident-postgresql-"))
    try:
        yield from _run(programs, directory)
    finally:
        shutil.rmtree(directory)


def _run(programs: Path, directory: Path) -> Iterator[PostgreSQL]:
    whom = _whom(directory)
    password = secrets.token_hex(16)
    given = directory / "password"
    given.write_text(password)
    given.chmod(0o644)  # in a directory that only its owner can enter
    data = directory / "data"
    initdb = [
        str(programs / "initdb"),
        "-D",
        str(data),
        "-U",
        USER,
        "-A",
        "scram-sha-256",
        f"--pwfile={given}",
    ]
    done = subprocess.run(initdb, capture_output=True, text=True, check=False, cwd=directory, **whom)  # noqa: S603  the words are ours
    assert done.returncode == 0, done.stderr
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = int(held.getsockname()[1])
    server = [
        str(programs / "postgres"),
        "-D",
        str(data),
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-k",
        str(directory),
        "-F",
    ]
    log = directory / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(server, stdout=said, stderr=said, cwd=directory, **whom)  # noqa: S603  the words are the tests' own
    try:
        wait_until(lambda: _answers(programs, port, process, log), 60.0, "a PostgreSQL that answers")
        yield PostgreSQL(port, password, programs)
    finally:
        process.send_signal(signal.SIGINT)  # it does not wait for its clients
        process.wait(30)


def _programs() -> Path | None:
    """Where its programs are, of the newest version that is installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = [each for each in INSTALLED.glob("*/bin") if (each / "initdb").exists()]
    return max(versions, key=lambda each: float(each.parent.name), default=None)


def _whom(directory: Path) -> dict[str, Any]:
    """As whom to start its programs; what they need of a directory is made theirs."""
    if os.geteuid() != 0:
        return {}
    names = {each.pw_name: each for each in pwd.getpwall()}
    owner = next(names[name] for name in UNPRIVILEGED if name in names)
    os.chown(directory, owner.pw_uid, owner.pw_gid)
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _answers(programs: Path, port: int, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text(errors="replace")
    asked = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(asked, check=False).returncode == 0  # noqa: S603  the words are ours
