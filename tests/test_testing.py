"""A host's own tests record its events, with fixed time and ids, and see a bad value raise."""

import pytest

from otel_incident import Actor, Incident, IncidentEmitter
from otel_incident.testing import FIXED_TIME, PolicyViolation, RecordedEvent, recording


def test_a_recording_holds_every_event_of_the_process() -> None:
    """An emitter that was in use before reports to the recording, with fixed time and ids."""
    emitter = IncidentEmitter()
    with recording() as first:
        emitter.create(Incident(id=7), actor=Actor(id=3, roles=("end_user",)), public=False)
    with recording() as second:
        emitter.end(Incident(id=7))
    assert first.names() == ["incident.create"]
    assert second.events() == [
        RecordedEvent(
            name="incident.end",
            attributes={
                "incident.action": "end",
                "incident.active": False,
                "incident.checklist.item.count": 0,
                "incident.id": "7",
                "log.record.uid": "00000000000000000000000001",
            },
            timestamp=FIXED_TIME,
            trace_id=0,
        )
    ]


def test_a_value_that_breaks_its_rule_raises_without_being_quoted() -> None:
    """The error names attribute and rule; the value stays out of it."""
    emitter = IncidentEmitter()
    with recording(), pytest.raises(PolicyViolation) as caught:
        emitter.create(Incident(id=1, checklist_count="Payments are down"))  # type: ignore[arg-type]  # the point
    assert (
        str(caught.value)
        == "incident.checklist.count is not of the type that its rule (count) asks for and was left out."
    )
