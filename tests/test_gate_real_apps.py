"""Real applications with OpenTelemetry's own instrumentations: in strict no content leaves with the bytes.

An unmodified django-helpdesk, and a desk on FastAPI, SQLAlchemy, psycopg, sqlite3 and requests, are started
by `opentelemetry-instrument` and used. Each field that people fill in holds a canary, and so does all else
that a caller can choose. Instrumentations are set to capture what they can: headers, and the fields of forms.
"""

import base64
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import pytest

from tests.canaries import canary, found
from tests.desk_hosts import DeskHost, pager
from tests.helpdesk_host import STAFF, seeded
from tests.host_environment import HostEnvironment, host_environment
from tests.otlp_receiver import OtlpReceiver
from tests.postgresql import PostgreSQL
from tests.postgresql import postgresql as postgresql  # noqa: PLC0414  a fixture is used by its name

SIGNALS: Final = ("traces", "logs", "metrics")
CAPTURING: Final = {
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_METRICS_EXEMPLAR_FILTER": "always_on",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": ".*",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": ".*",
    "OTEL_PYTHON_DJANGO_TRACED_REQUEST_ATTRS": "path_info,GET,POST",
    "OTEL_PYTHON_LOG_CODE_ATTRIBUTES": "true",
}
OLDER, NEWER = "", "http,database"
"""What `OTEL_SEMCONV_STABILITY_OPT_IN` says; the older conventions are what is followed without it."""

HELPDESK: Final = (
    "title", "description", "submitter", "resolution", "follow-up", "comment", "path", "query", "agent",
    "host", "header", "webhook",
)  # fmt: skip
FASTAPI: Final = (
    "title", "detail", "reporter", "team", "path", "query", "agent", "host", "header", "escalated", "page",
)  # fmt: skip
TEXTS: Final = {name: canary(name) for name in (*HELPDESK, *FASTAPI)}
HEADERS: Final = {
    "user-agent": TEXTS["agent"],
    "host": f"{TEXTS['host']}.test",
    "x-note": TEXTS["header"],
    "baggage": f"note={TEXTS['header']}",
    "tracestate": f"note={TEXTS['header'].lower()}",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
"""What any caller may send."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where both hosts and the instrumentations are installed, with this package's wheel."""
    return host_environment("instrumented", tmp_path_factory.mktemp("instrumented"))


@pytest.fixture(scope="module")
def seed(environment: HostEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A helpdesk with two users and a queue."""
    return seeded(environment, tmp_path_factory.mktemp("helpdesk") / "seed")


@pytest.fixture(params=[OLDER, NEWER], ids=["older conventions", "newer conventions"])
def conventions(request: pytest.FixtureRequest) -> str:
    """The semantic conventions that the instrumentations follow."""
    followed: str = request.param
    return followed


def serve(
    environment: HostEnvironment,
    directory: Path,
    words: list[str],
    variables: Mapping[str, str],
    use: Callable[[DeskHost], None],
) -> str:
    """Start a host under the command, use it, end it; what it said."""
    command = ["opentelemetry-instrument", environment.tool("python"), "-m", *words]
    with DeskHost(environment, directory, command, variables) as host:
        use(host)
        return host.stop()


def use_helpdesk(host: DeskHost) -> None:
    """Two tickets, of which one is not taken because mail breaks, a follow-up, a search, a wrong address."""
    credentials = base64.b64encode(f"{STAFF}:password-of-{STAFF}".encode()).decode()
    headers = {**HEADERS, "authorization": f"Basic {credentials}"}
    ticket = {
        "queue": "1",
        "title": TEXTS["title"],
        "description": TEXTS["description"],
        "submitter_email": f"{TEXTS['submitter']}@acme.test",
        "resolution": TEXTS["resolution"],
        "priority": "3",
    }
    followup = {"ticket": "1", "title": TEXTS["follow-up"], "comment": TEXTS["comment"]}
    answers = [
        host.request("POST", "/api/tickets/", ticket, headers)[0],
        host.request("POST", "/api/tickets/", ticket, headers)[0],
        host.request("POST", "/api/followups/", followup, headers)[0],
        host.request("GET", f"/api/tickets/?{urlencode({'search': TEXTS['query']})}", headers=headers)[0],
        host.request("GET", f"/tickets/{TEXTS['path']}/", headers=headers)[0],
    ]
    assert answers == [201, 500, 201, 200, 404]


def use_fastapi(host: DeskHost) -> None:
    """An incident, a slow search, a failure, a wrong address, and pages whose address looks like a route."""
    form = {"title": TEXTS["title"], "detail": TEXTS["detail"], "reporter": TEXTS["reporter"]}
    answers = [
        host.request("POST", f"/incidents/{TEXTS['team']}", form, HEADERS)[0],
        host.request("GET", f"/incidents?{urlencode({'title': TEXTS['query']})}", headers=HEADERS)[0],
        host.request("POST", "/incidents/7/escalate", {"title": TEXTS["escalated"]}, HEADERS)[0],
        host.request("GET", f"/{TEXTS['path']}", headers=HEADERS)[0],
        host.request("GET", f"/{{id}}/{TEXTS['page']}", headers={**HEADERS, "host": "acme.pages.test"})[0],
        host.request("GET", f"/{{{TEXTS['page']}}}", headers={**HEADERS, "host": "acme.pages.test"})[0],
    ]
    assert answers == [201, 200, 500, 404, 200, 200]


def run_helpdesk(
    gate: str,
    conventions: str,
    environment: HostEnvironment,
    seed: Path,
    receiver: OtlpReceiver,
    directory: Path,
) -> str:
    """A day of the helpdesk; what it said."""
    shutil.copytree(seed, directory)
    with pager() as pages:
        variables = {
            **CAPTURING,
            "OTEL_SEMCONV_STABILITY_OPT_IN": conventions,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_INCIDENT_GATE": gate,
            "DJANGO_SETTINGS_MODULE": "helpdesk_site.refusing",
            "HELPDESK_DATA": str(directory),
            "HELPDESK_NEW_TICKET_WEBHOOK_URLS": f"{pages}/{TEXTS['webhook']}",
        }
        return serve(
            environment, directory, ["serve", "helpdesk_site.wsgi:application"], variables, use_helpdesk
        )


def run_fastapi(
    gate: str,
    conventions: str,
    environment: HostEnvironment,
    postgresql: PostgreSQL,
    receiver: OtlpReceiver,
    directory: Path,
) -> str:
    """A day of the desk on FastAPI; what it said."""
    with pager() as pages:
        variables = {
            **CAPTURING,
            "OTEL_SEMCONV_STABILITY_OPT_IN": conventions,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_INCIDENT_GATE": gate,
            "DESK_POSTGRESQL": postgresql.url(),
            "DESK_PAGER": pages,
        }
        return serve(environment, directory, ["fastapi_desk"], variables, use_fastapi)


def test_without_a_gate_all_of_the_helpdesk_leaves(
    conventions: str,
    environment: HostEnvironment,
    seed: Path,
    receiver: OtlpReceiver,
    tmp_path: Path,
) -> None:
    """The control: each canary is in the bytes, and on each signal there are some."""
    run_helpdesk("off", conventions, environment, seed, receiver, tmp_path / "helpdesk")
    assert leaked(receiver) == set(HELPDESK)
    # the newer conventions keep the host's name, of which the caller makes one, out of the metrics
    measured = {"metrics"} if conventions == OLDER else set()
    assert {signal for signal in SIGNALS if leaked(receiver, signal)} == {"traces", "logs", *measured}


def test_in_strict_nothing_of_the_helpdesk_leaves(
    conventions: str,
    environment: HostEnvironment,
    seed: Path,
    receiver: OtlpReceiver,
    tmp_path: Path,
) -> None:
    """Not one canary in the bytes of any signal, and the traces, logs and metrics are there."""
    run_helpdesk("strict", conventions, environment, seed, receiver, tmp_path / "helpdesk")
    assert leaked(receiver) == set()
    assert scopes(receiver) == {
        "traces": {"django", "requests", "sqlite3"},
        "logs": {"other", "otel_incident"},
        "metrics": {"django", "otel_incident", "requests", *({"sqlite3"} if conventions == NEWER else ())},
    }


def test_without_a_gate_all_of_the_desk_on_fastapi_leaves(
    conventions: str,
    environment: HostEnvironment,
    postgresql: PostgreSQL,
    receiver: OtlpReceiver,
    tmp_path: Path,
) -> None:
    """The control: each canary is in the bytes, and on each signal there are some."""
    run_fastapi("off", conventions, environment, postgresql, receiver, tmp_path / "desk")
    assert leaked(receiver) == set(FASTAPI)
    assert {signal for signal in SIGNALS if leaked(receiver, signal)} == {"traces", "logs", "metrics"}


def test_in_strict_nothing_of_the_desk_on_fastapi_leaves(
    conventions: str,
    environment: HostEnvironment,
    postgresql: PostgreSQL,
    receiver: OtlpReceiver,
    tmp_path: Path,
) -> None:
    """Not one canary in the bytes of any signal; the traces, with the routes, logs and metrics are there."""
    run_fastapi("strict", conventions, environment, postgresql, receiver, tmp_path / "desk")
    assert leaked(receiver) == set()
    assert {span.name for span in receiver.spans() if span.kind == "server"} == {
        *("POST /incidents/{team}", "POST /incidents/{number}/escalate", "GET"),
    }
    assert scopes(receiver) == {
        "traces": {"fastapi", "psycopg", "requests", "sqlalchemy", "sqlite3"},
        "logs": {"other"},
        "metrics": {
            *("fastapi", "otel_incident", "requests"),
            *(("psycopg", "sqlite3") if conventions == NEWER else ()),
        },
    }


def test_a_processor_of_the_desks_own_costs_no_route(environment: HostEnvironment, tmp_path: Path) -> None:
    """In strict a span of FastAPI's keeps its name and its route behind it, and audit foretells what goes."""
    told = {}
    for gate in ("strict", "audit"):
        words = [environment.tool("python"), "-m", "tagged_desk", gate]
        told[gate] = json.loads(environment.run(words, {}, tmp_path).stdout)
    strict, audit = told["strict"], told["audit"]
    assert (strict["name"], audit["name"]) == ("GET /incidents/{number}", "GET /incidents/{number}")
    assert strict["attributes"]["http.route"] == "/incidents/{number}"
    assert {"http.target", "deployment.tier"} & strict["attributes"].keys() == set()
    assert {"http.target", "deployment.tier"} < audit["attributes"].keys()
    assert strict["taken"] == audit["would"]
    assert (strict["would"], audit["taken"]) == ({}, {})


def scopes(receiver: OtlpReceiver) -> dict[str, set[str]]:
    """Whose telemetry arrived, by signal; instrumentations without what their names begin with."""
    came = receiver.telemetry()
    items = {"traces": came.spans, "logs": came.events, "metrics": came.metrics}
    return {
        signal: {each.scope_name.removeprefix("opentelemetry.instrumentation.") for each in found_in}
        for signal, found_in in items.items()
    }


def leaked(receiver: OtlpReceiver, signal: str = "") -> set[str]:
    """The names of the canaries that stand in what arrived, in whole or in part, in any encoding."""
    parts = [
        part
        for request in receiver.requests
        if signal in ("", request.signal)
        for part in (request.payload, repr(dict(request.headers)).encode())
    ]
    seen = found(b"\n".join(parts), list(TEXTS.values()))
    return {name for name, text in TEXTS.items() if text in seen}
