"""Incidents of incident.io, driven by an application through its client, sync and async."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.client_hosts import drive
from tests.host_environment import HostEnvironment
from tests.otlp_receiver import OtlpReceiver
from tests.product_server import ProductServer, Reply

ONE: Final = "01FDAG4SAP5TYPT98WGR2N7W91"
STATUS: Final = "01FCNDV6P870EA6S7TK1DSYD5H"
CREATED: Final = "2021-08-17T13:28:57.801578Z"

LEAD: Final = "01FH5TZRWMNAFB0DZ23FD1TV96"
SCRIBE: Final = "01FH5TZRWMNAFB0DZ23FD1TV97"
NEXT: Final = "01G0J1EXE7AXZ2C93K61WBPYEH"
PERSON: Final = {"id": NEXT, "name": "jane.doe", "role": "owner", "email": "jane.doe@acme.test"}
ROLE: Final = {
    "name": "Payments",
    "shortform": "lead",
    "description": "gateway",
    "instructions": "error 502",
    "created_at": CREATED,
    "updated_at": CREATED,
}


def shown(category: str, rank: int) -> Reply:
    """An incident as the API shows it; the client cannot make a model of one without a creator."""
    status = {
        "id": STATUS,
        "category": category,
        "rank": rank,
        "name": "Payments",
        "description": "gateway",
        "created_at": CREATED,
        "updated_at": CREATED,
    }
    incident: dict[str, Any] = {
        "id": ONE,
        "reference": "INC-123",
        "name": "Checkout is down",
        "summary": "error 502",
        "visibility": "public",
        "mode": "standard",
        "created_at": CREATED,
        "updated_at": CREATED,
        "last_activity_at": CREATED,
        "incident_status": status,
        "custom_field_entries": [],
        "incident_role_assignments": [
            {"role": {**ROLE, "id": kind, "role_type": of}, **({"assignee": PERSON} if of == "lead" else {})}
            for kind, of in ((LEAD, "lead"), (SCRIBE, "custom"))
        ],
        "slack_channel_id": "C02AW36C1M5",
        "slack_team_id": "T02A1FSLE8J",
        "team_ids": [],
        "creator": {"user": {"id": STATUS, "name": "jane.doe", "role": "owner"}},
    }
    if category == "closed":
        del incident["creator"]
    return Reply(200, {"incident": incident})


REFUSED: Final = Reply(
    422,
    {
        "type": "validation_error",
        "status": 422,
        "request_id": "1",
        "errors": [{"code": "x", "message": "Payments"}],
    },
)
LIMITED: Final = Reply(429, {"type": "too_many_requests", "status": 429, "request_id": "2", "errors": []})
EDIT: Final = f"/v2/incidents/{ONE}/actions/edit"
ANSWERS: Final[dict[str, Reply | list[Reply]]] = {
    "POST /proxy/v2/incidents": [REFUSED, LIMITED, shown("triage", 0)],
    f"GET /proxy/v2/incidents/{ONE}": shown("triage", 0),
    f"POST /proxy{EDIT}": [
        shown("triage", 0),
        shown("live", 3),
        REFUSED,
        shown("live", 3),
        shown("live", 3),
        REFUSED,
        Reply(503),
        shown("learning", 5),
        shown("closed", 6),
    ],
}

PROGRAM: Final = f"""
    import asyncio
    from incident_io import AuthenticatedClient
    from incident_io.api.incidents_v2 import incidents_v2_create, incidents_v2_edit, incidents_v2_show
    from incident_io.models.incidents_create_payload_v2 import IncidentsCreatePayloadV2
    from incident_io.models.incidents_edit_payload_v2 import IncidentsEditPayloadV2

    client = AuthenticatedClient(base_url=URL + "/proxy", token="t")
    new = IncidentsCreatePayloadV2.from_dict(
        {{"idempotency_key": "k", "visibility": "public", "name": "Checkout is down", "summary": "error 502"}}
    )

    def edit(**fields):
        return IncidentsEditPayloadV2.from_dict({{"incident": fields, "notify_incident_channel": False}})

    def give(role):
        return edit(incident_role_assignments=[{{"incident_role_id": role, "assignee": {{"id": "{NEXT}"}}}}])

    moved = edit(incident_status_id="{STATUS}")
    STEPS = [
        (incidents_v2_create, (), new),
        (incidents_v2_create, (), new),
        (incidents_v2_create, (), new),
        (incidents_v2_show, ("{ONE}",), None),
        (incidents_v2_edit, ("{ONE}",), edit(name="Payments", summary="The gateway")),
        (incidents_v2_edit, ("{ONE}",), moved),
        (incidents_v2_edit, ("{ONE}",), moved),
        (incidents_v2_edit, ("{ONE}",), give("{SCRIBE}")),
        (incidents_v2_edit, ("{ONE}",), give("{LEAD}")),
        (incidents_v2_edit, ("{ONE}",), give("{LEAD}")),
        (incidents_v2_edit, ("{ONE}",), moved),
        (incidents_v2_edit, ("{ONE}",), moved),
        (incidents_v2_edit, ("{ONE}",), moved),
    ]
"""
SYNC: Final = """
    for endpoint, arguments, body in STEPS:
        named = {} if body is None else {"body": body}
        attempt(endpoint.sync, *arguments, client=client, **named)
"""
ASYNC: Final = """
    async def main():
        for endpoint, arguments, body in STEPS:
            named = {} if body is None else {"body": body}
            await attempt_async(endpoint.asyncio_detailed, *arguments, client=client, **named)

    asyncio.run(main())
"""

SINCE: Final = {"incident.id": ONE, "incident.created_at": "2021-08-17T13:28:57.801Z"}
EXPECTED: Final = [
    ("create", {**SINCE, "incident.active": True}),
    ("change_stage", {**SINCE, "incident.stage.index": 3}),
    ("change_commander", {**SINCE, "incident.commander.id": NEXT}),
    ("end", {**SINCE, "incident.active": False}),
    ("end", {**SINCE, "incident.active": False}),
]


@pytest.mark.parametrize("way", [SYNC, ASYNC], ids=["sync", "async"])
def test_incidents(way: str, clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Below a path of its own; the answer says what a status means; an edit of texts is nothing."""
    with ProductServer(ANSWERS) as server:
        driven = drive(clients, receiver, tmp_path, PROGRAM + way, {"PRODUCT_URL": server.url})
    assert driven.said() == EXPECTED
    assert driven.ended.stdout.splitlines() == ["raised KeyError"]
    assert "swallowed" not in driven.ended.stderr
