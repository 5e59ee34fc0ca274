"""`OTEL_LOGS_EXPORTER` of a running application: each exporter it names gets each event, and no other."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests.desk_app import NAMES, PRINTED
from tests.otlp_receiver import OtlpReceiver
from tests.zero_code import BY_HAND, DIAGNOSTIC_ID, App, assert_untouched, distribution
from tests.zero_code import app as app  # noqa: PLC0414  a fixture is used by its name

VENDOR: Final = """
    import json, os
    from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

    class Exporter(LogRecordExporter):
        def export(self, batch):
            with open(os.environ["VENDOR_FILE"], "a") as file:
                for each in batch:
                    name, resource = each.log_record.event_name, each.resource.attributes
                    file.write(json.dumps([name, resource["incident.diagnostic.id"]]) + "\\n")
            return LogRecordExportResult.SUCCESS

        def shutdown(self):
            pass

        def force_flush(self, timeout_millis=30000):
            return True
"""
ENTRY_POINT: Final = """
    [opentelemetry_logs_exporter]
    acme = acme_exporter:Exporter
"""


def to(receiver: OtlpReceiver, exporters: str) -> dict[str, str]:
    """Variables with these exporters, and an endpoint where anything sent would be noticed."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint, "OTEL_LOGS_EXPORTER": exporters}


def printed_events(stdout: str) -> list[dict[str, Any]]:
    """What the console exporter wrote after the application's own line."""
    assert stdout.startswith(PRINTED)
    decoder, rest, found = json.JSONDecoder(), stdout.removeprefix(PRINTED).strip(), []
    while rest:
        event, end = decoder.raw_decode(rest)
        found.append(event)
        rest = rest[end:].lstrip()
    return found


def test_console(receiver: OtlpReceiver, app: App) -> None:
    """`console` prints each event once, with its attributes and the identity, and sends nothing."""
    day = app.run(to(receiver, "console"))
    events = printed_events(day.stdout)
    assert (day.status, day.stderr) == (0, "")
    assert [event["event_name"] for event in events] == NAMES
    assert {event["resource"]["attributes"]["incident.diagnostic.id"] for event in events} == {DIAGNOSTIC_ID}
    del events[2]["attributes"]["log.record.uid"]
    assert events[2]["attributes"] == {
        "incident.action": "change_stage",
        "incident.checklist.item.count": 0,
        "incident.id": "41",
        "incident.stage.index": 2,
    }
    assert events[2]["body"] is None
    assert receiver.requests == ()


def test_none(receiver: OtlpReceiver, app: App) -> None:
    """`none` prints nothing, sends nothing, and makes neither a thread nor a file."""
    day = app.run({**to(receiver, "none"), "OTEL_INCIDENT_DIAGNOSTIC_ID": ""})
    assert_untouched(day)
    assert "otel_incident.pipeline" in day.modules  # the hooks were on
    assert day.threads == ()
    assert receiver.requests == ()
    assert not app.state.exists()


def test_two_exporters(receiver: OtlpReceiver, app: App) -> None:
    """Of `otlp,console` each gets every event once: the same ones, by their uids."""
    day = app.run(to(receiver, "otlp,console"))
    events = receiver.wait_for_events(5)
    assert (day.status, day.stderr) == (0, "")
    assert [event.event_name for event in events] == NAMES
    uids = [event["attributes"]["log.record.uid"] for event in printed_events(day.stdout)]
    assert [event.attributes["log.record.uid"] for event in events] == uids


def test_an_exporter_of_another_vendor(receiver: OtlpReceiver, app: App, tmp_path: Path) -> None:
    """Any installed entry point is an exporter by its name: it gets the events, and nobody else does."""
    vendor = distribution(tmp_path / "vendor", "acme-exporter", ENTRY_POINT, {"acme_exporter": VENDOR})
    file = tmp_path / "vendor.jsonl"
    assert_untouched(app.run({**to(receiver, "acme"), "VENDOR_FILE": str(file)}, before=[vendor]))
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        [name, DIAGNOSTIC_ID] for name in NAMES
    ]
    assert receiver.requests == ()


def test_an_unknown_exporter_in_a_host_that_instruments_itself(receiver: OtlpReceiver, app: App) -> None:
    """A name that no package has costs one line that says so; the host runs, the other exporter delivers."""
    day = app.run_in_code(BY_HAND, to(receiver, "nonesuch,otlp"))
    assert (day.status, day.stdout) == (0, PRINTED)
    assert day.stderr == (
        "Log records wait in the spool: the exporter nonesuch cannot deliver them (no installed package has "
        "an exporter of that name in the group opentelemetry_logs_exporter). This is said once for an "
        "outage.\n"
    )
    assert [event.event_name for event in receiver.wait_for_events(5)] == NAMES


@pytest.mark.parametrize("exporters", ["nonesuch", "none,console"])
def test_an_exporter_that_the_sdk_refuses(exporters: str, receiver: OtlpReceiver, app: App) -> None:
    """Where the SDK gives up before it loads any instrumentor, it says why; the host runs, without events."""
    day = app.run(to(receiver, exporters))
    assert (day.status, day.stdout) == (0, PRINTED)
    unknown = exporters.partition(",")[0]
    assert day.stderr.splitlines()[-1] == (
        f"RuntimeError: Requested component '{unknown}' not found in entry point "
        "'opentelemetry_logs_exporter'"
    )
    assert {name for name in day.modules if name.startswith("otel_incident")} == {
        "otel_incident",
        "otel_incident.pre_instrument",  # asked whether it is the distro
        "otel_incident.version",
    }
    assert receiver.requests == ()
