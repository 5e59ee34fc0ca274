"""The main job, end to end: the incidents of an unmodified django-helpdesk arrive as content-free events.

Not a line of it is changed, nothing of ours is imported, no hook file is named: the preset that ships in the
wheel is on as soon as the helpdesk is imported. It is driven over its own REST API by two users.
"""

import re
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident.version import __version__
from otel_incident.vocabulary import SCHEMA_URL, SCOPE_NAME
from tests.backend import Backend
from tests.collector import Collector
from tests.helpdesk_host import CONTENT, STAFF, SUPERUSER, USERS, Answer, Helpdesk, seeded
from tests.host_environment import HostEnvironment, host_environment
from tests.otlp_receiver import HANG, OtlpReceiver
from tests.telemetry import LogEvent, SpanData

TICKET: Final = {
    "queue": 1,
    "title": "Checkout is down",
    "description": "Customers see error 502",
    "priority": 3,
    "submitter_email": "jane.doe@acme.test",
}
FOLLOWUP: Final = {"ticket": 1, "title": "Called the bank", "comment": "They restart their gateway"}
THERE: Final = "/api/tickets/1/"

TYPES: Final = {
    "incident.action": "string",
    "incident.active": "bool",
    "incident.checklist.item.count": "int",
    "incident.commander.id": "string",
    "incident.created_at": "string",
    "incident.duration": "double",
    "incident.id": "string",
    "incident.stage.index": "int",
    "incident.team.id": "string",
    "log.record.uid": "string",
    "user.id": "string",
    "user.roles": "array",
}
ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


@dataclass(frozen=True, slots=True)
class Step:
    """One request, and the event it is to cause: its action and what only it has, or none."""

    user: str
    method: str
    path: str
    body: dict[str, Any]
    status: int
    action: str = ""
    own: tuple[tuple[str, object], ...] = ()


STEPS: Final = (
    Step(SUPERUSER, "POST", "/api/tickets/", {"queue": 1, "title": ""}, 400),
    Step(STAFF, "POST", "/api/tickets/", TICKET, 201, "create", (("incident.active", True),)),
    Step(STAFF, "POST", "/api/followups/", FOLLOWUP, 201),
    Step(
        SUPERUSER, "PATCH", THERE, {"assigned_to": 2}, 200, "change_commander", (("incident.active", True),)
    ),
    Step(
        STAFF,
        "PATCH",
        THERE,
        {"priority": 1},
        200,
        "change_stage",
        (("incident.active", True), ("incident.stage.index", 0)),
    ),
    Step(STAFF, "PATCH", THERE, {"status": 99}, 400),
    Step(SUPERUSER, "PATCH", THERE, {"title": "Payments, Checkout is down"}, 200),
    Step(
        SUPERUSER,
        "PATCH",
        THERE,
        {"status": 4, "resolution": "Switched to the second provider"},
        200,
        "end",
        (("incident.active", False),),
    ),
    Step(STAFF, "PATCH", THERE, {"status": 3}, 200),
    Step(STAFF, "PATCH", THERE, {"status": 5}, 200),
    Step(STAFF, "PATCH", THERE, {"status": 4}, 200),
    Step(STAFF, "PATCH", THERE, {"status": 2}, 200, "restart", (("incident.active", True),)),
    Step(STAFF, "PATCH", THERE, {"status": 1}, 200),
    Step(SUPERUSER, "PATCH", THERE, {"status": 3}, 200, "end", (("incident.active", False),)),
)
REPORTED: Final = tuple(step for step in STEPS if step.action)


@dataclass(frozen=True, slots=True)
class Done:
    """A request that was made, in a trace of its own."""

    step: Step
    answer: Answer
    trace_id: str
    parent_span_id: str


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where the helpdesk is installed, with this package's wheel."""
    return host_environment("helpdesk", tmp_path_factory.mktemp("helpdesk-environment"))


@pytest.fixture(scope="module")
def seed(environment: HostEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A helpdesk with two users and a queue."""
    return seeded(environment, tmp_path_factory.mktemp("helpdesk") / "seed")


@pytest.fixture
def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def play(helpdesk: Helpdesk, steps: tuple[Step, ...] = STEPS) -> list[Done]:
    """Make the requests one after the other."""
    done = []
    for step in steps:
        trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
        answer = helpdesk.request(
            step.method, step.path, step.body, user=step.user, traceparent=f"00-{trace_id}-{span_id}-01"
        )
        assert answer.status == step.status, answer
        done.append(Done(step, answer, trace_id, span_id))
    return done


def exporting(backend: Backend | OtlpReceiver, protocol: str) -> dict[str, str]:
    """The variables that send to a backend."""
    endpoint = backend.grpc_endpoint if protocol == "grpc" else backend.http_endpoint
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}


def bytes_of_logs(backend: Backend) -> bytes:
    """Every byte of the logs signal: of the requests, or what the real collector wrote of them."""
    if isinstance(backend, OtlpReceiver):
        requests = [request for request in backend.requests if request.signal == "logs"]
        headers = [f"{key}: {value}".encode() for each in requests for key, value in each.headers.items()]
        return b"\n".join([*headers, *(part for each in requests for part in (each.raw, each.payload))])
    assert isinstance(backend, Collector)
    return b"\n".join(line for line in backend.raw_bytes().splitlines() if b'"resourceLogs"' in line)


def expected(done: Done, event: LogEvent, created: str, created_ms: int) -> dict[str, object]:
    """The attributes of an event, all of them; the uid is the event's own."""
    action = done.step.action
    attributes: dict[str, object] = {
        "incident.action": action,
        "incident.checklist.item.count": 0,
        "incident.created_at": created,
        "incident.id": "1",
        "incident.team.id": "1",
        "log.record.uid": event.attributes["log.record.uid"],
        "user.id": USERS[done.step.user],
        "user.roles": ("system_admin",) if done.step.user == SUPERUSER else ("end_user",),
        **dict(done.step.own),
    }
    if action != "create":
        attributes["incident.commander.id"] = "2"
    if action == "end":
        attributes["incident.duration"] = (event.timestamp // 1_000_000 - created_ms) / 1000
    return attributes


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_lifecycle_arrives(
    protocol: str, backend: Backend, environment: HostEnvironment, seed: Path, tmp_path: Path
) -> None:
    """Exactly the expected events in order, each with exactly its attributes, and not a word of content."""
    with Helpdesk(environment, seed, tmp_path / "helpdesk", exporting(backend, protocol)) as helpdesk:
        requests = play(helpdesk)
        created = helpdesk.created(1)
        events = backend.wait_for_events(len(REPORTED))
        spans = backend.wait_for_spans(len(requests))
        ended = helpdesk.stop()
    assert (ended.status, ended.stderr) == (0, "")

    assert [event.event_name for event in events] == [f"incident.{step.action}" for step in REPORTED]
    created_ms = (created - created.fromtimestamp(0, created.tzinfo)) // timedelta(milliseconds=1)
    created_text = f"{created:%Y-%m-%dT%H:%M:%S}.{created.microsecond // 1000:03d}Z"
    causes = [done for done in requests if done.step.action]
    for event, cause in zip(events, causes, strict=True):
        assert event.attributes == expected(cause, event, created_text, created_ms)
        assert event.attribute_types == {name: TYPES[name] for name in event.attributes}
        assert ULID.fullmatch(str(event.attributes["log.record.uid"]))
        assert (event.trace_id, event.span_id) == (cause.trace_id, server_span(spans, cause).span_id)
        assert 0 < event.timestamp <= event.observed_timestamp
        assert (event.has_body, event.severity_number, event.severity_text) == (False, 9, "INFO")
        assert (event.scope_name, event.scope_version) == (SCOPE_NAME, __version__)
        assert (event.scope_schema_url, event.scope_attributes) == (SCHEMA_URL, {})
        assert (event.dropped_attributes_count, event.resource_schema_url) == (0, "")
        assert event.resource == {
            "incident.diagnostic.id": (helpdesk.state / "diagnostic-id").read_text().strip(),
            "incident.plugin.version": __version__,
            "incident.server.version": "2.6.1",
            "service.name": "helpdesk",
            "service.version": "2.6.1",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": "1.45.2",
        }
        assert set(event.resource_types.values()) == {"string"}
    assert len({event.attributes["log.record.uid"] for event in events}) == len(events)

    # nothing came later, and of content there is nothing anywhere
    assert len(backend.telemetry().events) == len(REPORTED)
    logs = bytes_of_logs(backend)
    assert b"incident.change_commander" in logs
    assert [text for text in CONTENT if text.encode() in logs] == []


def server_span(spans: list[SpanData], cause: Done) -> SpanData:
    """The span in which the helpdesk handled a request."""
    (span,) = [span for span in spans if span.trace_id == cause.trace_id]
    assert (span.kind, span.parent_span_id) == ("server", cause.parent_span_id)
    assert span.scope_name == "opentelemetry.instrumentation.django"
    return span


def shape(answers: list[Done]) -> list[tuple[int, str, Any]]:
    """What was answered, but for the times in it."""
    return [
        (done.answer.status, done.answer.content_type, without_times(done.answer.body)) for done in answers
    ]


def without_times(value: Any) -> Any:
    """The same with each time replaced."""
    if isinstance(value, dict):
        return {key: "a time" if key == "date" else without_times(item) for key, item in value.items()}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def test_the_host_answers_as_without_us(
    receiver: OtlpReceiver, environment: HostEnvironment, seed: Path, tmp_path: Path
) -> None:
    """Status, type, keys and values of every answer, and what it then holds, as without instrumentation."""
    bare = Helpdesk(environment, seed, tmp_path / "bare", {}, instrumented=False, installed=False)
    with bare, Helpdesk(environment, seed, tmp_path / "watched", exporting(receiver, "grpc")) as watched:
        answers = [play(each) for each in (bare, watched)]
        tickets = [each.request("GET", THERE).body for each in (bare, watched)]
    assert shape(answers[1]) == shape(answers[0])
    assert without_times(tickets[1]) == without_times(tickets[0])
    assert len(tickets[0]["followup_set"]) >= 1


@contextmanager
def watched_endpoint() -> Iterator[tuple[str, socket.socket]]:
    """An endpoint where a connection would be noticed, even one over which nothing is sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", listener


@pytest.mark.parametrize(
    "switch",
    [
        {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "incident"},
        {"OTEL_INCIDENT_ENABLED": "false"},
        {"DO_NOT_TRACK": "1"},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_LOGS_EXPORTER": "none"},
    ],
    ids=lambda switch: "=".join(*switch.items()),
)
def test_off_means_off(
    switch: dict[str, str],
    threads_without_us: list[str],
    environment: HostEnvironment,
    seed: Path,
    tmp_path: Path,
) -> None:
    """No connection, no state directory, no thread that is not there without us; and the host works."""
    with ExitStack() as stack:
        endpoint, listener = stack.enter_context(watched_endpoint())
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_EXPORTER": "none", **switch}
        helpdesk = stack.enter_context(Helpdesk(environment, seed, tmp_path / "helpdesk", variables))
        play(helpdesk)
        ended = helpdesk.stop()
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert not helpdesk.state.exists()
    assert set(ended.threads) <= set(threads_without_us)
    assert len(ended.threads) <= len(threads_without_us)
    assert ended.status == 0


@pytest.fixture(scope="module")
def threads_without_us(
    environment: HostEnvironment, seed: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """The threads of an instrumented helpdesk in an environment without this package."""
    directory = tmp_path_factory.mktemp("helpdesk-without-us") / "helpdesk"
    variables = {"OTEL_TRACES_EXPORTER": "none"}
    with Helpdesk(environment, seed, directory, variables, installed=False) as helpdesk:
        play(helpdesk)
        return helpdesk.stop().threads


def test_incident_telemetry_off_leaves_the_hosts_own_whole(
    receiver: OtlpReceiver, environment: HostEnvironment, seed: Path, tmp_path: Path
) -> None:
    """The switch is ours alone: the spans of the requests arrive."""
    variables = {**exporting(receiver, "grpc"), "OTEL_INCIDENT_ENABLED": "false"}
    with Helpdesk(environment, seed, tmp_path / "helpdesk", variables) as helpdesk:
        requests = play(helpdesk)
        spans = receiver.wait_for_spans(len(requests))
        helpdesk.stop()
    assert {span.trace_id for span in spans} == {done.trace_id for done in requests}
    assert receiver.telemetry().events == ()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_collector_that_hangs_does_not_hurt_the_host(
    protocol: str,
    number: signal.Signals,
    receiver: OtlpReceiver,
    environment: HostEnvironment,
    seed: Path,
    tmp_path: Path,
) -> None:
    """Every request is answered while a delivery hangs, and the process ends without waiting for it."""
    receiver.answer_with(HANG)
    variables = {**exporting(receiver, protocol), "OTEL_TRACES_EXPORTER": "none"}
    with Helpdesk(environment, seed, tmp_path / "helpdesk", variables) as helpdesk:
        play(helpdesk, STEPS[:2])
        receiver.wait_for_requests(1)
        play(helpdesk, STEPS[2:])
        ended = helpdesk.stop(number)
    assert ended.status == 0
    assert receiver.accepted == ()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_collector_that_is_absent_does_not_hurt_the_host(
    protocol: str, closed_port: int, environment: HostEnvironment, seed: Path, tmp_path: Path
) -> None:
    """Every request is answered, one line says that events cannot be delivered, and the process ends."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{closed_port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_TRACES_EXPORTER": "none",
    }
    with Helpdesk(environment, seed, tmp_path / "helpdesk", variables) as helpdesk:
        play(helpdesk)
        ended = helpdesk.stop()
    assert ended.status == 0
    assert ended.stderr.count("\n") <= 1, ended.stderr
