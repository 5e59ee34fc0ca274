"""The gate around the pipelines of log records, the stdlib's among them."""

import logging
from collections.abc import Callable
from typing import Any, Final

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs._internal import (
    ConcurrentMultiLogRecordProcessor,
    Logger,
    SynchronousMultiLogRecordProcessor,
)
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)

from otel_incident.gate import pipelines
from otel_incident.gate.rules import MODES, Mode
from otel_incident.guard import set_reraise, swallowed
from tests.gated_pipelines import (
    ATTRIBUTES,
    CANARY,
    FORBIDDEN,
    FREE,
    KEPT,
    LEFT,
    Emits,
    gated,
    log_attributes,
)

MULTI: Final[list[Callable[[], Any]]] = [
    SynchronousMultiLogRecordProcessor,
    ConcurrentMultiLogRecordProcessor,
]
EVERY_MODE: Final = pytest.mark.parametrize("mode", MODES)


def in_memory() -> Any:
    """An exporter that keeps what it was handed."""
    return InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # untyped upstream


def provider_of(*processors: LogRecordProcessor, multi: Any = None) -> LoggerProvider:
    """A provider with these processors."""
    provider = LoggerProvider(shutdown_on_exit=False, multi_log_record_processor=multi)
    for each in processors:
        provider.add_log_record_processor(each)
    return provider


def emit(provider: LoggerProvider, attributes: Any = ATTRIBUTES) -> None:
    """A record with content everywhere."""
    provider.get_logger("desk").emit(
        body=CANARY, severity_text=CANARY, severity_number=SeverityNumber.INFO, attributes=attributes
    )


@EVERY_MODE
@pytest.mark.parametrize("multi", MULTI)
@pytest.mark.parametrize("processor", [SimpleLogRecordProcessor, BatchLogRecordProcessor])
def test_a_provider_made_before_us(mode: Mode, multi: Callable[[], Any], processor: Any) -> None:
    """A provider that nobody can find, with a logger in use, is gated; so is what it gets later."""
    early, late = in_memory(), in_memory()
    provider = provider_of(processor(early), multi=multi())
    logger = provider.get_logger("desk")
    with gated(mode):
        logger.emit(body=CANARY, attributes=ATTRIBUTES)
        provider.force_flush()
        provider.add_log_record_processor(processor(late))
        logger.emit(body=CANARY, attributes=ATTRIBUTES)
        provider.shutdown()
    assert log_attributes(early.get_finished_logs()) == [LEFT[mode]] * 2
    assert log_attributes(late.get_finished_logs()) == [LEFT[mode]]
    body = None if mode == "strict" else CANARY
    assert [record.log_record.body for record in late.get_finished_logs()] == [body]


@pytest.mark.filterwarnings("ignore:Log record attributes were dropped")
@EVERY_MODE
@pytest.mark.parametrize("processor", [SimpleLogRecordProcessor, BatchLogRecordProcessor])
def test_otlp_counts_what_was_taken(mode: Mode, processor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record says how many attributes it lacks: what the gate took, and what the SDK's limit had taken."""
    monkeypatch.setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", str(len(ATTRIBUTES)))
    exporter = in_memory()
    provider = provider_of(processor(exporter))
    with gated(mode):
        emit(provider, {"evicted": CANARY, **ATTRIBUTES})
        provider.shutdown()
    (record,) = exporter.get_finished_logs()
    (sent,) = encode_logs([record]).resource_logs[0].scope_logs[0].log_records
    assert sent.dropped_attributes_count == 1 + len(ATTRIBUTES) - len(LEFT[mode])


# The SDK's handler is deprecated in favour of one in a package that we do not need.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@EVERY_MODE
def test_the_standard_library(mode: Mode) -> None:
    """What the host logs with `logging` passes the gate: its text goes in strict alone."""
    exporter = in_memory()
    handler = LoggingHandler(logger_provider=provider_of(SimpleLogRecordProcessor(exporter)))
    logger = logging.getLogger("tests.desk")
    logger.addHandler(handler)
    try:
        with gated(mode):
            logger.warning("%s is down", CANARY, extra={FORBIDDEN: CANARY, FREE: CANARY})
    finally:
        logger.removeHandler(handler)
    (record,) = exporter.get_finished_logs()
    attributes = dict(record.log_record.attributes or {})
    assert FORBIDDEN not in attributes
    assert (FREE in attributes) == (mode != "strict")
    assert record.log_record.body == (None if mode == "strict" else f"{CANARY} is down")
    assert record.log_record.severity_number is SeverityNumber.WARN


@EVERY_MODE
@pytest.mark.parametrize("multi", MULTI)
def test_a_processor_that_sends_by_itself(mode: Mode, multi: Callable[[], Any]) -> None:
    """What a processor of unknown type is handed has been filtered."""
    processor = Emits()
    with gated(mode):
        emit(provider_of(processor, multi=multi()))
    text = None if mode == "strict" else CANARY
    assert processor.records == [(text, text, LEFT[mode])]


@EVERY_MODE
def test_a_processor_in_the_place_of_the_sdk_s(mode: Mode) -> None:
    """A provider whose one processor is not the SDK's is gated, though its loggers were made before us."""
    processor: Any = Emits()
    provider = LoggerProvider(shutdown_on_exit=False, multi_log_record_processor=processor)
    logger = provider.get_logger("desk")
    with gated(mode):
        logger.emit(attributes=ATTRIBUTES)
    assert [attributes for _, _, attributes in processor.records] == [LEFT[mode]]


@EVERY_MODE
def test_a_processor_that_only_decorates(mode: Mode) -> None:
    """What a host's processor adds leaves by the next one, as far as the mode lets it."""

    def decorate(came: ReadWriteLogRecord) -> None:
        came.log_record.attributes = {**(came.log_record.attributes or {}), "incident.team.id": "7", "x": "y"}

    exporter = in_memory()
    with gated(mode):
        emit(provider_of(Emits(decorate), SimpleLogRecordProcessor(exporter)))
    added = {"incident.team.id": "7"} if mode == "strict" else {"incident.team.id": "7", "x": "y"}
    assert log_attributes(exporter.get_finished_logs()) == [{**LEFT[mode], **added}]


def test_a_host_s_own_redaction_is_not_lost() -> None:
    """What a processor takes out is gone for the next one, though the gate made a copy."""

    def redact(came: ReadWriteLogRecord) -> None:
        came.log_record.body = "redacted"
        came.log_record.attributes = {KEPT: "42"}

    exporter = in_memory()
    with gated("standard"):
        emit(provider_of(Emits(redact), SimpleLogRecordProcessor(exporter)))
    (record,) = exporter.get_finished_logs()
    assert record.log_record.body == "redacted"
    assert log_attributes([record]) == [{KEPT: "42"}]


def test_the_same_record_where_nothing_has_to_go() -> None:
    """In standard a record without anything forbidden reaches an unknown processor uncopied."""
    handed: list[Any] = []
    with gated("standard"):
        provider = provider_of(Emits(handed.append))
        record = LogRecord(body=CANARY, attributes={FREE: CANARY})
        provider.get_logger("desk").emit(record)
    assert handed[0].log_record is record


def test_an_unknown_processor_that_cannot_do_without_what_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that raises over what strict does not show costs the host nothing, and it is said whose it is."""

    def upper(came: ReadWriteLogRecord) -> None:
        body: Any = came.log_record.body
        came.log_record.body = body.upper()

    set_reraise(reraise=False)
    with gated("strict"):
        emit(provider_of(Emits(upper)))
    assert swallowed() == {"gate": 1}
    assert caplog.messages == [
        (
            "A log record processor of the host's (module tests.gated_pipelines) raised AttributeError when "
            "the gate (strict) handed it a copy without what may not leave, which it may need. The host is "
            "not affected."
        )
    ]


@EVERY_MODE
def test_a_filter_that_fails_lets_nothing_through(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the filter raises, an unknown processor and an exporter get nothing; the host has no error."""

    def fail(*_: object) -> None:
        raise RuntimeError(CANARY)

    exporter, emits = in_memory(), Emits()
    set_reraise(reraise=False)
    with gated(mode) as wrapping:
        monkeypatch.setattr("otel_incident.gate.rules.Standard.filter", fail)
        monkeypatch.setattr("otel_incident.gate.rules.Strict.of_scope", fail)
        emit(provider_of(SimpleLogRecordProcessor(exporter)))
        emit(provider_of(emits))
    assert (exporter.get_finished_logs(), emits.records) == ((), [])
    assert wrapping.rules.dropped.counts() == {("logs", "internal_error", "none"): 2}


@pytest.mark.parametrize("processors", [1, 2, 3], ids=["stock", "both", "unknown"])
def test_audit_counts_once_what_strict_would_take(processors: int) -> None:
    """A record counts once in audit, whether a stock processor exports it, an unknown one, or both do."""
    stock = SimpleLogRecordProcessor(in_memory())
    made: dict[int, list[LogRecordProcessor]] = {1: [stock], 2: [Emits(), stock], 3: [Emits()]}
    with gated("audit") as wrapping:
        provider_of(*made[processors]).get_logger("desk").emit(attributes={FREE: CANARY})
    assert wrapping.rules.audited.counts() == {
        ("logs", "unknown_key", "none"): 1,
        ("logs", "text_field", "none"): 1,  # the name of its scope
    }


@EVERY_MODE
@pytest.mark.parametrize("place", ["BATCH", "SIMPLE_LOG"])
def test_an_sdk_that_calls_its_exporter_otherwise(
    place: str, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the field of an exporter is not found, its processor is unknown: nothing passes ungated."""
    owner, _ = getattr(pipelines, place)
    monkeypatch.setattr(pipelines, place, (owner, "_renamed"))
    exporter = in_memory()
    kind = {"BATCH": BatchLogRecordProcessor, "SIMPLE_LOG": SimpleLogRecordProcessor}[place]
    with gated(mode) as wrapping:
        provider = provider_of(kind(exporter))
        emit(provider)
        provider.shutdown()
    assert log_attributes(exporter.get_finished_logs()) == [LEFT[mode]]
    assert wrapping.missing == []


def test_undo_puts_everything_back() -> None:
    """After `undo()` classes and objects are what they were: not an attribute more, none another."""
    multi = (SynchronousMultiLogRecordProcessor, ConcurrentMultiLogRecordProcessor)
    classes = (*multi, SimpleLogRecordProcessor, Logger)
    exporter = in_memory()
    simple = SimpleLogRecordProcessor(exporter)
    provider = provider_of(simple, Emits())
    logger = provider.get_logger("desk")
    objects = (simple, logger)
    before = [dict(vars(each)) for each in (*classes, *objects)]
    with gated("strict"):
        emit(provider)
        assert [dict(vars(each)) for each in (*classes, *objects)] != before
    assert [dict(vars(each)) for each in (*classes, *objects)] == before
    emit(provider)
    assert log_attributes(exporter.get_finished_logs()) == [LEFT["strict"], ATTRIBUTES]
