"""For the tests of a host: record its lifecycle events, and see that nothing else of it leaves.

    def test_closing_an_incident_is_reported():
        with recording() as recorder:
            desk.close(incident)
        assert recorder.names() == ["incident.end"]

    def test_an_incident_stays_here(client):
        with canaries("Payments are down", mode="strict"):
            client.post("/incidents", data={"title": "Payments are down"})

Both work in any test framework, need no network, and leave nothing behind.
"""

from otel_incident.errors import PolicyViolation
from otel_incident.testing.leaks import Leak, Search, canaries
from otel_incident.testing.recorder import FIXED_TIME, RecordedEvent, Recorder, recording
from otel_incident.testing.search import canary

__all__ = [
    "FIXED_TIME",
    "Leak",
    "PolicyViolation",
    "RecordedEvent",
    "Recorder",
    "Search",
    "canaries",
    "canary",
    "recording",
]
