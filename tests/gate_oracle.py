"""What strict may let leave, written once more: by place and by character, without a regular expression.

It shares with the gate the data alone (the registry and the profiles), and reads what left from its bytes.
"""

import string
from collections.abc import Iterator
from typing import Final

from otel_incident.profiles import PROFILES, Profile, ProfileAttribute
from otel_incident.version import __version__
from otel_incident.vocabulary import ATTRIBUTES, EVENTS, RESOURCE, SCHEMA_URL, SCOPE_NAME
from tests.otlp_decoding import decode_protobuf
from tests.otlp_surface import texts_at
from tests.otlp_wire import Signal
from tests.policy_oracle import keeps_rule
from tests.surface_injectors import LOGS, SPANS
from tests.telemetry import Attributes, LogEvent, SpanData

_WORD: Final = frozenset(string.ascii_letters + string.digits + "_")
_ROUTE: Final = _WORD | set("-./<>{}:()[]?*+^$|\\,=")
_NAME: Final = _WORD | set(".:/ -")
_VERSION: Final = frozenset(string.ascii_letters + string.digits + ".+-")
_HEX: Final = frozenset("0123456789abcdef")

_ATTRIBUTES: Final = ("key", "value.string_value", "value.array_value.values")

PLACES: Final = frozenset(
    place
    for root, scoped, item in (
        ("traces:resource_spans", "scope_spans", SPANS),
        ("logs:resource_logs", "scope_logs", LOGS),
    )
    for place in (
        *(f"{root}.resource.attributes.{part}" for part in _ATTRIBUTES),
        *(f"{root}.{scoped}.{part}" for part in ("scope.name", "scope.version", "schema_url")),
        *(f"{item}.{part}" for part in ("trace_id", "span_id")),
        *(f"{item}.attributes.{part}" for part in _ATTRIBUTES),
    )
) | {
    *(f"{SPANS}.{part}" for part in ("name", "parent_span_id", "trace_state", "events.name")),
    *(f"{SPANS}.{items}.attributes.{part}" for items in ("events", "links") for part in _ATTRIBUTES),
    *(f"{SPANS}.links.{part}" for part in ("trace_id", "span_id")),
    f"{LOGS}.event_name",
    f"{LOGS}.severity_text",
}
"""Where text may stand at all."""


def breaches(signal: Signal, payload: bytes) -> list[str]:
    """What of a request strict should not have let leave; the places alone, or the keys."""
    found = [place for place, _ in texts_at(signal, payload) if place not in PLACES]
    telemetry = decode_protobuf(signal, payload)
    for span in telemetry.spans:
        found += _of_origin(span)
        found += _of_span(span)
    for record in telemetry.events:
        found += _of_origin(record)
        found += _of_record(record)
    return found


def _of_origin(item: SpanData | LogEvent) -> Iterator[str]:
    profile = _profile(item.scope_name)
    if item.scope_name not in {"", "other", SCOPE_NAME} and profile is None:
        yield "scope name"
    if item.scope_name == SCOPE_NAME:
        if (item.scope_version, item.scope_schema_url) != (__version__, SCHEMA_URL):
            yield "our scope's version"
    elif profile is None:
        if item.scope_version or item.scope_schema_url:
            yield "an unknown scope's version"
    else:
        if set(item.scope_version) - set(string.digits + ".abrcdevpost"):
            yield "scope version"
        url = item.scope_schema_url
        start = "https://opentelemetry.io/schemas/"
        if url and not (url.startswith(start) and set(url[len(start) :]) <= set(string.digits + ".")):
            yield "schema url"
    for key, value in item.resource.items():
        if not _is_described(key, value):
            yield f"resource: {key}"


def _is_described(key: str, value: object) -> bool:  # noqa: PLR0911  one for each key
    if key in RESOURCE:
        return keeps_rule(key, value)
    if type(value) is not str or not 1 <= len(value) <= 128:
        return False
    text = str(value)
    match key:
        case "service.name" | "service.namespace":
            return set(text) <= _NAME
        case "service.instance.id":
            return set(text) <= _NAME - set("/ ") and len(text) <= 64
        case "telemetry.auto.version" | "telemetry.sdk.version":
            return set(text) <= _VERSION and len(text) <= 32
        case "telemetry.sdk.name":
            return text == "opentelemetry"
        case "telemetry.sdk.language":
            return text == "python"
    return False


def _of_span(span: SpanData) -> Iterator[str]:
    profile = _profile(span.scope_name)
    if span.name != _name_of(span, profile):
        yield "span name"
    if not _is_sampling(span.tracestate):
        yield "trace state"
    yield from _of_attributes(span.attributes, profile, "span")
    for event in span.events:
        if event.name not in {"event", "exception", *EVENTS}:
            yield "event name"
        allowed = profile.events.get(event.name) if profile else None
        for key, value in event.attributes.items():
            if event.name in EVENTS:
                kept = key in EVENTS[event.name].attributes and keeps_rule(key, value)
            elif allowed is not None:
                kept = key in allowed and _keeps(allowed[key], value)
            else:
                kept = _may_stand(key, value, profile)
            if not kept:
                yield f"event: {key}"
    for link in span.links:
        yield from _of_attributes(link.attributes, profile, "link")


def _of_record(record: LogEvent) -> Iterator[str]:
    event = EVENTS.get(record.event_name)
    if record.event_name and event is None:
        yield "event name"
    if record.severity_text not in ({"", "INFO"} if event else {""}):
        yield "severity text"
    if record.has_body:
        yield "body"
    for key, value in record.attributes.items():
        if event is None:
            kept = _may_stand(key, value, _profile(record.scope_name))
        else:
            kept = key in event.attributes and keeps_rule(key, value)
        if not kept:
            yield f"log: {key}"


def _of_attributes(attributes: Attributes, profile: Profile | None, where: str) -> Iterator[str]:
    return (f"{where}: {key}" for key, value in attributes.items() if not _may_stand(key, value, profile))


def _may_stand(key: str, value: object, profile: Profile | None) -> bool:
    if any(key in event.attributes for event in EVENTS.values()):
        return key in ATTRIBUTES and keeps_rule(key, value)
    return profile is not None and key in profile.attributes and _keeps(profile.attributes[key], value)


def _keeps(attribute: ProfileAttribute, value: object) -> bool:  # noqa: PLR0911  one for each rule
    ranges = {"count": 2**31, "port": 65_536, "status_code": 600}
    if attribute.rule in ranges:
        first = 100 if attribute.rule == "status_code" else 0
        return type(value) is int and value in range(first, ranges[attribute.rule])
    if type(value) is not str:
        return False
    text = str(value)
    match attribute.rule:
        case "one_of":
            return text in attribute.values
        case "route":
            return len(text) <= 200 and set(text) <= _ROUTE
        case "sql_state":
            return 1 <= len(text) <= 5 and set(text) <= set(string.ascii_uppercase + string.digits)
        case "error_type":
            return _is_dotted(text) or (len(text) == 3 and text.isdecimal() and "100" <= text < "600")
        case _:
            return _is_dotted(text)


def _is_dotted(text: str) -> bool:
    parts = text.split(".")
    return len(parts) <= 8 and all(
        1 <= len(part) <= 64 and set(part) <= _WORD and part[0] not in string.digits for part in parts
    )


def _profile(scope: str) -> Profile | None:
    return next((profile for profile in PROFILES if scope in profile.scopes), None)


def _name_of(span: SpanData, profile: Profile | None) -> str:
    """What a span has to be called; its own name, if that is a first word that its profile knows."""
    for keys in profile.span_name if profile else ():
        if all(span.attributes.get(key) for key in keys):  # an empty text is no word of a name
            return " ".join(str(span.attributes[key]) for key in keys)
    firsts = {keys[0] for keys in profile.span_name} if profile else set()
    words = {value for key in firsts for value in (profile.attributes[key].values if profile else ())}
    return span.name if span.name in words else span.kind


def _is_sampling(state: str) -> bool:
    if not state:
        return True
    vendor, _, value = state.partition("=")
    parts = [part.partition(":") for part in value.split(";")]
    return (
        vendor == "ot"
        and len(parts) <= 2
        and all(
            key in {"th", "rv"} and 1 <= len(digits) <= 14 and set(digits) <= _HEX for key, _, digits in parts
        )
    )
