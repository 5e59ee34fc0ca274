"""Off means off: no file, no thread, no provider, no connection; said once."""

import json
import logging
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident import pipeline
from otel_incident.emitter import IncidentEmitter
from otel_incident.events import Actor, Incident
from tests.otlp_receiver import OtlpReceiver
from tests.processes import succeed

OFF: Final = {
    "OTEL_SDK_DISABLED": ("true", "OTEL_SDK_DISABLED=true"),
    "DO_NOT_TRACK": ("1", "DO_NOT_TRACK is set"),
    "OTEL_INCIDENT_ENABLED": ("false", "OTEL_INCIDENT_ENABLED is not true"),
}
NO_EXPORTER: Final = (
    "Incident events are not exported: OTEL_LOGS_EXPORTER or OTEL_CONFIG_FILE names no exporter."
)

# Python tells an audit hook of every connection, look-up and file, whoever makes it.
WATCHED: Final = """
    import json, os, sys, threading

    seen = []

    def watch(event, arguments):
        if event.startswith("socket.") and event != "socket.gethostname":
            seen.append(event)
        elif event in {"os.mkdir", "os.link", "os.rename", "os.fork"}:
            seen.append(event)
        elif event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            seen.append(f"{event} {arguments[0]}")

    sys.addaudithook(watch)
    from otel_incident import Actor, Incident, IncidentEmitter

    emitter = IncidentEmitter()
    incident, actor = Incident(id="payments-outage", commander_id="jane.doe"), Actor(id="jane.doe")
    emitter.create(incident, actor=actor, public=True)
    emitter.change_commander(incident, actor=actor)
    emitter.change_stage(incident, actor=actor, stage_index=1)
    emitter.end(incident, actor=actor)
    emitter.restart(incident, actor=actor)
    print(json.dumps(seen + [thread.name for thread in threading.enumerate()[1:]]))
"""


def watched(tmp_path: Path, **variables: str) -> list[str]:
    """What the five calls did in a process of their own."""
    state = {"HOME": str(tmp_path), "OTEL_INCIDENT_STATE_DIR": str(tmp_path / "state")}
    # no compiled modules: they are files too
    ended = succeed(WATCHED, {**state, "PYTHONDONTWRITEBYTECODE": "1", **variables})
    seen: list[str] = json.loads(ended.stdout)
    return seen


@pytest.mark.parametrize("name", [*OFF, "OTEL_LOGS_EXPORTER"])
def test_off_touches_nothing(name: str, tmp_path: Path) -> None:
    """With any switch off the five calls make no thread, no file, no directory and no connection."""
    value = "none" if name == "OTEL_LOGS_EXPORTER" else OFF[name][0]
    assert watched(tmp_path, **{name: value}) == []
    assert list(tmp_path.iterdir()) == []


def test_on_is_seen(tmp_path: Path, receiver: OtlpReceiver) -> None:
    """The same program without a switch makes all of these, so that the test above can fail."""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint}
    seen = watched(tmp_path, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf", **endpoint)
    assert "otel-incident-otlp_proto_http" in seen
    assert "os.mkdir" in seen
    assert [each for each in seen if each.startswith("open ") and "diagnostic-id" in each]
    kept = {path.name for path in (tmp_path / "state").iterdir()}
    assert {"diagnostic-id", "key"} <= kept
    assert len(receiver.wait_for_events(5)) == 5


@pytest.mark.parametrize("name", OFF)
def test_off_says_so_once(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever looks for why nothing comes finds one line that names the switch."""
    caplog.set_level(logging.INFO)
    value, phrase = OFF[name]
    monkeypatch.setenv(name, value)
    for _ in range(2):
        emitter = IncidentEmitter()
        emitter.create(Incident(id="1"))
        emitter.end(Incident(id="1"))
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("otel_incident", "INFO", f"Incident telemetry is off: {phrase}.")
    ]


@pytest.mark.parametrize("name", OFF)
def test_off_holds_for_providers_of_the_caller(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider handed over does not override a switch of the environment."""
    monkeypatch.setenv(name, OFF[name][0])
    calls: list[str] = []

    class Provider:
        def get_logger(self, *_: object, **__: object) -> None:
            calls.append("logger")

        def get_meter(self, *_: object, **__: object) -> None:
            calls.append("meter")

    provider: Any = Provider()
    IncidentEmitter(logger_provider=provider, meter_provider=provider).create(Incident(id="1"))
    assert calls == []


def test_without_an_exporter_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`OTEL_LOGS_EXPORTER=none` is a choice, so it is said as information."""
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    for _ in range(2):
        IncidentEmitter().create(Incident(id="1"), actor=Actor(id="2"))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("INFO", NO_EXPORTER)]


def test_none_beside_others_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`OTEL_LOGS_EXPORTER=none,console` is a mistake, so it is a warning, and not said again as a choice."""
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none,console")
    for _ in range(2):
        IncidentEmitter().create(Incident(id="1"), actor=Actor(id="2"))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            (
                "OTEL_LOGS_EXPORTER='none,console' cannot be used: expected `none` alone or a list of "
                "exporters; none holds."
            ),
        )
    ]


def test_a_pipeline_that_was_shut_down_is_off() -> None:
    """An event after the pipeline's end, as in another handler at exit, builds no second one."""
    ended = pipeline.default_pipeline()
    ended.shutdown()
    IncidentEmitter().create(Incident(id="1"))
    assert pipeline.default_pipeline() is ended
    assert ended.route() is None
