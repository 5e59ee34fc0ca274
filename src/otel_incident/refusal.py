"""What stands in the gate's place where strict was asked for and the gate cannot be had: nothing is exported.

It must work where the gate does not, so it needs neither the policy nor any private name of the SDK: it takes
the SDK's own base classes of processors, readers and exporters, and refuses in each class that inherits from
one, whoever wrote it, and whenever. So no object has to be found. Of private names it uses what it finds, to
throw away what waits in the SDK's queues; without them no exporter takes what waits there.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple, final

from otel_incident.guard import say, swallow
from otel_incident.overlays import take_out
from otel_incident.quiet import delivering
from otel_incident.vocabulary import SCOPE_NAME

_Answer = Callable[[Any], object]
_OURS: Final = "otel_incident."
_GATE: Final = "otel_incident.gate."


def _nothing(_: object) -> None:
    """The answer of what gives none."""


def _done(_: object) -> bool:
    """The answer to a flush: nothing waits."""
    return True


def _never(_: object) -> bool:
    """Whether an export that is under way is to go on with what waits."""
    return False


def _thrown_away(holder: Any) -> None:
    """The answer of a batch processor that was to export what waits."""
    queue, lock = (getattr(holder, name, None) for name in ("_queue", "_export_lock"))
    # under an export, which counts what it takes, nothing is taken from it; it takes one batch and no more
    if queue is None or (lock is not None and not lock.acquire(blocking=False)):
        return
    queue.clear()
    if lock is not None:
        lock.release()


class _Kind(NamedTuple):
    """One kind of thing that what is exported passes.

    Attributes:
        name: What it is called in our line.
        module: Where the SDK has its base class.
        base: That class.
        answers: By method, what it answers where it refuses.
        result: The enumeration whose FAILURE an export answers; "" where it is no exporter.
    """

    name: str
    module: str
    base: str
    answers: dict[str, _Answer]
    result: str = ""


_ENDS: Final[dict[str, _Answer]] = {"force_flush": _done, "shutdown": _nothing}
_KINDS: Final = (
    _Kind(
        "span processors",
        "opentelemetry.sdk.trace",
        "SpanProcessor",
        {"on_start": _nothing, "_on_ending": _nothing, "on_end": _nothing, **_ENDS},
    ),
    _Kind("span exporters", "opentelemetry.sdk.trace.export", "SpanExporter", _ENDS, "SpanExportResult"),
    _Kind(
        "log record processors",
        "opentelemetry.sdk._logs",
        "LogRecordProcessor",
        {"on_emit": _nothing, **_ENDS},
    ),
    _Kind(
        "log record exporters",
        "opentelemetry.sdk._logs.export",
        "LogRecordExporter",
        _ENDS,
        "LogRecordExportResult",
    ),
    _Kind(
        "metric readers",
        "opentelemetry.sdk.metrics.export",
        "MetricReader",
        {"collect": _nothing, "_receive_metrics": _nothing, **_ENDS},
    ),
    _Kind(
        "metric exporters", "opentelemetry.sdk.metrics.export", "MetricExporter", _ENDS, "MetricExportResult"
    ),
    _Kind(
        "batch queues",
        "opentelemetry.sdk._shared_internal",
        "BatchProcessor",
        {"emit": _nothing, "_export": _thrown_away, "_should_export_batch": _never, **_ENDS},
    ),
)


@final
class Refusal:
    """Refuses every export of the process but that of our own events, from `install()` to `undo()`.

    Attributes:
        reached: The kinds of things that refuse.
        unreached: Those whose base class this SDK does not have, and classes that cannot be changed.
    """

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.unreached: list[str] = []
        self._stands = False
        self._queues: list[type] = []
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Refuse in every class there is and in those that come; never raises."""
        self._stands = True
        for kind in _KINDS:
            try:
                module = import_module(kind.module)
                base = getattr(module, kind.base)
                answers = dict(kind.answers)
                if kind.result:
                    failure = getattr(module, kind.result).FAILURE
                    answers["export"] = functools.partial(_answer, failure)
                self._on_later(base, answers)
                self._on_all(kind.name, base, answers)
                if "_export" in answers:
                    self._queues.append(base)
                    _throw_away(base)
            except Exception as error:  # noqa: BLE001  an SDK of any kind; what is not reached is said
                self.unreached.append(f"{kind.name} ({type(error).__name__})")
            else:
                self.reached.append(kind.name)

    def undo(self) -> None:
        """Leave every class as it was; what was refused is gone."""
        while self._queues:
            _throw_away(self._queues.pop())  # again, for those of which something was being exported
        self._stands = False
        while self._undo:
            self._undo.pop()()

    def _on_all(self, kind: str, base: type, answers: dict[str, _Answer]) -> None:
        found, seen = [base], set()
        while found:
            owner = found.pop()
            if owner not in seen:
                seen.add(owner)
                found += type.__subclasses__(owner)
                try:
                    self._on(owner, base, answers)
                except Exception as error:  # noqa: BLE001  a class that cannot be changed; the others can
                    self.unreached.append(f"{kind} of the class {owner.__name__} ({type(error).__name__})")

    def _on(self, owner: type, base: type, answers: dict[str, _Answer]) -> None:
        if _is_ours(owner):
            return
        for name, answer in answers.items():
            found = next((each for each in owner.__mro__ if name in vars(each)), None)
            # what another class brings in beside the base comes before what refuses in that
            if found is not None and (found is owner or not issubclass(found, base)):
                before = vars(found)[name]
                method = self._method(before, name, answer)
                setattr(owner, name, method)
                below = before if found is owner else None
                self._undo.append(functools.partial(take_out, owner, name, method, below))

    def _method(self, before: Any, name: str, answer: _Answer) -> Callable[..., Any]:
        def refuses(holder: Any, *args: Any, **kwargs: Any) -> Any:
            if self._stands and not _ours(holder, name, [*args, *kwargs.values()]):
                return answer(holder)
            bound = before.__get__(holder, type(holder)) if hasattr(before, "__get__") else before
            return bound(*args, **kwargs)

        return functools.wraps(before)(refuses) if callable(before) else refuses

    def _on_later(self, base: Any, answers: dict[str, _Answer]) -> None:
        """Refuse in classes that are made later, from the moment that they are."""
        own = vars(base).get("__init_subclass__")

        def made(cls: Any, /, **kwargs: Any) -> None:
            if own is None:
                super(base, cls).__init_subclass__(**kwargs)
            else:
                own.__get__(None, cls)(**kwargs)
            try:
                self._on(cls, base, answers)
            except Exception as error:  # noqa: BLE001  the host is making a class of its own
                name = f"{cls.__module__}.{cls.__qualname__}"
                line = f"There is no gate, and the class {name} cannot be kept from sending as it is."
                swallow("gate", error, line)

        base.__init_subclass__ = classmethod(made)
        if own is None:
            self._undo.append(lambda: delattr(base, "__init_subclass__"))
        else:
            self._undo.append(lambda: setattr(base, "__init_subclass__", own))


def refuse(why: str = "") -> Refusal:
    """Let nothing leave from now on, and say so in one line.

    Args:
        why: Why there is no gate, in brackets and with a blank before them; "" says nothing of that.
    """
    refusal = Refusal()
    refusal.install()
    say(
        "The gate (strict) could not be put in place%s, so the host's own spans, logs and metrics do not "
        "leave, nor does what waits in a queue. What refuses, of every provider: %s. Not reached, and "
        "sending as it is: %s. To start the host without the gate, set it to off where strict is asked for: "
        "OTEL_INCIDENT_GATE, or gate in OTEL_CONFIG_FILE or in the call of instrument().",
        why,
        ", ".join(refusal.reached) or "nothing",
        ", ".join([*refusal.unreached, "what sends without the SDK's classes"]),
    )
    return refusal


def _throw_away(base: type) -> None:
    """Empty the queues that there are, else what waits would leave after `undo()`."""
    for each in gc.get_objects():  # nobody else knows them all
        # not isinstance, which asks an object of anybody's for its class
        if issubclass(type(each), base) and not _ours(each, "", ()):
            _thrown_away(each)


def _answer(answer: object, _: object) -> object:
    return answer


def _ours(holder: Any, name: str, args: Sequence[Any]) -> bool:
    """Whether this is about events of ours, which travel on a pipeline of their own and have been checked."""
    try:
        if _is_ours(type(holder)) or _is_ours(type(getattr(holder, "_exporter", None))):
            return True
        if not delivering():
            return False
        # in a thread that delivers, but a log handler of the host's may have come in between
        return name != "export" or all(
            record.instrumentation_scope.name == SCOPE_NAME for record in (args[0] if args else ())
        )
    except Exception:  # noqa: BLE001  an object of the host's that cannot be looked at
        return False


def _is_ours(owner: type) -> bool:
    """Whether a class carries our own events; those of the gate carry the host's signals."""
    module = str(owner.__module__)
    return module.startswith(_OURS) and not module.startswith(_GATE)
