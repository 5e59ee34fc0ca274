"""What the gate costs for each span, beside what it costs to encode the same span, and beside its peers.

One process, all candidates in turn on each span: a machine's noise lasts longer than a few calls. There are
1024 spans, with 1024 ports and 64 routes, since the gate remembers values. The peers do less:
logfire's and Sentry's scrubbers look for words, ADOT's processor for keys, and none of them looks at names,
status, scope or resource; Sentry's works on a dictionary and never makes a span.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from otel_incident.gate import MODES, GateRules
from otel_incident.gate.spans import SpanFilter
from otel_incident.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Call = Callable[[ReadableSpan], object]

_NS_IN_US: Final = 1000
_SPANS, _ROUTES = 1024, 64
_ENCODING: Final = "OTLP encoding of the span"
_TWICE: Final = "otel_incident, strict, with one processor of the host's"  # filters before it and behind
_ADOT: Final = "ADOT, AttributeRedactingSpanProcessor"  # it changes a span in place
_CLEAN: Final[Mapping[str, Any]] = {
    "http.request.method": "GET",
    "http.route": "api/incidents/<int:pk>/",
    "http.response.status_code": 200,
    "url.scheme": "https",
    "network.protocol.name": "http",
    "network.protocol.version": "1.1",
    "network.transport": "tcp",
    "network.type": "ipv4",
    "server.port": 443,
    "client.port": 50123,
    "error.type": "500",
}
_DIRTY: Final[Mapping[str, Any]] = {
    **dict(list(_CLEAN.items())[:8]),
    "url.path": "/api/incidents/17/",
    "user_agent.original": "curl/8.5.0",
    "session.title": "Payments are down",
}
_EVENT: Final[Mapping[str, Any]] = {
    "incident.action": "change_stage",
    "log.record.uid": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "incident.id": "8f3kq1zt9bgy5xw7mhc4ndrepo",
    "incident.active": True,
    "incident.commander.id": "7b1x9rj3etyy8k5m4hq6dwncao",
    "incident.team.id": "t5hq8w3nbjgz7mfx1kc9ydrepa",
    "incident.created_at": "2026-11-01T12:00:00.000Z",
    "incident.post.id": "p9dm4x7kqtbz1hwc5ny8grfjeo",
    "incident.checklist.count": 3,
    "incident.checklist.item.count": 0,
    "incident.stage.index": 1,
    "user.id": "7b1x9rj3etyy8k5m4hq6dwncao",
    "user.roles": ("end_user", "system_admin"),
}


def say(line: str = "") -> None:
    """Print one line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def ended(attributes: Mapping[str, Any]) -> list[ReadableSpan]:
    """Spans as Django's instrumentation makes and names them, with a route and a port of their own."""
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("opentelemetry.instrumentation.django", "0.66b2")
    for index in range(_SPANS):
        own: dict[str, Any] = {
            "http.route": f"api/incidents/<int:pk>/{index % _ROUTES}/",
            "client.port": 50_000 + index,
        }
        changed = {key: own.get(key, value) for key, value in attributes.items()}
        name = f"{changed['http.request.method']} {changed['http.route']}"
        with tracer.start_as_current_span(name, kind=SpanKind.SERVER, attributes=changed):
            pass
    return list(memory.get_finished_spans())


def rebuilt(span: ReadableSpan) -> ReadableSpan:
    """The same span made anew, without looking at anything."""
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=span.events,
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def logfire() -> Call | None:
    """The scrubber of logfire with its default patterns, from a span to a span; None where not installed."""
    try:
        from logfire._internal.scrubbing import (  # type: ignore[import-not-found]  # noqa: PLC0415  optional
            Scrubber,
        )
        from logfire._internal.utils import (  # type: ignore[import-not-found]  # noqa: PLC0415  optional
            span_to_dict,
        )
    except ImportError:
        return None
    scrubber = Scrubber([])

    def call(span: ReadableSpan) -> object:
        as_dictionary = span_to_dict(span)
        scrubber.scrub_span(as_dictionary)
        return ReadableSpan(**as_dictionary)

    return call


def sentry() -> Call | None:
    """Sentry's scrubber on the attributes alone; None where not installed."""
    try:
        from sentry_sdk.scrubber import (  # type: ignore[import-not-found]  # noqa: PLC0415  optional
            EventScrubber,
        )
    except ImportError:
        return None
    scrubber = EventScrubber()
    return lambda span: scrubber.scrub_event({"spans": [{"data": dict(span.attributes or {})}]})


def adot() -> Call | None:
    """ADOT's processor with three keys to look for; None where not installed."""
    try:
        from amazon.opentelemetry.distro.attribute_redacting_span_processor import (  # type: ignore[import-not-found]  # noqa: PLC0415  optional
            AttributeRedactingSpanProcessor,
        )
    except ImportError:
        return None
    processor = AttributeRedactingSpanProcessor(["url.path", "user_agent.original", "*.title"])
    call: Call = processor.on_end
    return call


def candidates() -> dict[str, Call]:
    """Everything that is compared, the encoding first."""
    processors, exporter = SpanFilter(GateRules()), SpanFilter(GateRules())
    found: dict[str, Call] = {
        _ENCODING: lambda span: encode_spans([span]),
        **{f"otel_incident, {mode}": SpanFilter(GateRules(mode)) for mode in MODES},
        _TWICE: lambda span: exporter(processors(span)),
        "bare ReadableSpan": rebuilt,
    }
    peers = {
        "logfire, Scrubber": logfire(),
        "sentry-sdk, EventScrubber": sentry(),
        _ADOT: adot(),
    }
    found |= {name: call for name, call in peers.items() if call is not None}
    complain([name for name, call in peers.items() if call is None])
    return found


def complain(missing: list[str]) -> None:
    """Say on standard error which peers are missing from the tables, and how to have them."""
    if missing:
        sys.stderr.write(
            f"NOT MEASURED: {'; '.join(missing)}. Not installed, or not with what it imports: "
            "pip install --no-deps -r benchmarks/requirements-gate.txt\n"
        )


def measure(calls: Mapping[str, Call], attributes: Mapping[str, Any], count: int) -> dict[str, float]:
    """The median of each call in µs."""
    clock = time.perf_counter_ns
    taken: dict[str, list[int]] = {name: [] for name in calls}
    same = ended(attributes)
    items = [(name, call, ended(attributes) if name == _ADOT else same) for name, call in calls.items()]
    for index in range(count):
        first = index % len(items)
        for name, call, spans in items[first:] + items[:first]:
            span = spans[index % _SPANS]
            before = clock()
            call(span)
            taken[name].append(clock() - before)
    return {name: statistics.median(values) / _NS_IN_US for name, values in taken.items()}


def show(title: str, medians: Mapping[str, float], targets: Mapping[str, str]) -> None:
    """Print one table."""
    say(f"\n{title}\n")
    say("| candidate | median µs | of the encoding | target |")
    say("|---|---:|---:|---|")
    for name, median in medians.items():
        say(f"| {name} | {median:.1f} | {median / medians[_ENCODING]:.1%} | {targets.get(name, '')} |")


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5000, help="calls of each candidate")
    count = parser.parse_args().n
    calls = candidates()
    show(
        "A span with 11 attributes, all of which may leave",
        measure(calls, _CLEAN, count),
        {"otel_incident, strict": "at most 10 %", "otel_incident, standard": "at most 3 µs"},
    )
    show(
        "A span with 11 attributes, three of which may not leave in strict",
        measure(calls, _DIRTY, count),
        {"otel_incident, strict": "at most 15 %", "otel_incident, standard": "at most 3 µs"},
    )
    policy = Policy(pseudonym=lambda _: "")
    check: dict[str, Call] = {"policy": lambda _: policy.check_event("incident.change_stage", dict(_EVENT))}
    policy_us = measure(check, _CLEAN, count)["policy"]
    say(f"\nAn incident event through the policy: {policy_us:.1f} µs; target 5 µs")


if __name__ == "__main__":
    main()
