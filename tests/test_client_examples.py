"""The hook files that the README shows for Jira and ServiceNow report what it says, as they stand there."""

import re
from pathlib import Path
from typing import Final

from tests.client_hosts import drive
from tests.collector import ROOT
from tests.host_environment import HostEnvironment
from tests.otlp_receiver import OtlpReceiver
from tests.product_server import ProductServer, Reply

README: Final = (ROOT / "README.md").read_text("utf-8")


def example(host: str, directory: Path) -> str:
    """The path of a hook file that has the README's text for a host."""
    (text,) = [
        block
        for block in re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
        if f'[host]\nname = "{host}"' in block
    ]
    path = directory / "hooks.toml"
    path.write_text(text)
    return str(path)


JIRA: Final = """
    from jira import JIRA

    jira = JIRA(server=URL, basic_auth=("jane.doe", "t"), get_server_info=False, max_retries=0)

    def create(project, kind):
        fields = {
            "project": {"key": project}, "issuetype": {"name": kind}, "summary": "Checkout is down",
            "description": "error 502",
        }
        return attempt(jira.create_issue, fields=fields, prefetch=False)

    create("INC", "Incident")
    create("INC", "Incident")
    create("INC", "Task")
    create("WEB", "Incident")
    attempt(jira.transition_issue, "INC-7", "21")
    attempt(jira.transition_issue, "INC-7", "31", comment="Switched the gateway")
"""
ISSUE: Final = Reply(201, {"id": "10007", "key": "INC-7", "self": "https://acme.test/rest/api/2/issue/10007"})


def test_jira(newest_clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Of one project and one kind of issue, and one of its transitions."""
    answers: dict[str, Reply | list[Reply]] = {
        "POST /rest/api/2/issue": [
            Reply(400, {"errorMessages": [], "errors": {"summary": "Payments"}}),
            ISSUE,
        ],
        "POST /rest/api/2/issue/INC-7/transitions": Reply(204),
        "GET /rest/api/2/issue/INC-7/transitions": Reply(
            200, {"transitions": [{"id": "21", "name": "Payments"}, {"id": "31", "name": "Done"}]}
        ),
    }
    with ProductServer(answers) as server:
        variables = {"PRODUCT_URL": server.url, "OTEL_INCIDENT_HOOKS": example("Jira", tmp_path)}
        driven = drive(newest_clients, receiver, tmp_path, JIRA, variables)
    assert driven.said() == [
        ("create", {"incident.id": "INC-7", "incident.active": True}),
        ("end", {"incident.id": "INC-7", "incident.active": False}),
    ]
    assert driven.ended.stdout.splitlines() == ["raised JIRAError"]


SERVICENOW: Final = """
    import pysnow, requests

    session = requests.Session()
    session.auth = ("jane.doe", "t")
    client = pysnow.Client(host=URL.partition("//")[2], session=session, use_ssl=False)
    incidents = client.resource(api_path="/table/incident")
    problems = client.resource(api_path="/table/problem")
    attempt(incidents.create, payload={"short_description": "Checkout is down"})
    attempt(problems.create, payload={"short_description": "Payments"})
    one = {"sys_id": "0123456789abcdef0123456789abcdef"}
    attempt(incidents.update, query=one, payload={"short_description": "error 502"})
    attempt(incidents.update, query=one, payload={"state": "6", "close_notes": "gateway"})
    attempt(incidents.update, query=one, payload={"state": 7})
"""
SYS_ID: Final = "0123456789abcdef0123456789abcdef"
RECORD: Final = {"sys_id": SYS_ID, "short_description": "Checkout is down", "state": "1"}


def test_servicenow(newest_clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Of one table; a refusal is nothing."""
    here = "/api/now/table/incident"
    answers: dict[str, Reply | list[Reply]] = {
        f"POST {here}": Reply(201, {"result": RECORD}),
        "POST /api/now/table/problem": Reply(201, {"result": RECORD}),
        f"GET {here}": Reply(200, {"result": [RECORD]}),
        f"PUT {here}/{SYS_ID}": [
            Reply(200, {"result": RECORD}),
            Reply(200, {"result": RECORD}),
            Reply(403, {"error": {"message": "Payments", "detail": ""}}),
        ],
    }
    with ProductServer(answers) as server:
        variables = {"PRODUCT_URL": server.url, "OTEL_INCIDENT_HOOKS": example("ServiceNow", tmp_path)}
        driven = drive(newest_clients, receiver, tmp_path, SERVICENOW, variables)
    assert [asked.method for asked in server.asked].count("PUT") == 3
    assert driven.said() == [
        ("create", {"incident.id": SYS_ID, "incident.active": True}),
        ("end", {"incident.id": SYS_ID, "incident.active": False}),
    ]


ROOTLY: Final = """
    from rootly_sdk import AuthenticatedClient
    from rootly_sdk.api.incidents import assign_user_to_incident, restart_incident
    from rootly_sdk.models.assign_role_to_user import AssignRoleToUser
    from rootly_sdk.models.restart_incident import RestartIncident

    client = AuthenticatedClient(base_url=URL, token="t")

    def assign(role):
        attributes = {"user_id": "7", "incident_role_id": role}
        body = AssignRoleToUser.from_dict({"data": {"type": "incidents", "attributes": attributes}})
        attempt(assign_user_to_incident.sync_detailed, ROOT, client=client, body=body)

    ROOT = "0b1f9c6e-2f7a-4a55-9d3e-7c1f5f6b8a90"
    for role in ("5f0c7c1e-2f7a-4a55-9d3e-7c1f5f6b8a90", "other", "5f0c7c1e-2f7a-4a55-9d3e-7c1f5f6b8a90"):
        assign(role)
    body = RestartIncident.from_dict({"data": {"type": "incidents", "attributes": {}}})
    attempt(restart_incident.sync_detailed, ROOT, client=client, body=body)
"""


def test_rootly(newest_clients: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """One role of the account's is the commander; the preset reports the rest."""
    one = "0b1f9c6e-2f7a-4a55-9d3e-7c1f5f6b8a90"
    attributes = {"title": "Checkout is down", "created_at": "2025-10-07T04:30:42Z", "updated_at": "x"}
    shown = Reply(200, {"data": {"id": one, "type": "incidents", "attributes": attributes}})
    assigning = f"POST /v1/incidents/{one}/assign_role_to_user"
    answers: dict[str, Reply | list[Reply]] = {
        assigning: [Reply(404, {"errors": []}), shown],
        f"PUT /v1/incidents/{one}/restart": shown,
    }
    with ProductServer(answers) as server:
        variables = {"PRODUCT_URL": server.url, "OTEL_INCIDENT_HOOKS": example("Rootly roles", tmp_path)}
        driven = drive(newest_clients, receiver, tmp_path, ROOTLY, variables)
    assert [f"{asked.method} {asked.path}" for asked in server.asked].count(assigning) == 3
    since = {"incident.id": one, "incident.created_at": "2025-10-07T04:30:42.000Z", "incident.active": True}
    assert driven.said() == [
        ("change_commander", {"incident.id": one, "incident.commander.id": "7"}),
        ("restart", since),
    ]
