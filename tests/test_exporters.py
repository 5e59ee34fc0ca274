"""Delivery: late, in its own thread, and with one line for an outage and one for its end."""

import logging
import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final, NoReturn

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
import pytest
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk._shared_internal import DuplicateFilter

from otel_incident import destinations
from otel_incident.config import Config
from otel_incident.errors import ConfigurationError
from otel_incident.exporters import DeferredExporter
from otel_incident.processors import processors_of
from tests import strategies
from tests.scripted_exporter import FAILURE, SUCCESS, Answer, Scripted, records, take

OUTAGE: Final = (
    "Incident events cannot be delivered by the exporter x ({}); they are dropped until its endpoint takes "
    "them again. This is said once for an outage."
)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said by us."""
    assert {record.name for record in caplog.records} <= {"otel_incident"}
    return [record.getMessage() for record in caplog.records]


def deferred(*answers: Answer, log: Any = None) -> tuple[DeferredExporter, Scripted]:
    """An exporter that is there when it is needed."""
    scripted = Scripted(*answers, log=log)
    return DeferredExporter("x", lambda: scripted), scripted


def test_an_exporter_is_made_by_the_first_batch() -> None:
    """Nothing is built before a batch leaves, then once."""
    made: list[int] = []

    def build() -> LogRecordExporter:
        made.append(1)
        return Scripted(SUCCESS)

    exporter = DeferredExporter("x", build)
    assert exporter.force_flush()
    assert made == []
    for _ in range(2):
        assert exporter.export(records(1)) is SUCCESS
    assert exporter.force_flush()
    assert made == [1]


def test_an_outage_is_said_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """One line when delivery fails, one with the number lost when it works again; each outage for itself."""
    exporter, _ = deferred(FAILURE, FAILURE, SUCCESS, SUCCESS, FAILURE, SUCCESS)
    for count in (2, 3, 1, 1, 4, 1):
        exporter.export(records(count))
    assert lines(caplog) == [
        OUTAGE.format("no reason given"),
        "The exporter x delivers again; 5 events were lost.",
        OUTAGE.format("no reason given"),
        "The exporter x delivers again; 4 events were lost.",
    ]


def test_failing_is_about_the_last_batch() -> None:
    """An exporter fails from its first failure to its next success."""
    exporter, _ = deferred(SUCCESS, FAILURE, SUCCESS)
    states = [exporter.failing]
    for _ in range(3):
        exporter.export(records(1))
        states.append(exporter.failing)
    assert states == [False, False, True, False]


def test_an_exporter_that_raises_is_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    """What an exporter raises is said by its class alone."""
    exporter, _ = deferred(strategies.HostileError(), SUCCESS)
    assert exporter.export(records(1)) is FAILURE
    assert exporter.export(records(1)) is SUCCESS
    assert lines(caplog) == [
        OUTAGE.format("HostileError"),
        "The exporter x delivers again; 1 events were lost.",
    ]


def test_an_exporter_that_cannot_be_made(caplog: pytest.LogCaptureFixture) -> None:
    """Settings that it does not take are an outage of which the class of the error is said."""

    def build() -> NoReturn:
        raise strategies.HostileError

    exporter = DeferredExporter("x", build)
    for _ in range(2):
        assert exporter.export(records(1)) is FAILURE
    assert lines(caplog) == [
        OUTAGE.format("it cannot be made of its settings: HostileError; `otel-incident doctor` says which")
    ]


class Raising(logging.Handler):
    """A log handler of a host's that raises."""

    def emit(self, _: logging.LogRecord) -> NoReturn:
        """Fail."""
        raise strategies.HostileError


@pytest.fixture
def _raising() -> Iterator[None]:
    """A host one of whose log handlers raises."""
    handler = Raising()
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)


@pytest.mark.usefixtures("_raising")
@pytest.mark.parametrize("logger", ["opentelemetry.exporter.tests", "vendor.exporter"])
def test_a_host_whose_log_handler_raises_has_its_exporter(
    logger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a handler of the host's raises about a line of the exporter's own does not cost a batch."""

    def build() -> LogRecordExporter:
        logging.getLogger(logger).warning("a setting is out of date: %s", 503)
        made.append(1)
        return scripted

    def answer() -> Any:
        failing.append(exporter.failing)
        return SUCCESS

    entry_point = SimpleNamespace(load=lambda: build, module="vendor.exporter.grpc")
    monkeypatch.setattr(destinations, "entry_points", lambda **_: [entry_point])
    logging.getLogger(logger)
    scripted, made, failing = Scripted(answer), list[int](), list[bool]()
    exporter = DeferredExporter("x", destinations._from_entry_point("x"))  # noqa: SLF001  the one way to a vendor's
    assert exporter.export(records(1)) is SUCCESS
    assert (made, scripted.batches, failing) == ([1], [["0"]], [False])


def test_an_exporter_that_is_not_installed(caplog: pytest.LogCaptureFixture) -> None:
    """A name that no package knows is one line that says what was looked for."""
    (processor,) = processors_of(Config(exporters=("no_such_exporter",)), "desk")
    take(processor, 1)
    processor.shutdown()
    assert lines(caplog) == [
        OUTAGE.replace("exporter x", "exporter no_such_exporter").format(
            "no installed package has an exporter of that name in the group opentelemetry_logs_exporter"
        )
    ]


@pytest.mark.parametrize(
    ("message", "arguments", "reason"),
    [
        ("code: %s, reason: %s", ("logs", 400, "Bad Request"), "HTTP 400"),
        ("Transient error %s, %s", ("Service Unavailable", "logs"), "HTTP 503"),
        ("Transient error %s", (ConnectionError(strategies.CONTENT),), "ConnectionError"),
        ("Failed, %s %s", (grpc.StatusCode.UNAVAILABLE, strategies.CONTENT), "gRPC UNAVAILABLE"),
        ("said %s", (strategies.CONTENT,), "no reason given"),
        ("size %d", (399,), "no reason given"),
        ("no arguments", (), "no reason given"),
        ("%(named)s", ({"named": 503},), "no reason given"),
    ],
)
def test_the_reason_is_from_a_closed_set(
    caplog: pytest.LogCaptureFixture, message: str, arguments: tuple[object, ...], reason: str
) -> None:
    """Of what the exporter logs a status, a gRPC code or a class is said, and the line itself is not."""
    exporter, _ = deferred(FAILURE, log=("opentelemetry.exporter.tests", message, arguments))
    exporter.export(records(1))
    assert lines(caplog) == [OUTAGE.format(reason)]


@pytest.mark.parametrize(
    "name",
    ["opentelemetry.exporter.tests", "urllib3.tests", "requests.tests", "grpc.tests", "tests", "tests.x"],
)
def test_what_is_logged_about_our_batches_is_not_seen(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """An exporter, its transport, and whatever package it comes from are quiet about our batches."""
    exporter, _ = deferred(SUCCESS, log=(name, "tried", ()))
    for _ in range(2):
        exporter.export(records(1))
    assert caplog.records == []


def test_what_others_log_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    """In another thread, or after the batch, the same logger is the host's."""
    logger = logging.getLogger("opentelemetry.exporter.tests")

    def host() -> None:
        logger.warning("the host's")

    def answer() -> Any:
        thread = threading.Thread(target=host)
        thread.start()
        thread.join()
        return SUCCESS

    exporter, _ = deferred(answer, log=("opentelemetry.exporter.tests", "ours", ()))
    exporter.export(records(1))
    logger.warning("after")
    assert [record.getMessage() for record in caplog.records] == ["the host's", "after"]


def test_a_host_s_line_is_not_taken_for_a_repetition_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """The SDK drops a line that looks like the one before: one of ours that nobody saw must not count."""
    logger = logging.getLogger("opentelemetry.exporter.repeating")
    logger.addFilter(DuplicateFilter())
    line = ("opentelemetry.exporter.repeating", "failed %s", (503,))
    exporter, scripted = deferred(FAILURE, log=line)
    exporter.export(records(1))
    scripted.log = None
    for _ in range(2):
        logger.warning("failed %s", 503)
        exporter.export(records(1))
    assert [record.getMessage() for record in caplog.records] == [OUTAGE.format("HTTP 503"), "failed 503"]


def test_what_an_exporter_says_of_its_settings_is_seen_once(caplog: pytest.LogCaptureFixture) -> None:
    """A certificate that is missing is worth its own line; repeated at each attempt it is not."""

    def build() -> NoReturn:
        logging.getLogger("opentelemetry.exporter.tests").warning("no certificate")
        raise ValueError

    exporter = DeferredExporter("x", build)
    for _ in range(3):
        exporter.export(records(1))
    assert [record.getMessage() for record in caplog.records] == [
        "no certificate",
        OUTAGE.format("it cannot be made of its settings: ValueError; `otel-incident doctor` says which"),
    ]


def test_a_forked_child_has_an_exporter_of_its_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A child makes its own exporter, and what its parent lost or was refused is not the child's."""
    made: list[Scripted] = []

    def build() -> LogRecordExporter:
        made.append(Scripted(SUCCESS if made else FAILURE))
        return made[-1]

    exporter = DeferredExporter("x", build)
    exporter.export(records(3))
    assert exporter.failing
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    assert not exporter.failing
    assert exporter.export(records(1)) is SUCCESS
    assert [len(each.batches) for each in made] == [1, 1]
    assert lines(caplog) == [OUTAGE.format("no reason given")]


def test_a_forked_child_leaves_its_parent_s_exporter_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that ends without a batch of its own does not end the connection of its parent."""
    exporter, scripted = deferred(SUCCESS)
    exporter.export(records(1))
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    exporter.shutdown()
    assert not scripted.shut_down.is_set()


def test_a_configuration_error_speaks_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    """An error of ours about a setting is said with its text."""

    def build() -> NoReturn:
        raise ConfigurationError("say this")

    DeferredExporter("x", build).export(records(1))
    assert lines(caplog) == [OUTAGE.format("say this")]
