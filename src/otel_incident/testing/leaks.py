"""The canary test of a host's own app: what it plants must not be in anything that would leave the process.

with canaries("Payments are down", "jane@acme.test", mode="strict"):
    client.post("/incidents", data={"title": "Payments are down", "reporter": "jane@acme.test"})
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_incident.config import config_of_process
from otel_incident.gate.arguments import globs_in
from otel_incident.installation import rules_of
from otel_incident.testing.capture import Capture
from otel_incident.testing.search import GRAM, found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from otel_incident.testing.capture import Payload
    from otel_incident.vocabulary import Signal

_REQUESTS: Final[Mapping[Signal, Any]] = {
    "spans": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
_MODES: Final = ("strict", "standard", "off")
_ACROSS: Final = "(across fields)"


@final
@dataclass(frozen=True, slots=True)
class Leak:
    """A canary that would have left.

    Attributes:
        canary: As it was passed.
        signal: `spans`, `logs` or `metrics`.
        field: Where it stood, as OTLP names its fields; the key of an attribute only if the semantic
            conventions have it, since any other could be content itself.
        encoding: How it was written, in whole or in part.
    """

    canary: str
    signal: Signal
    field: str
    encoding: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.canary!r} ({self.encoding}) in {self.signal}: {self.field}"


@final
@dataclass(slots=True)
class Search:
    """What came of a block; filled when it ends.

    Attributes:
        exported: How many spans, log records and data points of metrics would have left.
        leaks: Every canary in them, and where.
    """

    exported: Mapping[Signal, int] = field(default_factory=dict)
    leaks: tuple[Leak, ...] = ()

    def leaked(self) -> set[str]:
        """The canaries that would have left."""
        return {leak.canary for leak in self.leaks}


@contextmanager
def canaries(
    *texts: str,
    mode: Literal["strict", "standard", "off"] | None = None,
    allowed: Iterable[str] = (),
    forbidden: Iterable[str] = (),
    providers: Iterable[Any] = (),
    check: bool = True,
    allow_empty: bool = False,
) -> Iterator[Search]:
    """Run a block and search what the SDK would send of it, on every signal, for texts planted in it.

    No exporter that inherits from the SDK's classes sends: what reaches it is kept. One that holds another
    exporter still hands on to that one, and the SDK's in-memory exporters still remember.

    The texts are looked for as they are, reversed, in any case, and as UTF-16, base64, hex, URL-, form- and
    JSON-escaped, in whole and in every stretch of eight characters: choose texts of which no eight characters
    stand in your telemetry anyway, or make them with `canary()`.

    Args:
        texts: What must not leave; at least 8 characters each.
        mode: The gate through which the signals are to go: `strict`, `standard`, or `off` for none, with the
            settings of this installation: its allowed and forbidden attributes, and what its hook files name
            as content. None takes the process as it is set up, with the gate that it has or has not.
        allowed: For strict: globs besides those of `OTEL_INCIDENT_ALLOWED_ATTRIBUTES`.
        forbidden: For standard: globs besides those of `OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES`.
        providers: Providers of yours that are not global and that the block itself does not use, but
            whose telemetry is to be searched all the same: metrics from a callback that was registered before
            it. Others, made before or in the block, are found by what they are told in it.
        check: False does not fail for what is found; look at the result. With `mode="off"` that shows that
            the canaries are planted where telemetry sees them.
        allow_empty: Whether a block of which nothing at all is exported may pass.

    Yields:
        What was found, once the block has ended.

    Raises:
        AssertionError: A canary would have left, or nothing at all; or, whatever `check` is, something that
            cannot be written as OTLP, or metrics that this release of the SDK hides, and so not be searched.
        TypeError: A canary is no text, or the globs are one text or not all texts.
        ValueError: A text is too short to be told from others or is no Unicode text, there is none, or the
            mode is none of these.
    """
    _expect_texts(texts)
    allowed, forbidden = globs_in(allowed, "allowed"), globs_in(forbidden, "forbidden")
    if mode is not None and mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, or None")
    rules = (
        None
        if mode is None or mode == "off"
        else rules_of(config_of_process(), mode, allowed=allowed, forbidden=forbidden)
    )
    search = Search()
    with Capture(rules, as_set_up=mode is None, providers=providers) as capture:
        yield search
    search.exported = capture.items()
    search.leaks = tuple(_leaks(capture.payloads(), texts))
    _expect_searched(capture.unwritten(), metrics=capture.can_read_metrics())
    if check:
        _judge(search, mode, allow_empty=allow_empty)


def _expect_texts(texts: tuple[str, ...]) -> None:
    """Refuse canaries that cannot be searched for, before the host's block has run for nothing."""
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise TypeError(f"canaries() takes texts; canary {number} is an object of the class {kind}")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(
                f"canary {number} of canaries() has a lone surrogate, which no exporter writes: leave it out"
            )
    if not texts or min(map(len, texts)) < GRAM:
        raise ValueError(f"canaries() needs texts of at least {GRAM} characters: shorter ones prove nothing")


def _expect_searched(unwritten: Mapping[Signal, str], *, metrics: bool) -> None:
    if not metrics:
        raise AssertionError(
            "the metrics were not searched: this release of opentelemetry-sdk keeps them where they cannot "
            "be read; install another one, or a newer otel-incident"
        )
    for signal, error in unwritten.items():
        raise AssertionError(
            f"some of the {signal} cannot be written as OTLP ({error}), so they were not searched; correct "
            "what the block records, such as a text in the place of a time"
        )


def _judge(search: Search, mode: str | None, *, allow_empty: bool) -> None:
    gate = "as it is set up" if mode is None else f"gate: {mode}"
    if search.leaks:
        lines = "\n".join(f"  {leak}" for leak in search.leaks)
        raise AssertionError(
            f"{len(search.leaked())} canaries would have left this process ({gate}):\n{lines}"
        )
    if not allow_empty and not any(search.exported.values()):
        raise AssertionError(
            "nothing would have left this process, so nothing was tested: set OpenTelemetry up in the tests "
            "as in production, or run them under opentelemetry-instrument; allow_empty=True if this is meant"
        )


def _leaks(payloads: list[Payload], texts: tuple[str, ...]) -> Iterator[Leak]:
    """Each canary in each field once, in the order in which the texts were passed."""
    seen: set[Leak] = set()
    for payload in payloads:
        suspects = found(payload.data, texts)
        if not suspects:
            continue
        fields = list(_texts(_REQUESTS[payload.signal].FromString(payload.data), ""))
        for text, encoding in suspects.items():
            places = [(path, how) for path, value in fields for how in found(value, [text]).values()]
            for path, how in places or [(_ACROSS, encoding)]:
                seen.add(Leak(text, payload.signal, path, "base64" if how.startswith("base64") else how))
    yield from sorted(
        seen, key=lambda leak: (texts.index(leak.canary), leak.signal, leak.field, leak.encoding)
    )


def _texts(message: Any, path: str) -> Iterator[tuple[str, bytes]]:
    """Every text in an export request, with the path of its field."""
    for each, value in message.ListFields():
        name = f"{path}.{each.name}" if path else each.name
        for item in value if each.is_repeated else [value]:
            if each.message_type is None:
                if isinstance(item, str | bytes):
                    yield name, item.encode() if isinstance(item, str) else item
            elif each.message_type.name == "KeyValue":
                yield from _texts(item, f"{name}[{item.key if item.key in _conventions() else '?'}]")
            else:
                yield from _texts(item, name)


@cache
def _conventions() -> frozenset[str]:
    """The keys of the semantic conventions."""
    keys: set[str] = set()
    for name in ("opentelemetry.semconv.attributes", "opentelemetry.semconv._incubating.attributes"):
        package = importlib.import_module(name)
        for module in pkgutil.iter_modules(package.__path__, f"{name}."):
            found_in = vars(importlib.import_module(module.name))
            keys.update(key for key in found_in.values() if isinstance(key, str) and _KEY.fullmatch(key))
    return frozenset(keys)


_KEY: Final = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)+")
