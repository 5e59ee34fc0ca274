"""Applications of the tests' own as processes: a desk for incidents on each of several frameworks."""

import http.client
import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

from tests.host_environment import HostEnvironment
from tests.waiting import wait_until

TRACE_ID: Final = "0af7651916cd43dd8448eb211c80319c"
PARENT: Final = "b7ad6b7169203331"


class _Pager(BaseHTTPRequestHandler):
    """Takes every page, and says nothing."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def pager() -> Iterator[str]:
    """The base URL of a server that the desks call."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pager) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class DeskHost:
    """A process that serves a desk, from construction to `stop()`; a context manager."""

    def __init__(
        self,
        environment: HostEnvironment,
        directory: Path,
        command: list[str],
        variables: Mapping[str, str],
    ) -> None:
        """Start it and wait until it answers.

        Args:
            environment: What it runs in.
            directory: For its data; made, unless what it is to begin with is there.
            command: Its first word is a program of the environment. The files of its port and its report are
                added.
            variables: Of its environment.
        """
        directory.mkdir(exist_ok=True)
        self._directory = directory
        files = ["--port-file", str(directory / "port"), "--report", str(directory / "report.json")]
        with (directory / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(  # noqa: S603  the words are the tests' own
                [environment.tool(command[0]), *command[1:], *files],
                env={
                    **environment.variables(),
                    "DESK_DATABASE": str(directory / "desk.sqlite3"),
                    "OTEL_SERVICE_NAME": "desk",
                    "OTEL_INCIDENT_STATE_DIR": str(directory / "state"),
                    **variables,
                },
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
            )
        self.port = int(wait_until(self._listening, 60.0, "a desk that listens"))

    def __enter__(self) -> Self:
        """The desk, already listening."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if nobody has."""
        self._process.kill()
        self._process.wait()

    def request(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """One request; its status, and its body.

        Args:
            method: Of HTTP.
            path: With its query.
            form: The fields of its body.
            headers: Besides those of a form.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {"content-type": "application/x-www-form-urlencoded"} if form is not None else {}
        try:
            connection.request(
                method, path, urlencode(form) if form is not None else None, {**sent, **(headers or {})}
            )
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def stop(self) -> str:
        """End it as a service manager would; what it wrote to stdout and stderr."""
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(30)
        said = (self._directory / "stderr").read_text()
        assert status == 0, f"status {status}\n{said}"
        return said

    def _listening(self) -> str | None:
        if self._process.poll() is not None:
            raise RuntimeError(f"the desk ended:\n{(self._directory / 'stderr').read_text()}")
        try:
            return (self._directory / "port").read_text()
        except FileNotFoundError:
            return None


def traced() -> dict[str, str]:
    """The header of a caller who is traced."""
    return {"traceparent": f"00-{TRACE_ID}-{PARENT}-01"}


def as_json(value: Any) -> str:
    """As a file that a person can read."""
    return f"{json.dumps(value, indent=2, ensure_ascii=False)}\n"
