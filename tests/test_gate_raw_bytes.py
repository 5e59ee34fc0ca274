"""In strict nothing that is planted stands in the bytes that leave, in any encoding; without a gate, all."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

from otel_incident.gate import GateRules
from otel_incident.gate.parts import RESOURCE_GRAMMARS
from otel_incident.profiles import PROFILES
from otel_incident.vocabulary import ATTRIBUTES, RESOURCE, SCOPE_NAME
from tests import profile_injectors
from tests.canaries import canary, found
from tests.gated_host import (
    GATES,
    TRANSPORTS,
    Gate,
    exporter,
    finish,
    gated_loggers,
    gated_meters,
    gated_tracers,
    run,
)
from tests.otlp_receiver import OtlpReceiver
from tests.otlp_wire import Signal, Transport
from tests.profile_injectors import BREAKS, metrics_of, scopes
from tests.surface_injectors import AT, LOGS, METRICS, POINT_KINDS, SPANS, Instruments, Planter

SIGNALS: Final[tuple[Signal, ...]] = ("traces", "logs", "metrics")
KNOWN_METRICS: Final = [
    (scope, *metric)
    for scope in (*(profile.scopes[0] for profile in PROFILES), SCOPE_NAME)
    for metric in metrics_of(scope)
]

UNSENT: Final = {f"{SPANS}.links.trace_state", f"{SPANS}.links.trace_state, key"}
"""Planted, and never encoded: test_gate_surface.py has the reason."""

IDS: Final = {
    f"{SPANS}.trace_id",
    f"{SPANS}.span_id",
    f"{SPANS}.parent_span_id",
    f"{SPANS}.links.trace_id",
    f"{SPANS}.links.span_id",
    f"{LOGS}.trace_id",
    f"{LOGS}.span_id",
    *(
        f"{METRICS}.{kind}.data_points.exemplars.{name}"
        for kind in POINT_KINDS
        for name in ("trace_id", "span_id")
    ),
}
"""Ids of traces and spans leave as they are: they are what holds a trace together. Random, unless a host or
whoever calls it makes ids of text."""


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("signal", SIGNALS)
def test_without_a_gate_every_canary_leaves(
    signal: Signal, transport: Transport, receiver: OtlpReceiver
) -> None:
    """The control: each canary that strict is said to stop is found where nothing stops it."""
    plant = Planter()
    run(signal, plant, receiver, transport)
    assert not_found(receiver, plant) == (UNSENT if signal == "traces" else set())


@pytest.mark.parametrize("wrap", ["", " "])
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("signal", SIGNALS)
def test_in_strict_no_canary_leaves(
    signal: Signal, transport: Transport, gate: Gate, wrap: str, receiver: OtlpReceiver
) -> None:
    """Of a scope that nobody knows nothing is found but the ids of traces, and all arrives but metrics.

    A metric without its name is nothing.
    """
    plant = Planter(wrap=wrap)
    run(signal, plant, receiver, transport, gate)
    assert leaves(receiver, plant) == (IDS & set(plant.texts) if signal != "metrics" else set())
    assert arrived(receiver) == {"traces": (1, 0, 0), "logs": (0, 4, 0), "metrics": (0, 0, 0)}[signal]
    assert {request.transport for request in receiver.requests} <= {transport}


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("scope", [*scopes(), "opentelemetry.instrumentation.django.middleware"])
def test_a_scope_that_is_known_lets_no_more_out(
    signal: Signal, gate: Gate, scope: str, receiver: OtlpReceiver
) -> None:
    """Everything planted in a scope of a profile, or under our own name, is stopped as in any other."""
    plant = Planter()
    run(signal, plant, receiver, gate=gate, scope=scope)
    assert leaves(receiver, plant) == (IDS & set(plant.texts) if signal != "metrics" else set())
    names = {item.scope_name for item in (*receiver.telemetry().spans, *receiver.telemetry().events)}
    known = {scope.removesuffix(".middleware") if scope != "a.scope.of.the.host" else "other"}
    assert names == (known if signal != "metrics" else set())


@pytest.mark.parametrize("kind", POINT_KINDS)
@pytest.mark.parametrize(("scope", "name", "unit"), KNOWN_METRICS)
def test_a_metric_that_is_known_lets_no_more_out(
    scope: str, name: str, unit: str, kind: str, receiver: OtlpReceiver
) -> None:
    """A metric that strict knows by name arrives, with nothing of what is planted around its number.

    Without a gate all of that leaves.
    """
    instruments = Instruments((kind,), (name, unit))
    plant = Planter()
    run("metrics", plant, receiver, gate="exporter", scope=scope, instruments=instruments)
    assert leaves(receiver, plant) == IDS & set(plant.texts)
    assert [(point.name, point.unit, point.kind) for point in receiver.metrics()] == [(name, unit, kind)]
    assert [(point.attributes, point.exemplar_count) for point in receiver.metrics()] == [({}, 1)]
    run("metrics", plant, receiver, scope=scope, instruments=instruments)
    assert not_found(receiver, plant) == set()


@pytest.mark.parametrize("gate", ["off", *GATES])
@pytest.mark.parametrize("scope", scopes())
def test_text_that_breaks_a_rule_does_not_leave(scope: str, gate: Gate, receiver: OtlpReceiver) -> None:
    """No key of any profile lets out a sentence, another script, a line's end, a list, or too long a word.

    Without a gate each of them leaves, from spans, log records and data points.
    """
    planted: dict[str, tuple[Signal, str, str]] = {}

    def emit(signal: Signal, provider: Any) -> None:
        for how, breaks in BREAKS.items():
            texts = {}
            for key in scopes()[scope][1] if signal != "metrics" or metrics_of(scope) else ():
                text = canary(f"{signal} {key}", how)
                planted[text] = (signal, how, key)
                texts[key] = breaks(text)
            plant_in(signal, provider, scope, texts, "a name")

    send(receiver, gate, emit)
    seen = {planted[text] for text in found(receiver.raw_bytes(), planted)}
    assert seen == (set(planted.values()) if gate == "off" else set())
    each = len(BREAKS)
    points = 0 if not metrics_of(scope) else each if gate == "off" else 1
    assert arrived(receiver) == (each, 2 * each, points)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("scope", scopes())
def test_a_name_leaves_as_the_first_word_that_a_profile_knows(
    scope: str, gate: Gate, receiver: OtlpReceiver
) -> None:
    """Of a span's name nothing of the host's own text is left, whatever it begins with."""
    texts = [canary(f"name {number}") for number in range(4)]
    names = [f"GET {texts[0]}", f"SELECT {texts[1]}", f"GET\n{texts[2]}", f"{texts[3]} GET"]

    def emit(signal: Signal, provider: Any) -> None:
        for name in names if signal == "traces" else ():
            plant_in(signal, provider, scope, {}, name)

    send(receiver, gate, emit)
    assert found(receiver.raw_bytes(), texts) == {}
    of_http = {"GET", "internal"}
    first_words = {"http": of_http, "asgi": of_http, "database": {"SELECT", "internal"}}
    assert {span.name for span in receiver.spans()} == first_words.get(scopes()[scope][0], {"internal"})


FORMS: Final[Mapping[str, str]] = {
    "sentence": f"{canary('sentence')} and {canary('another')}",
    "word": canary("word"),
    "capitals": "PRIVY",
    "digits": "31415926535897932384",
    "hex": "deadbeefcafe0ddba11c0de5",
    "base 32": "dontsaywhathappened1tome31",
    "ULID": "0PAYMENTSDBACKTHENQZEBRASQ",
}
"""What looks like a value that some rule lets through: base 32 is Mattermost's, 26 of its letters."""

_ID: Final = {"digits", "hex", "base 32", "ULID"}
_WORD: Final = {"word", "capitals", *_ID}
_NAME: Final = _WORD - {"digits", "ULID"}  # a name in code does not begin with a digit
_HOSTS_ID: Final = "an id that the host's database made"
_CODE: Final = "a name that stands in code"
_OPERATORS: Final = "a word of the operator's: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES"
_A_VERSION: Final = "the version of a piece of software"
_AN_SDK: Final = "a word of the SDK's own"

LEAVES: Final[Mapping[tuple[str, str], tuple[set[str], str]]] = {
    # On spans, their events and links, on log records and on data points, whatever their scope:
    ("any scope", "incident.id"): (_ID, _HOSTS_ID),
    ("any scope", "incident.commander.id"): (_ID, _HOSTS_ID),
    ("any scope", "incident.team.id"): (_ID, _HOSTS_ID),
    ("any scope", "incident.post.id"): (_ID, _HOSTS_ID),
    ("any scope", "user.id"): (_ID, _HOSTS_ID),
    ("any scope", "log.record.uid"): ({"ULID"}, "drawn at random, by us"),
    # In the scopes of a profile:
    ("http", "http.route"): (_WORD, "a template that stands in code, not the path that was asked for"),
    ("http", "error.type"): (_NAME, _CODE),
    ("http", "exception.type"): (_NAME, _CODE),
    ("asgi", "error.type"): (_NAME, _CODE),
    ("asgi", "exception.type"): (_NAME, _CODE),
    ("database", "db.response.status_code"): ({"capitals"}, "a code of the database's, of five characters"),
    ("database", "error.type"): (_NAME, _CODE),
    ("database", "exception.type"): (_NAME, _CODE),
    ("messaging", "error.type"): (_NAME, _CODE),
    ("messaging", "exception.type"): (_NAME, _CODE),
    ("rpc", "error.type"): (_NAME, _CODE),
    ("rpc", "exception.type"): (_NAME, _CODE),
    # On the resource:
    ("resource", "service.name"): (set(FORMS), _OPERATORS),
    ("resource", "service.namespace"): (set(FORMS), _OPERATORS),
    ("resource", "service.instance.id"): (_WORD, _OPERATORS),
    ("resource", "service.version"): (_WORD, _A_VERSION),
    ("resource", "telemetry.auto.version"): (_WORD, _AN_SDK),
    ("resource", "telemetry.sdk.version"): (_WORD, _AN_SDK),
    ("resource", "incident.server.version"): (_WORD, _A_VERSION),
    ("resource", "incident.plugin.version"): (_WORD, _A_VERSION),
    ("resource", "incident.diagnostic.id"): (_ID, "drawn at random, by us"),
    ("resource", "incident.license.id"): (_ID, "the operator's: OTEL_INCIDENT_LICENSE_ID"),
}
"""All that strict lets leave as text, in which form, and what it is supposed to be.

Rules bind text by its form: a host that puts content of that form in one of these keys lets it out. Besides
these, ids of traces and spans leave (`IDS`), a sampling probability in `ot=`, times, and numbers: counts,
ports, status codes, and the digits of a scope's version and schema URL.
"""


def test_what_leaves_by_design_is_this_list(receiver: OtlpReceiver) -> None:
    """Text of the right form in the right key leaves, and no other: what `LEAVES` says is all there is."""
    for form in FORMS.values():
        resource = Resource(
            dict.fromkeys({*RESOURCE, *RESOURCE_GRAMMARS, *SEMANTIC_KEYS, *ATTRIBUTES}, form), form
        )

        def emit(signal: Signal, provider: Any, form: str = form) -> None:
            for scope, (_, keys) in scopes().items():
                texts = dict.fromkeys((*keys, *SEMANTIC_KEYS, form), form)
                plant_in(signal, provider, scope, texts, form)

        send(receiver, "processor", emit, resource)
    left: dict[tuple[str, str], set[str]] = {}
    forms = {form: name for name, form in FORMS.items()}
    for where, key, value in [*on_items(receiver), *on_resources(receiver)]:
        left.setdefault((where, key), set()).add(forms.get(str(value), f"not planted: {value}"))
    assert left == {place: set(allowed) for place, (allowed, _) in LEAVES.items()}


def test_numbers_of_a_scope_and_a_sampling_probability_leave(receiver: OtlpReceiver) -> None:
    """The rest of `LEAVES`: digits of a version and a schema URL, and what counts need of a trace state."""
    url, version = "https://opentelemetry.io/schemas/12.345.678", "1234.5678.9012"

    def emit(signal: Signal, provider: Any) -> None:
        if signal == "traces":
            state = TraceState([("ot", "th:c0ffee;rv:c0ffeec0ffeec0"), ("vendor", "word")])
            parent = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
            context = set_span_in_context(NonRecordingSpan(parent))
            for scope in ("opentelemetry.instrumentation.django", "a.scope.of.the.host"):
                provider.get_tracer(scope, version, url).start_span("x", context, start_time=AT).end(AT)

    send(receiver, "processor", emit)
    assert {
        (span.scope_name, span.scope_version, span.scope_schema_url, span.tracestate)
        for span in receiver.spans()
    } == {
        ("opentelemetry.instrumentation.django", version, url, "ot=th:c0ffee;rv:c0ffeec0ffeec0"),
        ("other", "", "", "ot=th:c0ffee;rv:c0ffeec0ffeec0"),
    }


SEMANTIC_KEYS: Final = (
    "code.file.path",
    "code.function.name", "code.line.number", "db.query.text", "db.statement", "db.namespace",
    "enduser.id", "exception.message", "exception.stacktrace", "host.name", "http.target", "http.url",
    "k8s.pod.name", "net.peer.name", "otel.status_description", "process.command", "process.command_args",
    "process.executable.path", "process.owner", "server.address", "thread.name", "url.full", "url.path",
    "url.query", "user_agent.original",
)  # fmt: skip
"""Keys of the conventions that hold content, or whose values people choose: none of them is in `LEAVES`."""


def on_items(receiver: OtlpReceiver) -> Iterator[tuple[str, str, object]]:
    """Every attribute of spans, their events and links, log records and data points, with its profile."""
    profiles = {name: profile for name, (profile, _) in scopes().items()}
    found_at = [(record.scope_name, record.attributes) for record in receiver.telemetry().events]
    found_at += [(point.scope_name, point.attributes) for point in receiver.metrics()]
    for span in receiver.spans():
        found_at.append((span.scope_name, span.attributes))
        found_at += [(span.scope_name, event.attributes) for event in span.events]
        found_at += [(span.scope_name, link.attributes) for link in span.links]
    for scope, attributes in found_at:
        for key, value in attributes.items():
            yield "any scope" if key in ATTRIBUTES else profiles.get(scope, "unknown"), key, value


def on_resources(receiver: OtlpReceiver) -> Iterator[tuple[str, str, object]]:
    """Every attribute of a resource."""
    for item in (*receiver.spans(), *receiver.telemetry().events, *receiver.metrics()):
        assert item.resource_schema_url == ""
        for key, value in item.resource.items():
            yield "resource", key, value


def plant_in(signal: Signal, provider: Any, scope: str, texts: Mapping[str, Any], name: str) -> None:
    """One span, two records, or one data point."""
    if signal == "traces":
        profile_injectors.plant_spans(provider, scope, texts, name)
    elif signal == "logs":
        profile_injectors.plant_logs(provider, scope, texts)
    else:
        profile_injectors.plant_points(provider, scope, texts)


def send(
    receiver: OtlpReceiver,
    gate: Gate,
    emit: Callable[[Signal, Any], None],
    resource: Resource | None = None,
) -> None:
    """Let every signal be emitted through a provider of its own; without a resource it has an empty one."""
    rules, resource = GateRules(), resource or Resource.get_empty()
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    loggers = LoggerProvider(resource, shutdown_on_exit=False)
    gated_tracers(tracers, exporter("traces", receiver, "http"), gate, rules)
    gated_loggers(loggers, exporter("logs", receiver, "http"), gate, rules)
    meters = gated_meters(resource, exporter("metrics", receiver, "http"), gate, rules)
    emit("traces", tracers)
    emit("logs", loggers)
    emit("metrics", meters)
    for provider in (tracers, loggers, meters):
        finish(provider)


def not_found(receiver: OtlpReceiver, plant: Planter) -> set[str]:
    """Where a canary was planted of which nothing left."""
    seen = found(receiver.raw_bytes(), plant.texts.values())
    return {place for place, text in plant.texts.items() if text not in seen}


def leaves(receiver: OtlpReceiver, plant: Planter) -> set[str]:
    """Where a canary was planted of which something left."""
    return set(plant.texts) - not_found(receiver, plant)


def arrived(receiver: OtlpReceiver) -> tuple[int, int, int]:
    """How many spans, log records and data points."""
    return len(receiver.spans()), len(receiver.telemetry().events), len(receiver.metrics())
