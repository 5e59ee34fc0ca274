"""The end of a pipeline: it takes nothing any more, and nothing keeps it."""

import gc
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest

from otel_incident.config import Config
from otel_incident.emitter import IncidentEmitter
from otel_incident.ending import ending
from otel_incident.events import Incident
from otel_incident.guard import boundary
from otel_incident.pipeline import Pipeline, set_default_pipeline
from tests.emitting import Emitting
from tests.otlp_receiver import OtlpReceiver
from tests.processes import succeed
from tests.spool_hosts import KNOWN


def test_after_its_shutdown_nothing_is_sent_or_counted() -> None:
    """An emitter that had found its way through a pipeline reports nothing once that was shut down."""
    host = Emitting()
    pipeline = Pipeline(Config(), logger_provider=host.logger_provider, meter_provider=host.meter_provider)
    set_default_pipeline(pipeline)
    emitter = IncidentEmitter()
    emitter.create(Incident(id=1))
    pipeline.shutdown()
    emitter.create(Incident(id=2))
    assert [each["incident.id"] for each in host.attributes()] == ["1"]
    assert [point.value for point in host.points("incident.events")] == [1]
    host.close()


def test_after_its_shutdown_it_is_gone() -> None:
    """A process that makes and ends pipelines, as instrumenting again does, keeps none for its exit."""
    pipeline = Pipeline(Config(exporters=("console",), diagnostic_id="77", server_version="1"))
    assert pipeline.route() is not None
    gone = weakref.ref(pipeline)
    pipeline.shutdown()
    del pipeline
    gc.collect()
    assert gone() is None


AGAIN: Final = """
    import os, sys, threading
    from otel_incident import Incident, IncidentEmitter
    from otel_incident.instrumentor import IncidentInstrumentor

    emitter, instrumentor = IncidentEmitter(), IncidentInstrumentor()
    emitter.create(Incident(id=0))
    for turn in range(1, 6):
        instrumentor.instrument({options})
        emitter.create(Incident(id=turn))
        instrumentor.uninstrument()
        emitter.end(Incident(id=turn))
    print(len([each for each in threading.enumerate() if each is not threading.main_thread()]))
"""


@pytest.mark.parametrize("spool", ["true", "false"])
def test_instrumenting_again_goes_on_with_what_delivers(
    receiver: OtlpReceiver, tmp_path: Path, spool: str
) -> None:
    """An emitter that reports before, between and after the turns has one thread, and loses nothing."""
    variables = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
        "OTEL_INCIDENT_STATE_DIR": str(tmp_path),
        **KNOWN,
        "OTEL_INCIDENT_GATE": "off",
        "OTEL_INCIDENT_SPOOL": spool,
    }
    ended = succeed(AGAIN.replace("{options}", ""), variables)
    assert (ended.stdout, ended.stderr) == ("1\n", "")
    events = receiver.wait_for_events(11)
    assert sorted((event.event_name, event.attributes["incident.id"]) for event in events) == sorted(
        [("incident.create", str(number)) for number in range(6)]
        + [("incident.end", str(number)) for number in range(1, 6)]
    )


def test_other_settings_end_what_delivered_before(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Where the instrumentor is given another place to keep events, the thread of the first one ends."""
    variables = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
        "OTEL_INCIDENT_STATE_DIR": str(tmp_path),
        **KNOWN,
        "OTEL_INCIDENT_GATE": "off",
    }
    ended = succeed(AGAIN.replace("{options}", f"spool_dir={str(tmp_path / 'other')!r}"), variables)
    assert (ended.stdout, ended.stderr) == ("1\n", "")
    assert len(receiver.wait_for_events(11)) == 11
    assert len(list((tmp_path / "other").glob("*/segments"))) == 1  # which would stay empty of them otherwise


@pytest.mark.parametrize("gave_up", [True, False])
def test_the_end_of_a_process_tells_whether_it_was_in_vain(
    monkeypatch: pytest.MonkeyPatch,
    gave_up: bool,  # noqa: FBT001  a table's column
) -> None:
    """Whoever is shut down after the events knows whether their endpoint took them."""
    monkeypatch.setattr(ending, "in_vain", None)
    monkeypatch.setattr(boundary, "ending", False)
    pipeline = Pipeline(Config())
    ended: list[str] = []
    delivered = SimpleNamespace(gave_up=False, shutdown=lambda: ended.append("delivered"))
    other = SimpleNamespace(gave_up=gave_up, shutdown=lambda: ended.append("other"))
    monkeypatch.setattr(pipeline, "_processors", [other, delivered])
    pipeline._at_exit()  # noqa: SLF001  as Python does
    assert (ending.in_vain, boundary.ending, ended) == (gave_up, True, ["other", "delivered"])
