"""The canary test that hosts get: it sees what leaves on every signal, and only that, and leaves no trace."""

import gc
import logging
import threading
import unittest
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.metrics import Counter, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricReader,
    NumberDataPoint,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor as MultiSpanProcessor
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanContext

from otel_incident import (
    ContentGateLogRecordProcessor,
    ContentGateMetricExporter,
    ContentGateSpanProcessor,
    Incident,
    IncidentEmitter,
)
from otel_incident.gate import pipelines
from otel_incident.instrumentor import IncidentInstrumentor
from otel_incident.pipeline import default_pipeline
from otel_incident.testing import Leak, Search, canaries, canary
from otel_incident.testing.search import ENCODINGS
from tests.otlp_receiver import OK, OtlpReceiver, Status

TITLE: Final = "Payments are down"
MAIL: Final = "jane@acme.test"
SPAN: Final = "resource_spans.scope_spans.spans"
RECORD: Final = "resource_logs.scope_logs.log_records"
POINT: Final = "resource_metrics.scope_metrics.metrics.sum.data_points"


class Host:
    """A host with its SDK, and an exporter for each signal that nothing listens to; or with none."""

    def __init__(self, *, exporting: bool = True, by_hand: bool = False) -> None:
        """Set it up.

        Args:
            exporting: Whether it has exporters.
            by_hand: Whether they are gated, in strict, by the public classes.
        """
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        readers = []
        if exporting:
            nowhere = "http://127.0.0.1:9"
            spans: Any = BatchSpanProcessor(OTLPSpanExporter(nowhere))
            logs: Any = BatchLogRecordProcessor(OTLPLogExporter(nowhere))
            metrics: Any = OTLPMetricExporter(nowhere)
            if by_hand:
                spans, logs = ContentGateSpanProcessor(spans), ContentGateLogRecordProcessor(logs)
                metrics = ContentGateMetricExporter(metrics)
            self.tracers.add_span_processor(spans)
            self.loggers.add_log_record_processor(logs)
            readers.append(PeriodicExportingMetricReader(metrics, export_interval_millis=float("inf")))
        self.meters = MeterProvider(readers, shutdown_on_exit=False)
        self.providers = (self.tracers, self.loggers, self.meters)

    def declare(self, times: int = 1) -> None:
        """What the host does with an incident, and says of it."""
        tracer = self.tracers.get_tracer("opentelemetry.instrumentation.flask")
        attributes: dict[str, str | int] = {
            "http.request.method": "POST",
            "http.target": f"/?{TITLE}",
            f"{MAIL}": 1,
        }
        with tracer.start_as_current_span("POST /declare", attributes=attributes):
            self.loggers.get_logger("desk").emit(
                body={"reporter": MAIL}, severity_number=SeverityNumber.INFO, attributes={"title": TITLE}
            )
            counter = self.meters.get_meter("desk").create_counter("declared")
            counter.add(times, {"user_agent.original": TITLE})

    @contextmanager
    def searched(self, **options: Any) -> Iterator[Search]:
        """The kit, told of the host's providers."""
        with canaries(TITLE, MAIL, providers=self.providers, **options) as search:
            yield search


LEAKS: Final = (
    Leak(TITLE, "logs", f"{RECORD}.attributes[?].value.string_value", "as it is"),
    Leak(TITLE, "metrics", f"{POINT}.attributes[user_agent.original].value.string_value", "as it is"),
    Leak(TITLE, "spans", f"{SPAN}.attributes[http.target].value.string_value", "as it is"),
    Leak(MAIL, "logs", f"{RECORD}.body.kvlist_value.values[?].value.string_value", "as it is"),
    Leak(MAIL, "spans", f"{SPAN}.attributes[?].key", "as it is"),
)


@pytest.mark.parametrize("mode", [None, "off"])
@pytest.mark.parametrize("exporting", [True, False])
def test_every_leak_is_named(mode: str | None, *, exporting: bool) -> None:
    """Signal, field and encoding of each, the same with the host's exporters and without any."""
    host = Host(exporting=exporting)
    with host.searched(mode=mode, check=False) as search:
        host.declare()
    assert search.leaks == LEAKS
    assert search.leaked() == {TITLE, MAIL}
    assert search.exported == {"spans": 1, "logs": 1, "metrics": 1}


def test_the_failure_says_no_more_than_that() -> None:
    """What else the host exports is not in the message."""
    host = Host()
    with pytest.raises(AssertionError) as caught, host.searched():
        host.declare()
    said = "2 canaries would have left this process (as it is set up):\n"
    assert str(caught.value) == said + "\n".join(f"  {leak}" for leak in LEAKS)
    assert str(LEAKS[2]) == (
        "'Payments are down' (as it is) in spans: "
        "resource_spans.scope_spans.spans.attributes[http.target].value.string_value"
    )


@pytest.mark.parametrize("exporting", [True, False])
def test_strict_passes(*, exporting: bool) -> None:
    """Nothing is found in what the gate leaves, and what it leaves is counted."""
    host = Host(exporting=exporting)
    with host.searched(mode="strict") as search:
        host.declare()
    assert (search.leaks, search.exported) == ((), {"spans": 1, "logs": 1, "metrics": 0})


def test_standard_is_judged_as_it_is() -> None:
    """It takes what it is told to forbid, and the failure names the mode."""
    host = Host()
    with pytest.raises(AssertionError, match=r"1 canaries would .* \(gate: standard\):\n.*'jane@acme.test'"):  # noqa: SIM117  one is judged by the other
        with host.searched(mode="standard", forbidden=["title", "http.target", "user_agent.*"]):
            host.declare()


def test_strict_with_an_allowed_key_lets_it_out() -> None:
    """The kit checks the widening that the operator means to make."""
    host = Host()
    with host.searched(mode="strict", allowed=["http.target"], check=False) as search:
        host.declare()
    assert search.leaks == (LEAKS[2],)


def test_a_gate_by_hand_is_seen_as_it_stands() -> None:
    """What is judged is what reaches the exporters, behind the host's own gate."""
    host = Host(by_hand=True)
    with host.searched() as search:
        host.declare()
    assert search.exported == {"spans": 1, "logs": 1, "metrics": 0}


@pytest.mark.parametrize("exporting", [True, False])
def test_the_gate_of_auto_instrumentation_is_seen(
    monkeypatch: pytest.MonkeyPatch, *, exporting: bool
) -> None:
    """A process with `OTEL_INCIDENT_GATE=strict` passes as it is; without a gate it would not."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    instrumentor: Any = IncidentInstrumentor()
    instrumentor.instrument()
    try:
        host = Host(exporting=exporting)
        with host.searched() as search:
            host.declare()
        with host.searched(mode="off", check=False) as control:
            host.declare()
    finally:
        instrumentor.uninstrument()
    assert search.exported == {"spans": 1, "logs": 1, "metrics": 0}
    assert control.leaks == LEAKS


def test_a_block_of_which_nothing_leaves_proves_nothing() -> None:
    """It fails, unless that is meant."""
    host = Host()
    message = r"^nothing would have left this process, so nothing was tested: "
    with pytest.raises(AssertionError, match=message), host.searched():
        pass
    with host.searched(allow_empty=True) as search:
        pass
    assert search.exported == {"spans": 0, "logs": 0, "metrics": 0}


@pytest.mark.parametrize("name", ENCODINGS)
def test_each_encoding_is_seen_and_named(name: str) -> None:
    """In the bytes of a body and in an attribute of a span."""
    host, text = Host(), canary("title")
    with canaries(text, mode="off", check=False) as search:
        host.loggers.get_logger("desk").emit(body=b"\x01" + ENCODINGS[name](text) + b"\x01")
    (leak,) = search.leaks
    assert (leak.signal, leak.field) == ("logs", f"{RECORD}.body.bytes_value")
    as_it_is = {"URL-escaped", "form-escaped", "JSON-escaped"}  # which leave letters as they are
    seen_first = {"UTF-16BE": "UTF-16LE", "HEX": "hex"}  # of which the other holds stretches
    expected = {name.partition(",")[0], seen_first.get(name)} if name not in as_it_is else {"as it is"}
    assert leak.encoding in expected


def test_other_writings_of_a_text_are_seen() -> None:
    """A folded one, one cut short, and what forms and JSON make of it."""
    text = "Störung: „Zahlung“ ü"
    host = Host()
    said = ["STÖRUNG: „Z", "t%C3%B6rung%3A+%E2%80%9EZah", "\\u00f6rung: \\u201eZah"]
    with canaries(text, mode="off", check=False) as search:
        for each in said:
            host.loggers.get_logger("desk").emit(body=each)
    assert {leak.encoding for leak in search.leaks} == {
        "as it is, case-folded",
        "form-escaped",
        "JSON-escaped",
    }


class Redacting(SpanExporter):
    """An exporter of the host's own, which renames spans before it hands them on."""

    def __init__(self, following: SpanExporter) -> None:
        self.following = following

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Rename and hand on."""
        context = SpanContext(1, 2, is_remote=False)
        return self.following.export([ReadableSpan("redacted", context) for _ in spans])


def test_the_last_exporter_is_what_counts() -> None:
    """What the host's own exporter takes out before another one sends it is not a leak."""
    memory = InMemorySpanExporter()
    for exporter, names in ((Redacting(memory), ["redacted"]), (memory, ["redacted", TITLE])):
        host = Host(exporting=False)
        host.tracers.add_span_processor(SimpleSpanProcessor(exporter))
        with host.searched(check=False) as search:
            host.tracers.get_tracer("desk").start_span(TITLE).end()
        assert [span.name for span in memory.get_finished_spans()] == names
        assert search.leaked() == ({TITLE} if exporter is memory else set())


class Renaming(SpanExporter):
    """An exporter of the host's own that puts content where no gate comes any more."""

    def __init__(self, following: SpanExporter) -> None:
        self.following = following

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Rename and hand on."""
        return self.following.export([ReadableSpan(TITLE, span.context) for span in spans])


def test_what_is_added_behind_the_gate_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the gate of auto-instrumentation in place the host's exporters are judged all the same."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    instrumentor: Any = IncidentInstrumentor()
    instrumentor.instrument()
    try:
        host = Host(exporting=False)
        host.tracers.add_span_processor(SimpleSpanProcessor(Renaming(OTLPSpanExporter("http://127.0.0.1:9"))))
        with host.searched(check=False) as search:
            host.tracers.get_tracer("desk").start_span("a name").end()
    finally:
        instrumentor.uninstrument()
    assert search.leaks == (Leak(TITLE, "spans", f"{SPAN}.name", "as it is"),)


class Sending:
    """What sends by a way of its own, a vendor's: it knows the SDK's results, and none of its classes."""

    def __init__(self, success: Any) -> None:
        self.success = success
        self.sent: list[Any] = []

    def export(self, *args: Any, **_: Any) -> Any:
        """Send."""
        self.sent.append(args[0])
        return self.success

    def force_flush(self, timeout_millis: float = 0) -> bool:  # noqa: ARG002  as the interfaces have it
        """Nothing waits."""
        return True

    def shutdown(self, *_: Any, **__: Any) -> None:
        """Nothing is open."""


class SendingSpans(Sending, SpanExporter):
    """Of spans."""


class SendingLogs(Sending, LogRecordExporter):
    """Of log records."""


class SendingMetrics(Sending, MetricExporter):
    """Of metrics."""

    def __init__(self, success: Any) -> None:
        MetricExporter.__init__(self)
        Sending.__init__(self, success)


class Renamed(OTLPSpanExporter):
    """An exporter of OTLP's that sends by a way of its own all the same."""

    sent = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send."""
        self.sent += len(spans)
        return SpanExportResult.SUCCESS


@pytest.mark.parametrize("mode", [None, "strict", "standard", "off"])
def test_no_exporter_sends_whoever_made_it(mode: str | None) -> None:
    """Not a vendor's, on any signal, nor one by inheritance; afterwards each does."""
    spans, logs = SendingSpans(SpanExportResult.SUCCESS), SendingLogs(LogRecordExportResult.SUCCESS)
    metrics, renamed = SendingMetrics(MetricExportResult.SUCCESS), Renamed("http://127.0.0.1:9")
    host = Host(exporting=False)
    host.tracers.add_span_processor(SimpleSpanProcessor(spans))
    host.tracers.add_span_processor(SimpleSpanProcessor(renamed))
    host.loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    host.meters = MeterProvider(
        [PeriodicExportingMetricReader(metrics, export_interval_millis=float("inf"))], shutdown_on_exit=False
    )
    host.providers = (host.tracers, host.loggers, host.meters)
    with host.searched(mode=mode, check=False) as search:
        host.declare()
    assert (spans.sent, logs.sent, metrics.sent, renamed.sent) == ([], [], [], 0)
    if mode in (None, "off"):
        assert search.leaks == LEAKS
    host.declare()
    host.meters.force_flush()
    assert (len(spans.sent), len(logs.sent), len(metrics.sent), renamed.sent) == (1, 1, 1, 1)


def test_an_exporter_that_is_made_in_the_block_does_not_send() -> None:
    """A host that sets OpenTelemetry up in the block defines, or imports, its exporter there."""
    host = Host(exporting=False)
    with host.searched(check=False) as search:

        class Late(SendingSpans):
            """Imported at the first use."""

            def export(self, *args: Any, **_: Any) -> Any:
                """Send."""
                self.sent.append(args[0])
                return self.success

        late = Late(SpanExportResult.SUCCESS)
        host.tracers.add_span_processor(SimpleSpanProcessor(late))
        host.declare()
    assert (late.sent, search.exported["spans"]) == ([], 1)
    host.declare()
    assert len(late.sent) == 1


class Several(SpanExporter):
    """An exporter of the host's own that hands on to those of a list or a dictionary."""

    __slots__ = ("following",)

    def __init__(self, following: Any) -> None:
        self.following = following

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand on."""
        following = self.following.values() if isinstance(self.following, dict) else self.following
        for each in following:
            each.export(spans[:1])
        return SpanExportResult.SUCCESS


class ByName(Sending):
    """What hands on to another exporter of its signal by the name of the parameter."""

    def __init__(self, success: Any, name: str, following: Any) -> None:
        super().__init__(success)
        self.name = name
        self.following = following

    def export(self, *args: Any, **_: Any) -> Any:
        """Hand on."""
        first: dict[str, Any] = {"timeout_millis": 1} if self.name == "metrics_data" else {}
        return self.following.export(**first, **{self.name: args[0]})


class SpansByName(ByName, SpanExporter):
    """Of spans."""


class LogsByName(ByName, LogRecordExporter):
    """Of log records."""


class MetricsByName(ByName, MetricExporter):
    """Of metrics."""

    def __init__(self, *args: Any) -> None:
        MetricExporter.__init__(self)
        ByName.__init__(self, *args)


class Called(SpanExporter):
    """An exporter with a name of its own for what it gets."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def export(self, queue: Any) -> SpanExportResult:
        """Send."""
        self.sent.append(queue)
        return SpanExportResult.SUCCESS


def test_an_exporter_that_hands_on_by_name(caplog: pytest.LogCaptureFixture) -> None:
    """What is passed by the SDK's name of the parameter, or by the class's own, is found and not sent."""
    spans, logs = SendingSpans(SpanExportResult.SUCCESS), SendingLogs(LogRecordExportResult.SUCCESS)
    metrics, called = SendingMetrics(MetricExportResult.SUCCESS), Called()
    host = Host(exporting=False)
    for name, following in (("spans", spans), ("queue", called)):
        host.tracers.add_span_processor(
            SimpleSpanProcessor(SpansByName(SpanExportResult.SUCCESS, name, following))
        )
    host.loggers.add_log_record_processor(
        SimpleLogRecordProcessor(LogsByName(LogRecordExportResult.SUCCESS, "batch", logs))
    )
    reader = PeriodicExportingMetricReader(
        MetricsByName(MetricExportResult.SUCCESS, "metrics_data", metrics),
        export_interval_millis=float("inf"),
    )
    host.meters = MeterProvider([reader], shutdown_on_exit=False)
    host.providers = (host.tracers, host.loggers, host.meters)
    with host.searched(check=False) as search:
        host.declare()
    assert (search.leaks, search.exported) == (LEAKS, {"spans": 2, "logs": 1, "metrics": 1})
    assert (spans.sent, called.sent, logs.sent, metrics.sent) == ([], [], [], [])
    assert caplog.messages == []  # where the SDK would say that an exporter has raised


def test_a_class_that_is_no_exporter_is_called_as_it_was() -> None:
    """A base that an exporter shares with something else changes nothing for that, by name or position."""

    class Keeps:
        """Knows nothing of the SDK."""

        def export(self, rows: int, *, sheet: int) -> tuple[int, int]:
            """Export something else."""
            return rows, sheet

    class Both(Keeps, SpanExporter):  # type: ignore[misc]  # its `export` is another one, as a host's may be
        """Shares it."""

    host = Host(exporting=False)
    host.tracers.add_span_processor(SimpleSpanProcessor(Both()))
    with host.searched(allow_empty=True):
        assert Keeps().export(1, sheet=2) == Keeps().export(rows=1, sheet=2) == (1, 2)


@pytest.mark.parametrize("several", [list, tuple, lambda one: {"one": one[0]}])
def test_an_exporter_that_holds_others_hands_on(several: Any) -> None:
    """What counts is what reaches those, which do not send."""
    sending = SendingSpans(SpanExportResult.SUCCESS)
    host = Host(exporting=False)
    host.tracers.add_span_processor(SimpleSpanProcessor(Redacting(Several(several([sending])))))
    with host.searched(check=False) as search:
        host.tracers.get_tracer("desk").start_span(TITLE).end()
    assert (sending.sent, search.leaks, search.exported["spans"]) == ([], (), 1)


def test_the_settings_of_the_installation_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A mode lets through what the operator allows, and takes what he and a hook file forbid."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text('[host]\nname = "desk"\ncontent = ["title"]\n')
    monkeypatch.setenv("OTEL_INCIDENT_ALLOWED_ATTRIBUTES", "http.target")
    monkeypatch.setenv("OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES", "user_agent.*")
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", str(hooks))
    host = Host()
    with host.searched(mode="strict", check=False) as strict:
        host.declare()
    assert strict.leaks == (LEAKS[2],)
    with host.searched(mode="standard", forbidden=["http.target"], check=False) as standard:
        host.declare()
    assert standard.leaks == LEAKS[3:]
    with host.searched(mode="standard", check=False) as standard:
        host.declare()
    assert standard.leaks == LEAKS[2:]
    with host.searched(mode="off", check=False) as off:
        host.declare()
    assert off.leaks == LEAKS


def test_the_settings_of_the_instrumentor_come_before_those(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the host's own code has set is what its gate goes by."""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_INCIDENT_ALLOWED_ATTRIBUTES", "nothing")
    instrumentor: Any = IncidentInstrumentor()
    instrumentor.instrument(allowed_attributes=["http.target"])
    try:
        host = Host()
        with host.searched(mode="strict", check=False) as search:
            host.declare()
    finally:
        instrumentor.uninstrument()
    assert search.leaks == (LEAKS[2],)


def test_providers_that_are_used_need_not_be_named() -> None:
    """What waits in a batch is flushed, and judged behind a gate by hand, where the block has used it."""
    host = Host(by_hand=True)
    with canaries(TITLE) as search:
        host.declare()
    # the metric is one that strict does not know
    assert (search.leaks, search.exported) == ((), {"spans": 1, "logs": 1, "metrics": 0})
    with canaries(TITLE, mode="off", check=False) as search:
        host.declare()
    assert search.exported == {"spans": 1, "logs": 1, "metrics": 1}


@pytest.mark.parametrize("mode", [None, "off", "standard"])
@pytest.mark.parametrize("exporting", [True, False], ids=["with exporters", "without"])
def test_what_a_provider_measures_that_is_not_named_is_found(mode: Any, *, exporting: bool) -> None:
    """Whether it was made before the block or in it, in every mode that lets its metrics through."""
    before = Host(exporting=exporting)
    with canaries(TITLE, MAIL, mode=mode, check=False) as search:
        before.declare()
    assert (search.leaks, search.exported) == (LEAKS, {"spans": 1, "logs": 1, "metrics": 1})
    with canaries(TITLE, MAIL, mode=mode, check=False) as search:
        later = Host(exporting=exporting)  # it outlives the block, as a host's does
        later.declare()
    assert (search.leaks, search.exported) == (LEAKS, {"spans": 1, "logs": 1, "metrics": 1})
    with canaries(TITLE, mode="strict") as search:
        before.declare()
    assert search.exported == {"spans": 1, "logs": 1, "metrics": 0}


def test_what_a_callback_measures() -> None:
    """It is found where it is registered in the block; of one from before the provider has to be named."""
    meters = MeterProvider(shutdown_on_exit=False)
    of_title = [Observation(1, {"user_agent.original": TITLE})]

    def observe() -> None:
        meters.get_meter("desk").create_observable_counter("open", [lambda _: of_title])

    with canaries(TITLE, mode="off", check=False) as search:
        observe()
    assert search.leaks == LEAKS[1:2]
    with canaries(TITLE, mode="off", check=False, allow_empty=True) as search:
        pass
    assert (search.leaks, search.exported["metrics"]) == ((), 0)
    with canaries(TITLE, mode="off", check=False, providers=[meters]) as search:
        pass
    assert search.leaks == LEAKS[1:2]


def test_a_callback_may_measure_while_its_provider_collects() -> None:
    """A provider that is found at such a moment is not waited for by who makes it collect."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    counter = meters.get_meter("desk").create_counter("declared")

    def measuring(_: Any) -> list[Observation]:
        counter.add(1, {"user_agent.original": TITLE})
        return []

    meters.get_meter("desk").create_observable_counter("open", [measuring])
    with canaries(TITLE, mode="off", check=False) as search:
        collecting = threading.Thread(target=reader.collect, daemon=True)
        collecting.start()
        collecting.join(10)
        assert not collecting.is_alive()
        counter.add(1, {"user_agent.original": TITLE})
    assert search.leaks == LEAKS[1:2]


@pytest.mark.parametrize("within", [True, False], ids=["in the callback", "beside it"])
def test_what_is_measured_once_while_its_provider_collects(*, within: bool) -> None:
    """The only measurement of a provider is found, though another thread is collecting at that moment."""
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    counter = meters.get_meter("desk").create_counter("declared")
    collects, measured = threading.Event(), threading.Event()

    def measure() -> None:
        counter.add(1, {"user_agent.original": TITLE})
        measured.set()

    def asked(_: Any) -> list[Observation]:
        collects.set()
        if within and not measured.is_set():
            measure()
        assert measured.wait(30)
        return []

    meters.get_meter("desk").create_observable_counter("open", [asked])
    with canaries(TITLE, mode="off", check=False) as search:
        collecting = threading.Thread(target=reader.collect, daemon=True)
        collecting.start()
        assert collects.wait(30)
        if not within:
            measure()
        collecting.join(30)
        assert not collecting.is_alive()
    assert (search.leaks, search.exported["metrics"]) == (LEAKS[1:2], 1)


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SDK whose providers keep what they measure under another name."""
    monkeypatch.setattr(pipelines, "_STORAGES", "_kept_elsewhere")


def by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SDK whose instruments measure by methods of other names."""
    monkeypatch.setattr(pipelines, "measurements", lambda: (object, ("consume_measurement",)))


@pytest.mark.parametrize("changed", [elsewhere, by_others])
@pytest.mark.parametrize("mode", [None, "off", "strict"])
@pytest.mark.parametrize("check", [True, False])
def test_metrics_that_cannot_be_read_are_not_passed_over(
    changed: Callable[[pytest.MonkeyPatch], None],
    mode: str | None,
    *,
    check: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a release of the SDK that hides them the block fails, once it has ended, and says why."""
    changed(monkeypatch)
    host = Host()
    with pytest.raises(AssertionError) as caught, host.searched(mode=mode, check=check):
        host.declare()
    assert str(caught.value) == (
        "the metrics were not searched: this release of opentelemetry-sdk keeps them where they cannot be "
        "read; install another one, or a newer otel-incident"
    )


def test_a_reader_of_the_test_itself_loses_nothing() -> None:
    """What a reader in memory holds of differences is not asked for by the kit."""
    reader = InMemoryMetricReader({Counter: AggregationTemporality.DELTA})
    meters = MeterProvider([reader], shutdown_on_exit=False)
    counter = meters.get_meter("desk").create_counter("declared")
    with canaries(TITLE):
        counter.add(3)
    counter.add(1)
    data = reader.get_metrics_data()
    assert data is not None
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert isinstance(point, NumberDataPoint)
    assert point.value == 4


def test_a_provider_that_becomes_the_global_one_is_flushed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it exports counts once, though it is found by its use and known in the end."""
    host = Host()
    with canaries(TITLE) as search:
        host.meters.get_meter("desk").create_counter("declared").add(1)
        monkeypatch.setattr("otel_incident.testing.capture.get_meter_provider", lambda: host.meters)
    assert search.exported == {"spans": 0, "logs": 0, "metrics": 1}


class RecordOnly(Sampler):
    """Lets every span be recorded, and none be exported."""

    def should_sample(self, *_: Any, **__: Any) -> SamplingResult:
        """Decide."""
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        """What it is called."""
        return "RecordOnly"


def test_a_span_that_is_not_sampled_does_not_count() -> None:
    """It would not leave: what leaves is what is judged."""
    tracers = TracerProvider(sampler=RecordOnly(), shutdown_on_exit=False)
    with canaries(TITLE, mode="off", check=False) as search:
        tracers.get_tracer("desk").start_span(TITLE).end()
    assert (search.leaks, search.exported["spans"]) == ((), 0)


def test_no_reader_of_metrics_stays() -> None:
    """The reader that was added for the block is not kept by the host's provider."""
    before = readers()  # other tests may have left some
    host = Host(exporting=False)
    with host.searched(check=False) as search:
        host.declare()
    assert search.exported["metrics"] == 1
    assert [each for each in readers() if not any(each is other for other in before)] == []


def readers() -> list[InMemoryMetricReader]:
    """Those that somebody keeps."""
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is InMemoryMetricReader]


def test_nothing_is_sent_and_nothing_of_before_is_searched(receiver: OtlpReceiver) -> None:
    """What was queued when the block began is thrown away; exporters send again when it has ended."""
    host = Host(exporting=False)
    exporter = OTLPSpanExporter(f"{receiver.http_endpoint}/v1/traces")
    host.tracers.add_span_processor(BatchSpanProcessor(exporter))
    tracer = host.tracers.get_tracer("desk")
    tracer.start_span(f"before {TITLE}").end()
    with host.searched() as search:
        tracer.start_span("in the block").end()
    assert (search.exported["spans"], receiver.requests) == (1, ())
    tracer.start_span("after").end()
    host.tracers.force_flush()
    assert [span.name for span in receiver.wait_for_spans(1)] == ["after"]


def test_what_was_queued_before_and_cannot_be_written_is_nobody_s_concern() -> None:
    """A text as a time, in a span that waited when the block began, does not fail the block."""
    host = Host(exporting=False)
    host.tracers.add_span_processor(BatchSpanProcessor(SendingSpans(SpanExportResult.SUCCESS)))
    started(host)
    with host.searched() as search:
        host.tracers.get_tracer("desk").start_span("in the block").end()
    assert (search.exported["spans"], search.leaks) == (1, ())


def test_what_was_queued_before_does_not_say_that_a_host_exports() -> None:
    """A host that exports nothing in the block is searched all the same."""
    host, former = Host(exporting=False), Host(exporting=False)
    former.tracers.add_span_processor(BatchSpanProcessor(SendingSpans(SpanExportResult.SUCCESS)))
    former.tracers.get_tracer("desk").start_span("before").end()
    host.providers = (host.tracers, host.loggers, former.tracers)  # type: ignore[assignment]  # two of one kind
    with host.searched(check=False) as search:
        host.tracers.get_tracer("desk").start_span(TITLE).end()
    assert search.leaks == (Leak(TITLE, "spans", f"{SPAN}.name", "as it is"),)


def test_a_failing_block_fails_as_it_would_and_leaves_nothing_behind() -> None:
    """Its own exception comes out, and the SDK's classes are as they were."""
    places = (
        *(MultiSpanProcessor, MetricReader, OTLPSpanExporter, OTLPLogExporter, OTLPMetricExporter),
        *(SpanExporter, LogRecordExporter, MetricExporter, Sending, SendingSpans),
    )
    before = [dict(vars(place)) for place in places]
    host = Host()
    with pytest.raises(ZeroDivisionError), host.searched():
        host.declare(1 // 0)
    with host.searched(mode="strict"):
        host.declare()
    assert [dict(vars(place)) for place in places] == before


def test_incident_events_are_searched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """They leave by a provider of their own, which is seen like any other, and not sent."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SERVICE_NAME", canary("service"))
    with canaries(canary("service"), check=False) as search:
        IncidentEmitter().create(Incident(id=7))
    assert search.exported == {"spans": 0, "logs": 1, "metrics": 0}
    assert [leak.field for leak in search.leaks] == [
        "resource_logs.resource.attributes[service.name].value.string_value"
    ]


@pytest.mark.parametrize("spool", ["true", "false"])
def test_incident_events_are_not_sent(
    spool: str, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they wait on disk or in memory, a block's events are seen, and never arrive."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint)
    monkeypatch.setenv("OTEL_INCIDENT_SPOOL", spool)
    with canaries(canary("service")) as search:
        IncidentEmitter().create(Incident(id=7))
    assert search.exported["logs"] == 1
    IncidentEmitter().create(Incident(id=8))
    default_pipeline().force_flush()
    assert [event.attributes["incident.id"] for event in receiver.telemetry().events] == ["8"]


def test_events_that_waited_before_are_not_lost(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a host that really runs has left in the spool is neither seen in a block nor taken for sent."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint)
    receiver.answer_with(Status(503))
    IncidentEmitter().create(Incident(id=6))
    assert not default_pipeline().force_flush()
    receiver.answer_with(OK)
    with canaries(canary("service")) as search:
        IncidentEmitter().create(Incident(id=7))
    assert search.exported["logs"] == 1
    IncidentEmitter().create(Incident(id=8))
    receiver.wait_for_events(2)
    assert [event.attributes["incident.id"] for event in receiver.telemetry().events] == ["6", "8"]


def test_incident_events_do_not_stand_for_the_hosts_own_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without an exporter of logs is judged by what it would export, whatever we export."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    host = Host(exporting=False)
    with host.searched(check=False) as search:
        IncidentEmitter().create(Incident(id=7))
        host.declare()
    assert search.leaks == LEAKS
    assert search.exported["logs"] == 2


@pytest.mark.parametrize("texts", [(), ("long enough", "short")])
def test_a_text_that_is_too_short_is_refused(texts: tuple[str, ...]) -> None:
    """It would be found everywhere, or its absence would prove nothing."""
    message = r"^canaries\(\) needs texts of at least 8 characters: shorter ones prove nothing$"
    with pytest.raises(ValueError, match=message), canaries(*texts):
        pytest.fail("the block was run")


def test_a_text_that_cannot_be_encoded_is_refused() -> None:
    """A lone surrogate is a ValueError before the block, which says which canary and never its text."""
    line = "^canary 2 of canaries\\(\\) has a lone surrogate, which no exporter writes: leave it out$"
    with pytest.raises(ValueError, match=line), canaries(TITLE, "kanarie \ud83d kanarie"):
        pytest.fail("the block was run")


@pytest.mark.parametrize("given", [b"Payments are down", 12345678, None, ["Payments are down"]], ids=repr)
def test_a_canary_that_is_no_text_is_refused(given: object) -> None:
    """It is a TypeError before the block, which says which canary and of what class."""
    line = f"^canaries\\(\\) takes texts; canary 1 is an object of the class {type(given).__name__}$"
    with pytest.raises(TypeError, match=line), canaries(given, TITLE):  # type: ignore[arg-type]  # the point
        pytest.fail("the block was run")


def started(host: Host) -> None:
    """A span with a text as its time."""
    time: Any = TITLE
    host.tracers.get_tracer("desk").start_span("declare", start_time=time).end()


def happened(host: Host) -> None:
    """A span event with one."""
    time: Any = TITLE
    with host.tracers.get_tracer("desk").start_as_current_span("declare") as span:
        span.add_event("declared", timestamp=time)


def logged(host: Host) -> None:
    """A log record with one."""
    time: Any = TITLE
    host.loggers.get_logger("desk").emit(timestamp=time)


@pytest.mark.parametrize(("record", "signal"), [(started, "spans"), (happened, "spans"), (logged, "logs")])
@pytest.mark.parametrize("mode", [None, "off", "standard"])
@pytest.mark.parametrize("exporting", [True, False])
@pytest.mark.parametrize("check", [True, False])
def test_what_cannot_be_written_is_not_passed_over(
    record: Callable[[Host], None],
    signal: str,
    mode: str | None,
    *,
    exporting: bool,
    check: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A text as a time fails, once the block has ended, in one line that names the signal and no content."""
    host = Host(exporting=exporting)
    ended = []

    def search() -> None:
        with host.searched(mode=mode, check=check):
            record(host)
            ended.append(record)

    with pytest.raises(AssertionError) as caught:
        search()
    assert ended == [record]
    assert str(caught.value) == (
        f"some of the {signal} cannot be written as OTLP (TypeError), so they were not searched; correct "
        "what the block records, such as a text in the place of a time"
    )
    assert caplog.messages == []


@pytest.mark.parametrize("exporting", [True, False])
def test_strict_writes_a_time_that_is_none(*, exporting: bool) -> None:
    """The gate leaves no such time, so all can be searched, whatever the host's own exporters would do."""
    host = Host(exporting=exporting)
    with host.searched(mode="strict") as search:
        for record in (started, happened, logged):
            record(host)
    assert (search.leaks, search.exported) == ((), {"spans": 2, "logs": 1, "metrics": 0})


def test_a_mode_that_is_none_is_refused() -> None:
    """With the three that there are."""
    with pytest.raises(ValueError, match=r"^mode must be one of strict, standard, off, or None$"):  # noqa: SIM117  one is judged by the other
        with canaries(TITLE, mode="audit"):  # type: ignore[arg-type]  # the point
            pytest.fail("the block was run")


def test_in_unittest_it_is_a_failure_not_an_error() -> None:
    """A test framework counts it as what it is."""

    class Case(unittest.TestCase):
        def test_leak(self) -> None:
            host = Host()
            with host.searched():
                host.declare()

    result = unittest.TestResult()
    Case("test_leak").run(result)
    assert (len(result.failures), len(result.errors)) == (1, 0)


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A host's test output is not the place for ours."""
    host = Host()
    with caplog.at_level(logging.DEBUG), host.searched(mode="strict"):
        host.declare()
    assert caplog.messages == []
