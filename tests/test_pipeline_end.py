"""The end of a pipeline: it takes nothing any more, and nothing keeps it."""

import gc
import weakref

from otel_incident.config import Config
from otel_incident.emitter import IncidentEmitter
from otel_incident.events import Incident
from otel_incident.pipeline import Pipeline, set_default_pipeline
from tests.emitting import Emitting


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
