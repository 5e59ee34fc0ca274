"""Cases of TheHive, driven by an application through thehive4py."""

import re
from pathlib import Path
from typing import Any, Final

from tests.client_hosts import drive
from tests.host_environment import HostEnvironment
from tests.otlp_receiver import OtlpReceiver
from tests.product_server import ProductServer, Reply

ONE, TWO, THREE = "~1024", "~2048", "~4096"
SHOWN: Final = {
    "_id": ONE,
    "_type": "Case",
    "_createdBy": "jane.doe@acme.test",
    "_createdAt": 1_600_000_000_000,
    "number": 7,
    "title": "Checkout is down",
    "description": "error 502",
    "severity": 2,
    "status": "New",
    "stage": "New",
    "assignee": "jane.doe@acme.test",
}
NOT_ALLOWED: Final = Reply(403, {"type": "AuthorizationError", "message": "Payments is not yours"})
ANSWERS: Final[dict[str, Reply | list[Reply]]] = {
    "POST /hive/api/v1/case": [NOT_ALLOWED, Reply(500), Reply(503), Reply(201, SHOWN)],
    "POST /hive/api/v1/alert/~9/case": Reply(201, {**SHOWN, "_id": TWO, "assignee": None}),
    "GET /hive/api/v1/case/~1024": Reply(200, SHOWN),
    "PATCH /hive/api/v1/case/~1024": [
        Reply(204),
        Reply(204),
        Reply(502),
        Reply(204),
        NOT_ALLOWED,
        Reply(204),
    ],
    "PATCH /hive/api/v1/case/7": Reply(204),
    "PATCH /hive/api/v1/case/_bulk": Reply(204),
    "GET /hive/api/v1/case/~1024/export": Reply(200, b"an archive", {"Content-Type": "application/zip"}),
    "PATCH /hive/api/v1/alert/~9": Reply(204),
}

PROGRAM: Final = f"""
    from thehive4py import TheHiveApi
    from urllib3 import Retry

    retries = Retry(total=3, backoff_factor=0, status_forcelist=[500, 502, 503], allowed_methods=None,
                    raise_on_status=False)
    hive = TheHiveApi(url=URL + "/hive/", apikey="key", max_retries=retries)
    NEW = {{"title": "Checkout is down", "description": "error 502"}}
    attempt(hive.case.create, NEW)
    attempt(hive.case.create, NEW)
    attempt(hive.alert.promote_to_case, "~9", {{"title": "Checkout is down"}})
    attempt(hive.case.get, "{ONE}")
    attempt(hive.case.update, "{ONE}", {{"title": "Payments"}})
    attempt(hive.case.update, "{ONE}", {{"status": "InProgress", "assignee": "jane.doe"}})
    attempt(hive.case.close, "{ONE}", "TruePositive", "The gateway was switched")
    attempt(hive.case.open, "{ONE}")
    attempt(hive.case.open, "{ONE}")
    attempt(hive.case.close, 7, "Other", "error 502 again")
    both = ["{TWO}", "{THREE}"]
    attempt(hive.case.bulk_update, {{"ids": both, "status": "Duplicated", "summary": "Payments"}})
    attempt(hive.case.bulk_update, {{"ids": ["{TWO}"], "status": "New", "assignee": "acme"}})
    attempt(hive.case.export_to_file, "{ONE}", "secret", "case.thar")
    attempt(hive.alert.update, "~9", {{"status": "Imported"}})
    print(open("case.thar").read())
"""
HASHED: Final = re.compile("hmac-[0-9a-f]{32}")


def test_cases(clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """One by one and several at a time; logins are hashed, and what is streamed to a file is left alone."""
    with ProductServer(ANSWERS) as server:
        driven = drive(clients, receiver, tmp_path, PROGRAM, {"PRODUCT_URL": server.url})

    people: set[str] = set()

    def hashed(attributes: dict[str, Any]) -> dict[str, Any]:
        people.update(str(value) for value in attributes.values() if HASHED.fullmatch(str(value)))
        return {
            name: "hashed" if HASHED.fullmatch(str(value)) else value for name, value in attributes.items()
        }

    person = {"incident.commander.id": "hashed"}
    created = {
        "incident.active": True,
        "incident.created_at": "2020-09-13T12:26:40.000Z",
        "user.hash": "hashed",
    }
    assert [(action, hashed(attributes)) for action, attributes in driven.said()] == [
        ("create", {"incident.id": ONE, **created, **person}),
        ("create", {"incident.id": TWO, **created}),
        ("change_commander", {"incident.id": ONE, **person}),
        ("change_stage", {"incident.id": ONE, "incident.stage.index": 1}),
        ("end", {"incident.id": ONE, "incident.active": False}),
        ("change_stage", {"incident.id": ONE, "incident.stage.index": 1}),
        ("end", {"incident.id": "7", "incident.active": False}),
        ("end", {"incident.id": TWO, "incident.active": False}),
        ("end", {"incident.id": THREE, "incident.active": False}),
        ("change_commander", {"incident.id": TWO, **person}),
        ("change_stage", {"incident.id": TWO, "incident.stage.index": 0}),
    ]
    assert len(people) == 3
    assert driven.ended.stdout.splitlines() == ["raised TheHiveError", "raised TheHiveError", "an archive"]
    assert "swallowed" not in driven.ended.stderr
