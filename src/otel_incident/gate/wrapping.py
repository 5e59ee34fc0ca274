"""The gate around every pipeline of the SDK in a process, whoever makes it, and whenever.

Inside the SDK's own batch and simple processors the *exporter* is gated, so that the work is done in the
thread that exports and the processor stays the object that it was. A processor of any other type may send by
itself, so where there is one, all processors of its provider are handed what is filtered already: one and the
same copy, so that what one of them changes the next ones see, as without us. Metric readers, push and pull,
are handed filtered metrics. Only pipelines are gated: what calls an exporter itself is out of reach.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, final

from opentelemetry.context import Context
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from otel_incident.forks import no_fork_while_importing
from otel_incident.gate import pipelines
from otel_incident.gate.exporters import GatedLogRecordExporter, GatedSpanExporter
from otel_incident.gate.live import LiveSpan, raised_in, shown_context
from otel_incident.gate.logs import LogFilter
from otel_incident.gate.memory import note_audited
from otel_incident.gate.pipelines import Field, Method, as_shipped, has_field, has_method
from otel_incident.gate.processors import filtered_record
from otel_incident.gate.rules import FAILED
from otel_incident.gate.spans import SpanFilter
from otel_incident.guard import fail_open, swallow
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_incident.gate.rules import GateRules
    from otel_incident.vocabulary import Signal

_METHODS: Final = {"spans": ("on_start", "_on_ending", "on_end"), "logs": ("on_emit",)}
_PATCHABLE: Final = {signal: frozenset(methods) for signal, methods in _METHODS.items()}


def _without_counts(rules: GateRules) -> GateRules:
    """The same rules for looks that are not an export."""
    uncounted = copy.copy(rules)
    vars(uncounted)["count"] = lambda *_: None
    return uncounted


@final
class Wrapping:
    """Gates every pipeline from `install()` to `undo()`.

    Args:
        rules: What may pass.
        own_exporters: The types of exporter that are left alone: the policy stands before them already.
    """

    def __init__(self, rules: GateRules, own_exporters: tuple[type, ...] = ()) -> None:
        self.rules = rules
        self.missing: list[str] = []
        """What this release of the SDK does not have, and what therefore does not pass the gate."""
        self.ungated: list[str] = []
        """What of that leaves as it is in strict, too."""

        self._own_exporters = own_exporters
        self._uncounted = SpanFilter(_without_counts(rules))
        self._spans = SpanFilter(rules)
        self._logs = LogFilter(rules)
        self._places: list[Field | Method] = []
        self._stock: dict[Signal, set[type]] = {"spans": set(), "logs": set()}
        self._wait_no_longer: Callable[[], None] = lambda: None
        self._active = False

    def install(self) -> None:
        """Gate what there is and what will be.

        Raises:
            Exception: What went wrong; then nothing is gated.
        """
        self._active = True
        try:
            self._on_exporters()
            self._on_multi("spans", pipelines.SPAN_MULTI, pipelines.OF_TRACER)
            self._on_multi("logs", pipelines.LOG_MULTI, pipelines.OF_LOGGER)
            # the metrics are not imported for this: that takes longer than all else
            self._wait_no_longer = when_imported(
                pipelines.METRICS_MODULE, fail_open("gate")(self._on_readers)
            )
        except Exception:
            self.undo()
            raise

    def undo(self) -> None:
        """Leave every class and object of the SDK as it was."""
        self._active = False
        self._wait_no_longer()
        while self._places:
            self._places.pop().undo()

    def displaced(self) -> bool:
        """Whether somebody has put something else where the gate stood."""
        return not all(place.in_force() for place in self._places)

    def changed(self) -> list[str]:
        """Methods of the SDK's that somebody has changed, and that see what the gate has yet to filter."""
        found = [place.changed() for place in self._places if isinstance(place, Method) and place.in_force()]
        found += [
            f"{owner.__name__}.{name}"
            for owner, name in pipelines.BEFORE_QUEUE
            if pipelines.changed(owner, name)
        ]
        return [name for name in found if name]

    def _on_exporters(self) -> None:
        """Gate the exporters in the SDK's own processors; one whose exporter is not found is unknown."""
        for (owner, name), signal, stock in (
            (pipelines.BATCH, None, {"spans": BatchSpanProcessor, "logs": BatchLogRecordProcessor}),
            (pipelines.SIMPLE_SPAN, "spans", {"spans": SimpleSpanProcessor}),
            (pipelines.SIMPLE_LOG, "logs", {"logs": SimpleLogRecordProcessor}),
        ):
            if not has_field(owner, name):
                continue
            self._places.append(Field(owner, name, self._exporter_gate(signal)))
            for each, kind in stock.items():
                self._stock["spans" if each == "spans" else "logs"].add(kind)

    def _exporter_gate(self, signal: str | None) -> Callable[[Any, Any], Any]:
        def gate(holder: Any, exporter: Any) -> Any:
            if isinstance(exporter, self._own_exporters):
                return exporter
            of_logs = signal == "logs" or pipelines.exports(holder) == "Log"
            gated = (GatedLogRecordExporter if of_logs else GatedSpanExporter)(exporter, self.rules)
            # as they are, with the arguments that they take: a batch processor asks for these
            for name in ("shutdown", "force_flush"):
                if hasattr(exporter, name):
                    setattr(gated, name, getattr(exporter, name))
            return gated

        return gate

    def _on_multi(self, signal: Signal, owners: tuple[type, ...], keeps: tuple[type, str]) -> None:
        """Stand before the processors of a provider, and before one that is not of these classes."""
        instead = {
            "on_start": self._on_start,
            "_on_ending": self._on_ending,
            "on_end": self._on_end,
            "on_emit": self._on_emit,
        }
        complete = []
        for owner in owners:
            *live, last = _METHODS[signal]
            if not has_method(owner, last):
                self._miss(f"{signal} ({owner.__name__} has no {last})")
                continue
            wanted = [*live, last] if self.rules.mode == "strict" else [last]
            self._places += [Method(owner, name, instead[name]) for name in wanted if has_method(owner, name)]
            self._stock[signal].add(owner)
            complete.append(owner)
        if not complete:
            return
        carrier: Any = complete[0]
        owner, name = keeps
        if not has_field(owner, name):
            self._miss(f"{signal} of a provider's own processor ({owner.__name__} has no {name})")
            return

        def gate(_holder: Any, processor: Any) -> Any:
            if type(processor) in complete:
                return processor
            carried = carrier()
            getattr(carried, f"add_{'span' if signal == 'spans' else 'log_record'}_processor")(processor)
            return carried

        self._places.append(Field(owner, name, gate))

    def _on_readers(self, _module: Any) -> None:
        """Stand between the metric readers and the SDK, from the moment that the metrics are imported."""
        if not self._active:
            return
        reader = pipelines.metric_reader()
        try:
            if has_field(reader, pipelines.READER_FIELD):
                with no_fork_while_importing():
                    from otel_incident.gate.readers import ReaderGate  # noqa: PLC0415  it needs the metrics

                gate = ReaderGate(self.rules)
                self._places.append(Field(reader, pipelines.READER_FIELD, gate.of_reader))
                storage, name = pipelines.reader_storage()
                if has_method(storage, name):
                    self._places.append(Method(storage, name, gate.of_storage))
                else:
                    self._miss(f"metrics that a reader does not collect by its {pipelines.READER_FIELD}")
                return
            why = f"{reader.__name__} has no {pipelines.READER_FIELD}"
        except Exception as error:  # noqa: BLE001  it is said, and in strict nothing is collected
            swallow("gate", error)
            why = "an internal error"
        refused = self.rules.mode == "strict" and has_method(reader, "collect")
        self._miss(f"metrics ({why})", leaves=not refused)
        if refused:
            self._places.append(Method(reader, "collect", self._refuse_metrics))

    def _miss(self, what: str, *, leaves: bool = True) -> None:
        self.missing.append(what)
        if leaves:
            self.ungated.append(what)

    def _refuse_metrics(self, _collect: Callable[..., None], *_: Any, **__: Any) -> None:
        self.rules.count("metrics", [FAILED])

    def _known(self, signal: Signal, holder: Any, entry: str) -> bool:
        """Whether all that come next have their exporters gated, and nothing of anybody's before them.

        Args:
            signal: Whose processors they are.
            holder: What hands on to them.
            entry: The method of theirs that is going to be called.
        """
        stock, entries = self._stock[signal], _PATCHABLE[signal]
        for each in pipelines.following(holder, signal):  # a generator would take twice as long
            if type(each) not in stock or not entries.isdisjoint(vars(each)):
                return False
            if not as_shipped(getattr(type(each), entry, None)):
                return False
        return True

    def _on_start(
        self, before: Callable[..., None], holder: Any, span: Any, parent_context: Any = None
    ) -> None:
        if self._known("spans", holder, "on_start"):
            before(holder, span, parent_context=parent_context)
            return
        shown = self._shown(parent_context)
        try:
            before(holder, LiveSpan(span, self._uncounted), parent_context=shown)
        except Exception as error:  # noqa: BLE001  it may have expected another span, which is our doing
            self._missed("span processor", error)

    def _shown(self, parent_context: Any) -> Context:
        def allowed(baggage: Mapping[str, Any]) -> Mapping[str, Any]:
            return self.rules.strict.of_scope(None).attributes.keep(baggage, [])

        try:
            return shown_context(parent_context, self._uncounted, allowed)
        except Exception as error:  # noqa: BLE001  the processor has to run, and may see less
            swallow("gate", error)
            return Context()

    def _on_ending(self, before: Callable[..., None], holder: Any, span: Any) -> None:
        if self._known("spans", holder, "_on_ending"):
            before(holder, span)
            return
        try:
            before(holder, LiveSpan(span, self._uncounted))
        except Exception as error:  # noqa: BLE001  the same
            self._missed("span processor", error)

    def _on_end(self, before: Callable[..., None], holder: Any, span: Any) -> None:
        if self._known("spans", holder, "on_end"):
            before(holder, span)
            return
        try:
            passed = self._spans(span)
            if self.rules.mode == "audit":  # strict would take nothing more out at the exporters
                note_audited(passed)
        except Exception as error:  # noqa: BLE001  a filter that fails must neither raise nor let through
            self._failed("spans", error)
            return
        self._hand_over(before, holder, passed, "" if passed is span else "span processor")

    def _on_emit(self, before: Callable[..., None], holder: Any, log_record: Any) -> None:
        if self._known("logs", holder, "on_emit"):
            before(holder, log_record)
            return
        try:
            passed = filtered_record(self._logs, log_record)
            if self.rules.mode == "audit":
                note_audited(passed.log_record)
        except Exception as error:  # noqa: BLE001  a filter that fails must neither raise nor let through
            self._failed("logs", error)
            return
        self._hand_over(before, holder, passed, "" if passed is log_record else "log record processor")

    def _hand_over(self, before: Callable[..., None], holder: Any, passed: Any, copied_for: str) -> None:
        if not copied_for:  # it is what came: an error is the host's own, as without us
            before(holder, passed)
            return
        try:
            before(holder, passed)
        except Exception as error:  # noqa: BLE001  it may miss what was taken out, which is our doing
            self._missed(copied_for, error)

    def _missed(self, what: str, error: Exception) -> None:
        """Say whose error it is that came of a copy: who raised it may need what is missing, or may not."""
        swallow(
            "gate",
            error,
            f"A {what} of the host's (module {raised_in(error)}) raised {type(error).__name__} when the gate "
            f"({self.rules.mode}) handed it a copy without what may not leave, which it may need. The host "
            "is not affected.",
        )

    def _failed(self, signal: Signal, error: Exception) -> None:
        self.rules.count(signal, [FAILED])
        swallow("gate", error)
