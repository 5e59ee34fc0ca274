"""An unmodified FireFighter on a PostgreSQL; nothing answers where its Redis and its Slack would be."""

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.argus_host import User
from tests.host_environment import HostEnvironment
from tests.postgresql import USER, PostgreSQL
from tests.processes import Ended
from tests.served_host import Answer, Served

STAFF: Final = "alex"

CONTENT: Final = (
    "morgan",
    "alex",
    "robin",
    "Morgan",
    "acme.test",
    "Checkout is down",
    "Customers see error 502",
    "second provider",
    "Called the bank",
    "Commander",
    "Payment",
    "Mitigat",
)
"""What it holds, and nobody else may learn."""

INCIDENT: Final = {
    "title": "Checkout is down",
    "description": "Customers see error 502",
    "environment_id": "1b960430-995b-47e1-beab-23dbe3dbccbf",
    "incident_category_id": "02a18a9c-67ba-45e8-9b50-8662f1c6eae1",
    "priority_id": "3d8a4e0f-cc79-4063-9431-8aa785a56ca0",
}
"""As its REST API takes one; the keys are those of the rows that it brings."""


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


def variables_of(server: PostgreSQL, database: str) -> dict[str, str]:
    """What it asks for."""
    return {
        "DJANGO_SETTINGS_MODULE": "firefighter.firefighter.settings",
        "ENV": "prod",
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": str(server.port),
        "POSTGRES_USER": USER,
        "POSTGRES_DB": database,
        "POSTGRES_PASSWORD": server.password,
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": "9",
        "HTTPS_PROXY": "http://127.0.0.1:9",  # nothing of a test's reaches Slack
        "SECRET_KEY": "for-tests-" + string.ascii_letters,  # it measures how strong this is
        "BASE_URL": "http://127.0.0.1",
        "ALLOWED_HOSTS": "127.0.0.1",
        "SLACK_BOT_TOKEN": "for-tests",
        "SLACK_SIGNING_SECRET": "for-tests",
        "FF_SLACK_SKIP_CHECKS": "True",
        "ENABLE_CONFLUENCE": "True",
        "CONFLUENCE_USERNAME": "for-tests",
        "CONFLUENCE_API_KEY": "for-tests",
        "CONFLUENCE_URL": "https://127.0.0.1:9",
        "CONFLUENCE_POSTMORTEM_SPACE": "T",
        "CONFLUENCE_POSTMORTEM_TEMPLATE_PAGE_ID": "1",
        "CONFLUENCE_POSTMORTEM_FOLDER_ID": "1",
        "CONFLUENCE_RUNBOOKS_FOLDER_ID": "1",
        "CONFLUENCE_ON_CALL_ROTA_PAGE_ID": "1",
        "CONFLUENCE_ON_CALL_PAGE_ID": "1",
        "CONFLUENCE_MOCK_CREATE_POSTMORTEM": "True",
        "ENABLE_PAGERDUTY": "False",
        "ENABLE_JIRA": "False",
        "ENABLE_RAID": "False",
        "OIDC_OP_DISCOVERY_DOCUMENT_URL": "https://127.0.0.1:9/discovery",
        "OIDC_RP_CLIENT_ID": "for-tests",
        "OIDC_RP_CLIENT_SECRET": "for-tests",
        "OIDC_MIDDLEWARE_LOGIN_REQUIRED_REDIRECT": "False",
    }


def installed(environment: HostEnvironment, server: PostgreSQL, directory: Path) -> Installation:
    """Set one up, without telemetry."""
    server.make("firefighter_seed")
    words = [environment.tool("python"), "-m", "firefighter_site.seed"]
    ended = environment.run(words, variables_of(server, "firefighter_seed"), directory, timeout=180.0)
    assert ended.status == 0, ended.stderr[-3000:]
    users = {name: User(**user) for name, user in json.loads(ended.stdout).items()}
    return Installation(environment, server, users)


class FireFighter:
    """A copy of an installation with a database of its own.

    Args:
        installation: To copy.
        database: The name of its database; must not exist.
        directory: For its files.
        variables: How telemetry is set up.
    """

    def __init__(
        self, installation: Installation, database: str, directory: Path, variables: Mapping[str, str]
    ) -> None:
        self._installation, self._directory = installation, directory
        directory.mkdir()
        self.state = directory / "state"
        installation.server.make(database, "firefighter_seed")
        self._variables = {
            **variables_of(installation.server, database),
            "OTEL_SERVICE_NAME": "firefighter",
            "OTEL_INCIDENT_STATE_DIR": str(self.state),
            "OTEL_BLRP_SCHEDULE_DELAY": "50",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_PYTHON_LOG_CORRELATION": "false",
            **variables,
        }

    def serve(self, workers: int = 1) -> Served:
        """Start its web application."""
        return Served(
            self._installation.environment,
            "firefighter.firefighter.wsgi:application",
            self._directory,
            self._variables,
            workers=workers,
        )

    def declare(self, served: Served, user: str, body: Mapping[str, Any], traceparent: str = "") -> Answer:
        """Declare an incident over its REST API, as a user who names himself."""
        headers = {
            "authorization": f"Bearer {self._installation.users[user].token}",
            "x-forwarded-proto": "https",
            **({"traceparent": traceparent} if traceparent else {}),
        }
        path = "/api/v2/firefighter/incidents"
        return served.request("POST", path, {**body, "created_by_email": f"{user}@acme.test"}, headers)

    def shell(self, script: str) -> Ended:
        """Do something by its models in its shell, under the command."""
        environment = self._installation.environment
        words = [environment.tool("opentelemetry-instrument"), environment.tool("ff-manage")]
        return environment.run([*words, "shell", "-c", script], self._variables, self._directory)
