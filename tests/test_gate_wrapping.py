"""The gate around the pipelines of spans: whoever makes a provider, and whenever, its spans pass the gate."""

import copy
import functools
from collections.abc import Callable
from typing import Any, Final

import pytest
import wrapt
from opentelemetry.baggage import get_all, set_baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk._shared_internal import BatchProcessor
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
    Tracer,
    TracerProvider,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from otel_incident.gate import pipelines
from otel_incident.gate.rules import MODES, GateRules, Mode
from otel_incident.gate.wrapping import Wrapping
from otel_incident.guard import set_reraise, swallowed
from tests.gated_pipelines import (
    ATTRIBUTES,
    CANARY,
    FREE,
    KEPT,
    LEFT,
    Decorates,
    Redacts,
    Sends,
    SendsEarly,
    Sent,
    gated,
    make_span,
)

MULTI: Final[list[Callable[[], Any]]] = [SynchronousMultiSpanProcessor, ConcurrentMultiSpanProcessor]
PROCESSORS: Final[list[Callable[[Any], SpanProcessor]]] = [SimpleSpanProcessor, BatchSpanProcessor]
EVERY_MODE: Final = pytest.mark.parametrize("mode", MODES)
RAISED: Final = (
    "A {} processor of the host's (module {}) raised {} when the gate (strict) handed it a copy without what "
    "may not leave, which it may need. The host is not affected."
)


def provider_of(*processors: SpanProcessor, multi: Any = None) -> TracerProvider:
    """A provider with these processors."""
    provider = TracerProvider(shutdown_on_exit=False, active_span_processor=multi)
    for each in processors:
        provider.add_span_processor(each)
    return provider


@EVERY_MODE
@pytest.mark.parametrize("multi", MULTI)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_provider_made_before_us(
    mode: Mode, multi: Callable[[], Any], processor: Callable[[Any], SpanProcessor]
) -> None:
    """A provider that nobody can find, with a tracer in use, is gated; so is what it gets later."""
    early, late = Sent(), Sent()
    provider = provider_of(processor(early), multi=multi())
    tracer = provider.get_tracer("desk")
    with gated(mode):
        tracer.start_span(CANARY, attributes=ATTRIBUTES).end()
        provider.force_flush()
        provider.add_span_processor(processor(late))
        tracer.start_span(CANARY, attributes=ATTRIBUTES).end()
        provider.shutdown()
    assert early.attributes() == [LEFT[mode]] * 2
    assert late.attributes() == [LEFT[mode]]
    assert [span.name for span in late.spans] == ["internal" if mode == "strict" else CANARY]


@EVERY_MODE
def test_two_providers_made_after_us(mode: Mode) -> None:
    """Each provider that is made later is gated, whatever its processor is called."""

    class Named(BatchSpanProcessor):
        """A host's own name for the SDK's."""

    first, second = Sent(), Sent()
    with gated(mode):
        providers = [provider_of(SimpleSpanProcessor(first)), provider_of(Named(second))]
        for provider in providers:
            make_span(provider)
            provider.shutdown()
    assert first.attributes() == second.attributes() == [LEFT[mode]]


@EVERY_MODE
@pytest.mark.parametrize("multi", MULTI)
def test_a_processor_that_sends_by_itself(mode: Mode, multi: Callable[[], Any]) -> None:
    """What a processor of unknown type is handed at the end of a span has been filtered."""
    processor = Sends()
    provider = provider_of(processor, multi=multi())
    with gated(mode):
        make_span(provider)
    assert processor.sent.attributes() == [LEFT[mode]]


@EVERY_MODE
def test_a_processor_in_the_place_of_the_sdk_s(mode: Mode) -> None:
    """A provider whose one processor is not the SDK's is gated, though its tracers were made before us."""

    class Own(Sends):
        """It takes no others."""

    processor = Own()
    provider = TracerProvider(shutdown_on_exit=False, active_span_processor=processor)  # type: ignore[arg-type]  # hosts do
    tracer = provider.get_tracer("desk")
    with gated(mode):
        tracer.start_span(CANARY, attributes=ATTRIBUTES).end()
        make_span(provider)
    assert processor.sent.attributes() == [LEFT[mode]] * 2


@EVERY_MODE
def test_a_stock_processor_that_somebody_has_patched(mode: Mode) -> None:
    """What stands in a processor's own attributes before its exporter is handed what has been filtered."""
    seen: list[Any] = []
    processor = SimpleSpanProcessor(Sent())
    vars(processor)["on_end"] = seen.append
    with gated(mode):
        make_span(provider_of(processor))
    assert [dict(span.attributes) for span in seen] == [LEFT[mode]]


def _plain(before: Any, sent: Sent) -> Any:
    @functools.wraps(before)
    def on_end(self: Any, span: Any) -> None:
        sent.export((span,))
        before(self, span)

    return on_end


def _by_wrapt(before: Any, sent: Sent) -> Any:
    def on_end(wrapped: Any, _self: Any, arguments: Any, _: Any) -> Any:
        sent.export(arguments)
        return wrapped(*arguments)

    return wrapt.FunctionWrapper(before, on_end)


@EVERY_MODE
@pytest.mark.parametrize("stock", [SimpleSpanProcessor, BatchSpanProcessor])
@pytest.mark.parametrize("patch", [_plain, _by_wrapt])
@pytest.mark.parametrize("early", [True, False])
def test_a_method_of_the_sdk_s_that_somebody_has_changed(
    mode: Mode, stock: Any, patch: Any, monkeypatch: pytest.MonkeyPatch, *, early: bool
) -> None:
    """What sends in a method of a stock class, changed before us or after, is handed what may leave."""
    patched, exported = Sent(), Sent()
    changed = patch(vars(stock)["on_end"], patched)
    if early:
        monkeypatch.setattr(stock, "on_end", changed)
    with gated(mode):
        provider = provider_of(stock(exported))
        monkeypatch.setattr(stock, "on_end", changed)
        make_span(provider)
        provider.shutdown()
    assert patched.attributes() == exported.attributes() == [LEFT[mode]]


def test_an_unknown_processor_sees_the_live_span_where_the_mode_is_not_strict() -> None:
    """In standard a processor that works on live spans is handed them, as without us."""
    seen: list[Any] = []

    class Keeps(SpanProcessor):
        """It remembers the objects."""

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            seen.extend((span, parent_context))

    provider = provider_of(Keeps())
    with gated("standard"):
        parent = set_span_in_context(
            NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1)))
        )
        span = provider.get_tracer("desk").start_span(CANARY, parent, attributes=ATTRIBUTES)
        span.end()
    assert seen[0] is span
    assert seen[1] is parent


def test_strict_shows_an_unknown_processor_no_live_span() -> None:
    """A processor that sends spans as they start has, in strict, only what may leave, of parents too."""
    processor = SendsEarly()
    provider = provider_of(processor)
    state = TraceState([(CANARY, CANARY), ("ot", "th:8")])
    context = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    with gated("strict"):
        parent = set_span_in_context(NonRecordingSpan(context))
        provider.get_tracer(CANARY).start_span(CANARY, parent, attributes=ATTRIBUTES).end()
    assert processor.seen == [{KEPT: "42"}] * 2
    assert len(processor.texts) == 2
    assert CANARY not in "".join(processor.texts).lower()
    assert "th:8" in processor.texts[0]


class CopiesBaggage(SpanProcessor):
    """One that makes attributes of the parent's baggage, as OpenTelemetry's own does."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Copy."""
        for key, value in get_all(parent_context).items():
            span.set_attribute(key, value)


@pytest.mark.parametrize("mode", ["strict", "standard"])
def test_attributes_from_baggage_that_the_operator_allows_leave(mode: Mode) -> None:
    """It is the same for spans whose context is handed over, and for those whose context is the current."""
    sent = Sent()
    provider = provider_of(CopiesBaggage(), SimpleSpanProcessor(sent))
    context = set_baggage("tenant", "a7", set_baggage("title", CANARY))
    tracer = provider.get_tracer("desk")
    with gated(mode, allowed=("tenant",)):
        tracer.start_span("server", context).end()
        token = attach(context)
        with tracer.start_as_current_span("outer"):
            tracer.start_span("inner").end()
        detach(token)
    left = {"tenant": "a7"} if mode == "strict" else {"tenant": "a7", "title": CANARY}
    assert sent.attributes() == [left] * 3


def test_the_control_of_strict_without_a_gate() -> None:
    """Without the gate the same processor sees the content in each place: the test above can fail."""
    processor = SendsEarly()
    make_span(provider_of(processor))
    assert processor.seen == [ATTRIBUTES] * 2
    assert all(CANARY in text for text in processor.texts)


@EVERY_MODE
@pytest.mark.parametrize("first", [True, False], ids=["registered first", "registered last"])
def test_a_processor_that_only_decorates(mode: Mode, first: object) -> None:
    """A host's enrichment works in every mode: attributes, an event and a link that it adds leave."""
    sent = Sent()
    processors = [Decorates(), SimpleSpanProcessor(sent)]
    provider = provider_of(*(processors if first else reversed(processors)))
    with gated(mode):
        make_span(provider)
    assert sent.attributes() == [{**LEFT[mode], "incident.team.id": "7", "incident.post.id": "8"}]
    (span,) = sent.spans
    assert [(event.name, dict(event.attributes or {})) for event in span.events] == [
        ("incident.create", {KEPT: "9"})
    ]
    assert [dict(link.attributes or {}) for link in span.links] == [{KEPT: "10"}]


def test_a_host_s_own_redaction_is_not_lost() -> None:
    """What a processor takes out of an ended span is gone for the next one, though the gate made a copy."""
    sent = Sent()
    with gated("standard"):
        make_span(provider_of(Redacts(), SimpleSpanProcessor(sent)))
    assert sent.attributes() == [{KEPT: "42"}]


def test_the_same_span_where_nothing_has_to_go() -> None:
    """In standard a span without anything forbidden reaches exporters and unknown processors uncopied."""
    handed: list[Any] = []

    class Keeps(SpanProcessor):
        """It remembers the objects."""

        def on_end(self, span: Any) -> None:
            handed.append(span)

    sent = Sent()
    with gated("standard"):
        provider = provider_of(Keeps(), SimpleSpanProcessor(sent))
        provider.get_tracer("desk").start_span(CANARY, attributes={FREE: CANARY}).end()
    assert sent.spans == handed
    assert sent.spans[0] is handed[0]


@pytest.mark.parametrize("multi", MULTI)
def test_an_unknown_processor_that_cannot_do_without_what_is_missing(
    multi: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """One that raises over what strict does not show costs the host nothing, and it is said whose it is."""

    class Needs(SpanProcessor):
        """It relies on what is not there."""

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            del parent_context
            assert span.attributes[FREE]

        def on_end(self, span: Any) -> None:
            assert span.attributes[FREE]

    set_reraise(reraise=False)
    with gated("strict"):
        for _ in range(2):
            make_span(provider_of(Needs(), multi=multi()))
    assert swallowed() == {"gate": 4}
    assert caplog.messages == [RAISED.format("span", __name__, "KeyError")]


def test_a_defect_of_ours_behind_a_live_span(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where our own filter fails, a processor that looks at a live span finds nothing, and it is said."""

    class Looks(SpanProcessor):
        """It can do without."""

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            del parent_context
            assert not hasattr(span, "attributes")

    def fail(*_: object) -> None:
        raise RuntimeError(CANARY)

    provider = provider_of(Looks())
    set_reraise(reraise=False)
    with gated("strict"):
        monkeypatch.setattr("otel_incident.gate.rules.Strict.of_scope", fail)
        provider.get_tracer("desk").start_span(CANARY)
    (line,) = caplog.messages
    assert line.startswith("An internal error (RuntimeError at gate/parts.py:")
    assert line.endswith(
        ") was swallowed in gate; the host is not affected, the event may be missing. "
        "Please report this line."
    )


def test_a_defect_of_ours_behind_a_parent_context(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where we cannot tell which baggage may be seen, the processor runs and sees none, and it is said."""
    seen: list[Any] = []

    class Looks(SpanProcessor):
        """It keeps what it is handed."""

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            del span
            seen.append(dict(parent_context))

    def fail(*_: object) -> None:
        raise RuntimeError(CANARY)

    provider = provider_of(Looks())
    set_reraise(reraise=False)
    with gated("strict", allowed=("tenant",)):
        monkeypatch.setattr("otel_incident.gate.rules.Strict.of_scope", fail)
        provider.get_tracer("desk").start_span(CANARY, set_baggage("tenant", "a7"))
    assert seen == [{}]
    (line,) = caplog.messages
    assert line.startswith("An internal error (RuntimeError at gate/wrapping.py:")


def test_an_unknown_processor_s_own_error_stays_its_own() -> None:
    """Where nothing was taken out, what a processor of the host raises reaches the host as without us."""

    class Fails(SpanProcessor):
        """It does."""

        def on_end(self, span: Any) -> None:
            raise LookupError(span.name)

    set_reraise(reraise=False)
    with gated("standard"), pytest.raises(LookupError, match="x"):
        provider_of(Fails()).get_tracer("desk").start_span("x").end()


@EVERY_MODE
def test_a_filter_that_fails_lets_nothing_through(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the filter raises, an unknown processor and an exporter get nothing; the host no error."""

    def fail(*_: object) -> None:
        raise RuntimeError(CANARY)

    name = "Strict.of_scope" if mode == "strict" else "Standard.filter"
    sent, sends = Sent(), Sends()
    set_reraise(reraise=False)
    with gated(mode) as wrapping:
        monkeypatch.setattr(f"otel_incident.gate.rules.{name}", fail)
        make_span(provider_of(SimpleSpanProcessor(sent)))
        make_span(provider_of(sends))
    assert sent.spans == sends.sent.spans == []
    assert wrapping.rules.dropped.counts() == {("spans", "internal_error", "none"): 2}


@pytest.mark.parametrize("mode", ["standard", "strict"])
@pytest.mark.parametrize("alone", [True, False])
def test_what_is_taken_out_is_counted_once(mode: Mode, alone: object) -> None:
    """An attribute that goes on its way to one exporter counts once, with unknown processors beside it."""
    provider = provider_of(*([] if alone else [Sends()]), SimpleSpanProcessor(Sent()))
    with gated(mode) as wrapping:
        provider.get_tracer("desk").start_span("", attributes=ATTRIBUTES).end()
    key = ("spans", "unknown_key", "none")
    counted = {key: 1} if mode == "standard" else {key: 2, ("spans", "text_field", "none"): 1}  # the scope
    assert wrapping.rules.dropped.counts() == counted


WOULD: Final = {("spans", "unknown_key", "none"): 1, ("spans", "text_field", "none"): 1}
"""What strict takes of a span with one attribute that may not leave: it, and the name of its scope."""


@pytest.mark.parametrize("processors", [1, 2, 3], ids=["stock", "both", "unknown"])
def test_audit_counts_once_what_strict_would_take(processors: int) -> None:
    """An export counts once in audit, whether a stock processor does it, an unknown one, or both do."""
    made: dict[int, list[SpanProcessor]] = {
        1: [SimpleSpanProcessor(Sent())],
        2: [Sends(), SimpleSpanProcessor(Sent())],
        3: [Sends()],
    }
    provider = provider_of(*made[processors])
    with gated("audit") as wrapping:
        provider.get_tracer("desk").start_span("", attributes={FREE: CANARY}).end()
    assert wrapping.rules.audited.counts() == WOULD
    assert wrapping.rules.dropped.counts() == {}


@pytest.mark.parametrize("multi", MULTI)
def test_a_multi_processor_inside_another(multi: Callable[[], Any]) -> None:
    """A host that nests the SDK's own has each export filtered and counted once."""
    inner, sent = multi(), Sent()
    inner.add_span_processor(SimpleSpanProcessor(sent))
    with gated("audit") as wrapping:
        provider = provider_of(inner)
        provider.get_tracer("desk").start_span("", attributes={FREE: CANARY}).end()
    assert sent.attributes() == [{FREE: CANARY}]
    assert wrapping.rules.audited.counts() == WOULD


def test_a_look_at_a_live_span_is_not_counted() -> None:
    """What strict does not show of a span that goes on is counted when the span ends, and then once."""
    with gated("strict") as wrapping:
        processor = SendsEarly()
        provider_of(processor).get_tracer("desk").start_span("", attributes={FREE: CANARY}).end()
    assert processor.seen == [{}, {}]
    assert wrapping.rules.dropped.counts() == WOULD


def test_undo_puts_everything_back() -> None:
    """After `undo()` classes and objects are what they were: not an attribute more, none another."""
    multi = (SynchronousMultiSpanProcessor, ConcurrentMultiSpanProcessor)
    classes = (*multi, BatchProcessor, SimpleSpanProcessor, Tracer)
    sent = Sent()
    simple, batch, sends = SimpleSpanProcessor(sent), BatchSpanProcessor(sent), Sends()
    provider = provider_of(simple, batch, sends)
    tracer: Any = provider.get_tracer("desk")
    objects = (simple, batch, batch._batch_processor, tracer, provider)  # noqa: SLF001  that is the point
    before = [dict(vars(each)) for each in (*classes, *objects)]
    with gated("strict"):
        make_span(provider)
        provider.force_flush()
        assert simple.span_exporter is not sent
        assert tracer.span_processor is provider._active_span_processor  # noqa: SLF001  the same
    after = [dict(vars(each)) for each in (*classes, *objects)]
    provider_caches = before[-1], after[-1]
    assert {key: provider_caches[1][key] for key in provider_caches[0]} == provider_caches[0]
    assert after[:-1] == before[:-1]
    assert simple.span_exporter is sent
    assert batch.span_exporter is sent
    make_span(provider)
    provider.shutdown()
    assert [each for each in sent.attributes() if each == ATTRIBUTES] == [ATTRIBUTES] * 2


def test_the_gate_twice_in_a_row() -> None:
    """A second gate, once the first is undone, filters once and by its own rules."""
    sent = Sent()
    provider = provider_of(SimpleSpanProcessor(sent))
    for mode in ("strict", "standard"):
        with gated(mode):
            make_span(provider)
    assert sent.attributes() == [LEFT["strict"], LEFT["standard"]]


def test_somebody_else_s_patch_over_ours() -> None:
    """A method that somebody wraps after us stays his when we go, and ours below it does nothing more."""
    own = SynchronousMultiSpanProcessor.on_end
    calls: list[str] = []
    sends = Sends()
    provider = provider_of(sends)
    with gated("strict"):
        ours = SynchronousMultiSpanProcessor.on_end

        def over(self: Any, span: Any) -> None:
            calls.append(span.name)
            ours(self, span)

        SynchronousMultiSpanProcessor.on_end = over  # type: ignore[method-assign]  # as such patches do
    try:
        make_span(provider)
        assert SynchronousMultiSpanProcessor.on_end is over
    finally:
        SynchronousMultiSpanProcessor.on_end = own  # type: ignore[method-assign]  # put back
    assert calls == [CANARY]
    assert sends.sent.attributes() == [ATTRIBUTES]


def test_a_host_sees_its_exporter_through_the_gate() -> None:
    """What a host asks its processor's exporter, and the time it is given to shut down, come through."""
    sent = Sent()
    batch = BatchSpanProcessor(sent)
    provider = provider_of(batch)
    with gated("standard"):
        make_span(provider)
        provider.force_flush()
        assert batch.span_exporter.attributes() == [LEFT["standard"]]
        with pytest.raises(AttributeError, match="no_such_thing"):
            _ = batch.span_exporter.no_such_thing
        assert copy.copy(batch.span_exporter).spans is sent.spans
        provider.shutdown()
    assert len(sent.closed) == 1
    assert 0 <= sent.closed[0] < 30_000  # what the batch processor had left of its own time


def test_an_exporter_that_is_changed() -> None:
    """An exporter that a host puts in the place of another is gated from then on."""
    first, second = Sent(), Sent()
    simple = SimpleSpanProcessor(first)
    provider = provider_of(simple)
    with gated("strict"):
        make_span(provider)
        simple.span_exporter = second
        make_span(provider)
        del simple.span_exporter
        assert not hasattr(simple, "span_exporter")
        simple.span_exporter = second
    assert first.attributes() == second.attributes() == [LEFT["strict"]]
    assert simple.span_exporter is second


def test_our_own_exporters_are_left_alone() -> None:
    """An exporter of a type that is named as ours is handed spans as they are."""

    class Ours(Sent):
        """It has the policy before it."""

    ours, other = Ours(), Sent()
    with gated("strict", (Ours,)):
        make_span(provider_of(SimpleSpanProcessor(ours), SimpleSpanProcessor(other)))
    assert (ours.attributes(), other.attributes()) == ([ATTRIBUTES], [LEFT["strict"]])


@EVERY_MODE
@pytest.mark.parametrize("place", ["BATCH", "SIMPLE_SPAN"])
def test_an_sdk_that_calls_its_exporter_otherwise(
    place: str, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the field of an exporter is not found, its processor is unknown: nothing passes ungated."""
    owner, _ = getattr(pipelines, place)
    monkeypatch.setattr(pipelines, place, (owner, "_renamed"))
    sent = Sent()
    provider = provider_of({"BATCH": BatchSpanProcessor, "SIMPLE_SPAN": SimpleSpanProcessor}[place](sent))
    with gated(mode) as wrapping:
        make_span(provider)
        provider.shutdown()
    assert sent.attributes() == [LEFT[mode]]
    assert wrapping.missing == []


def test_an_sdk_that_hides_its_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the processors that follow cannot be seen, all of them count as unknown."""
    monkeypatch.setattr(pipelines, "following", lambda *_: (object(),))
    sends = Sends()
    with gated("strict"):
        make_span(provider_of(sends))
    assert sends.sent.attributes() == [LEFT["strict"]]


def test_an_sdk_without_what_the_gate_stands_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this release of the SDK does not have is named, and the rest is gated."""

    class Renamed:
        """A multi-processor without the method."""

    monkeypatch.setattr(pipelines, "SPAN_MULTI", (*pipelines.SPAN_MULTI, Renamed))
    monkeypatch.setattr(pipelines, "OF_TRACER", (Tracer, "_renamed"))
    sent = Sent()
    with gated("strict") as wrapping:
        make_span(provider_of(SimpleSpanProcessor(sent)))
    assert wrapping.missing == [
        "spans (Renamed has no on_end)",
        "spans of a provider's own processor (Tracer has no _renamed)",
    ]
    assert sent.attributes() == [LEFT["strict"]]


def test_a_constructor_that_somebody_has_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field is found though another tool has put its own function over the constructor that makes it."""
    own = SimpleSpanProcessor.__init__

    @functools.wraps(own)
    def over(*args: Any, **kwargs: Any) -> None:
        own(*args, **kwargs)

    assert pipelines.has_field(*pipelines.SIMPLE_SPAN)
    monkeypatch.setattr(SimpleSpanProcessor, "__init__", over)
    assert pipelines.has_field(*pipelines.SIMPLE_SPAN)
    assert not pipelines.has_field(SimpleSpanProcessor, "exporter")
    assert not pipelines.has_field(SpanProcessor, "span_exporter")


def test_an_installation_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error on the way undoes what was done, and is the caller's."""
    before = dict(vars(SimpleSpanProcessor))

    def fail(*_: object) -> bool:
        raise RuntimeError

    monkeypatch.setattr("otel_incident.gate.wrapping.has_method", fail)
    with pytest.raises(RuntimeError):
        Wrapping(GateRules("strict")).install()
    assert dict(vars(SimpleSpanProcessor)) == before
