"""Incidents of Opsgenie, created and closed by an application through its client, in a thread of either's."""

from pathlib import Path
from typing import Final

from tests.client_hosts import drive
from tests.host_environment import HostEnvironment
from tests.otlp_receiver import OtlpReceiver
from tests.product_server import ProductServer, Reply

ONE: Final = "503389d9-1e34-4e83-b1a6-8eef17d0a4b1"
TWO: Final = "613389d9-1e34-4e83-b1a6-8eef17d0a4b2"
REQUEST: Final = "43a29c5c-3dbf-4fa4-9c26-f4f71023e120"
ACCEPTED: Final = Reply(202, {"result": "Request will be processed", "took": 0.1, "requestId": REQUEST})
REFUSED: Final = Reply(422, {"message": "Payments", "took": 0.1, "requestId": "0"})


def asked(action: str, incident: str, *, success: bool = True) -> Reply:
    """What has become of a request."""
    data = {
        "success": success,
        "action": action,
        "processedAt": "2026-05-24T14:24:20.844Z",
        "integrationId": TWO,
        "isSuccess": success,
        "status": "Checkout is down",
        "incidentId": incident,
    }
    return Reply(200, {"data": data, "took": 0.1, "requestId": REQUEST})


ANSWERS: Final[dict[str, Reply | list[Reply]]] = {
    "POST /v1/incidents/create": [REFUSED, ACCEPTED],
    f"GET /v1/incidents/requests/{REQUEST}": [
        Reply(404, {"message": "Request not found. It might not be processed, yet.", "took": 0.1}),
        asked("Create", "", success=False),
        asked("Create", ONE),
    ],
    "GET /v1/incidents/requests/close": asked("Close", TWO),
    f"POST /v1/incidents/{ONE}/close": [
        Reply(422, {"message": "Payments", "took": 0.1, "requestId": "1"}),
        Reply(429, {"message": "You are making too many requests", "took": 0.1, "requestId": "2"}),
        Reply(503, {"message": "Payments", "took": 0.1, "requestId": "3"}),
        ACCEPTED,
        Reply(202, b"gateway"),
    ],
    f"POST /v1/incidents/{TWO}/close": ACCEPTED,
    f"DELETE /v1/incidents/{TWO}": ACCEPTED,
    "POST /v1/incidents/42/close": ACCEPTED,
}

PROGRAM: Final = f"""
    import opsgenie_sdk

    configuration = opsgenie_sdk.Configuration()
    configuration.host = URL
    configuration.back_off = 0
    configuration.retry_delay = 0
    incidents = opsgenie_sdk.IncidentApi(opsgenie_sdk.ApiClient(configuration))
    note = opsgenie_sdk.CloseIncidentPayload(note="Switched the gateway")
    new = opsgenie_sdk.CreateIncidentPayload(message="Checkout is down", service_id="{TWO}")
    attempt(incidents.create_incident, new)
    incidents.create_incident(new)
    for _ in range(4):
        attempt(incidents.get_incident_request_status, "{REQUEST}")
    print(incidents.create_incident(new, async_req=True).get(10).id)
    attempt(incidents.get_incident_request_status, "close")
    attempt(incidents.close_incident, "{ONE}", close_incident_payload=note)
    attempt(incidents.close_incident, "{ONE}", close_incident_payload=note)
    attempt(incidents.close_incident, "{ONE}", close_incident_payload=note)
    thread = incidents.close_incident("{TWO}", close_incident_payload=note, async_req=True)
    thread.get(10)
    attempt(incidents.close_incident, "42", identifier_type="tiny")
    attempt(incidents.delete_incident, "{TWO}")
    incidents.api_client.pool.close()
"""


def test_incidents(clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A close that was accepted is an end, once for all tries; a create is one once the host has asked."""
    with ProductServer(ANSWERS) as server:
        driven = drive(clients, receiver, tmp_path, PROGRAM, {"PRODUCT_URL": server.url})
    created = {"incident.id": ONE, "incident.active": True, "incident.created_at": "2026-05-24T14:24:20.844Z"}
    assert driven.said() == [("create", created)] + [
        ("end", {"incident.id": identifier, "incident.active": False}) for identifier in (ONE, ONE, TWO, "42")
    ]
    assert [f"{asked.method} {asked.path}" for asked in server.asked].count(
        f"POST /v1/incidents/{ONE}/close"
    ) == 5
    assert driven.ended.stdout.splitlines() == [
        "raised ConfigurationException",
        "raised ApiException",
        ONE,
        "raised ConfigurationException",
        "raised JSONDecodeError",
    ]
    assert "swallowed" not in driven.ended.stderr
