"""Incidents of PagerDuty, driven by an application through the client of its REST API, over TLS."""

from pathlib import Path
from typing import Any, Final

from tests.certificates import Certificates
from tests.client_hosts import drive
from tests.host_environment import HostEnvironment
from tests.otlp_receiver import OtlpReceiver
from tests.product_server import ProductServer, Reply

ONE, TWO, THREE = "PT4KHLK", "Q2MBVJUWVB1A9Z", "PABC123"
USER, NEXT, TEAM = "PXPGF42", "P5PGF43", "PQ9K7I8"
CREATED: Final = "2025-10-06T21:30:42Z"
SHOWN: Final = {
    "id": ONE,
    "type": "incident",
    "summary": "[#1234] Checkout is down",
    "title": "Checkout is down",
    "status": "triggered",
    "created_at": CREATED,
    "service": {"id": "PIJ90N7", "summary": "Payments"},
    "assignments": [{"at": CREATED, "assignee": {"id": USER, "summary": "jane.doe"}}],
    "teams": [{"id": TEAM, "summary": "Payments"}],
}
RESOLVED: Final = {**SHOWN, "status": "resolved", "assignments": []}
LIMITED: Final = Reply(429, {"error": {"message": "Rate Limit Exceeded", "code": 2020}})
INVALID: Final = Reply(
    400, {"error": {"message": "Invalid Input Provided", "errors": ["Payments"], "code": 2001}}
)
ANSWERS: Final[dict[str, Reply | list[Reply]]] = {
    "POST /pd/incidents": [INVALID, LIMITED, Reply(201, {"incident": SHOWN})],
    f"GET /pd/incidents/{ONE}": Reply(200, {"incident": SHOWN}),
    f"PUT /pd/incidents/{ONE}": [
        Reply(503),
        Reply(200, {"incident": {**SHOWN, "status": "acknowledged"}}),
        Reply(200, {"incident": SHOWN}),
        Reply(200, {"incident": SHOWN}),
        Reply(401, {"error": {"message": "jane.doe may not"}}),
        Reply(200, {"incident": RESOLVED}),
        Reply(200, b"<html>gateway</html>"),
    ],
    "PUT /pd/incidents": [INVALID, Reply(200, {"incidents": [SHOWN, RESOLVED]})],
    f"PUT /pd/incidents/{ONE}/merge": Reply(200, {"incident": SHOWN}),
    f"POST /pd/incidents/{ONE}/notes": Reply(201, {"note": {"id": "PNOTE12", "content": "error 502"}}),
    "POST /pd/analytics/raw/incidents": Reply(200, {"data": []}),
}

PROGRAM: Final = f"""
    from pagerduty import RestApiV2Client

    client = RestApiV2Client("key", default_from="jane.doe@acme.test")
    client.url = URL + "/pd"
    client.sleep_timer = 0
    client.retry[503] = 2
    NEW = {{"type": "incident", "title": "Checkout is down", "service": {{"id": "PIJ90N7"}}}}
    ONE = "/incidents/{ONE}"
    attempt(client.rpost, "incidents", json=NEW)
    attempt(client.rpost, "incidents", json=NEW)
    attempt(client.rget, ONE)
    attempt(client.rput, ONE, json={{"type": "incident", "status": "acknowledged"}})
    attempt(client.rput, ONE, json={{"incident": {{"type": "incident", "title": "Payments: error 502"}}}})
    to = [{{"assignee": {{"id": "{NEXT}", "type": "user_reference"}}}}]
    attempt(client.put, client.url + ONE, json={{"incident": {{"type": "incident", "assignments": to}}}})
    solved = {{"type": "incident", "status": "resolved", "resolution": "Switched the gateway"}}
    attempt(client.rput, ONE, json=solved)
    attempt(client.rput, ONE, json=solved)
    attempt(client.jput, ONE, json={{"incident": solved}})
    several = [
        {{"id": "{TWO}", "type": "incident", "status": "resolved"}},
        {{"id": "{THREE}", "type": "incident", "status": "acknowledged", "assignments": to}},
        {{"id": "{ONE}", "type": "incident", "title": "Payments"}},
    ]
    attempt(client.rput, "/incidents", json=several)
    attempt(client.rput, "/incidents", json=several)
    sources = [{{"id": each, "type": "incident_reference"}} for each in ("{TWO}", "{THREE}")]
    attempt(client.rput, ONE + "/merge", json={{"source_incidents": sources}})
    attempt(client.rpost, ONE + "/notes", json={{"content": "error 502"}})
    attempt(client.jpost, "/analytics/raw/incidents", json={{"filters": {{}}}})
"""

SINCE: Final = {"incident.team.id": TEAM, "incident.created_at": "2025-10-06T21:30:42.000Z"}


def end(identifier: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """The end of an incident."""
    return "end", {"incident.id": identifier, "incident.active": False, **more}


EXPECTED: Final = [
    (
        "create",
        {"incident.id": ONE, "incident.active": True, "incident.commander.id": USER, **SINCE},
    ),
    (
        "change_stage",
        {"incident.id": ONE, "incident.commander.id": USER, "incident.stage.index": 1, **SINCE},
    ),
    ("change_commander", {"incident.id": ONE, "incident.commander.id": NEXT, **SINCE}),
    end(ONE, **SINCE),
    end(ONE),
    ("change_commander", {"incident.id": THREE, "incident.commander.id": NEXT}),
    ("change_stage", {"incident.id": THREE, "incident.stage.index": 1}),
    end(TWO),
    end(TWO),
    end(THREE),
]


def test_incidents(
    clients: HostEnvironment, receiver: OtlpReceiver, certificates: Certificates, tmp_path: Path
) -> None:
    """One by one and several; refusals are nothing, retries one, and an answer that cannot be read counts."""
    with ProductServer(ANSWERS, certificates) as server:
        trusted = str(certificates.ca)  # by requests, which was below it once, and by httpx
        variables = {"PRODUCT_URL": server.url, "REQUESTS_CA_BUNDLE": trusted, "SSL_CERT_FILE": trusted}
        driven = drive(clients, receiver, tmp_path, PROGRAM, variables)
    assert driven.said() == EXPECTED
    assert driven.ended.stdout.splitlines() == [
        "raised HttpError",
        "raised HttpError",
        "raised ServerHttpError",
        "raised HttpError",
    ]
    tried = [f"{asked.method} {asked.path}" for asked in server.asked]
    assert tried.count("POST /pd/incidents") == 3
    assert tried.count(f"PUT /pd/incidents/{ONE}") == 7
    assert "swallowed" not in driven.ended.stderr
