"""What the environment tells the SDK of providers changes no event: not its values, not its resource."""

from pathlib import Path
from typing import Final

import pytest

from otel_incident.version import __version__
from tests.emitting_host import endpoint_of
from tests.incident_course import DESCRIBED, DIAGNOSTIC_ID, GOES_ON, IN_CODE
from tests.otlp_receiver import OtlpReceiver
from tests.processes import succeed
from tests.spool_hosts import QUIET

FORKING: Final = """
    import os
    from otel_incident import Incident, IncidentEmitter
    from otel_incident.pipeline import default_pipeline

    emitter = IncidentEmitter()
    emitter.create(Incident(id=1))
    assert default_pipeline().force_flush()
    if os.fork() == 0:
        emitter.create(Incident(id=2))
        assert default_pipeline().force_flush()
        os._exit(0)
    assert os.wait()[1] == 0
"""


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "1"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many"),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4"),
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "1"),
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "-2"),
    ],
)
def test_limits_on_attributes_do_not_apply(variable: str, value: str, receiver: OtlpReceiver) -> None:
    """No event is cut short, and none is lost where the SDK cannot use the limit's value."""
    where = endpoint_of("http", receiver.grpc_endpoint, receiver.http_endpoint)
    ended = succeed(IN_CODE, {**DESCRIBED, **where, variable: value})
    assert (ended.stdout, ended.stderr) == (GOES_ON, "")
    events = receiver.wait_for_events(5)
    assert {event.attributes["incident.id"] for event in events} == {"mytpaxxhs7dtx8qtc5fzmd4k1a"}
    assert [len(event.attributes) for event in events] == [12, 11, 12, 12, 11]
    assert {event.dropped_attributes_count for event in events} == {0}


@pytest.mark.parametrize("detectors", ["", "otel,process,os,host"], ids=["default", "detectors"])
def test_a_fork_adds_nothing_to_the_resource(detectors: str, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A forked child speaks as its parent did: what detectors find in it does not leave with its events."""
    ended = succeed(
        FORKING,
        {
            **DESCRIBED,
            **endpoint_of("http", receiver.grpc_endpoint, receiver.http_endpoint),
            "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": detectors,
            "OTEL_INCIDENT_STATE_DIR": str(tmp_path / "state"),
            **QUIET,
        },
    )
    assert (ended.stdout, ended.stderr) == ("", "")
    parent, child = receiver.wait_for_events(2)
    assert (parent.attributes["incident.id"], child.attributes["incident.id"]) == ("1", "2")
    assert child.resource == parent.resource
    sdk = parent.resource["telemetry.sdk.version"]
    assert parent.resource == {
        "incident.diagnostic.id": DIAGNOSTIC_ID,
        "incident.plugin.version": __version__,
        "incident.server.version": "5.4.0",
        "service.name": "incident desk",
        "service.version": "5.4.0",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": sdk,
    }
