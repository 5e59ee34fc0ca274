"""Plants text where a profile or our registry lets something through: what breaks a rule, what keeps it.

The rules bind text by its form alone, so text of the right form leaves wherever a host puts some there. These
scenarios find out where that is, and that it is nowhere else.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanContext

from otel_incident.profiles import PROFILES, Profile
from otel_incident.vocabulary import ATTRIBUTES, METRICS, SCOPE_NAME
from tests.surface_injectors import AT

BREAKS: Final[Mapping[str, Callable[[str], Any]]] = {
    "a sentence": lambda text: f"{text} and {text}",
    "a line's end": lambda text: f"{text}\n",
    "a leading blank": lambda text: f" {text}",
    "an accent": lambda text: f"{text}\u00e9",
    "a full-width look-alike": lambda text: f"\uff47{text}",
    "a combining mark": lambda text: f"{text}\u0301",
    "a character without width": lambda text: f"{text}\u200b",
    "a null": lambda text: f"{text}\0",
    "too long": lambda text: text * 100,
    "bytes": lambda text: text.encode(),
    "a list": lambda text: [text],
    "a map": lambda text: {"http.route": text},
}
"""How a text can break every rule that there is for one."""


def scopes() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every scope that strict knows, by its profile or by our own name, and the keys that it may use."""
    own = tuple(ATTRIBUTES)
    known = {
        scope: (profile.name, (*profile.attributes, *_event_keys(profile), *own))
        for profile in PROFILES
        for scope in profile.scopes
    }
    return {**known, SCOPE_NAME: ("ours", own), "a.scope.of.the.host": ("unknown", own)}


def plant_spans(provider: TracerProvider, scope: str, texts: Mapping[str, Any], name: str) -> None:
    """End one span with these attributes on itself, on events of each name that is known, and on a link."""
    span = provider.get_tracer(scope).start_span(
        name,
        attributes=texts,
        links=[Link(SpanContext(1, 2, is_remote=True), texts)],
        start_time=AT,
    )
    for event in ("exception", "incident.create", name):
        span.add_event(event, texts, AT)
    span.end(AT)


def plant_logs(provider: LoggerProvider, scope: str, texts: Mapping[str, Any]) -> None:
    """Emit records with these attributes: one of a host's, and one that calls itself an event of ours."""
    for event in (None, "incident.create"):
        provider.get_logger(scope).emit(
            LogRecord(
                timestamp=AT,
                observed_timestamp=AT,
                severity_number=SeverityNumber.INFO,
                attributes=dict(texts),
                event_name=event,
            )
        )


def plant_points(provider: MeterProvider, scope: str, texts: Mapping[str, Any]) -> None:
    """Measure once with these attributes, if there is a metric that strict knows in this scope."""
    for name, unit in metrics_of(scope)[:1]:
        provider.get_meter(scope).create_counter(name, unit).add(1, texts)


def metrics_of(scope: str) -> list[tuple[str, str]]:
    """The metrics that strict knows in a scope, each with its unit."""
    if scope == SCOPE_NAME:
        return [(metric.name, metric.unit) for metric in METRICS.values()]
    return [
        (name, units[0])
        for profile in PROFILES
        if scope in profile.scopes
        for name, units in profile.metrics.items()
    ]


def _event_keys(profile: Profile) -> tuple[str, ...]:
    return tuple(key for keys in profile.events.values() for key in keys)
