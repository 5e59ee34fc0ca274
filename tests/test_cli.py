"""`otel-incident` shows everything that can leave, and what would, without sending anything."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def test_the_preview_is_one_event_of_each_kind_with_this_identity(tmp_path: Path) -> None:
    """The OTLP JSON carries five events, the kept diagnostic id, and only what the registry lists."""
    request = preview(Config(state_dir=tmp_path / "state", server_version="7.8.1"))
    (resource_logs,) = request["resourceLogs"]
    (scope_logs,) = resource_logs["scopeLogs"]
    records = scope_logs["logRecords"]
    assert [record["eventName"] for record in records] == list(EVENTS)
    identity = {
        entry["key"]: entry["value"]["stringValue"] for entry in resource_logs["resource"]["attributes"]
    }
    kept = (tmp_path / "state" / "diagnostic-id").read_text().strip()
    assert identity["incident.diagnostic.id"] == kept
    assert identity["incident.server.version"] == "7.8.1"
    for record in records:
        assert record["body"] == {}  # how the SDK encodes that there is none
        assert {entry["key"] for entry in record["attributes"]} <= set(EVENTS[record["eventName"]].attributes)


def test_the_preview_is_not_cut_by_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's limits on attributes hold for the preview as little as for what leaves."""
    config = Config(state_dir=tmp_path / "state", server_version="7.8.1")
    whole = ids_in(preview(config))
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4")
    monkeypatch.setenv("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "many")
    assert ids_in(preview(config)) == whole == {"11111111-1111-4111-8111-111111111111"}


def test_the_module_is_the_command() -> None:
    """`python -m otel_incident.cli` does what `otel-incident` does."""
    ended = succeed("""
        import runpy, sys
        sys.argv = ["otel-incident", "--version"]
        runpy.run_module("otel_incident.cli", run_name="__main__")
    """)
    assert ended.stdout == f"otel-incident {__version__}\n"


def ids_in(request: Mapping[str, Any]) -> set[str]:
    """The incident ids of a request."""
    (scope,) = request["resourceLogs"][0]["scopeLogs"]
    return {
        attribute["value"]["stringValue"]
        for record in scope["logRecords"]
        for attribute in record["attributes"]
        if attribute["key"] == "incident.id"
    }


def test_a_preview_makes_no_file_where_telemetry_is_off(tmp_path: Path) -> None:
    """Off means no file: the diagnostic id that does not exist yet is said to be made later."""
    request = preview(Config(off="DO_NOT_TRACK is set", state_dir=tmp_path / "state", server_version="1"))
    attributes = request["resourceLogs"][0]["resource"]["attributes"]
    identity = {entry["key"]: entry["value"]["stringValue"] for entry in attributes}
    assert identity["incident.diagnostic.id"] == "made-at-the-first-event"
    assert list(tmp_path.iterdir()) == []


def test_the_preview_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints nothing but the request on standard output."""
    assert main(["preview"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["resourceLogs"]
