"""Whatever a host hands to the emitter, nothing is raised, and what can be said of the event is said."""

import dataclasses
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.metrics import MeterProvider, NoOpMeter
from opentelemetry.sdk.trace import TracerProvider

from otel_incident import drops, pipeline, spool_metrics
from otel_incident.emitter import IncidentEmitter
from otel_incident.events import Actor, Incident, IncidentEvent
from otel_incident.guard import set_reraise, swallowed
from otel_incident.instrumentor import IncidentInstrumentor
from otel_incident.records import through_api
from otel_incident.route import Route
from otel_incident.vocabulary import ACTIONS, EVENTS
from tests import strategies
from tests.emitting import Emitting
from tests.otlp_receiver import OtlpReceiver
from tests.policy_oracle import keeps_rule

SENTENCE = "This is said once; the metric otel_incident.policy.dropped counts on."
MINIMAL: dict[str, Any] = {
    "incident.id": "1",
    "incident.active": True,
    "incident.action": "create",
    "incident.checklist.item.count": 0,
}

NAIVE = datetime(2020, 9, 13)  # noqa: DTZ001  that is what is wrong with it
BROKEN_ZONE = datetime(2020, 9, 13, tzinfo=strategies.HostileZone())


@pytest.fixture(scope="module")
def shared() -> Iterator[Emitting]:
    """One emitter for all examples of a law."""
    host = Emitting()
    yield host
    host.close()


# What the host says wrong, the attribute that it costs, and what is wrong with it. The values are wrong on
# purpose, so their types are not looked at; none is shown by pytest, since some cannot be.
BAD: Final[tuple[tuple[dict[str, Any], str, str], ...]] = (
    ({"actor": {"roles": 5}}, "user.roles", "type"),
    ({"actor": {"roles": "end_user"}}, "user.roles", "type"),
    ({"actor": {"roles": {"end_user": True}}}, "user.roles", "type"),
    ({"actor": {"roles": {"end_user", 5}}}, "user.roles", "value"),
    ({"actor": {"roles": ("root",)}}, "user.roles", "value"),
    ({"actor": {"roles": (5,)}}, "user.roles", "value"),
    ({"actor": {"roles": (strategies.Word.CREATE,)}}, "user.roles", "value"),
    ({"actor": {"roles": [strategies.Hostile()]}}, "user.roles", "value"),
    ({"actor": {"roles": strategies.Hostile()}}, "user.roles", "type"),
    ({"incident": {"created_at": "x"}}, "incident.created_at", "value"),
    ({"incident": {"created_at": NAIVE}}, "incident.created_at", "type"),
    ({"incident": {"created_at": -1}}, "incident.created_at", "value"),
    ({"incident": {"created_at": 253_402_300_800_000}}, "incident.created_at", "value"),
    ({"incident": {"created_at": datetime(1969, 12, 31, tzinfo=UTC)}}, "incident.created_at", "value"),
    ({"incident": {"created_at": True}}, "incident.created_at", "type"),
    ({"incident": {"created_at": strategies.Hostile()}}, "incident.created_at", "type"),
    ({"incident": {"created_at": BROKEN_ZONE}}, "incident.created_at", "type"),
    ({"incident": {"checklist_count": True}}, "incident.checklist.count", "type"),
    ({"incident": {"checklist_count": -1}}, "incident.checklist.count", "value"),
    ({"incident": {"checklist_item_count": 1.5}}, "incident.checklist.item.count", "type"),
    ({"incident": {"commander_id": strategies.Lazy()}}, "incident.commander.id", "type"),
    ({"incident": {"commander_id": 10**5000}}, "incident.commander.id", "type"),
    ({"incident": {"team_id": strategies.Hostile()}}, "incident.team.id", "type"),
    ({"incident": {"post_id": ""}}, "incident.post.id", "value"),
    ({"public": 1}, "incident.public", "type"),
    ({"public": strategies.Hostile()}, "incident.public", "type"),
    ({"actor": strategies.Hostile()}, "user.id", "type"),
    ({"actor": object()}, "user.id", "type"),
)


@pytest.mark.parametrize("index", range(len(BAD)))
def test_a_bad_optional_value_costs_itself_alone(
    host: Emitting, caplog: pytest.LogCaptureFixture, index: int
) -> None:
    """What breaks its rule is left out and said once without its value; the rest of the event goes out."""
    said, lost, wrong = BAD[index]
    actor = said.get("actor")
    if type(actor) is dict:
        actor = Actor(id="1", **actor)
    incident = Incident(id="1", **said.get("incident", {}))
    for _ in range(2):
        host.emitter.create(incident, actor=actor, public=said.get("public"))
    kept = {**MINIMAL, **({"user.id": "1"} if type(actor) is Actor else {})}
    kept.pop(lost, None)
    assert host.attributes() == [kept, kept]
    (line,) = caplog.records
    assert (line.name, line.levelno) == ("otel_incident", logging.WARNING)
    what = "is not of the type that its rule" if wrong == "type" else "does not keep its rule"
    assert line.getMessage().startswith(f"{lost} {what} (")
    assert line.getMessage().endswith(f" and was left out. {SENTENCE}")
    (point,) = host.points("otel_incident.policy.dropped")
    assert point.value == 2
    assert point.attributes["otel_incident.signal"] == "logs"
    assert point.attributes["otel_incident.reason"] == ("wrong_type" if wrong == "type" else "bad_value")


@pytest.mark.parametrize("id_", [None, "", True, 1.5, b"1"], ids=repr)
def test_an_event_without_its_incident_is_dropped(
    host: Emitting, caplog: pytest.LogCaptureFixture, id_: Any
) -> None:
    """An incident whose id is none is no event: it is dropped, counted and said."""
    host.emitter.create(Incident(id=id_))
    assert host.records() == []
    assert host.points("incident.events") == []
    assert caplog.records[-1].getMessage() == (
        f"An event lacks incident.id, which is required, and was dropped. {SENTENCE}"
    )
    reasons = {
        point.attributes["otel_incident.reason"] for point in host.points("otel_incident.policy.dropped")
    }
    assert "missing_required" in reasons


@pytest.mark.parametrize("index", range(4))
def test_a_host_s_own_object_is_not_looked_into(host: Emitting, index: int) -> None:
    """A model passed in an Incident's place is an event that lacks its id; no attribute of it is read."""
    incident: Any = (None, "1", object(), strategies.Hostile())[index]
    host.emitter.create(incident)
    assert host.records() == []
    (point,) = host.points("otel_incident.policy.dropped")
    assert point.attributes["otel_incident.reason"] == "missing_required"


@pytest.mark.parametrize("index", range(7))
def test_an_action_that_is_not_known_is_dropped(
    host: Emitting, caplog: pytest.LogCaptureFixture, index: int
) -> None:
    """Only the five actions are events."""
    actions: Any = ("delete", "", None, 5, ["create"], strategies.Word.CREATE, strategies.Hostile())
    host.emitter.emit(IncidentEvent(action=actions[index], incident=Incident(id="1")))
    assert host.records() == []
    assert caplog.records[0].getMessage() == (
        f"An event lacks incident.action, which is required, and was dropped. {SENTENCE}"
    )


def test_an_id_in_an_actor_s_place_is_taken_as_one(host: Emitting) -> None:
    """Who passes the id itself is understood."""
    actor: Any = 42
    host.emitter.create(Incident(id="1"), actor=actor)
    assert host.attributes() == [{**MINIMAL, "user.id": "42"}]


HANDED_INCIDENT = st.fixed_dictionaries(
    {field.name: strategies.ANYTHING for field in dataclasses.fields(Incident)}
)
HANDED_EVENT = st.fixed_dictionaries(
    {
        "action": st.one_of(st.sampled_from(ACTIONS).map(strategies.Handed), strategies.HOSTILE),
        "public": strategies.ANYTHING,
        "stage_index": strategies.ANYTHING,
        "timestamp": strategies.ANYTHING,
    }
)
HANDED_ACTOR = st.fixed_dictionaries({"id": strategies.ANYTHING, "roles": strategies.ANYTHING})


def _values(handed: dict[str, strategies.Handed]) -> dict[str, Any]:
    return {name: each.value for name, each in handed.items()}


@given(HANDED_INCIDENT, HANDED_ACTOR, HANDED_EVENT, st.sampled_from((True, False)))
def test_nothing_is_raised_and_no_text_leaves(
    shared: Emitting, incident: Any, actor: Any, event: Any, good: object
) -> None:
    """Whatever every field holds: no exception, nothing swallowed, and only what keeps its rule."""
    shared.forget()
    values = _values(incident)
    if good:  # so that most events have what is required
        values["id"] = "1"
        event["action"] = strategies.Handed("end")
    shared.emitter.emit(
        IncidentEvent(incident=Incident(**values), actor=Actor(**_values(actor)), **_values(event))
    )
    records = shared.records()
    assert len(records) == 1 if good else len(records) <= 1
    for record in records:
        assert record.log_record.event_name in EVENTS
        for name, value in (record.log_record.attributes or {}).items():
            assert keeps_rule(name, value), name
        assert type(record.log_record.timestamp) is int
        assert strategies.CONTENT not in record.to_json()


@given(strategies.ANYTHING, strategies.ANYTHING)
def test_the_calls_never_raise(
    shared: Emitting, incident: strategies.Handed, actor: strategies.Handed
) -> None:
    """Each call takes any object in an incident's and an actor's place."""
    for method in ("create", "end", "restart", "change_commander", "change_stage"):
        getattr(shared.emitter, method)(incident.value, actor=actor.value)
        getattr(shared.emitter, method)(Incident(id="1"), actor=actor.value)


def test_what_is_no_event_is_swallowed(host: Emitting) -> None:
    """Even the wrong call of `emit` does not reach the host, and is counted."""
    set_reraise(reraise=False)
    nothing: Any = None
    host.emitter.emit(nothing)
    assert swallowed() == {"emit": 1}
    assert host.records() == []


class Failing:
    """A logger of a provider that fails."""

    def emit(self, **_: object) -> None:
        """Fail."""
        raise strategies.HostileError


def test_a_provider_that_fails_does_not_reach_the_host(
    host: Emitting, caplog: pytest.LogCaptureFixture
) -> None:
    """What the caller's provider raises is swallowed, counted and said without its message."""
    set_reraise(reraise=False)
    logger: Any = Failing()
    meter = host.meter_provider.get_meter("tests")
    route = Route(write=through_api(logger), meter=meter, check=lambda _, attributes, __: attributes)
    emitter = IncidentEmitter(route=lambda: route)
    for _ in range(2):
        emitter.create(Incident(id="1"))
    assert swallowed() == {"emit": 2}
    assert len(caplog.records) == 1
    assert "HostileError at records.py:" in caplog.text
    assert strategies.CONTENT not in caplog.text


class Meter(NoOpMeter):
    """One of a host's own, made before the API knew of advisory parameters."""

    def create_histogram(self, name: str, unit: str = "", description: str = "") -> Any:  # type: ignore[override]  # that is it
        """As it was."""
        return super().create_histogram(name, unit, description)


class Broken(NoOpMeter):
    """One that makes no instrument at all."""

    def __getattribute__(self, name: str) -> Any:
        """Fail."""
        if name.startswith("create_"):
            raise strategies.HostileError
        return super().__getattribute__(name)


class Meters(MeterProvider):
    """A provider of a host's own; without a meter it fails."""

    def __init__(self, meter: type[NoOpMeter] | None) -> None:
        self._meter = meter

    def get_meter(self, name: str, *_: Any, **__: Any) -> NoOpMeter:
        """Make one, or fail."""
        if self._meter is None:
            raise strategies.HostileError
        return self._meter(name)


@pytest.mark.parametrize("spool", ["true", "false"])
@pytest.mark.parametrize(
    ("meter", "lines"),
    [
        (Meter, ["TypeError at route.py:"]),
        (Broken, ["HostileError at drops.py:", "HostileError at route.py:"]),
        (None, ["HostileError at drops.py:", "HostileError at pipeline.py:"]),
    ],
    ids=["older", "broken", "none"],
)
def test_a_meter_provider_that_fails_costs_the_metrics_alone(
    meter: type[NoOpMeter] | None,
    lines: list[str],
    spool: str,
    to_receiver: OtlpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where the global one makes no instruments of ours, events arrive all the same, and it is said once."""
    set_reraise(reraise=False)
    monkeypatch.setenv("OTEL_INCIDENT_SPOOL", spool)
    for module in (drops, pipeline, spool_metrics):
        monkeypatch.setattr(module, "get_meter_provider", lambda: Meters(meter))
    emitter = IncidentEmitter()
    emitter.create(Incident(id=1))
    emitter.end(Incident(id=1, created_at=1))
    assert pipeline.default_pipeline().force_flush()
    assert [event.event_name for event in to_receiver.wait_for_events(2)] == [
        "incident.create",
        "incident.end",
    ]
    said = [re.search(r"\w+ at [\w/]+\.py:", line) for line in caplog.messages]
    of_the_spool = ["HostileError at spool_metrics.py:"] if spool == "true" and meter is not Meter else []
    assert sorted(each.group() for each in said if each) == lines + of_the_spool
    assert strategies.CONTENT not in caplog.text


@dataclasses.dataclass
class Unhashable(MeterProvider):
    """One that is equal to others, and so has no hash."""

    def get_meter(self, name: str, *_: Any, **__: Any) -> NoOpMeter:
        """Make one."""
        return NoOpMeter(name)


class Slotted:
    """One that nothing can refer to weakly."""

    __slots__ = ()

    def get_meter(self, name: str, *_: Any, **__: Any) -> NoOpMeter:
        """Make one."""
        return NoOpMeter(name)


@pytest.mark.parametrize("spool", ["true", "false"])
@pytest.mark.parametrize("provider", [Unhashable, Slotted])
def test_a_meter_provider_that_cannot_be_remembered(
    provider: Any,
    spool: str,
    to_receiver: OtlpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A caller's that has no hash, or no room for weak references, costs nothing."""
    monkeypatch.setenv("OTEL_INCIDENT_SPOOL", spool)
    instrumentor: Any = IncidentInstrumentor()
    instrumentor.instrument(meter_provider=provider())
    try:
        IncidentEmitter().create(Incident(id=1))
    finally:
        instrumentor.uninstrument()
    assert [event.event_name for event in to_receiver.wait_for_events(1)] == ["incident.create"]
    assert [line for line in caplog.messages if " was swallowed in " in line] == []


class Uncounted(NoOpMeter):
    """One whose instruments know no context, as before the API had it."""

    def create_counter(self, *_: Any, **__: Any) -> Any:
        """Make something else."""
        return object()


def test_a_counter_that_fails_costs_no_event_of_a_span() -> None:
    """The event is on the span, and in the log, before it is counted."""
    set_reraise(reraise=False)
    logged: list[str] = []
    route = Route(
        write=lambda name, *_, **__: logged.append(name),
        meter=Uncounted("desk"),
        check=lambda _, said, __: said,
        span_events=True,
    )
    with TracerProvider(shutdown_on_exit=False).get_tracer("desk").start_as_current_span("request") as span:
        IncidentEmitter(route=lambda: route).create(Incident(id=1))
    assert [event.name for event in span.events] == logged == ["incident.create"]  # type: ignore[attr-defined]  # of the SDK's
    assert swallowed() == {"emit": 1}
