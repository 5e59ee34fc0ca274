"""What the gate says of itself: one line when everything has started, one when the process ends.

What does not pass the gate is named, so that nobody relies on more than is true. Nothing that is said comes
from outside but the names of modules.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, final

from opentelemetry._logs import get_logger_provider
from opentelemetry.metrics import get_meter_provider
from opentelemetry.trace import get_tracer_provider

from otel_incident.gate.pipelines import exit_handler
from otel_incident.guard import fail_open, inform_at_end, say
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_incident.gate.wrapping import Wrapping
    from otel_incident.vocabulary import Signal

# Agents that send by a way of their own, by the module that is theirs.
AGENTS: Final = ("ddtrace", "elasticapm", "newrelic", "sentry_sdk")
_SDK: Final = "opentelemetry"
_NAMES: Final[dict[Signal, str]] = {"spans": "spans", "logs": "log records", "metrics": "metrics"}
_SIGNALS: Final = tuple(_NAMES)
_logger: Final = logging.getLogger("otel_incident")
# What starts us says here, and nowhere else, that it has stopped halfway.
_command: Final = logging.getLogger("opentelemetry.instrumentation.auto_instrumentation")


@final
class SelfCheck:
    """Speaks for the gate of a process.

    Args:
        wrapping: The gate.
        first: Whether no code of the host's has run yet. Then the last line can wait until the providers have
            exported the rest; later that would put their end before what the host has registered meanwhile.
    """

    def __init__(self, wrapping: Wrapping, *, first: bool = False) -> None:
        self._wrapping = wrapping
        self._rules = wrapping.rules
        self._before = self._counts()
        self._active = True
        self._reported = False
        if first:
            at_exit_after_providers(self._at_exit)
            _command.addFilter(self._on_command)
        else:
            atexit.register(self._at_exit)
        os.register_at_fork(after_in_child=self._begin_at_zero)
        on_agent = fail_open("gate")(self._on_agent)
        self._wait_no_longer = [when_imported(agent, on_agent) for agent in AGENTS]

    def report(self, *, visibly: bool = False) -> None:
        """Say what is gated, in which mode, and what is not covered.

        Args:
            visibly: Whether it is a warning that all is, and no information.
        """
        self._reported = True
        _command.removeFilter(self._on_command)
        gaps = self.uncovered()
        mode = self._rules.mode
        if gaps:
            say("The gate (%s) is in place, but does not cover: %s.", mode, "; ".join(gaps))
            return
        (say if visibly else self._inform)(
            "The gate (%s) is in place: spans, log records and metrics of every provider of the "
            "OpenTelemetry SDK in this process pass it.",
            mode,
        )

    def uncovered(self) -> list[str]:
        """What does not pass the gate, as far as can be known, in words."""
        gaps = list(self._wrapping.missing)
        if self._wrapping.displaced():
            gaps.append("what somebody has put in the gate's place in the SDK's classes")
        changed = self._wrapping.changed()
        if changed:
            gaps.append(f"what somebody has put into the SDK's {', '.join(changed)}")
        for provider in (get_tracer_provider(), get_logger_provider(), get_meter_provider()):
            package = type(provider).__module__.partition(".")[0]
            if package != _SDK and not any(
                base.__module__.startswith("opentelemetry.sdk.") for base in type(provider).__mro__
            ):
                gaps.append(f"the global provider of {package}, which is not the OpenTelemetry SDK's")
        gaps += [_of_agent(agent) for agent in AGENTS if agent in sys.modules]
        return gaps

    def summary(self) -> str:
        """What was taken out in this process, in one line; "" where nothing was."""
        counts = self._counts() - self._before
        parts = {
            "has taken": _numbers({signal: counts[signal] for signal in _SIGNALS}),
            "strict would have taken": _numbers({signal: counts[_would(signal)] for signal in _SIGNALS}),
        }
        said = "; ".join(f"{verb} {numbers}" for verb, numbers in parts.items() if numbers)
        return f"The gate ({self._rules.mode}) {said}." if said else ""

    def stop(self) -> None:
        """Say what was taken out, and nothing more."""
        self._active = False
        _command.removeFilter(self._on_command)
        for wait_no_longer in self._wait_no_longer:
            wait_no_longer()
        atexit.unregister(self._at_exit)
        self._sum_up(_logger.info)

    def _counts(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for (signal, _, _), count in self._rules.dropped.counts().items():
            found[signal] += count
        for (signal, _, _), count in self._rules.audited.counts().items():
            found[_would(signal)] += count
        return found

    def _begin_at_zero(self) -> None:
        if self._active:  # what is registered for forks cannot be taken back
            self._before = self._counts()

    def _on_command(self, record: logging.LogRecord) -> bool:
        """Report where the command says that its start has failed: nobody will ask for it any more."""
        if record.levelno >= logging.ERROR and not self._reported:
            fail_open("gate")(self.report)(visibly=True)
        return True

    def _on_agent(self, module: Any) -> None:
        if self._active and self._reported:  # else the report names it
            say("The gate (%s) does not cover: %s.", self._rules.mode, _of_agent(module.__name__))

    def _at_exit(self) -> None:
        self._sum_up(inform_at_end)

    def _sum_up(self, tell: Callable[..., None]) -> None:
        with contextlib.suppress(Exception):  # nothing of ours may disturb the end of a process or of a gate
            summary = self.summary()
            if summary:
                tell("%s", summary)

    def _inform(self, message: str, *arguments: object) -> None:
        with contextlib.suppress(Exception):  # a log handler of the host's may raise anything
            _logger.info(message, *arguments)


def at_exit_after_providers(last: Callable[[], None]) -> None:
    """Run something at exit once the providers that exist have exported the rest."""
    handlers = [
        handler
        for provider in (get_tracer_provider(), get_meter_provider(), get_logger_provider())
        if (handler := exit_handler(provider)) is not None
    ]
    for handler in handlers:
        atexit.unregister(handler)
    for handler in (last, *handlers):  # the first one comes last, and they keep the SDK's own order
        atexit.register(handler)


def _numbers(counts: Mapping[Signal, int]) -> str:
    """How many attributes, names, texts and whole points came out of each signal."""
    first, *others = [f"{count} out of {_NAMES[signal]}" for signal, count in counts.items() if count] or [""]
    number, _, of = first.partition(" ")
    things = f"{number} {'thing' if number == '1' else 'things'} {of}" if first else ""
    return ", ".join([things, *others])


def _would(signal: Signal) -> str:
    return f"{signal} in strict"


def _of_agent(agent: str) -> str:
    return f"what {agent} sends by itself"
