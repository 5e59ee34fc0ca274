"""What the gate does, in words for whoever has to approve or operate it: no code has to be read for it."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from otel_incident.gate.beside import TASK_ACTION, TASK_RUN
from otel_incident.gate.grammars import GRAMMARS, RANGES
from otel_incident.gate.parts import OTHER_SCOPE, RESOURCE_GRAMMARS
from otel_incident.installation import content_names, without_gate
from otel_incident.policy import OUR_NAMESPACES
from otel_incident.policy_cli.profile_reasons import REASONS
from otel_incident.profiles import PROFILES, Profile, ProfileAttribute
from otel_incident.vocabulary import EVENTS, METRICS, RESOURCE, SCOPE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_incident.config import Config

_WIDTH: Final = 100
_OURS: Final = " and ".join(f"{namespace}*" for namespace in OUR_NAMESPACES)

MODES: Final = {
    "standard": (
        f"Removes from the host's own spans, logs and metrics every attribute under {_OURS} that is not "
        "registered or does not keep its rule, what hook files name as content, and what "
        "OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES matches. It looks at the attributes of spans, span events, "
        "links, log records and data points; points that become one are added up, and dropped where they "
        "have no sum. Everything else leaves as it came: names, bodies, URLs."
    ),
    "strict": (
        "Denies by default, on every field that can hold text. What is kept is listed below; everything "
        "else is deleted, never masked. What cannot be filtered is dropped. What "
        "OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES matches, and what a hook file names as content, goes even if it "
        "is listed or allowed."
    ),
    "audit": "Removes what standard does, and counts what strict would remove.",
    "off": "Leaves the host's own signals as they are.",
}
"""What each mode does."""

STRUCTURE: Final = {
    "spans": (
        "Trace, span and parent ids, times, kind and status code, links, and events with their times; a name "
        "made of what the profile keeps, else the kind; of the trace state the sampling entry `ot`."
    ),
    "logs": (
        "Times, severity number and trace context. No body, no severity text, no name but of our own events."
    ),
    "metrics": (
        "Metrics that a profile or the registry names, with its unit. Where attributes go, points are added "
        "up; those that cannot be are dropped. No other metric leaves."
    ),
    "resource": f"{', '.join([*RESOURCE_GRAMMARS, *RESOURCE])}, each if it keeps its rule; no schema URL.",
    "scope": (
        f"The name of a scope that a profile lists, or {SCOPE_NAME}, with a version and a schema URL of the "
        f"conventions; any other is called {OTHER_SCOPE.name}. No attributes."
    ),
}
"""What strict keeps of anything, whatever its scope."""

NOT_COVERED: Final = (
    "Our own events are checked against the registry in every mode; `otel-incident catalog` lists them.",
    "Numbers, times, counts, lengths and ids pass: that there was an incident, when and for how long.",
    "An id that a person chose so that it looks like a machine's passes as one.",
    "What OTEL_INCIDENT_ALLOWED_ATTRIBUTES lets through, with any text in it.",
    "What sends without the SDK's providers: vendor agents, log files, an exporter that the host calls.",
    "A route or the name of a class that a host makes of its content, where an instrumentation reports it.",
    "An ASGI route that is the path itself, braces and all, where the host rewrites url.path or http.target.",
    "Whether a path that ASGI was asked for has a brace or a per cent sign: its route is taken out then.",
    "Baggage and trace headers of the host's own requests to others, which are no telemetry.",
    "The endpoint sees the address that sends, and the headers configured for it.",
)
"""What no mode covers."""

_RULES: Final = {
    "route": "a route template as it stands in code",
    "route_template": "a route template with a parameter in braces, beside a path that has none",
    "dotted_name": "a dotted name of code",
    "rpc_name": "a service, or a method of it, that protobuf's descriptors in the process know",
    "task_name": f"a dotted name of code, beside {TASK_ACTION} {TASK_RUN}",
    "error_type": "a status code or a dotted name of code",
    "sql_state": "up to five digits and capital letters",
}


def explanation(config: Config, no_gate: str = "") -> dict[str, Any]:
    """Everything that `policy explain` says, as plain data.

    Args:
        config: This installation's.
        no_gate: What keeps the gate out; "" where nothing does.
    """
    return {
        "installation": {
            "mode": config.gate,
            "mode_is_set": config.gate_is_set,
            "telemetry_off": config.off,
            "gate_alone": config.gate_alone,
            "no_gate": no_gate,
            "allowed_attributes": list(config.allowed_attributes),
            "forbidden_attributes": list(config.forbidden_attributes),
            "content": {source: list(names) for source, names in content_names(config).items()},
            "id_modes": {name or "all": mode for name, mode in config.id_modes.items()} or {"all": "plain"},
        },
        "modes": MODES,
        "strict": {
            "structure": STRUCTURE,
            "own": {"scope": SCOPE_NAME, "events": list(EVENTS), "metrics": list(METRICS)},
            "profiles": [_profile(profile) for profile in PROFILES],
        },
        "not_covered": list(NOT_COVERED),
    }


def text(told: dict[str, Any]) -> str:
    """An explanation for a person to read."""
    return "\n".join(
        textwrap.fill(
            line, _WIDTH, subsequent_indent="      ", break_long_words=False, break_on_hyphens=False
        )
        for line in _lines(told)
    )


def _profile(profile: Profile) -> dict[str, Any]:
    reasons = REASONS[profile.name]
    return {
        "name": profile.name,
        "scopes": list(profile.scopes),
        "span_name": [list(keys) for keys in profile.span_name],
        "attributes": [
            {"name": name, "rule": _rule(attribute), "why": reasons.attributes[name]}
            for name, attribute in profile.attributes.items()
        ],
        "events": {
            event: [
                {"name": name, "rule": _rule(attribute), "why": reasons.events[event][name]}
                for name, attribute in attributes.items()
            ]
            for event, attributes in profile.events.items()
        },
        "metrics": [
            {"name": name, "unit": unit, "other_units": others, "why": reasons.metrics[name]}
            for name, (unit, *others) in profile.metrics.items()
        ],
    }


def _rule(attribute: ProfileAttribute) -> str:
    if attribute.rule == "one_of":
        return f"one of {', '.join(attribute.values)}"
    if attribute.rule in GRAMMARS:
        return _RULES[attribute.rule]
    first, last = RANGES[attribute.rule]
    return f"an integer from {first} to {last}"


def _lines(told: dict[str, Any]) -> Iterator[str]:
    here = told["installation"]
    yield "What is set here"
    yield f"  Mode: {here['mode']}{'' if here['mode_is_set'] else ' (the default)'}."
    if here["telemetry_off"]:
        yield f"  Incident telemetry is off: {here['telemetry_off']}."
        if not here["no_gate"]:
            yield "  The gate holds all the same: nobody has said in words that can be read that it may go."
    if here["no_gate"]:
        yield f"  The gate: {without_gate(here['mode'], here['no_gate'])}."
    yield f"  Allowed beyond the profiles: {', '.join(here['allowed_attributes']) or 'nothing'}."
    if here["allowed_attributes"]:
        yield (
            "  What is named without a wildcard passes whatever a profile asks of it; a glob changes no such "
            "rule. Keys of ours keep their own, and what is forbidden or a host's content goes."
        )
    yield f"  Forbidden besides: {', '.join(here['forbidden_attributes']) or 'nothing'}."
    for source, names in here["content"].items():
        yield f"  Content, says {source}: {', '.join(names)}."
    modes = ", ".join(f"{name} {mode}" for name, mode in here["id_modes"].items())
    yield f"  Ids of our own events: {modes}."
    yield from ("", "What each mode does to the host's own signals")
    yield from (f"  {mode}: {words}" for mode, words in told["modes"].items())
    strict = told["strict"]
    yield from ("", "What strict keeps of anything")
    yield from (f"  {part}: {words}" for part, words in strict["structure"].items())
    own = strict["own"]
    yield from ("", f"What strict keeps of {own['scope']}")
    yield f"  Events: {', '.join(own['events'])}."
    yield "  Their registered attributes, on other spans, span events and log records, too."
    yield f"  Metrics: {', '.join(own['metrics'])}."
    for profile in strict["profiles"]:
        yield from ("", f"What strict keeps of {profile['name']}: {', '.join(profile['scopes'])}")
        names = ", or ".join(" ".join(f"{{{key}}}" for key in keys) for keys in profile["span_name"])
        yield f"  Name of a span: {names}."
        yield from (f"  {line}" for line in _attributes(profile["attributes"]))
        for event, attributes in profile["events"].items():
            yield f"  Span event {event}, with"
            yield from (f"    {line}" for line in _attributes(attributes))
        yield from (
            f"  Metric {each['name']} ({' or '.join([each['unit'], *each['other_units']])}). {each['why']}"
            for each in profile["metrics"]
        )
    yield from ("", "What no mode covers")
    yield from (f"  {words}" for words in told["not_covered"])


def _attributes(attributes: list[dict[str, str]]) -> Iterator[str]:
    """A line for the keys that share a rule and its reason."""
    for (rule, why), alike in groupby(attributes, lambda each: (each["rule"], each["why"])):
        yield f"{', '.join(each['name'] for each in alike)}: {rule}. {why}"
