"""A gate in the place of another one: at no moment is there none, and of the old one nothing is left."""

import atexit
import functools
import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from otel_incident import pre_instrument
from otel_incident.config import Config
from otel_incident.gate import pipelines
from otel_incident.gate.checks import UNKNOWN
from otel_incident.gate.rules import GateRules
from otel_incident.gate.wrapping import Wrapping
from otel_incident.guard import set_reraise, swallowed
from otel_incident.hooks.content import ContentNames
from otel_incident.hooks.shipped import Preset
from otel_incident.instrumentor import IncidentInstrumentor
from otel_incident.overlays import put_over, take_out
from tests.gated_pipelines import ATTRIBUTES, CANARY, Sends, SendsEarly, Sent, make_span
from tests.zero_code import distribution

HOOKS: Final = '[host]\nname = "desk"\ncontent = ["queue"]\n'
_FIELDS: Final = (
    pipelines.OF_TRACER,
    pipelines.OF_LOGGER,
    pipelines.BATCH,
    pipelines.SIMPLE_SPAN,
    pipelines.SIMPLE_LOG,
    pipelines.reader_storage(),
)
_CHANGED: Final = (
    *pipelines.SPAN_MULTI,
    *pipelines.LOG_MULTI,
    MetricReader,
    SpanProcessor,
    *(owner for owner, _ in _FIELDS),
)


def _as_shipped() -> dict[type, dict[str, Any]]:
    """What the classes of the SDK that a gate or a refusal changes hold."""
    return {owner: dict(vars(owner)) for owner in _CHANGED}


@pytest.fixture
def instrumentor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The instrumentor of a process that asks for strict; at the end the SDK is as it was."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    (tmp_path / "hooks.toml").write_text(HOOKS)
    before = _as_shipped()
    found: Any = IncidentInstrumentor()
    yield found
    monkeypatch.undo()
    if found.is_instrumented_by_opentelemetry:
        found.uninstrument()
    found.remove_gate()
    assert _as_shipped() == before


_STEPS: Final = {each.__module__ for each in (IncidentInstrumentor, Wrapping, pipelines.Method, ContentNames)}


class Pipelines:
    """One of every kind, and what has left it."""

    def __init__(self) -> None:
        self.sent, self.sends, self.early = Sent(), Sends(), SendsEarly()
        self.simple, self.own = TracerProvider(shutdown_on_exit=False), TracerProvider(shutdown_on_exit=False)
        self.simple.add_span_processor(SimpleSpanProcessor(self.sent))
        for each in (self.sends, self.early):
            self.own.add_span_processor(each)
        self.records: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # untyped upstream
        logs = LoggerProvider(shutdown_on_exit=False)
        logs.add_log_record_processor(SimpleLogRecordProcessor(self.records))
        self._logger = logs.get_logger("desk")
        self.reader = InMemoryMetricReader()
        self._counter = (
            MeterProvider([self.reader], shutdown_on_exit=False).get_meter("desk").create_counter("n")
        )

    def send(self) -> str:
        """Send content by each of them; what has left, as text."""
        make_span(self.simple)
        make_span(self.own)
        self._logger.emit(LogRecord(timestamp=1, body=CANARY, attributes=ATTRIBUTES))
        self._counter.add(1, ATTRIBUTES)
        left = [repr(self.reader.get_metrics_data()), *(span.to_json() for span in self.sent.spans)]
        left += [span.to_json() for span in self.sends.sent.spans] + self.early.texts
        left += [repr(record.log_record.__dict__) for record in self.records.get_finished_logs()]
        for held in (self.sent.spans, self.sends.sent.spans, self.early.texts, self.early.seen):
            held.clear()
        self.records.clear()
        return "\n".join(left)


def _at_every_step(look: Callable[[], None], does: Callable[[], None]) -> int:
    """Look whenever what exchanges a gate calls something, a built-in function too, and when that returns.

    Returns:
        How often.
    """
    looks = 0

    def step(frame: Any, _event: str, _argument: Any) -> None:
        nonlocal looks
        name, owner = frame.f_globals.get("__name__"), frame.f_locals.get("owner")
        if name in _STEPS or (name == take_out.__module__ and owner in _CHANGED):
            looks += 1
            look()

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        does()
    finally:
        sys.setprofile(before)
    return looks


@pytest.mark.parametrize("refused", [False, True], ids=["a gate", "a refusal"])
@pytest.mark.parametrize("option", ["hooks", "allowed_attributes"])
def test_nothing_leaves_while_the_gate_is_exchanged(
    option: str, refused: object, instrumentor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is sent at any step of `instrument()` meets the gate before or the one that comes."""

    def fail(*_: object, **__: object) -> None:
        raise LookupError(CANARY)

    host = Pipelines()
    assert CANARY in host.send()
    set_reraise(reraise=False)
    with monkeypatch.context() as broken:
        if refused:
            broken.setattr(Config, "from_env", fail)
        pre_instrument.begin()
    found: list[str] = []
    options = {"hooks": [tmp_path / "hooks.toml"]} if option == "hooks" else {option: "desk.other"}
    looks = _at_every_step(lambda: found.append(host.send()), lambda: instrumentor.instrument(**options))
    assert looks > 100
    assert [text for text in found if CANARY in text] == []
    assert "42" in host.send()
    assert swallowed() == ({"instrument": 1} if refused else {})


def _fails(*_: object) -> None:
    raise RuntimeError(CANARY)


@pytest.mark.parametrize(
    ("owner", "name"), [(ContentNames, "install"), (Wrapping, "install"), (Wrapping, "_on_multi")]
)
@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_a_new_gate_that_cannot_be_had(
    mode: str,
    owner: type,
    name: str,
    instrumentor: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The old one stays in force; where the new one was to be strict nothing leaves at all."""
    host = Pipelines()
    pre_instrument.begin()
    set_reraise(reraise=False)
    with monkeypatch.context() as broken:
        broken.setattr(owner, name, _fails)
        instrumentor.instrument(gate=mode, allowed_attributes="desk.other")
    left = host.send()
    assert CANARY not in left
    assert ("42" in left) is (mode == "standard")
    line = "The gate (standard) could not be put in place: what stood before it stays: the gate (strict)."
    if mode == "standard":
        assert caplog.messages[0] == line
    else:
        assert caplog.messages[0].startswith("The gate (strict) could not be put in place, so ")
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * len(caplog.records)
    assert swallowed() == {"gate": 1}
    assert CANARY not in caplog.text


def test_a_new_gate_that_cannot_be_had_where_nothing_leaves(
    instrumentor: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What refuses goes on, be the new one standard or strict, and says so once."""
    host = Pipelines()
    set_reraise(reraise=False)
    monkeypatch.setattr(ContentNames, "install", _fails)
    pre_instrument.begin()
    instrumentor.instrument(gate="standard")
    assert CANARY not in host.send()
    instrumentor._gate(Config(gate="strict"))  # noqa: SLF001  it can be called again for that alone
    assert CANARY not in host.send()
    refused, standard = [line for line in caplog.messages if line.startswith("The gate (")]
    assert refused.startswith("The gate (strict) could not be put in place, so ")
    assert (
        standard
        == "The gate (standard) could not be put in place: what stood before it stays: nothing leaves."
    )


def _misses(wrapping: Any, *_: object) -> None:
    wrapping._miss("log records")  # noqa: SLF001  as in an SDK that it does not know


@pytest.mark.parametrize(
    ("instead", "mode"), [(_fails, "standard"), (_fails, "strict"), (_misses, "strict")], ids=str
)
def test_of_a_gate_that_cannot_be_had_nothing_waits(
    instead: Callable[..., None],
    mode: str,
    instrumentor: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The presets are asked for their content by the old gate alone."""
    asked: list[str] = []

    def content(preset: Preset) -> tuple[str, ...]:
        asked.append(preset.name)
        return ()

    monkeypatch.setattr(Preset, "content", content)
    monkeypatch.delitem(sys.modules, "helpdesk", raising=False)
    distribution(tmp_path / "installed", "django-helpdesk", modules={"helpdesk": ""})
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    pre_instrument.begin()
    set_reraise(reraise=False)
    with monkeypatch.context() as broken:
        broken.setattr(Wrapping, "_on_multi", instead)
        instrumentor.instrument(gate=mode, allowed_attributes="desk.other")
    importlib.import_module("helpdesk")
    del sys.modules["helpdesk"]
    assert asked == ["django-helpdesk"]


def test_one_line_of_the_gate_that_stands(instrumentor: Any, caplog: pytest.LogCaptureFixture) -> None:
    """After an exchange the last line of the process is the new gate's, and counts from there."""
    caplog.set_level(logging.INFO, "otel_incident")
    host = Pipelines()
    pre_instrument.begin()
    host.send()
    old = instrumentor._check  # noqa: SLF001  what speaks for it
    instrumentor.instrument(gate="standard")
    assert instrumentor._check is not old  # noqa: SLF001  the same
    assert [line for line in caplog.messages if "is in place" in line] == [
        f"The gate ({mode}) is in place: spans, log records and metrics of every provider of the "
        "OpenTelemetry SDK in this process pass it."
        for mode in ("strict", "standard")
    ]
    assert instrumentor._check.summary() == ""  # noqa: SLF001  the same
    assert instrumentor._check.uncovered() == []  # noqa: SLF001  the same


def again(instrumentor: Any) -> None:
    """Ask for another gate."""
    instrumentor.instrument(gate="standard")


@pytest.mark.parametrize("end", [again, IncidentInstrumentor.remove_gate], ids=["exchanged", "removed"])
def test_a_gate_that_goes_sums_up_what_it_took_out(
    end: Callable[[Any], None],
    instrumentor: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its last line comes when it goes, with what it took out while it went, and not again at exit."""
    caplog.set_level(logging.INFO, "otel_incident")
    pre_instrument.begin()
    check, undo = instrumentor._check, Wrapping.undo  # noqa: SLF001  what speaks for it

    def taking(wrapping: Wrapping) -> None:
        wrapping.rules.count("logs", [UNKNOWN])
        undo(wrapping)

    check._rules.count("spans", [UNKNOWN])  # noqa: SLF001  as if a span had passed
    with monkeypatch.context() as patched:
        unregistered: list[Any] = []
        patched.setattr(Wrapping, "undo", taking)
        patched.setattr(atexit, "unregister", unregistered.append)
        end(instrumentor)
    atexit.unregister(check._at_exit)  # noqa: SLF001  the same
    assert unregistered == [check._at_exit]  # noqa: SLF001  the same
    assert [line for line in caplog.messages if "has taken" in line] == [
        "The gate (strict) has taken 1 thing out of spans, 1 out of log records."
    ]


@pytest.mark.parametrize("first", [0, 1], ids=["the lower first", "the upper first"])
def test_gates_over_each_other_go_in_any_order(first: int) -> None:
    """Both hold while both stand, the other one alone afterwards, and in the end all is as it was."""
    before, host = _as_shipped(), Pipelines()
    waits: Any = BatchSpanProcessor(host.sent)
    host.simple.add_span_processor(waits)
    held = {id(each): set(vars(each)) for each in (waits, host.reader)}
    gates = [Wrapping(GateRules("strict", forbidden=[key])) for key in ("incident.id", "incident.other.id")]
    for gate in gates:
        gate.install()
    try:
        assert '"42"' not in host.send()
        waits.force_flush()
        gates[first].undo()
        left = host.send()
        assert CANARY not in left
        assert ('"42"' in left) is (first == 0)
        assert not gates[1 - first].displaced()
        assert gates[1 - first].changed() == []
    finally:
        for gate in gates:
            gate.undo()
    assert _as_shipped() == before
    assert {id(each): set(vars(each)) for each in (waits, host.reader)} == held
    waits.shutdown()


class Base:
    """What has a method."""

    def says(self) -> str:
        """Who it is."""
        return "base"


class Heir(Base):
    """What inherits it."""


def _over(owner: type, word: str) -> Any:
    """A function of ours that puts a word before what is below."""
    before = owner.says  # type: ignore[attr-defined]  # one of the two above

    @functools.wraps(before)
    def method(holder: Any) -> str:
        return f"{word} {method.__wrapped__(holder)}"

    put_over(owner, "says", method)
    return method


def test_an_inherited_method_comes_back() -> None:
    """Below two other functions of ours, below one, and as the last one."""
    lower, middle, upper = (_over(Heir, word) for word in ("lower", "middle", "upper"))
    assert Heir().says() == "upper middle lower base"
    take_out(Heir, "says", lower, None)
    assert Heir().says() == "upper middle base"
    take_out(Heir, "says", middle, None)
    assert Heir().says() == "upper base"
    take_out(Heir, "says", upper, None)
    assert "says" not in vars(Heir)


class Own:
    """What another tool puts in a method's place; nothing can look it up."""

    __hash__ = None  # type: ignore[assignment]  # as a class has it that says when two of it are equal

    def __init__(self, below: Any) -> None:
        self.__wrapped__ = below

    def __get__(self, holder: Any, _owner: type) -> Callable[[], str]:
        """Itself, with a word before what is below."""
        return lambda: f"own {self.__wrapped__(holder)}"


def test_below_somebody_s_own_nothing_is_taken_out() -> None:
    """It stays, with all below it, whatever it is; ours above it goes."""
    shipped = Base.says
    lower = _over(Base, "lower")
    own: Any = Own(lower)
    try:
        Base.says = own  # type: ignore[method-assign]  # as another tool does
        take_out(Base, "says", lower, shipped)
        assert Base().says() == "own lower base"
        assert own.__wrapped__ is lower
    finally:
        Base.says = shipped  # type: ignore[method-assign]  # as it was


class Holder:
    """What holds something."""

    def __init__(self) -> None:
        self.held = "raw"


def test_who_asks_a_gate_that_is_gone_changes_nothing_for_the_next() -> None:
    """A thread that is late leaves what the old gate makes of a field, and nobody else takes it."""
    holder = Holder()
    lower = pipelines.Field(Holder, "held", lambda _, held: f"l {held}")
    upper = pipelines.Field(Holder, "held", lambda _, held: f"u {held}")
    assert holder.held == "u l raw"
    lower.undo()
    assert lower.__get__(holder) == "l raw"
    assert holder.held == "u raw"
    upper.undo()
    assert holder.held == "raw"
