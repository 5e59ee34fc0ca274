"""Incidents of Datadog, driven by an application through its client: sync, in its threads, and async."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.client_hosts import are_oldest, drive
from tests.host_environment import HostEnvironment
from tests.otlp_receiver import OtlpReceiver
from tests.product_server import ProductServer, Reply

ONE: Final = "00000000-aaaa-4000-8000-000000000001"
USER: Final = "00000000-bbbb-4000-8000-000000000002"
NEXT: Final = "00000000-cccc-4000-8000-000000000003"
CREATED: Final = "2025-10-06T21:30:42.123456+00:00"
SHOWN: Final = Reply(
    200,
    {
        "data": {
            "id": ONE,
            "type": "incidents",
            "attributes": {
                "title": "Checkout is down",
                "customer_impact_scope": "Payments",
                "created": CREATED,
                "public_id": 1,
                "state": "active",
                "fields": {"state": {"type": "dropdown", "value": "active"}},
            },
            "relationships": {"commander_user": {"data": {"id": USER, "type": "users"}}},
        }
    },
)
REFUSED: Final = Reply(400, {"errors": ["Payments is not a field"]})
LIMITED: Final = Reply(429, {"errors": ["Too many requests"]}, {"X-Ratelimit-Reset": "1"})
HERE: Final = f"/api/v2/incidents/{ONE}"
ANSWERS: Final[dict[str, Reply | list[Reply]]] = {
    "POST /api/v2/incidents": [REFUSED, LIMITED, Reply(201, SHOWN.body)],
    f"GET {HERE}": SHOWN,
    f"PATCH {HERE}": SHOWN,
    f"POST {HERE}/attachments": SHOWN,
}

PROGRAM: Final = f"""
    import asyncio
    from datadog_api_client import ApiClient, AsyncApiClient, Configuration, ThreadedApiClient
    from datadog_api_client.v2.api.incidents_api import IncidentsApi
    from datadog_api_client.v2.model.incident_create_attributes import IncidentCreateAttributes
    from datadog_api_client.v2.model.incident_create_data import IncidentCreateData
    from datadog_api_client.v2.model.incident_create_request import IncidentCreateRequest
    from datadog_api_client.v2.model.incident_field_attributes_single_value import (
        IncidentFieldAttributesSingleValue,
    )
    from datadog_api_client.v2.model.incident_field_attributes_single_value_type import (
        IncidentFieldAttributesSingleValueType,
    )
    from datadog_api_client.v2.model.incident_type import IncidentType
    from datadog_api_client.v2.model.incident_update_attributes import IncidentUpdateAttributes
    from datadog_api_client.v2.model.incident_update_data import IncidentUpdateData
    from datadog_api_client.v2.model.incident_update_relationships import IncidentUpdateRelationships
    from datadog_api_client.v2.model.incident_update_request import IncidentUpdateRequest
    from datadog_api_client.v2.model.nullable_relationship_to_user import NullableRelationshipToUser
    from datadog_api_client.v2.model.nullable_relationship_to_user_data import NullableRelationshipToUserData
    from datadog_api_client.v2.model.users_type import UsersType

    configuration = Configuration(host=URL)
    configuration.api_key = {{"apiKeyAuth": "k", "appKeyAuth": "k"}}
    RETRIES = hasattr(configuration, "enable_retry")
    configuration.enable_retry = True
    configuration.retry_backoff_factor = 2
    for operation in ("create_incident", "update_incident"):
        configuration.unstable_operations[operation] = True

    new = IncidentCreateRequest(IncidentCreateData(
        type=IncidentType("incidents"),
        attributes=IncidentCreateAttributes(title="Checkout is down", customer_impacted=False),
    ))

    def update(state=None, commander=None, **attributes):
        if state is not None:
            kind = IncidentFieldAttributesSingleValueType("dropdown")
            attributes["fields"] = {{"state": IncidentFieldAttributesSingleValue(type=kind, value=state)}}
        more = {{}}
        if commander is not None:
            data = NullableRelationshipToUserData(id=commander, type=UsersType("users"))
            user = NullableRelationshipToUser(data)
            more["relationships"] = IncidentUpdateRelationships(commander_user=user)
        return IncidentUpdateRequest(IncidentUpdateData(
            id="{ONE}",
            type=IncidentType("incidents"),
            attributes=IncidentUpdateAttributes(**attributes),
            **more,
        ))

    STEPS = [
        *[lambda api: api.create_incident(new)] * (2 if RETRIES else 3),
        lambda api: api.update_incident("{ONE}", update(title="Payments")),
        lambda api: api.update_incident("{ONE}", update(commander="{NEXT}")),
        lambda api: api.update_incident("{ONE}", update(state="stable")),
        lambda api: api.update_incident("{ONE}", update(state="resolved", customer_impact_scope="gateway")),
        lambda api: api.update_incident("{ONE}", update(state="active")),
        lambda api: api.update_incident("{ONE}", update(state="completed")),
    ]
"""
SYNC: Final = """
    with ApiClient(configuration) as client:
        for step in STEPS:
            attempt(step, IncidentsApi(client))
"""
THREADED: Final = """
    with ThreadedApiClient(configuration) as client:
        for step in STEPS:
            attempt(lambda: step(IncidentsApi(client)).get(10))
"""
ASYNC: Final = """
    async def main():
        client = AsyncApiClient(configuration)  # an old one fails to close what is below it today
        for step in STEPS:
            await attempt_async(step, IncidentsApi(client))

    asyncio.run(main())
"""

SINCE: Final = {"incident.id": ONE, "incident.created_at": "2025-10-06T21:30:42.123Z"}


def said(action: str, more: dict[str, Any], commander: str = USER) -> tuple[str, dict[str, Any]]:
    """An event on the incident."""
    return action, {**SINCE, "incident.commander.id": commander, **more}


EXPECTED: Final = [
    said("create", {"incident.active": True}),
    said("change_commander", {}, NEXT),
    said("change_stage", {"incident.stage.index": 1}),
    said("end", {"incident.active": False}),
    said("change_stage", {"incident.stage.index": 0}),
    said("end", {"incident.active": False}),
]


@pytest.mark.parametrize("way", [SYNC, THREADED, ASYNC], ids=["sync", "threads", "async"])
def test_incidents(way: str, clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """What was tried again is one, what was refused is nothing, and an update of texts is nothing."""
    with ProductServer(ANSWERS) as server:
        driven = drive(clients, receiver, tmp_path, PROGRAM + way, {"PRODUCT_URL": server.url})
    assert driven.ended.stdout.splitlines() == ["raised ApiException"] * (2 if are_oldest(clients) else 1)
    assert driven.said() == EXPECTED
    assert "swallowed" not in driven.ended.stderr


UNREADABLE: Final = """
    with ApiClient(configuration) as client:
        attempt(IncidentsApi(client).create_incident, new)
"""


def test_an_answer_that_the_client_cannot_read(
    clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """The incident is there, whatever the client makes of the answer."""
    odd = {"data": {"id": ONE, "type": "incidents", "attributes": {"title": 502, "created": CREATED}}}
    with ProductServer({"POST /api/v2/incidents": Reply(201, odd)}) as server:
        driven = drive(clients, receiver, tmp_path, PROGRAM + UNREADABLE, {"PRODUCT_URL": server.url})
    assert driven.ended.stdout.splitlines() == ["raised ApiTypeError"]
    assert driven.said() == [("create", {**SINCE, "incident.active": True})]


FAILING: Final = """
    configuration.enable_retry = False
    with ApiClient(configuration) as client:
        for _ in range(2):
            attempt(IncidentsApi(client).create_incident, new)

    async def main():
        client = AsyncApiClient(configuration)
        for _ in range(2):
            await attempt_async(IncidentsApi(client).create_incident, new)

    asyncio.run(main())
"""


def test_what_fails_at_the_server(clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """An error of its own is nothing, sync and async; the call that the host makes again is what counts."""
    failed, made = Reply(500, {"errors": ["gateway"]}), Reply(201, SHOWN.body)
    with ProductServer({"POST /api/v2/incidents": [failed, made, failed, made]}) as server:
        driven = drive(clients, receiver, tmp_path, PROGRAM + FAILING, {"PRODUCT_URL": server.url})
    assert len(server.asked) == 4
    assert driven.ended.stdout.splitlines() == ["raised ServiceException"] * 2
    assert driven.said() == [said("create", {"incident.active": True})] * 2
