"""Who calls the SDK by the names of its parameters calls what stands in its place by the same names."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import Span

from otel_incident import (
    ContentGateLogRecordProcessor,
    ContentGateMetricExporter,
    ContentGateSpanProcessor,
)
from otel_incident.gate import pipelines, wrapping
from otel_incident.gate.exporters import GatedLogRecordExporter, GatedSpanExporter
from otel_incident.gate.live import LiveSpan
from otel_incident.gate.rules import GateRules
from otel_incident.gate.wrapping import Wrapping
from otel_incident.testing import canaries

IN_THE_PLACE_OF: Final[dict[type, type]] = {
    ContentGateSpanProcessor: SpanProcessor,
    ContentGateLogRecordProcessor: LogRecordProcessor,
    ContentGateMetricExporter: MetricExporter,
    GatedSpanExporter: SpanExporter,
    GatedLogRecordExporter: LogRecordExporter,
    LiveSpan: Span,
}


def takes(ours: Callable[..., Any], theirs: Callable[..., Any], *before: object) -> None:
    """It can be called with the names of theirs, and with their number; TypeError where it cannot."""
    _, *parameters = inspect.signature(theirs).parameters.values()
    varied = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    names = [each.name for each in parameters if each.kind not in varied]
    inspect.signature(ours).bind(*before, None, **dict.fromkeys(names))
    by_position = [each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    inspect.signature(ours).bind(*before, None, *by_position)


@pytest.mark.parametrize("ours", IN_THE_PLACE_OF, ids=lambda ours: ours.__name__)
def test_classes(ours: type) -> None:
    """Each method that a class of the gate's has in the place of its base's takes what that takes."""
    base = IN_THE_PLACE_OF[ours]
    names = [name for name in vars(ours) if name in vars(base) and not name.startswith("_")]
    assert names
    for name in names:
        takes(vars(ours)[name], vars(base)[name])


@pytest.fixture
def stands(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is put in the place of a method, looked at when it is."""
    seen: list[str] = []
    make = pipelines.Method.__init__

    def made(self: pipelines.Method, owner: type, name: str, instead: Callable[..., Any]) -> None:
        if owner.__module__.startswith("opentelemetry."):
            takes(instead, vars(owner)[name], None)
            seen.append(name)
        make(self, owner, name, instead)

    with monkeypatch.context() as patched:
        patched.setattr(pipelines.Method, "__init__", made)
        yield seen


def test_methods_of_the_gate(stands: list[str]) -> None:
    """Of processors, and of what the SDK keeps for a metric reader."""
    gate = Wrapping(GateRules("strict"))
    gate.install()
    gate.undo()
    assert set(stands) == {"on_start", "_on_ending", "on_end", "on_emit", "collect"}


def test_methods_where_metrics_are_refused(stands: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a metric reader, too, of an SDK that the gate does not know."""
    monkeypatch.setattr(wrapping, "has_field", lambda _, name: name != pipelines.READER_FIELD)
    gate = Wrapping(GateRules("strict"))
    gate.install()
    gate.undo()
    assert gate.missing == ["metrics (MetricReader has no _collect)"]
    assert "collect" in stands


def test_methods_of_the_canary_test(stands: list[str]) -> None:
    """Of exporters, of processors and of what measures."""
    with canaries("Payments are down", allow_empty=True):
        pass
    assert set(stands) == {
        *("export", "on_end", "on_emit"),
        *("consume_measurement", "register_asynchronous_instrument"),
    }
