"""An unmodified web application under gunicorn, as its users run it, and a client of its REST API."""

import http.client
import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tests.host_environment import HostEnvironment
from tests.waiting import wait_until

ANSWERS_WITHIN: Final = 30.0
"""s; for the first request a worker may still have to import what it needs."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The host's answer to a request."""

    status: int
    body: Any


class Served:
    """One installation, running from construction to `stop()`; a context manager."""

    def __init__(
        self,
        environment: HostEnvironment,
        application: str,
        directory: Path,
        variables: Mapping[str, str],
        *,
        workers: int = 1,
    ) -> None:
        """Start it and wait until it answers.

        Args:
            environment: What it runs in.
            application: `module:callable`, as gunicorn takes it.
            directory: For its files.
            variables: Of its environment: of the host and of telemetry.
            workers: How many processes.
        """
        self._stderr = directory / "stderr"
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            self._port = int(held.getsockname()[1])
        command = [environment.tool("opentelemetry-instrument"), environment.tool("gunicorn")]
        options = [f"--bind=127.0.0.1:{self._port}", f"--workers={workers}", "--log-level=warning"]
        with self._stderr.open("ab") as stderr:
            self._process = subprocess.Popen(  # noqa: S603  the words are the tests' own
                [*command, *options, application],
                env={**environment.variables(), **variables},
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
            )
        wait_until(self._answers, 60.0, "a host that answers")

    def __enter__(self) -> Self:
        """The host, already answering."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if nobody has."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def said(self) -> str:
        """What it has said on stderr."""
        return self._stderr.read_text()

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [int(child) for child in children.split()]

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request; OSError or HTTPException where the host does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWERS_WITHIN)
        given = {"content-type": "application/json", "accept": "application/json", **(headers or {})}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, given)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        is_json = "json" in response.getheader("content-type", "")
        return Answer(response.status, json.loads(text or b"null") if is_json else text.decode()[:300])

    def stop(self, timeout: float = 30.0) -> int:
        """End it as a service manager would; its status, or TimeoutExpired after `timeout` s."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"the host ended:\n{self.said}")
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1.0):
                return True
        except OSError:
            return False
