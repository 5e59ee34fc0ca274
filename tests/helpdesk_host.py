"""An unmodified django-helpdesk as a process, and who works with it over its REST API or its pages."""

import base64
import http.client
import json
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

from tests.host_environment import HostEnvironment
from tests.waiting import wait_until

SUPERUSER: Final = "morgan"
STAFF: Final = "alex"
USERS: Final = {SUPERUSER: "1", STAFF: "2"}
"""Their keys in the database."""

CONTENT: Final = (
    "morgan",
    "alex",
    "acme.test",
    "password-of",
    "Payments",
    "payments",
    "Checkout is down",
    "Customers see error 502",
    "Switched to the second provider",
    "jane.doe",
    "Called the bank",
    "They restart their gateway",
)
"""What the helpdesk holds, and nobody else may learn."""

ANSWERS_WITHIN: Final = 5.0
"""s; a request that waited for an exporter would take 10, the exporters' timeout."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The host's answer to a request."""

    status: int
    content_type: str
    body: Any


@dataclass(frozen=True, slots=True)
class Ended:
    """A host that has ended."""

    status: int
    stderr: str
    threads: list[str]


class Browser:
    """Somebody who is signed in and works with the pages of a helpdesk.

    Args:
        port: Where it listens.
        user: Who.
    """

    def __init__(self, port: int, user: str) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}
        self._request("GET", "/login/", {})  # which gives the token of its forms
        status, _ = self.submit("/login/", {"username": user, "password": f"password-of-{user}"})
        if "sessionid" not in self._cookies:
            raise RuntimeError(f"the helpdesk signs nobody in: it answers {status}")

    def submit(self, path: str, fields: Mapping[str, object], traceparent: str = "") -> tuple[int, str]:
        """Send a form: the status, and the path to which the answer leads, empty for none."""
        response = self._request("POST", path, fields, {"traceparent": traceparent} if traceparent else {})
        return response.status, response.getheader("location", "")

    def _request(
        self, method: str, path: str, fields: Mapping[str, object], headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        sent = {
            "content-type": "application/x-www-form-urlencoded",
            "cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
            "x-csrftoken": self._cookies.get("csrftoken", ""),
            **(headers or {}),
        }
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWERS_WITHIN)
        try:
            connection.request(method, path, urlencode(fields, doseq=True), sent)
            response = connection.getresponse()
            response.read()
        finally:
            connection.close()
        for line in response.headers.get_all("set-cookie", ()):
            self._cookies |= {name: cookie.value for name, cookie in SimpleCookie(line).items()}
        return response


def seeded(environment: HostEnvironment, directory: Path) -> Path:
    """An installation with its users and its queue, to be copied; made without telemetry."""
    directory.mkdir()
    variables = {**environment.variables(installed=False), "HELPDESK_DATA": str(directory)}
    command = [environment.tool("python"), "-m", "helpdesk_site.seed"]
    subprocess.run(command, env=variables, cwd=directory, check=True, capture_output=True)  # noqa: S603  the words are the tests' own
    return directory


def variables_of(directory: Path) -> dict[str, str]:
    """What an installation in a directory asks for, and where its telemetry keeps what it keeps."""
    return {
        "DJANGO_SETTINGS_MODULE": "helpdesk_site.settings",
        "HELPDESK_DATA": str(directory),
        "OTEL_SERVICE_NAME": "helpdesk",
        "OTEL_INCIDENT_STATE_DIR": str(directory / "state"),
        "OTEL_BLRP_SCHEDULE_DELAY": "50",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_METRICS_EXPORTER": "none",
    }


class Helpdesk:
    """One installation, running from construction to `stop()`; a context manager."""

    def __init__(
        self,
        environment: HostEnvironment,
        seed: Path,
        directory: Path,
        variables: Mapping[str, str],
        *,
        instrumented: bool = True,
        installed: bool = True,
    ) -> None:
        """Start it and wait until it answers.

        Args:
            environment: What it runs in.
            seed: An installation to begin with.
            directory: For its data; must not exist.
            variables: Of its environment: how telemetry is set up.
            instrumented: Whether it runs under `opentelemetry-instrument`.
            installed: Whether this package is there.
        """
        shutil.copytree(seed, directory)
        self._directory = directory
        self.database = directory / "helpdesk.sqlite3"
        self.state = directory / "state"
        prefix = [environment.tool("opentelemetry-instrument")] if instrumented else []
        command = [environment.tool("python"), "-m", "serve", "helpdesk_site.wsgi:application"]
        files = ["--port-file", str(directory / "port"), "--report", str(directory / "report.json")]
        with (directory / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(  # noqa: S603  the words are the tests' own
                [*prefix, *command, *files],
                env={
                    **environment.variables(installed=installed),
                    **variables_of(directory),
                    **variables,
                },
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
            )
        self._port = int(wait_until(self._listening, 60.0, "a helpdesk that listens"))

    def __enter__(self) -> Self:
        """The helpdesk, already listening."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if nobody has."""
        self._process.kill()
        self._process.wait()

    def request(
        self, method: str, path: str, body: Any = None, *, user: str = SUPERUSER, traceparent: str = ""
    ) -> Answer:
        """One request of a user; TimeoutError if the answer takes as long as a hanging exporter would."""
        credentials = base64.b64encode(f"{user}:password-of-{user}".encode()).decode()
        headers = {"content-type": "application/json", "authorization": f"Basic {credentials}"}
        if traceparent:
            headers["traceparent"] = traceparent
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWERS_WITHIN)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            text, kind = response.read(), response.getheader("content-type", "")
            said = text.decode() if kind.startswith("text/html") else json.loads(text or b"null")
            return Answer(response.status, kind, said)
        finally:
            connection.close()

    def signed_in(self, user: str) -> Browser:
        """A user at its pages."""
        return Browser(self._port, user)

    def created(self, ticket: int) -> datetime:
        """When a ticket was created, from the host's own database."""
        with sqlite3.connect(self.database) as database:
            (text,) = database.execute(
                "select created from helpdesk_ticket where id = ?", [ticket]
            ).fetchone()
        database.close()
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 20.0) -> Ended:
        """End it as a service manager would; TimeoutExpired if that takes longer than `timeout` s."""
        self._process.send_signal(number)
        status = self._process.wait(timeout)
        report = json.loads((self._directory / "report.json").read_text())
        return Ended(status, (self._directory / "stderr").read_text(), report["threads"])

    def _listening(self) -> str | None:
        if self._process.poll() is not None:
            raise RuntimeError(f"the helpdesk ended:\n{(self._directory / 'stderr').read_text()}")
        try:
            return (self._directory / "port").read_text()
        except FileNotFoundError:
            return None
