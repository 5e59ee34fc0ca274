"""`otel-incident` shows everything that can leave, and what would, without sending anything."""

import json

import pytest

from otel_incident.cli import catalog, main
from otel_incident.config import Config
from otel_incident.preview import preview
from otel_incident.version import __version__
from otel_incident.vocabulary import ATTRIBUTES, EVENTS, METRICS, RESOURCE
from tests.processes import succeed


def test_the_catalog_names_all_that_can_be_sent(capsys: pytest.CaptureFixture[str]) -> None:
    """Every registered event, attribute and metric stands in the text."""
    assert main(["catalog"]) == 0
    text = capsys.readouterr().out
    for name in (*EVENTS, *ATTRIBUTES, *METRICS):
        assert name in text


def test_the_catalog_as_json_is_the_catalog(capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` gives type, source, reason and whom it identifies for each attribute of each event."""
    assert main(["catalog", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == catalog()
    create = printed["events"][0]
    assert create["name"] == "incident.create"
    assert create["attributes"][0] == {
        "name": "incident.id",
        "type": "string",
        "rule": "id",
        "members": [],
        "seed_name": "incidentID",
        "brief": ATTRIBUTES["incident.id"].brief,
        "why": ATTRIBUTES["incident.id"].why,
        "identifies": "nobody",
        "requirement": "required",
    }
    assert [entry["name"] for entry in printed["resource"]] == list(RESOURCE)


def test_the_catalog_names_what_others_put_into_an_event(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attribute of a resource that leaves is listed with who sets it: us, the operator, or the SDK."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "customer=Acme,incident.title=Payments,service.version=5")
    request = preview(Config.from_env())
    keys = [entry["key"] for entry in request["resourceLogs"][0]["resource"]["attributes"]]
    listed = catalog()
    ours = {entry["name"] for entry in listed["resource"]}
    operators, sdks = listed["resource_by_operator"], listed["resource_by_sdk"]
    assert [key for key in keys if key not in {*ours, *operators, *sdks}] == ["customer"]
    assert set(sdks) == {key for key in keys if key.startswith("telemetry.")}
    assert set(operators) == {"service.name", "service.version", "<any other>"}
    assert main(["catalog"]) == 0
    text = capsys.readouterr().out
    for name, source in (*operators.items(), *sdks.items(), *listed["fields"].items()):
        assert f"  {name}: {source}\n" in text
    assert "OTEL_RESOURCE_ATTRIBUTES" in text
    assert "OTEL_SERVICE_NAME" in text
    assert text.count("cannot leave") + text.count("cannot\nleave") == 1
    assert "Of our own, what is not here\ncannot leave" in text


def test_the_catalog_names_every_field_of_a_record() -> None:
    """What a record of ours has beside its attributes is listed, and it has no other."""
    (scope_logs,) = preview(Config(server_version="1"))["resourceLogs"][0]["scopeLogs"]
    fields = {name for record in scope_logs["logRecords"] for name in record}
    listed = {name for names in catalog()["fields"] for name in names.split(", ")}
    spelled = {
        "timeUnixNano": "timestamp",
        "observedTimeUnixNano": "observed_timestamp",
        "eventName": "event_name",
        "severityNumber": "severity_number",
        "severityText": "severity_text",
    }
    assert {spelled[name] for name in fields - {"attributes", "body"}} == listed - {
        "scope",
        "trace_id",
        "span_id",
        "trace_flags",
    }


def test_the_module_is_the_command() -> None:
    """`python -m otel_incident.cli` does what `otel-incident` does."""
    ended = succeed("""
        import runpy, sys
        sys.argv = ["otel-incident", "--version"]
        runpy.run_module("otel_incident.cli", run_name="__main__")
    """)
    assert ended.stdout == f"otel-incident {__version__}\n"
