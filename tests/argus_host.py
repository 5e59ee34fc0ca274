"""An unmodified argus-server on a PostgreSQL, and those who work with it over its own REST API."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.host_environment import HostEnvironment
from tests.postgresql import PostgreSQL
from tests.served_host import Answer, Served

SOURCE: Final = "grafana1"
SUPERUSER: Final = "morgan"
STAFF: Final = "alex"

CONTENT: Final = (
    "morgan",
    "alex",
    "acme.test",
    "grafana",
    "Checkout is down",
    "Payments",
    "payments",
    "wiki.acme",
    "tickets.acme",
    "Called the bank",
    "second provider",
)
"""What it holds, and nobody else may learn."""


@dataclass(frozen=True, slots=True)
class User:
    """Who works with it.

    Attributes:
        id: The key in its database.
        token: For its REST API.
    """

    id: str
    token: str


@dataclass(frozen=True, slots=True)
class Installation:
    """One that has been set up, to be copied.

    Attributes:
        environment: Where it is installed.
        server: Where its databases are.
        users: By their names.
    """

    environment: HostEnvironment
    server: PostgreSQL
    users: Mapping[str, User]

    def variables(self, database: str) -> dict[str, str]:
        """What it asks for."""
        return _variables(self.server, database)


def _variables(server: PostgreSQL, database: str) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "argus_site.settings",
        "DATABASE_URL": server.url(database=database),
        "SECRET_KEY": "for-tests-" + "k" * 40,
        "ARGUS_FRONTEND_URL": "http://127.0.0.1",
        "ARGUS_COOKIE_DOMAIN": "127.0.0.1",
        "ARGUS_SEND_NOTIFICATIONS": "0",
        "EMAIL_HOST": "127.0.0.1",
        "DEFAULT_FROM_EMAIL": "argus@acme.test",
        "STATIC_ROOT": "static",
    }


def installed(environment: HostEnvironment, server: PostgreSQL, directory: Path) -> Installation:
    """Set one up, without telemetry."""
    server.make("argus_seed")
    words = [environment.tool("python"), "-m", "argus_site.seed"]
    ended = environment.run(words, _variables(server, "argus_seed"), directory, timeout=120.0)
    assert ended.status == 0, ended.stderr
    users = {name: User(**user) for name, user in json.loads(ended.stdout).items()}
    return Installation(environment, server, users)


class Argus:
    """A copy of an installation with a database of its own.

    Args:
        installation: To copy.
        database: The name of its database; must not exist.
        directory: For its files.
        variables: How telemetry is set up, and what else is to hold.
    """

    def __init__(
        self, installation: Installation, database: str, directory: Path, variables: Mapping[str, str]
    ) -> None:
        self._installation, self._directory = installation, directory
        directory.mkdir()
        self.database = database
        self.state = directory / "state"
        installation.server.make(database, "argus_seed")
        self._variables = {
            **installation.variables(database),
            "OTEL_SERVICE_NAME": "argus",
            "OTEL_INCIDENT_STATE_DIR": str(self.state),
            "OTEL_BLRP_SCHEDULE_DELAY": "50",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_METRICS_EXPORTER": "none",
            **variables,
        }

    def serve(self, workers: int = 1) -> Served:
        """Start it."""
        return Served(
            self._installation.environment,
            "argus.site.wsgi:application",
            self._directory,
            self._variables,
            workers=workers,
        )

    def ask(
        self, served: Served, user: str, method: str, path: str, body: Any = None, traceparent: str = ""
    ) -> Answer:
        """One request of a user."""
        headers = {"authorization": f"Token {self._installation.users[user].token}"}
        if traceparent:
            headers["traceparent"] = traceparent
        return served.request(method, f"/api/v2/incidents/{path}", body, headers)

    def run(self, script: str) -> list[str]:
        """Run a script of an operator's in its shell, under the command; what is said in the log, by line."""
        environment = self._installation.environment
        words = [environment.tool("opentelemetry-instrument"), environment.tool("django-admin")]
        ended = environment.run([*words, "shell", "-c", script], self._variables, self._directory)
        assert ended.status == 0, ended.stderr
        return ended.stderr.splitlines()
