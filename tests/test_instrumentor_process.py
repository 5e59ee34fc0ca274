"""What `instrument()` decides holds for every emitter of the process, until `uninstrument()` restores all."""

import sys
from types import ModuleType
from typing import Any

import pytest

from otel_incident import Actor, Incident, IncidentEmitter
from otel_incident.pipeline import default_pipeline
from tests.emitting import Emitting
from tests.otlp_receiver import OtlpReceiver


def ids(receiver: OtlpReceiver, count: int) -> list[object]:
    """The incident ids of the events that arrived, `count` of them at least."""
    assert default_pipeline().force_flush()
    return [event.attributes["incident.id"] for event in receiver.wait_for_events(count)]


@pytest.mark.parametrize("options", [{"enabled": False}, {"titel": "x"}], ids=["off", "refused"])
def test_off_holds_for_emitters_in_code(
    options: dict[str, object], instrumentor: Any, to_receiver: OtlpReceiver, host: Emitting
) -> None:
    """Off is off for the process: for emitters in use before, made later, or with a provider of their own."""
    before, own = IncidentEmitter(), IncidentEmitter(logger_provider=host.logger_provider)
    for emitter in (before, own):
        emitter.create(Incident(id=1))
    assert ids(to_receiver, 1) == ["1"]
    instrumentor.instrument(**options)
    for emitter in (before, own, IncidentEmitter(), IncidentEmitter(logger_provider=host.logger_provider)):
        emitter.create(Incident(id=2))
    instrumentor.uninstrument()
    for emitter in (before, own):
        emitter.create(Incident(id=3))
    assert ids(to_receiver, 2) == ["1", "3"]
    assert [each["incident.id"] for each in host.attributes()] == ["1", "3"]


def test_off_delivers_what_was_queued_before(
    instrumentor: Any, to_receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an emitter has queued before the instrumentor was told to be off leaves then, not at the end."""
    monkeypatch.setenv("OTEL_INCIDENT_SPOOL", "false")
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "3600000")
    IncidentEmitter().create(Incident(id=1))
    assert to_receiver.requests == ()
    instrumentor.instrument(enabled=False)
    assert [event.attributes["incident.id"] for event in to_receiver.telemetry().events] == ["1"]


def test_the_command_may_call_once_after_a_file(
    instrumentor: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its call after a configuration file's is no mistake, and a further one is what upstream warns of."""
    for module in (
        "opentelemetry.configuration.instrumentation",
        "opentelemetry.instrumentation.auto_instrumentation",
    ):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    monkeypatch.setattr(instrumentor, "_called_again", False)
    said = []
    for _ in range(3):
        instrumentor.instrument(skip_dep_check=True)
        said.append([line for line in caplog.messages if "already instrumented" in line])
    assert said == [[], [], ["Attempting to instrument while already instrumented"]]


def test_off_holds_where_nobody_reported_before(instrumentor: Any, to_receiver: OtlpReceiver) -> None:
    """An emitter whose first event comes after the instrumentor was told to be off sends nothing."""
    instrumentor.instrument(enabled=False)
    IncidentEmitter().create(Incident(id=1))
    instrumentor.uninstrument()
    IncidentEmitter().create(Incident(id=2))
    assert ids(to_receiver, 1) == ["2"]


def test_options_hold_for_emitters_with_a_provider_of_their_own(instrumentor: Any, host: Emitting) -> None:
    """What may leave is decided for the process: an emitter in code has the instrumentor's modes of ids."""
    before = host.emitter
    before.create(Incident(id=1), actor=Actor(id=2))
    instrumentor.instrument(id_mode="user.id=drop")
    for emitter in (before, IncidentEmitter(logger_provider=host.logger_provider)):
        emitter.create(Incident(id=1), actor=Actor(id=2))
    instrumentor.uninstrument()
    before.create(Incident(id=1), actor=Actor(id=2))
    assert [each.get("user.id") for each in host.attributes()] == ["2", None, None, "2"]


def test_a_provider_of_its_own_outlives_the_default_pipeline(host: Emitting) -> None:
    """The end of our own pipeline, as at exit, does not silence an emitter on the caller's provider."""
    host.emitter.create(Incident(id=1))
    default_pipeline().shutdown()
    host.emitter.create(Incident(id=2))
    IncidentEmitter(logger_provider=host.logger_provider).create(Incident(id=3))
    assert [each["incident.id"] for each in host.attributes()] == ["1", "2", "3"]
