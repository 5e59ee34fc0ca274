"""What the public gates take: anything else is refused at once, with what to write instead."""

from typing import Any, Final

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_incident import (
    ContentGateLogRecordProcessor,
    ContentGateMetricExporter,
    ContentGateSpanProcessor,
)
from otel_incident.config import Config
from otel_incident.gate.rules import GateRules
from otel_incident.installation import rules_of
from otel_incident.testing import canaries

SPANS: Final = (
    "ContentGateSpanProcessor takes a span processor, not {}; write "
    "ContentGateSpanProcessor(BatchSpanProcessor(OTLPSpanExporter()))"
)
LOGS: Final = (
    "ContentGateLogRecordProcessor takes a processor of log records, not {}; write "
    "ContentGateLogRecordProcessor(BatchLogRecordProcessor(OTLPLogExporter()))"
)
METRICS: Final = (
    "ContentGateMetricExporter takes an exporter of metrics, not {}; write "
    "PeriodicExportingMetricReader(ContentGateMetricExporter(OTLPMetricExporter()))"
)
GATES: Final[dict[str, Any]] = {
    SPANS: ContentGateSpanProcessor,
    LOGS: ContentGateLogRecordProcessor,
    METRICS: ContentGateMetricExporter,
}
LOG_EXPORTER: Final[Any] = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # untyped upstream


def processor(signal: str) -> Any:
    """One that waits for spans, or for log records."""
    if signal == "spans":
        return SimpleSpanProcessor(InMemorySpanExporter())
    return SimpleLogRecordProcessor(LOG_EXPORTER)


@pytest.mark.parametrize(
    ("line", "given"),
    [
        (SPANS, InMemorySpanExporter()),
        (SPANS, processor("logs")),
        (SPANS, TracerProvider(shutdown_on_exit=False)),
        (SPANS, None),
        (SPANS, "kanarie"),
        (LOGS, LOG_EXPORTER),
        (LOGS, processor("spans")),
        (LOGS, LoggerProvider(shutdown_on_exit=False)),
        (METRICS, InMemoryMetricReader()),
        (METRICS, InMemorySpanExporter()),
        (METRICS, LOG_EXPORTER),
        (METRICS, processor("spans")),
        (METRICS, None),
    ],
    ids=lambda each: each.partition(" ")[0] if isinstance(each, str) else type(each).__name__,
)
def test_what_is_of_another_kind(line: str, given: Any) -> None:
    """An exporter, a reader, a provider or another signal's processor is a TypeError that names its class."""
    with pytest.raises(TypeError) as caught:
        GATES[line](given)
    assert str(caught.value) == line.format(f"an object of the class {type(given).__name__}")


@pytest.mark.parametrize(
    ("line", "given"),
    [(SPANS, BatchSpanProcessor), (LOGS, BatchLogRecordProcessor), (METRICS, ConsoleMetricExporter)],
    ids=["spans", "logs", "metrics"],
)
def test_a_class_in_the_place_of_an_object(line: str, given: type) -> None:
    """A class that nobody has called is a TypeError."""
    with pytest.raises(TypeError) as caught:
        GATES[line](given)
    assert str(caught.value) == line.format(f"the class {given.__name__}")


class Duck:
    """A host's own, which inherits from nobody."""

    def on_end(self, span: Any) -> None:
        """Spans."""

    def on_emit(self, log_record: Any) -> None:
        """Log records."""

    def export(self, metrics_data: Any, **kwargs: Any) -> None:
        """Metrics."""


@pytest.mark.parametrize("gate", GATES.values())
def test_what_inherits_from_nobody(gate: Any) -> None:
    """An object that has the method is taken, whatever it is, as the SDK does; so is a gate in a gate."""
    assert isinstance(gate(gate(Duck())), gate)


def in_the_kit(**globs: Any) -> None:
    """A canary test whose block must not begin."""
    with canaries("kanarie-title", **globs):
        pytest.fail("the block has begun")


TAKES_GLOBS: Final[dict[str, Any]] = {
    "spans": lambda **globs: ContentGateSpanProcessor(Duck(), **globs),  # type: ignore[arg-type]  # a duck
    "logs": lambda **globs: ContentGateLogRecordProcessor(Duck(), **globs),  # type: ignore[arg-type]  # a duck
    "metrics": lambda **globs: ContentGateMetricExporter(Duck(), **globs),  # type: ignore[arg-type]  # a duck
    "rules": GateRules,
    "installation": lambda **globs: rules_of(Config(), "strict", **globs),
    "canaries": in_the_kit,
}
LIST: Final = '{0} takes a list of globs, not an object of the class {1}; write {0}=["desk.*"]'
ITEM: Final = '{0} takes texts, not an object of the class {1}; write {0}=["desk.*"]'


@pytest.mark.parametrize(
    ("line", "given", "kind"),
    [
        (LIST, "desk.*", "str"),
        (LIST, b"desk.*", "bytes"),
        (LIST, None, "NoneType"),
        (ITEM, [b"desk.*"], "bytes"),
        (ITEM, ["desk.*", 7], "int"),
    ],
    ids=["text", "bytes", "nothing", "a list of bytes", "a list with a number"],
)
@pytest.mark.parametrize("name", ["allowed", "forbidden"])
@pytest.mark.parametrize("takes", TAKES_GLOBS)
def test_a_text_in_the_place_of_globs(takes: str, name: str, line: str, given: Any, kind: str) -> None:
    """A text, of which each letter would be a glob and `*` allow all, is a TypeError, as what is no text."""
    with pytest.raises(TypeError) as caught:
        TAKES_GLOBS[takes](**{name: given})
    assert str(caught.value) == line.format(name, kind)


@pytest.mark.parametrize("kind", [list, tuple, set, iter], ids=lambda kind: kind.__name__)
def test_globs_that_can_be_iterated(kind: Any) -> None:
    """Globs in a list, a tuple, a set or an iterator are taken as they are."""
    rules = GateRules(allowed=kind(["desk.*"]), forbidden=kind(["room"]))
    attributes = {"desk.room": "a", "room": "b"}
    assert rules.strict.of_scope(None).attributes.keep(attributes, []) == {"desk.room": "a"}
    filtered = rules.standard.filter(attributes)
    assert filtered is not None
    assert filtered.attributes == {"desk.room": "a"}


@pytest.mark.parametrize(
    ("glob", "matches", "others"),
    [
        ("form[title]", "form[title]", "formt"),
        ("form[!title]", "form[!title]", "formx"),
        ("form[]", "form[]", "form"),
        ("notes]", "notes]", "notes"),
        ("form[[]", "form[[]", "form["),
        ("*[title]", "desk.form[title]", "desk.formt"),
        ("form[?]", "form[7]", "form?"),
        ("desk.??om", "desk.room", "desk.om"),
        ("desk.r.m", "desk.r.m", "desk.room"),
    ],
)
def test_brackets_in_a_glob_stand_for_themselves(glob: str, matches: str, others: str) -> None:
    """`*` is any text and `?` any one character, as in OpenTelemetry's own configuration; nothing else is."""
    attributes = {matches: "a", others: "b"}
    allowing = GateRules("strict", allowed=[glob])
    assert allowing.strict.of_scope(None).attributes.keep(attributes, []) == {matches: "a"}
    filtered = GateRules("standard", forbidden=[glob]).standard.filter(attributes)
    assert filtered is not None
    assert filtered.attributes == {others: "b"}
    assert GateRules("strict", forbidden=[glob]).standard.is_forbidden_by_operator(matches)


def test_a_key_with_brackets_is_named_exactly() -> None:
    """A key that is allowed without `*` and `?` is named, whatever brackets it has."""
    rules = GateRules("strict", allowed=["form[title]", "form[*]"])
    overrules = rules.strict._operator.overrules  # noqa: SLF001  no profile has a key with brackets to see it by
    assert [overrules("form[title]"), overrules("form[*]")] == [True, False]
