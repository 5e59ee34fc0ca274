"""`IncidentInstrumentor` in a host's own code: what it puts in place, and that it leaves nothing behind."""

import importlib
import logging
import sys
import threading
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident import Incident, IncidentEmitter
from otel_incident.instrumentor import IncidentInstrumentor
from otel_incident.pipeline import default_pipeline
from otel_incident.vocabulary import SCHEMA_URL, SCOPE_NAME
from tests.emitting import Emitting
from tests.host_package import desk_package as desk_package  # noqa: PLC0414  a fixture is used by its name
from tests.host_package import services
from tests.otlp_receiver import OtlpReceiver

TARGETS: Final = {
    "function": "declare",
    "async function": "declare_async",
    "method": "Desk.declare",
    "classmethod": "Desk.declare_class",
    "staticmethod": "Desk.declare_static",
    "inherited": "Branch.declare",
    "nested": "Desk.Night.declare",
    "instance": "main_desk.declare",
}
HOOK: Final = """
[[hook]]
name = "{name}"
kind = "call"
target = "desk.services:{target}"
action = "create"
incident.id = "result.id"
"""
UNKNOWN: Final = (
    "The option 'titel' of the incident instrumentation is not known; known are enabled, gate, "
    "allowed_attributes, forbidden_attributes, hooks, disabled_hooks, id_mode, state_dir, diagnostic_id, "
    "license_id, server_version, span_events, spool, spool_dir, spool_sync, spool_max_bytes, spool_max_age. "
    "Correct or remove it. Incident telemetry stays off. No gate is set, and none is in place."
)


@pytest.fixture
def hooks(desk_package: None, tmp_path: Path) -> Path:
    """A hook file for each kind of callable of the host."""
    del desk_package
    path = tmp_path / "hooks.toml"
    each = (HOOK.format(name=name, target=target) for name, target in TARGETS.items())
    path.write_text("".join(['[host]\nname = "desk"\n', *each]))
    return path


def found(target: str) -> object:
    """What stands under a target's name: the thing itself, not what a descriptor makes of it."""
    parent: Any = services()
    *path, name = target.split(".")
    for each in path:
        parent = getattr(parent, each)
    return vars(parent).get(name)


def ids(receiver: OtlpReceiver, count: int) -> list[object]:
    """The incident ids of the events that arrived, `count` of them at least."""
    assert default_pipeline().force_flush()
    return [event.attributes["incident.id"] for event in receiver.wait_for_events(count)]


def batching() -> list[threading.Thread]:
    """The threads that send."""
    return [each for each in threading.enumerate() if each.name.startswith("otel-incident-")]


def test_uninstrument_puts_every_callable_back(hooks: Path, instrumentor: Any, host: Emitting) -> None:
    """After `uninstrument()` each name of the host has the identical object that it had before, or none."""
    before = {target: found(target) for target in TARGETS.values()}
    instrumentor.instrument(logger_provider=host.logger_provider, hooks=[hooks])
    during = {target: found(target) for target in TARGETS.values()}
    assert [target for target in before if during[target] is before[target]] == []
    instrumentor.uninstrument()
    after = {target: found(target) for target in TARGETS.values()}
    assert [target for target in before if after[target] is not before[target]] == []
    assert [target for target in before if before[target] is None] == ["Branch.declare", "main_desk.declare"]
    services().declare(3)
    assert host.records() == []


def test_uninstrument_before_the_host_is_imported(hooks: Path, instrumentor: Any, host: Emitting) -> None:
    """What is imported after `uninstrument()` is left as it is: the import hooks do nothing any more."""
    finders = list(sys.meta_path)
    instrumentor.instrument(logger_provider=host.logger_provider, hooks=[hooks])
    instrumentor.uninstrument()
    assert "desk.services" not in sys.modules
    services().declare(3)
    assert not hasattr(services().declare, "__wrapped__")
    assert host.records() == []
    # wrapt's finder may stay, once for the process: it is nobody's to take away
    added = [type(each).__module__ for each in sys.meta_path if each not in finders]
    assert added in ([], ["wrapt.importer"])


def test_uninstrument_ends_the_pipeline(hooks: Path, instrumentor: Any, to_receiver: OtlpReceiver) -> None:
    """`uninstrument()` delivers what is queued, ends the thread, and what happens later is not reported."""
    threads = batching()
    instrumentor.instrument(hooks=str(hooks))
    assert batching() == threads
    declare = services().declare  # a host may have imported it from there
    declare(3)
    assert len(batching()) == len(threads) + 1
    instrumentor.uninstrument()
    assert batching() == threads
    assert [event.attributes["incident.id"] for event in to_receiver.wait_for_events(1)] == ["7"]
    declare(3)
    assert batching() == threads
    assert len(to_receiver.requests) == 1


def test_instrument_again(hooks: Path, instrumentor: Any, to_receiver: OtlpReceiver) -> None:
    """After `uninstrument()` the next `instrument()` works as the first: each call is one event."""
    for count in (1, 2, 3):
        instrumentor.instrument(hooks=str(hooks))
        assert services().declare(3) is services().RESULT
        assert ids(to_receiver, count) == ["7"] * count
        instrumentor.uninstrument()
    assert len(to_receiver.telemetry().events) == 3


def test_instrument_twice(
    hooks: Path, instrumentor: Any, to_receiver: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """A second `instrument()` changes nothing, as upstream says in its line: each call is one event."""
    instrumentor.instrument(hooks=str(hooks))
    IncidentInstrumentor().instrument(enabled=False)
    services().declare(3)
    assert ids(to_receiver, 1) == ["7"]
    assert caplog.messages == ["Attempting to instrument while already instrumented"]


def test_uninstrument_twice(
    hooks: Path, instrumentor: Any, host: Emitting, caplog: pytest.LogCaptureFixture
) -> None:
    """A second `uninstrument()` does nothing but upstream's line."""
    instrumentor.instrument(logger_provider=host.logger_provider, hooks=[hooks])
    instrumentor.uninstrument()
    instrumentor.uninstrument()
    assert caplog.messages == ["Attempting to uninstrument while already uninstrumented"]


def test_providers_of_the_host(
    hooks: Path, instrumentor: Any, to_receiver: OtlpReceiver, host: Emitting, tmp_path: Path
) -> None:
    """Given providers get events and metrics, with the host's resource; we build and make nothing."""
    threads = batching()
    instrumentor.instrument(
        logger_provider=host.logger_provider,
        meter_provider=host.meter_provider,
        tracer_provider=object(),  # what a generic caller hands to all
        hooks=[hooks],
    )
    services().declare(3)
    IncidentEmitter().end(Incident(id=8))  # the application's own take the same way
    assert host.names() == ["incident.create", "incident.end"]
    assert host.attributes()[0] == {
        "incident.action": "create",
        "incident.active": True,
        "incident.checklist.item.count": 0,
        "incident.id": "7",
    }
    record = host.records()[0]
    assert record.resource is not None
    assert dict(record.resource.attributes) == {"service.name": "host"}
    scope: Any = record.instrumentation_scope
    assert (scope.name, scope.schema_url) == (SCOPE_NAME, SCHEMA_URL)
    counts = [(dict(point.attributes), point.value) for point in host.points("incident.events")]
    assert counts == [({"incident.action": "create"}, 1), ({"incident.action": "end"}, 1)]
    assert batching() == threads
    assert to_receiver.requests == ()
    assert not (tmp_path / "state").exists()


def test_a_provider_of_the_host_outlives_us(hooks: Path, instrumentor: Any, host: Emitting) -> None:
    """`uninstrument()` does not shut down what it was given: the host goes on with its provider."""
    instrumentor.instrument(logger_provider=host.logger_provider, hooks=[hooks])
    services().declare(3)
    instrumentor.uninstrument()
    host.logger_provider.get_logger("host").emit(event_name="of the host")
    assert host.names() == ["incident.create", "of the host"]


def test_options_come_before_the_environment(
    hooks: Path, instrumentor: Any, host: Emitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `instrument()` is given holds, whatever the environment says of the same thing."""
    monkeypatch.setenv("OTEL_INCIDENT_ENABLED", "false")
    monkeypatch.setenv("OTEL_INCIDENT_ID_MODE", "hmac")
    instrumentor.instrument(
        logger_provider=host.logger_provider, enabled=True, hooks=[hooks], id_mode="plain"
    )
    services().declare(3)
    assert [each["incident.id"] for each in host.attributes()] == ["7"]


@pytest.mark.parametrize(
    ("options", "lines"),
    [({"enabled": False}, []), ({"titel": "x"}, [UNKNOWN])],
    ids=["off", "an option that is not known"],
)
def test_off(
    options: dict[str, object],
    lines: list[str],
    hooks: Path,
    instrumentor: Any,
    host: Emitting,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Off, by an option or by a mistake in one, leaves the host as it is, and can be switched off again."""
    caplog.set_level(logging.WARNING)
    before = services().declare
    instrumentor.instrument(logger_provider=host.logger_provider, hooks=[hooks], **options)
    assert services().declare is before
    assert caplog.messages == lines
    instrumentor.uninstrument()
    assert host.records() == []


def test_a_host_imported_before_us(hooks: Path, instrumentor: Any, host: Emitting) -> None:
    """A host that instruments itself late is watched from then on, its modules being there already."""
    early = importlib.import_module("desk.services")
    instrumentor.instrument(logger_provider=host.logger_provider, hooks=[hooks])
    early.declare(3)
    assert host.names() == ["incident.create"]
