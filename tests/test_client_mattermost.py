"""Runs of Mattermost Playbooks, driven by an application through mattermostautodriver, sync and async."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.client_hosts import are_oldest, drive
from tests.host_environment import HostEnvironment
from tests.otlp_receiver import OtlpReceiver
from tests.product_server import ProductServer, Reply

RUN: Final = "s3s1zrnqnbd3fjn1a5uxhrqx7e"
OTHER: Final = "k1sd7rnqnbd3fjn1a5uxhrqx7y"
ME, OWNER, NEXT = "b1zrnqnbd3fjn1a5uxhrqx7ehh", "c1zrnqnbd3fjn1a5uxhrqx7ehh", "d1zrnqnbd3fjn1a5uxhrqx7ehh"
TEAM, POST = "n1zrnqnbd3fjn1a5uxhrqx7ehh", "o1zrnqnbd3fjn1a5uxhrqx7ehh"
RUNS: Final = "/plugins/playbooks/api/v0/runs"
ONE: Final = f"{RUNS}/{RUN}"
CREATED: Final = 1_600_000_000_000

STARTED: Final = {
    "id": RUN,
    "name": "Checkout is down",
    "summary": "Customers see error 502",
    "owner_user_id": OWNER,
    "reporter_user_id": ME,
    "team_id": TEAM,
    "channel_id": "q1zrnqnbd3fjn1a5uxhrqx7ehh",
    "post_id": POST,
    "create_at": CREATED,
    "end_at": 0,
    "is_active": True,
    "checklists": [
        {"title": "Payments", "items": [{"title": "Call jane.doe"}, {"title": "Restart the gateway"}]},
        {"title": "Afterwards", "items": []},
    ],
}
FORBIDDEN: Final = Reply(403, {"id": "app.403", "message": "Payments is not yours", "request_id": "1"})
ANSWERS: Final[dict[str, Reply | list[Reply]]] = {
    "GET /api/v4/users/me": Reply(200, {"id": ME, "username": "jane.doe"}),
    f"POST {RUNS}": [
        FORBIDDEN,
        Reply(429, b"limit exceeded", {"Retry-After": "0"}),
        Reply(201, STARTED),
        Reply(201, {**STARTED, "id": OTHER, "post_id": "", "checklists": None}),
    ],
    f"GET {ONE}": Reply(200, STARTED),
    f"POST {ONE}/status": Reply(200, {}),
    f"POST {ONE}/owner": [FORBIDDEN, Reply(200, {})],
    f"PUT {ONE}/finish": [Reply(503), Reply(502), Reply(200)],
    f"PUT {ONE}/end": Reply(200, {}),
    f"PUT {ONE}/restart": [Reply(404, b"404 page not found"), Reply(200, {})],
    f"PUT {ONE}/restore": Reply(200, {}),
    f"PUT {ONE}/checklists/0/item/1/state": Reply(200, {}),
}
"""As the product's API is published; a client that expects JSON fails on the empty answer to `finish`."""

PROGRAM: Final = f"""
    import asyncio, inspect
    from urllib.parse import urlsplit
    from mattermostautodriver import AsyncTypedDriver, Client, TypedDriver
    from mattermostautodriver.endpoints.playbook_runs import PlaybookRuns

    options = {{
        "scheme": "http", "url": "127.0.0.1", "port": urlsplit(URL).port, "token": "t", "retry_max_sleep": 0
    }}
    NEW = "Checkout is down", "{OWNER}", "{TEAM}", "p", "Customers see error 502", "{POST}"
    STATUS = "update_playbook_run_status" if hasattr(PlaybookRuns, "update_playbook_run_status") else "status"
    RETRIES = hasattr(Client, "_retry_delay")
    STEPS = [
        *[lambda runs: runs.create_playbook_run_from_post(*NEW)] * (3 if RETRIES else 4),
        lambda runs: runs.get_playbook_run("{RUN}"),
        lambda runs: runs.change_owner("{RUN}", "{NEXT}"),
        lambda runs: runs.change_owner("{RUN}", "{NEXT}"),
        lambda runs: getattr(runs, STATUS)("{RUN}", "Payments work again"),
        lambda runs: runs.item_set_state("{RUN}", 0, 1, "closed"),
        *[lambda runs: runs.finish("{RUN}")] * (1 if RETRIES else 3),
        lambda runs: runs.restart_playbook_run("{RUN}"),
        lambda runs: runs.restart_playbook_run("{RUN}"),
        lambda runs: runs.end_playbook_run("{RUN}"),
        lambda runs: runs.client.put("{ONE}/restore"),
    ]
"""
SYNC: Final = """
    driver = TypedDriver(options)
    driver.login()
    for step in STEPS:
        attempt(step, driver.playbook_runs)
"""
ASYNC: Final = """
    async def main():
        driver = AsyncTypedDriver(options)
        await driver.login()
        assert not inspect.iscoroutinefunction(driver.playbook_runs.finish)
        for step in STEPS:
            await attempt_async(step, driver.playbook_runs)
        await driver.close()

    asyncio.run(main())
"""

NEW: Final[dict[str, Any]] = {
    "incident.id": RUN,
    "incident.active": True,
    "incident.commander.id": OWNER,
    "incident.team.id": TEAM,
    "incident.post.id": POST,
    "incident.created_at": "2020-09-13T12:26:40.000Z",
    "incident.checklist.count": 2,
    "user.id": ME,
}
RESTARTED: Final = ("restart", {"incident.id": RUN, "incident.active": True, "user.id": ME})
ENDED: Final = ("end", {"incident.id": RUN, "incident.active": False, "user.id": ME})
EXPECTED: Final = [
    ("create", NEW),
    (
        "create",
        {
            **{key: NEW[key] for key in NEW if key not in ("incident.post.id", "incident.checklist.count")},
            "incident.id": OTHER,
        },
    ),
    ("change_commander", {"incident.id": RUN, "incident.commander.id": NEXT, "user.id": ME}),
    ENDED,
    RESTARTED,
    ENDED,
    RESTARTED,
]


@pytest.mark.parametrize("way", [SYNC, ASYNC], ids=["sync", "async"])
def test_runs(way: str, clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A run's course: what was refused is not reported, what was tried again once, and no word of content."""
    with ProductServer(ANSWERS) as server:
        driven = drive(clients, receiver, tmp_path, PROGRAM + way, {"PRODUCT_URL": server.url})
    assert driven.said() == EXPECTED
    assert [event.attributes["incident.checklist.item.count"] for event in driven.events] == [2, *[0] * 6]
    assert [(asked.method, asked.path.removeprefix(ONE)) for asked in server.asked].count(
        ("PUT", "/finish")
    ) == 3
    old = are_oldest(clients)
    unreadable = "raised HTTPStatusError" if old else "raised InvalidMattermostError"
    once = [unreadable] if old else []  # it tries nothing again by itself
    assert driven.ended.stdout.splitlines() == [
        "raised NotEnoughPermissions",
        *once,
        "raised NotEnoughPermissions",
        *once * 2,
        "raised JSONDecodeError",
        "raised ResourceNotFound" if old else unreadable,
    ]
    assert "swallowed" not in driven.ended.stderr


FOLLOWED: Final = """
    driver = TypedDriver(options)
    driver.client.token = "t"
    driver.playbook_runs.end_playbook_run("%s")
"""


def test_the_client_is_not_the_host(clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Its version is not the host's; a user whom the client does not know is not named."""
    variables = {"OTEL_INCIDENT_SERVER_VERSION": ""}
    with ProductServer(ANSWERS) as server:
        program = PROGRAM + FOLLOWED % RUN
        driven = drive(clients, receiver, tmp_path, program, {"PRODUCT_URL": server.url, **variables})
    assert driven.said() == [("end", {"incident.id": RUN, "incident.active": False})]
    assert driven.events[0].resource["incident.server.version"] == "unknown"


def test_switched_off(clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """By the preset's name; the application works as without us."""
    variables = {"OTEL_INCIDENT_DISABLED_HOOKS": "mattermostautodriver"}
    with ProductServer(ANSWERS) as server:
        program = PROGRAM + FOLLOWED % RUN
        driven = drive(clients, receiver, tmp_path, program, {"PRODUCT_URL": server.url, **variables})
    assert driven.events == ()
    assert [asked.path for asked in server.asked] == [f"{ONE}/end"]
