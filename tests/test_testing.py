"""A host's own tests record its events, with fixed time and ids, and see a bad value raise."""

import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import TestCase
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from otel_incident import Actor, Incident, IncidentEmitter
from otel_incident.guard import set_reraise, swallowed
from otel_incident.instrumentor import IncidentInstrumentor
from otel_incident.pipeline import default_pipeline
from otel_incident.testing import FIXED_TIME, PolicyViolation, RecordedEvent, recording
from tests.django_host import INCIDENTS, model
from tests.emitting import Emitting
from tests.hosts.mapped import Incident as Mapped
from tests.mapped_host import INCIDENTS as MAPPED
from tests.mapped_host import database


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


def test_an_id_that_a_person_chose_is_recorded_as_it_leaves(caplog: pytest.LogCaptureFixture) -> None:
    """A host with logins can test its hooks: the hash is the same each time, and said as in production."""
    with recording() as recorder:
        IncidentEmitter().end(Incident(id=7, commander_id="jane.doe"), actor=Actor(id="jane.doe"))
    (event,) = recorder.events()
    digest = hmac.new(bytes(32), b"jane.doe", "sha256").hexdigest()
    assert event.attributes["incident.id"] == "7"
    assert event.attributes["incident.commander.id"] == f"hmac-{digest[:32]}"
    assert event.attributes["user.hash"] == f"hmac-{digest[:32]}"
    assert "user.id" not in event.attributes
    assert [line.partition(" is ")[0] for line in caplog.messages] == ["incident.commander.id", "user.id"]


def test_emitters_with_a_provider_of_their_own_report_too(host: Emitting) -> None:
    """Every emitter means every one, in use before or made now; before and after, the provider has them."""
    host.emitter.create(Incident(id=1))
    with recording() as recorder:
        host.emitter.end(Incident(id=1))
        IncidentEmitter(logger_provider=host.logger_provider).restart(Incident(id=1))
    host.emitter.change_stage(Incident(id=1))
    assert recorder.names() == ["incident.end", "incident.restart"]
    assert host.names() == ["incident.create", "incident.change_stage"]


@pytest.mark.parametrize("disabled", [True, False])
def test_a_switch_that_another_test_left_off_hides_nothing(host: Emitting, *, disabled: bool) -> None:
    """A recording begins enabled, whatever was before it and is again afterwards."""
    emitter = IncidentEmitter(logger_provider=host.logger_provider)
    if disabled:
        emitter.disable()
    with recording() as recorder:
        emitter.create(Incident(id=1))
        emitter.disable()
        emitter.create(Incident(id=2))
        if disabled:
            emitter.enable()
    assert recorder.names() == ["incident.create"]
    emitter.create(Incident(id=3))
    assert [each["incident.id"] for each in host.attributes()] == ([] if disabled else ["3"])


def test_errors_are_swallowed_again() -> None:
    """After a recording an internal error is the host's as little as before it."""
    set_reraise(reraise=False)
    nothing: Any = None
    with recording(), pytest.raises(AttributeError):
        IncidentEmitter().emit(nothing)
    assert swallowed() == {}
    with recording():
        pass
    IncidentEmitter(route=nothing).emit(nothing)
    assert swallowed() == {"emit": 1}


def test_the_pipeline_that_was_there_is_back(host: Emitting) -> None:
    """After a recording the process's own pipeline is the one that it was."""
    before = default_pipeline()
    with recording():
        assert default_pipeline() is not before
    assert default_pipeline() is before
    assert host.records() == []


@pytest.fixture
def instrumented(ops: None, tmp_path: Path) -> Iterator[None]:
    """The project `ops`, watched by a hook file as an operator's host is."""
    del ops
    path = tmp_path / "hooks.toml"
    path.write_text(INCIDENTS)
    instrumentor: Any = IncidentInstrumentor()
    instrumentor.instrument(hooks=[path], gate="off")
    yield
    instrumentor.uninstrument()


@pytest.mark.usefixtures("instrumented")
def test_in_a_test_case_of_django_the_commit_must_be_asked_for() -> None:
    """A `TestCase` never commits: an event of a hook comes only with `captureOnCommitCallbacks`."""
    with recording() as recorder, transaction.atomic():
        model("Incident").objects.create()
        assert recorder.names() == []
        with TestCase.captureOnCommitCallbacks(execute=True):
            model("Incident").objects.create()
        assert recorder.names() == ["incident.create"]
        transaction.set_rollback(True)
    assert recorder.names() == ["incident.create"]


@pytest.fixture
def mapped(tmp_path: Path) -> Iterator[Engine]:
    """A database of a host's tests, whose class `Incident` is watched as an operator's is."""
    path = tmp_path / "hooks.toml"
    path.write_text(MAPPED)
    instrumentor: Any = IncidentInstrumentor()
    instrumentor.instrument(hooks=[path], gate="off")
    try:
        with database() as engine:
            yield engine
    finally:
        instrumentor.uninstrument()


def declared_and_closed(session: Session) -> None:
    """What a host does in two transactions of its own."""
    incident = Mapped()
    session.add(incident)
    session.commit()
    incident.status = "closed"
    session.commit()


def test_sessions_that_join_a_transaction_of_a_fixture_commit_nothing(mapped: Engine) -> None:
    """What they do waits for a transaction that SQLAlchemy's fixture for test suites rolls back."""
    with recording() as recorder, mapped.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            declared_and_closed(session)
        assert recorder.names() == []
        outer.rollback()
    assert recorder.names() == []


def test_sessions_of_an_engine_commit(mapped: Engine) -> None:
    """On a database of the test's own each transaction of the host's is told as production would."""
    with recording() as recorder, Session(mapped) as session:
        declared_and_closed(session)
    assert recorder.names() == ["incident.create", "incident.end"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "2"),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "1"),
    ],
)
def test_the_environment_of_the_sdk_does_not_matter(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test job that silences OpenTelemetry, or limits it, records whole events all the same."""
    monkeypatch.setenv(variable, value)
    with recording() as recorded:
        IncidentEmitter().create(Incident(id="7", team_id="1234"))
    (event,) = recorded.events()
    assert event.name == "incident.create"
    assert (event.attributes["incident.id"], event.attributes["incident.team.id"]) == ("7", "1234")
    assert event.timestamp == FIXED_TIME


@pytest.mark.parametrize("switch", ["", "OTEL_SDK_DISABLED", "DO_NOT_TRACK"])
def test_the_settings_that_shape_an_event_hold(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are treated as the variables say, switched off or not, with hashes that are the same each time."""
    monkeypatch.setenv("OTEL_INCIDENT_ID_MODE", "hmac,user.id=drop,incident.team.id=plain")
    if switch:
        monkeypatch.setenv(switch, "true")
    seen = []
    for _ in range(2):
        with recording() as recorded:
            IncidentEmitter().create(Incident(id=7, team_id=8), actor=Actor(id=9))
        (event,) = recorded.events()
        seen.append({name: value for name, value in event.attributes.items() if name.endswith("id")})
    digest = hmac.new(bytes(32), b"7", "sha256").hexdigest()
    assert seen[0] == {
        "incident.id": f"hmac-{digest[:32]}",
        "incident.team.id": "8",
        "log.record.uid": "00000000000000000000000001",
    }
    assert seen[1] == seen[0]


@pytest.mark.parametrize("switch", ["OTEL_SDK_DISABLED", "DO_NOT_TRACK"])
def test_they_hold_where_the_instrumentor_is_off(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was called while telemetry is off has read none of them: the variables say it all the same."""
    monkeypatch.setenv("OTEL_INCIDENT_ID_MODE", "drop")
    monkeypatch.setenv(switch, "true")
    instrumentor: Any = IncidentInstrumentor()
    instrumentor.instrument()
    try:
        with recording() as recorded:
            IncidentEmitter().create(Incident(id=7, team_id=8))
    finally:
        instrumentor.uninstrument()
    assert "incident.team.id" not in recorded.events()[0].attributes


def test_what_does_not_shape_an_event_is_not_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of settings that cannot be used a recording names the modes of ids, and not the way of delivery."""
    monkeypatch.setenv("OTEL_INCIDENT_ID_MODE", "secret")
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "many")
    with recording():
        IncidentEmitter().create(Incident(id=7))
    assert [line.partition("=")[0] for line in caplog.messages] == ["OTEL_INCIDENT_ID_MODE"]


def test_what_the_instrumentor_was_given_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option of the instrumentor comes before the variable, as it does in production."""
    monkeypatch.setenv("OTEL_INCIDENT_ID_MODE", "drop")
    instrumentor: Any = IncidentInstrumentor()
    instrumentor.instrument(id_mode="plain", gate="off")
    try:
        with recording() as recorded:
            IncidentEmitter().create(Incident(id=7, team_id=8))
    finally:
        instrumentor.uninstrument()
    assert recorded.events()[0].attributes["incident.team.id"] == "8"


def test_a_span_gets_the_event_where_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `OTEL_INCIDENT_SPAN_EVENTS` the current span of a host's test has the event, too."""
    monkeypatch.setenv("OTEL_INCIDENT_SPAN_EVENTS", "true")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")
    with recording(), tracer.start_as_current_span("declare") as span:
        IncidentEmitter().create(Incident(id=7))
    held: Any = span
    assert [event.name for event in held.events] == ["incident.create"]


@pytest.mark.parametrize("home", [True, False])
def test_no_state_is_touched_and_nothing_is_said_of_it(
    home: bool,  # noqa: FBT001  a table's column
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Hashes are made without a directory, of bad ids too, be there a place for one or not."""
    monkeypatch.setenv("OTEL_INCIDENT_ID_MODE", "incident.id=hmac")
    if not home:
        for name in ("OTEL_INCIDENT_STATE_DIR", "XDG_STATE_HOME", "HOME"):
            monkeypatch.delenv(name)
    with recording() as recorded:
        IncidentEmitter().create(Incident(id="payments-outage"))
        default_pipeline().actor_as_sent(Actor(id="jane"), None)
        IncidentEmitter().create(Incident(id=1, commander_id="jane"))
    assert recorded.names() == ["incident.create", "incident.create"]
    assert list(tmp_path.iterdir()) == []
    assert [line.partition(" is ")[0] for line in caplog.messages] == ["incident.commander.id"]
