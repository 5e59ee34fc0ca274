"""The gate between the metrics of the SDK and their readers, push and pull."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricReader,
    PeriodicExportingMetricReader,
)

from otel_incident.ending import ending
from otel_incident.gate import pipelines
from otel_incident.gate.rules import MODES, Mode
from otel_incident.guard import set_reraise
from otel_incident.vocabulary import METRICS
from tests.gated_pipelines import ATTRIBUTES, CANARY, KEPT, gated
from tests.processes import environment

EVERY_MODE: Final = pytest.mark.parametrize("mode", MODES)
OURS: Final = "otel_incident"
COUNTER: Final = "incident.events"


class Exported(MetricExporter):
    """An exporter that keeps what it was handed."""

    def __init__(self) -> None:
        super().__init__()
        self.data: list[Any] = []

    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Keep it."""
        del timeout_millis, kwargs
        self.data.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits."""
        del timeout_millis
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing is open."""


class Pulls(MetricReader):
    """A reader of a host's own, which shows metrics to whoever asks."""

    def __init__(self) -> None:
        super().__init__()
        self.data: list[Any] = []

    def _receive_metrics(self, metrics_data: Any, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        del timeout_millis, kwargs
        self.data.append(metrics_data)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing is open."""


def points(data: Any) -> list[tuple[str, dict[str, Any], object]]:
    """Name, attributes and value of all points of all collections."""
    return [
        (metric.name, dict(point.attributes), point.value)
        for collected in data
        for resource in collected.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


def count(provider: MeterProvider) -> None:
    """One measurement of ours and one of the host's, both with content."""
    provider.get_meter(OURS).create_counter(COUNTER, METRICS[COUNTER].unit).add(
        1, {"incident.action": "end", **ATTRIBUTES}
    )
    provider.get_meter("desk").create_counter(f"desk.{CANARY}").add(2, ATTRIBUTES)


def expected(mode: Mode) -> list[tuple[str, dict[str, Any], object]]:
    """What is left of these."""
    if mode == "strict":
        return [(COUNTER, {"incident.action": "end"}, 1)]
    free = {key: value for key, value in ATTRIBUTES.items() if key != "incident.title"}
    return [(COUNTER, {"incident.action": "end", **free}, 1), (f"desk.{CANARY}", free, 2)]


@EVERY_MODE
@pytest.mark.parametrize("early", [True, False], ids=["made before us", "made after us"])
def test_every_kind_of_reader(mode: Mode, early: object) -> None:
    """Readers that push, that wait to be asked and that a host wrote itself are handed filtered metrics."""

    def made() -> tuple[Exported, list[Any], MeterProvider]:
        exported = Exported()
        push = PeriodicExportingMetricReader(exported, export_interval_millis=float("inf"))
        readers = [push, InMemoryMetricReader(), Pulls()]
        return exported, readers, MeterProvider(readers, shutdown_on_exit=False)

    before = made() if early else None
    with gated(mode):
        exported, (_, memory, pulls), provider = before or made()
        late = Pulls()
        provider.add_metric_reader(late) if hasattr(provider, "add_metric_reader") else None
        count(provider)
        provider.force_flush()
        pulls.collect()
        assert points([memory.get_metrics_data()]) == expected(mode)
        provider.shutdown()
    assert points(exported.data[:1]) == expected(mode)
    assert points(pulls.data[:1]) == expected(mode)


def test_undo_puts_everything_back() -> None:
    """After `undo()` the class and its readers are what they were, and metrics come as they are."""
    reader = Pulls()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    storage, _ = pipelines.reader_storage()
    before = dict(vars(MetricReader)), dict(vars(reader)), dict(vars(storage))
    with gated("strict"):
        count(provider)
        reader.collect()
    data, reader.data = reader.data, before[1]["data"]
    assert dict(vars(MetricReader)) == before[0]
    assert dict(vars(reader)) == before[1]
    assert dict(vars(storage)) == before[2]
    reader.data = []
    reader.collect()
    assert points(data[:1]) == expected("strict")
    assert [attributes[KEPT] for _, attributes, _ in points(reader.data)] == ["42", "42"]


class Elsewhere(Pulls):
    """A reader that keeps what it collects by where the SDK does not look."""

    def __init__(self) -> None:
        super().__init__()
        self.callback: Any = None

    def _set_collect_callback(self, func: Any) -> None:  # type: ignore[misc]  # final, and overridden all the same
        self.callback = func

    def collect(self, timeout_millis: float = 10_000) -> None:  # type: ignore[misc]  # the same
        """Send."""
        data = self.callback(self, timeout_millis=timeout_millis)
        if data is not None:
            self._receive_metrics(data, timeout_millis=timeout_millis)


class Hides(Elsewhere):
    """One whose class has something of its own under the name of the SDK's field."""

    _collect = None


class Duck:
    """A reader that inherits from nobody."""

    def __init__(self) -> None:
        vars(self).update(
            {key: value for key, value in vars(Pulls()).items() if key.startswith("_instrument")}
        )
        self.data: list[Any] = []
        self.callback: Any = None

    def _set_collect_callback(self, func: Any) -> None:
        self.callback = func

    def collect(self) -> None:
        """Send."""
        data = self.callback(self)
        if data is not None:
            self.data.append(data)

    def __getattr__(self, name: str) -> Any:
        """Whatever else the SDK calls."""
        return lambda *_, **__: None


@EVERY_MODE
@pytest.mark.parametrize("kind", [Elsewhere, Hides, Duck])
@pytest.mark.parametrize("early", [True, False], ids=["made before us", "made after us"])
def test_a_reader_that_collects_its_own_way(kind: Callable[[], Any], early: object, mode: Mode) -> None:
    """What the SDK gives a reader is filtered, and counted as for any other, by whatever way it asks."""

    def made() -> tuple[Any, MeterProvider]:
        reader = kind()
        return reader, MeterProvider([reader], shutdown_on_exit=False)

    before = made() if early else None
    with gated(mode) as wrapping:
        reader, provider = before or made()
        count(provider)
        reader.collect()
        assert wrapping.missing == []
        counted = wrapping.rules.dropped.counts(), wrapping.rules.audited.counts()
        reader.collect()
    assert [points([data]) for data in reader.data] == [expected(mode)] * 2
    field = Pulls()
    with gated(mode) as wrapping:
        count(MeterProvider([field], shutdown_on_exit=False))
        field.collect()
        assert (wrapping.rules.dropped.counts(), wrapping.rules.audited.counts()) == counted


def test_one_reader_asks_while_another_does() -> None:
    """A reader of that kind that is asked while an ordinary one is, by a callback, is filtered."""
    other = Elsewhere()
    count(MeterProvider([other], shutdown_on_exit=False))
    memory = InMemoryMetricReader()
    provider = MeterProvider([memory], shutdown_on_exit=False)

    def asks(_: Any) -> list[Any]:
        other.collect()
        return []

    provider.get_meter("desk").create_observable_counter("desk.asks", [asks])
    with gated("strict"):
        memory.get_metrics_data()
    assert points(other.data) == expected("strict")


@EVERY_MODE
def test_an_sdk_that_keeps_metrics_otherwise(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be seen what a reader is given, such readers are named, and the others are gated."""
    monkeypatch.setattr(pipelines, "reader_storage", lambda: (object, "collect"))
    reader = Pulls()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    count(provider)
    with gated(mode) as wrapping:
        reader.collect()
    gap = ["metrics that a reader does not collect by its _collect"]
    assert (wrapping.missing, wrapping.ungated) == (gap, gap)
    assert points(reader.data) == expected(mode)


def test_an_sdk_without_what_it_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the module is not there, a class of nobody's is found, which has no such method."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.metrics._internal.metric_reader_storage", None)
    assert pipelines.reader_storage() == (object, "collect")
    assert not pipelines.has_method(*pipelines.reader_storage())


def test_a_reader_without_a_provider(caplog: pytest.LogCaptureFixture) -> None:
    """A reader that no provider has yet says so as without us."""
    with gated("strict"):
        Pulls().collect()
    assert caplog.messages == [
        "Cannot call collect on a MetricReader until it is registered on a MeterProvider"
    ]


@EVERY_MODE
def test_a_filter_that_fails_lets_nothing_through(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the filter raises, the reader gets nothing, the host no error, and it is counted."""

    def fail(*_: object) -> None:
        raise RuntimeError(CANARY)

    reader = Pulls()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    count(provider)
    set_reraise(reraise=False)
    with gated(mode) as wrapping:
        monkeypatch.setattr("otel_incident.gate.metrics.MetricFilter.__call__", fail)
        reader.collect()
    assert reader.data == []
    assert wrapping.rules.dropped.counts() == {("metrics", "internal_error", "none"): 1}


def test_what_nobody_takes_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the events could not be delivered at exit, our metrics are not the host's to wait for."""
    reader = Pulls()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    count(provider)
    monkeypatch.setattr(ending, "in_vain", True)
    with gated("standard"):
        reader.collect()
    assert [name for name, _, _ in points(reader.data)] == [f"desk.{CANARY}"]


@EVERY_MODE
def test_an_sdk_that_calls_it_otherwise(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the field is not found, metrics are named as not covered, and in strict nothing is collected."""
    monkeypatch.setattr(pipelines, "READER_FIELD", "_renamed")
    reader = Pulls()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    count(provider)
    with gated(mode) as wrapping:
        reader.collect()
    assert wrapping.missing == ["metrics (MetricReader has no _renamed)"]
    assert len(points(reader.data)) == (0 if mode == "strict" else 2)
    refused = {("metrics", "internal_error", "none"): 1} if mode == "strict" else {}
    assert wrapping.rules.dropped.counts() == refused
    reader.collect()
    assert len(points(reader.data[-1:])) == 2


def test_a_defect_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where our part for metrics cannot be loaded, strict collects nothing and says what is missing."""
    monkeypatch.setitem(sys.modules, "otel_incident.gate.readers", None)
    reader = Pulls()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    count(provider)
    set_reraise(reraise=False)
    with gated("strict") as wrapping:
        reader.collect()
    assert wrapping.missing == ["metrics (an internal error)"]
    assert reader.data == []


def test_metrics_that_are_imported_later() -> None:
    """The gate does not import the metrics; a host that does so later has them gated, unless undone."""
    code = """
import sys
from otel_incident.gate.rules import GateRules
from otel_incident.gate.wrapping import Wrapping
wrappings = [Wrapping(GateRules("strict")), Wrapping(GateRules("standard"))]
wrappings[0].install()
wrappings[0].undo()
wrappings[1].install()
print("opentelemetry.sdk.metrics" in sys.modules)
from opentelemetry.sdk.metrics.export import MetricReader
print(type(vars(MetricReader)["_collect"]).__name__, len(wrappings[0]._places))
wrappings[1].undo()
print("_collect" in vars(MetricReader))
"""
    done = subprocess.run(  # noqa: S603  the words are ours
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.stdout.splitlines()) == ("", ["False", "Field 0", "False"])
