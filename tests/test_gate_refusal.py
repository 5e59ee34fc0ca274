"""Where strict was asked for and cannot be had, nothing is exported, whoever exports, and from whenever."""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    LogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk._shared_internal import BatchProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_incident import Incident, IncidentEmitter
from otel_incident.config import Config
from otel_incident.gate import pipelines
from otel_incident.gate.rules import GateRules
from otel_incident.gate.wrapping import Wrapping
from otel_incident.guard import set_reraise, swallowed
from otel_incident.instrumentor import IncidentInstrumentor
from otel_incident.quiet import quiet
from otel_incident.refusal import Refusal
from tests.gated_pipelines import ATTRIBUTES, CANARY, LEFT, Emits, Sends, SendsEarly, Sent, make_span
from tests.otlp_receiver import OtlpReceiver
from tests.test_gate_wrapping_metrics import Exported, Pulls, count

REACHED: Final = [
    "span processors",
    "span exporters",
    "log record processors",
    "log record exporters",
    "metric readers",
    "metric exporters",
    "batch queues",
]
LINE: Final = (
    "The gate (strict) could not be put in place{}, so the host's own spans, logs and metrics do not leave, "
    "nor does what waits in a queue. What refuses, of every provider: {}. Not reached, and sending as it is: "
    "{}what sends without the SDK's classes. To start the host without the gate, set it to off where strict "
    "is asked for: OTEL_INCIDENT_GATE, or gate in OTEL_CONFIG_FILE or in the call of instrument()."
)


@contextmanager
def refused() -> Iterator[Refusal]:
    """Nothing leaves for a while."""
    refusal = Refusal()
    refusal.install()
    try:
        yield refusal
    finally:
        refusal.undo()


class Duck:
    """An exporter and processor of a host's own, which inherits from nobody."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def export(self, batch: Any, **_: Any) -> None:
        """Send."""
        self.got += batch

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Send."""
        del parent_context
        self.got.append(span)

    def on_end(self, span: Any) -> None:
        """Send."""
        self.got.append(span)

    def _on_ending(self, span: Any) -> None:
        """Wait."""

    def on_emit(self, log_record: Any) -> None:
        """Send."""
        self.got.append(log_record)

    def shutdown(self, **_: Any) -> None:
        """Nothing is open."""

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Nothing waits."""
        del timeout_millis
        return True


class Queues(SpanProcessor):
    """A processor of a host's own that sends what waits when it is told to, by a way of its own."""

    def __init__(self) -> None:
        self.queue: list[Any] = []
        self.sent: list[Any] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Wait."""
        self.queue.append(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send."""
        del timeout_millis
        self.sent += self.queue
        return True

    def shutdown(self) -> None:
        """Send."""
        self.force_flush()


class Mixin:
    """What a host brings in beside the SDK's class."""

    got: Final[list[Any]] = []

    def export(self, spans: Any) -> SpanExportResult:
        """Send."""
        self.got.extend(spans)
        return SpanExportResult.SUCCESS


class Mixed(Mixin, SpanExporter):
    """An exporter whose sending comes before that of the SDK's class."""


def processors(exported: Sent, duck: Any, sends: Sends, early: SendsEarly, queues: Queues) -> list[Any]:
    """One of every kind."""
    return [
        SimpleSpanProcessor(exported),
        BatchSpanProcessor(exported),
        SimpleSpanProcessor(Mixed()),
        SimpleSpanProcessor(duck),
        BatchSpanProcessor(duck),
        duck,
        sends,
        early,
        queues,
    ]


@pytest.mark.parametrize("early", [True, False], ids=["made before", "made after"])
def test_spans(early: object) -> None:
    """Spans reach no processor and no exporter of any provider, and what waited in a queue goes nowhere."""
    Mixin.got.clear()
    exported, duck, sends, starts, queues = Sent(), Duck(), Sends(), SendsEarly(), Queues()

    def made() -> TracerProvider:
        provider = TracerProvider(shutdown_on_exit=False)
        for each in processors(exported, duck, sends, starts, queues):
            provider.add_span_processor(each)
        return provider

    provider = made() if early else None
    before = 0
    if provider is not None:
        make_span(provider)
        before = len(exported.spans)
        assert before == 1  # of the simple processor; the batch waits
        assert len(duck.got) == 3  # a start, an end, and one exported
    seen = len(duck.got), len(Mixin.got), len(starts.seen), len(sends.sent.spans)
    with refused() as refusal:
        provider = provider or made()
        make_span(provider)
        assert provider.force_flush()
        make_span(provider)
        provider.shutdown()
        assert (refusal.reached, refusal.unreached) == (REACHED, [])
    assert len(exported.spans) == before
    assert (len(duck.got), len(Mixin.got), len(starts.seen), len(sends.sent.spans)) == seen
    assert queues.sent == []


def test_the_control() -> None:
    """Without the refusal each of them exports: the test above can fail."""
    Mixin.got.clear()
    exported, duck, sends, starts, queues = Sent(), Duck(), Sends(), SendsEarly(), Queues()
    provider = TracerProvider(shutdown_on_exit=False)
    for each in processors(exported, duck, sends, starts, queues):
        provider.add_span_processor(each)
    make_span(provider)
    provider.shutdown()
    assert (len(exported.spans), len(Mixin.got), len(duck.got)) == (2, 1, 4)
    assert (len(sends.sent.spans), len(starts.seen), len(queues.sent)) == (1, 2, 1)


@pytest.mark.parametrize("stock", [SimpleLogRecordProcessor, BatchLogRecordProcessor])
@pytest.mark.parametrize("early", [True, False], ids=["made before", "made after"])
def test_log_records(early: object, stock: Callable[[Any], Any]) -> None:
    """Records reach no processor and no exporter."""
    exporter: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # untyped upstream
    duck: Any = Duck()
    emits = Emits()

    def made() -> LoggerProvider:
        provider = LoggerProvider(shutdown_on_exit=False)
        for each in (stock(exporter), stock(duck), duck, emits):
            provider.add_log_record_processor(each)
        return provider

    provider = made() if early else None
    if provider is not None:
        provider.get_logger("desk").emit(body=CANARY)
    exported = exporter.get_finished_logs()
    seen = len(duck.got), len(emits.records)
    with refused():
        provider = provider or made()
        provider.get_logger("desk").emit(body=CANARY, attributes=ATTRIBUTES)
        assert provider.force_flush()
        provider.shutdown()
    assert exporter.get_finished_logs() == exported
    assert (len(duck.got), len(emits.records)) == seen


@pytest.mark.parametrize("early", [True, False], ids=["made before", "made after"])
def test_metrics(early: object) -> None:
    """No reader, push or pull, is handed a metric, and no exporter is called."""
    exported, duck, memory, pulls = Exported(), Duck(), InMemoryMetricReader(), Pulls()
    vars(duck).update(_preferred_temporality=None, _preferred_aggregation=None)

    def made() -> MeterProvider:
        exporters: list[Any] = [exported, duck]
        push = [PeriodicExportingMetricReader(each, float("inf")) for each in exporters]
        return MeterProvider([*push, memory, pulls], shutdown_on_exit=False)

    provider = made() if early else None
    with refused():
        provider = provider or made()
        count(provider)
        assert provider.force_flush()
        pulls.collect()
        assert memory.get_metrics_data() is None
        provider.shutdown()
    assert (exported.data, duck.got, pulls.data) == ([], [], [])


@pytest.mark.parametrize("kind", [Sent, Mixed])
def test_an_exporter_that_a_host_calls_itself(kind: Callable[[], Any]) -> None:
    """It says that it failed, though its method may come from a class beside the SDK's."""
    Mixin.got.clear()
    with refused():
        assert kind().export([1]) is SpanExportResult.FAILURE
    assert Mixin.got == []
    assert kind().export([]) is SpanExportResult.SUCCESS


def test_classes_that_are_made_later() -> None:
    """An exporter whose class a host makes only then refuses as well, and its class is made as ever."""
    told: list[str] = []

    class Tells:
        """What a host wants to know of classes."""

        def __init_subclass__(cls, word: str = "", **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            told.append(word)

    with refused():

        class Later(SpanExporter, Tells, word="told"):
            """A host's own."""

            def __init__(self) -> None:
                self.got: list[Any] = []

            def export(self, spans: Any) -> SpanExportResult:
                self.got.extend(spans)
                return SpanExportResult.SUCCESS

        exporter = Later()
        assert exporter.export([1]) is SpanExportResult.FAILURE
    assert (exporter.got, told) == ([], ["told"])
    assert exporter.export([1]) is SpanExportResult.SUCCESS


def test_a_class_that_cannot_be_changed() -> None:
    """It is named, and the classes beside and behind it refuse."""

    class Fixed(type):
        """Of a host's own making."""

        def __setattr__(cls, name: str, value: object) -> None:
            raise LookupError(name)

    class Own(SpanExporter, metaclass=Fixed):
        """It exports."""

        def export(self, spans: Any) -> SpanExportResult:
            del spans
            return SpanExportResult.SUCCESS

    class Below(Own):
        """It does not define the method itself."""

    with refused() as refusal:
        assert Sent().export([1]) is SpanExportResult.FAILURE
    assert refusal.unreached == ["span exporters of the class Own (LookupError)"]
    assert refusal.reached == REACHED
    del Fixed, Own, Below
    gc.collect()  # else the next tests find them


def test_a_later_class_that_cannot_be_changed(caplog: pytest.LogCaptureFixture) -> None:
    """It is made as ever, and named in one line."""

    class Fixed(type):
        """Of a host's own making."""

        def __setattr__(cls, name: str, value: object) -> None:
            raise LookupError(name)

    set_reraise(reraise=False)
    with refused():

        class Own(SpanExporter, metaclass=Fixed):
            """It exports."""

            def export(self, spans: Any) -> SpanExportResult:
                del spans
                return SpanExportResult.SUCCESS

    assert caplog.messages == [
        f"There is no gate, and the class {__name__}.{Own.__qualname__} cannot be kept from sending as it is."
    ]
    del Fixed, Own
    gc.collect()  # else the next tests find them


def test_a_hook_of_somebody_else_s_for_classes_that_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another tool that looks at each new exporter's class still does, and afterwards too."""
    told: list[str] = []
    monkeypatch.setattr(
        SpanExporter, "__init_subclass__", classmethod(lambda cls: told.append(cls.__name__)), raising=False
    )
    with refused():
        during = type("During", (SpanExporter,), {"export": Mixin.export})
        assert during().export([1]) is SpanExportResult.FAILURE
    type("After", (SpanExporter,), {})
    assert told == ["During", "After"]


def test_an_export_that_is_under_way() -> None:
    """It ends with the batch that it has begun; what waits behind that goes nowhere, afterwards neither."""
    refusal = Refusal()

    class Stops(Duck):
        """The process turns to refusing while this sends."""

        def export(self, batch: Any, **_: Any) -> None:
            super().export(batch)
            refusal.install()

    sent: Any = Stops()
    processor = BatchSpanProcessor(sent, max_queue_size=9, max_export_batch_size=1, schedule_delay_millis=1e9)
    provider = TracerProvider(shutdown_on_exit=False)
    queue = processor._batch_processor._queue  # noqa: SLF001  each span that is made would wake its thread
    queue.extend([ReadableSpan(str(number)) for number in range(3)])
    provider.add_span_processor(processor)
    try:
        assert provider.force_flush()
        assert (len(sent.got), len(queue)) == (1, 2)
    finally:
        refusal.undo()
    provider.shutdown()
    assert (len(sent.got), len(queue)) == (1, 0)


def test_a_batch_processor_that_is_not_made_yet() -> None:
    """One that has no queue when the process turns to refusing is no obstacle."""
    bare: Any = object.__new__(BatchProcessor)
    with refused() as refusal:
        assert refusal.unreached == []
    vars(bare)["_queue"] = [1]
    with refused():
        assert bare._queue == []  # noqa: SLF001  an SDK without the lock


def test_undo_puts_everything_back() -> None:
    """After `undo()` the classes are what they were; what waited is gone, and what comes leaves as it is."""
    classes: list[Any] = [
        SpanProcessor,
        SpanExporter,
        LogRecordExporter,
        MetricReader,
        BatchProcessor,
        BatchSpanProcessor,
        SimpleSpanProcessor,
        Sent,
        Mixed,
        Queues,
    ]
    before = [dict(vars(each)) for each in classes]
    sent = Sent()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(sent))
    make_span(provider, "before")
    with refused():
        assert [dict(vars(each)) for each in classes] != before
        BatchProcessor._export(_batch(provider), None)  # type: ignore[arg-type]  # noqa: SLF001  its thread's own call
    assert [dict(vars(each)) for each in classes] == before
    make_span(provider, "after")
    provider.shutdown()
    assert [span.name for span in sent.spans] == ["after"]


def _batch(provider: TracerProvider) -> Any:
    (processor,) = provider._active_span_processor._span_processors  # noqa: SLF001  nobody else has it
    return processor._batch_processor  # type: ignore[attr-defined]  # noqa: SLF001  the same


@pytest.fixture
def instrumentor() -> Iterator[Any]:
    """The instrumentor, which is one for the process; switched off again at the end."""
    found: Any = IncidentInstrumentor()
    set_reraise(reraise=False)
    yield found
    if found.is_instrumented_by_opentelemetry:
        found.uninstrument()


def fail(*_: object, **__: object) -> None:
    """A defect of ours."""
    raise RuntimeError(CANARY)


FAULTS: Final[dict[str, tuple[str, str]]] = {
    "a policy that cannot be loaded": ("otel_incident.gate.rules.Strict.__init__", "gate"),
    "a gate that cannot be installed": ("otel_incident.gate.wrapping.Wrapping.install", "gate"),
    "settings that cannot be read": ("otel_incident.config.Config.from_env", "instrument"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("said", ["by an option", "by the environment"])
def test_a_gate_that_cannot_be_had(
    fault: str,
    said: str,
    instrumentor: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In strict a host's own provider exports nothing, what waited included; one line says what refuses."""
    sent = Sent()
    provider = TracerProvider(shutdown_on_exit=False)  # never a global one
    provider.add_span_processor(BatchSpanProcessor(sent))
    make_span(provider)
    place, boundary = FAULTS[fault]
    monkeypatch.setattr(place, fail)
    if said == "by the environment":
        monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    instrumentor.instrument(**({"gate": "strict"} if said == "by an option" else {}))
    make_span(provider)
    assert provider.force_flush()
    assert sent.spans == []
    assert caplog.messages[0] == LINE.format("", ", ".join(REACHED), "")
    assert swallowed() == {boundary: 1}
    assert CANARY not in caplog.text
    instrumentor.uninstrument()
    make_span(provider)
    provider.shutdown()
    assert sent.attributes() == [ATTRIBUTES]


@pytest.mark.parametrize("mode", ["", "standard", "audit", "off"])
def test_settings_that_cannot_be_read_without_strict(
    mode: str, instrumentor: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has not asked for strict keeps what he has."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", mode)
    monkeypatch.setattr(Config, "from_env", fail)
    instrumentor.instrument()
    sent = Sent()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(sent))
    make_span(provider)
    assert sent.attributes() == [ATTRIBUTES]
    assert [line.partition(" at ")[0] for line in caplog.messages] == ["An internal error (RuntimeError"]


def test_a_defect_behind_the_gate(instrumentor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something else of ours fails once the gate stands, the gate decides, not the refusal."""
    monkeypatch.setattr("otel_incident.hooks.activation.Activation.install", fail)
    instrumentor.instrument(gate="strict")
    sent = Sent()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(sent))
    make_span(provider)
    assert sent.attributes() == [LEFT["strict"]]


@pytest.mark.parametrize("mode", ["strict", "standard"])
def test_an_sdk_that_the_gate_does_not_know(
    mode: str, instrumentor: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the gate would leave a gap in strict, nothing is exported, and the gap is named."""
    monkeypatch.setattr(pipelines, "OF_TRACER", (Tracer, "_renamed"))
    sent = Sent()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(sent))
    instrumentor.instrument(gate=mode)
    make_span(provider)
    gap = "spans of a provider's own processor (Tracer has no _renamed)"
    if mode == "strict":
        assert caplog.messages == [LINE.format(f" ({gap})", ", ".join(REACHED), "")]
        assert sent.spans == []
        assert "span_exporter" not in vars(SimpleSpanProcessor)
    else:
        assert caplog.messages == [f"The gate (standard) is in place, but does not cover: {gap}."]
        assert sent.attributes() == [LEFT["standard"]]


def test_what_the_sdk_does_not_have(
    instrumentor: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A part of the SDK that cannot be loaded, or has no such class, is named; the rest refuses."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.metrics.export", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk._shared_internal", ModuleType("renamed"))
    monkeypatch.setattr(Wrapping, "install", fail)
    sent = Sent()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(sent))
    make_span(provider)
    instrumentor.instrument(gate="strict")
    provider.shutdown()
    assert sent.spans == []
    unreached = "metric readers (ModuleNotFoundError), metric exporters (ModuleNotFoundError), batch queues "
    assert caplog.messages[0] == LINE.format("", ", ".join(REACHED[:4]), f"{unreached}(AttributeError), ")


def test_our_own_events_leave(
    instrumentor: Any, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events on the pipeline of their own, which the policy checks, are delivered all the same."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint)
    monkeypatch.setattr(GateRules, "__init__", fail)
    instrumentor.instrument(gate="strict")
    assert instrumentor._refusal is not None  # noqa: SLF001  else this proves nothing
    IncidentEmitter().create(Incident(id=42))
    (event,) = receiver.wait_for_events(1)
    assert (event.event_name, event.attributes["incident.id"]) == ("incident.create", "42")


def test_what_a_host_exports_while_we_deliver() -> None:
    """In the thread that delivers our events an exporter of the host's refuses what is not ours."""

    class Delivers:
        """As the pipeline of our own."""

        reason = ""

    exporter: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # untyped upstream
    records = [
        ReadableLogRecord(LogRecord(timestamp=1, context=Context()), Resource({}), InstrumentationScope(name))
        for name in ("otel_incident", "desk")
    ]
    with refused(), quiet(Delivers()):
        for batch in ([records[0]], [records[1]], records, [None]):
            exporter.export(batch)
            exporter.export(batch=batch)
    scopes = [each.instrumentation_scope.name for each in exporter.get_finished_logs()]
    assert scopes == ["otel_incident", "otel_incident"]
