"""Our filters on the loggers of the SDK and its transport go with `uninstrument()`, at whatever endpoint."""

import logging
import os
import threading
from typing import Any, Final

import pytest

from otel_incident import Incident, IncidentEmitter, processors
from otel_incident.pipeline import default_pipeline
from otel_incident.quiet import attach, detach, under_way
from tests.emitting_host import endpoint_of
from tests.otlp_receiver import HANG, OtlpReceiver

TRANSPORTS: Final = pytest.mark.parametrize("transport", ["grpc", "http"])
KEEPING: Final = pytest.mark.parametrize("spool", ["true", "false"], ids=["spool", "memory"])


@pytest.fixture
def to_transport(
    to_receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, transport: str, spool: str
) -> OtlpReceiver:
    """The receiver, which the environment points to over one of the transports."""
    told = endpoint_of(transport, to_receiver.grpc_endpoint, to_receiver.http_endpoint)
    told |= {"OTEL_INCIDENT_SPOOL": spool, "OTEL_BLRP_SCHEDULE_DELAY": "1", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return to_receiver


def ids(receiver: OtlpReceiver, count: int) -> list[object]:
    """The incident ids of the events that arrived, `count` of them at least."""
    assert default_pipeline().force_flush()
    return [event.attributes["incident.id"] for event in receiver.wait_for_events(count)]


def filtered() -> list[str]:
    """The loggers that have a filter of ours."""
    return [
        name
        for name, logger in logging.root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
        and any(type(each).__module__ == "otel_incident.quiet" for each in logger.filters)
    ]


def delivering() -> list[threading.Thread]:
    """The threads that deliver events: ours, or the SDK's for what is only in memory."""
    names = ("otel-incident-", "OtelBatchLogRecordProcessor")
    return [thread for thread in threading.enumerate() if thread.name.startswith(names)]


def test_uninstrument_takes_our_filters_from_the_loggers(
    instrumentor: Any, to_receiver: OtlpReceiver
) -> None:
    """The loggers of the SDK and of its transport are as they were; a delivery that follows filters again."""
    instrumentor.instrument()
    IncidentEmitter().create(Incident(id=1))
    assert ids(to_receiver, 1) == ["1"]
    assert "urllib3.connectionpool" in filtered()
    instrumentor.uninstrument()
    assert filtered() == []
    IncidentEmitter().create(Incident(id=2))
    assert ids(to_receiver, 2) == ["1", "2"]
    assert "urllib3.connectionpool" in filtered()


@KEEPING
@TRANSPORTS
def test_no_attempt_begins_after_uninstrument(
    instrumentor: Any, to_transport: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """At an endpoint that is down none is made any more, so that no filter comes back with it."""
    to_transport.close()
    before = set(delivering())
    instrumentor.instrument()
    IncidentEmitter().create(Incident(id=1))
    default_pipeline().force_flush()
    assert len(caplog.records) == 1  # that it is down, of ours
    threads = set(delivering()) - before
    assert len(threads) == 1
    assert filtered() != []
    instrumentor.uninstrument()
    assert filtered() == []
    for thread in threads:
        thread.join(30)
    assert filtered() == []
    assert [record.name for record in caplog.records] == ["otel_incident"]


@KEEPING
@TRANSPORTS
def test_an_attempt_that_is_under_way_stays_quiet(
    instrumentor: Any,
    to_transport: OtlpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At an endpoint that hangs it ends after `uninstrument()`: without a line of the SDK's or a filter."""
    monkeypatch.setattr(processors, "EXIT_SECONDS", 0.1)
    to_transport.answer_with(HANG)
    before = set(delivering())
    instrumentor.instrument()
    IncidentEmitter().create(Incident(id=1))
    to_transport.wait_for_requests(1)
    threads = set(delivering()) - before
    assert len(threads) == 1
    instrumentor.uninstrument()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert filtered() == []
    assert len(to_transport.requests) == 1
    assert [record.name for record in caplog.records] == ["otel_incident"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_waits_for_no_attempt_of_its_parent() -> None:
    """The thread that made it is not there, so that the filters go at once."""
    logging.getLogger("opentelemetry.tests")
    with under_way():
        child = os.fork()
        if child == 0:
            attach()
            before = filtered()
            detach()
            os._exit(0 if before and not filtered() else 1)
        assert os.waitpid(child, 0)[1] == 0
        attach()
        detach()
        assert "opentelemetry.tests" in filtered()
    assert filtered() == []
