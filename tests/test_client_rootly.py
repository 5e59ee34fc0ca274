"""Incidents of Rootly, driven by an application through its client, sync and async."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.client_hosts import drive
from tests.host_environment import HostEnvironment
from tests.otlp_receiver import OtlpReceiver
from tests.product_server import ProductServer, Reply

ONE: Final = "0b1f9c6e-2f7a-4a55-9d3e-7c1f5f6b8a90"
CREATED: Final = "2025-10-06T21:30:42.123-07:00"
HERE: Final = f"/v1/incidents/{ONE}"


def shown(status: str) -> Reply:
    """An incident as the API shows it."""
    attributes = {
        "title": "Checkout is down",
        "summary": "error 502",
        "slug": "checkout-is-down",
        "status": status,
        "private": False,
        "created_at": CREATED,
        "updated_at": CREATED,
    }
    return Reply(200, {"data": {"id": ONE, "type": "incidents", "attributes": attributes}})


REFUSED: Final = Reply(
    422, {"errors": [{"title": "Payments is not a service", "status": "422", "code": "invalid"}]}
)
WITHOUT_TYPE: Final = Reply(
    200, {"data": {"id": ONE, "attributes": {"status": "resolved", "created_at": CREATED}}}
)
ANSWERS: Final[dict[str, Reply | list[Reply]]] = {
    "POST /v1/incidents": [REFUSED, Reply(500), Reply(201, shown("started").body)],
    f"GET {HERE}": shown("started"),
    f"PUT {HERE}": [shown("started"), shown("acknowledged"), shown("closed")],
    f"PUT {HERE}/in_triage": shown("in_triage"),
    "PUT /v1/incidents/checkout-is-down/mitigate": shown("mitigated"),
    f"PUT {HERE}/resolve": [WITHOUT_TYPE, shown("resolved")],
    f"PUT {HERE}/restart": [Reply(404, {"errors": []}), shown("started")],
    f"PUT {HERE}/cancel": shown("cancelled"),
    f"POST {HERE}/assign_role_to_user": shown("started"),
}

PROGRAM: Final = f"""
    import asyncio
    from rootly_sdk import AuthenticatedClient
    from rootly_sdk.api.incidents import (
        assign_user_to_incident, cancel_incident, create_incident, get_incident, mitigate_incident,
        resolve_incident, restart_incident, triage_incident, update_incident,
    )
    from rootly_sdk.models.assign_role_to_user import AssignRoleToUser
    from rootly_sdk.models.cancel_incident import CancelIncident
    from rootly_sdk.models.in_triage_incident import InTriageIncident
    from rootly_sdk.models.mitigate_incident import MitigateIncident
    from rootly_sdk.models.new_incident import NewIncident
    from rootly_sdk.models.resolve_incident import ResolveIncident
    from rootly_sdk.models.restart_incident import RestartIncident
    from rootly_sdk.models.update_incident import UpdateIncident

    client = AuthenticatedClient(base_url=URL, token="t")

    def said(kind, **attributes):
        return kind.from_dict({{"data": {{"type": "incidents", "attributes": attributes}}}})

    new = said(NewIncident, title="Checkout is down", summary="error 502")
    STEPS = [
        (create_incident, (), new),
        (create_incident, (), new),
        (create_incident, (), new),
        (get_incident, ("{ONE}",), None),
        (triage_incident, ("{ONE}",), said(InTriageIncident)),
        (update_incident, ("{ONE}",), said(UpdateIncident, title="Payments", summary="gateway")),
        (update_incident, ("{ONE}",), said(UpdateIncident, status="acknowledged")),
        (assign_user_to_incident, ("{ONE}",), said(AssignRoleToUser, user_id="7", incident_role_id="8")),
        (mitigate_incident, ("checkout-is-down",), said(MitigateIncident, mitigation_message="gateway")),
        (resolve_incident, ("{ONE}",), said(ResolveIncident, resolution_message="Switched the gateway")),
        (restart_incident, ("{ONE}",), said(RestartIncident)),
        (restart_incident, ("{ONE}",), said(RestartIncident)),
        (cancel_incident, ("{ONE}",), said(CancelIncident, cancellation_message="Payments work")),
        (update_incident, ("{ONE}",), said(UpdateIncident, status="closed")),
    ]
"""
SYNC: Final = """
    for endpoint, arguments, body in STEPS:
        named = {} if body is None else {"body": body}
        attempt(endpoint.sync_detailed, *arguments, client=client, **named)
"""
ASYNC: Final = """
    async def main():
        for endpoint, arguments, body in STEPS:
            named = {} if body is None else {"body": body}
            await attempt_async(endpoint.asyncio, *arguments, client=client, **named)

    asyncio.run(main())
"""

SINCE: Final = {"incident.id": ONE, "incident.created_at": "2025-10-07T04:30:42.123Z"}


def said(action: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """An event on the incident."""
    return action, {**SINCE, **more}


ACTIVE: Final[dict[str, Any]] = {"incident.active": True}
ENDED: Final[dict[str, Any]] = {"incident.active": False}
EXPECTED: Final = [
    said("create", **ACTIVE),
    said("change_stage", **{"incident.stage.index": 0}),
    said("change_stage"),
    said("change_stage", **{"incident.stage.index": 2}),
    said("end", **ENDED),
    said("restart", **ACTIVE),
    said("end", **ENDED),
    said("end", **ENDED),
]


@pytest.mark.parametrize("way", [SYNC, ASYNC], ids=["sync", "async"])
def test_incidents(way: str, clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """What the server has accepted is reported, also where the client cannot make a model of the answer."""
    with ProductServer(ANSWERS) as server:
        driven = drive(clients, receiver, tmp_path, PROGRAM + way, {"PRODUCT_URL": server.url})
    assert driven.said() == EXPECTED
    assert driven.ended.stdout.splitlines() == ["raised KeyError"]
    assert "swallowed" not in driven.ended.stderr
