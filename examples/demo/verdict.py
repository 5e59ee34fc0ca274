"""Judges what arrived: every event exactly once and as it has to be, and no content anywhere.

Each function returns problems in words; none is the only good answer.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final, TypeVar

from examples.demo.inventory import Inventory
from examples.demo.play import Expected
from examples.demo.search import GUISES, Haystack, control
from tests.telemetry import LogEvent, SpanData

T = TypeVar("T")

SCOPE: Final = "otel_incident"
"""The instrumentation scope of the events."""

UID: Final = "log.record.uid"
DURATION: Final = "incident.duration"


def event_problems(expected: Sequence[Expected], events: Sequence[LogEvent]) -> list[str]:
    """What is missing, too much, doubled or different, given what arrived in order of arrival."""
    uids = Counter(str(event.attributes.get(UID, "")) for event in events)
    problems = [f"the event {uid} arrived {count} times" for uid, count in uids.items() if uid and count > 1]
    if "" in uids:
        problems.append(f"{uids['']} events have no {UID}")
    once = list(
        {event.attributes.get(UID, position): event for position, event in enumerate(events)}.values()
    )
    awaited = _by_incident((each.incident, each) for each in expected)
    arrived = _by_incident((str(event.attributes.get("incident.id", "?")), event) for event in once)
    for incident in dict.fromkeys([*awaited, *arrived]):
        problems += _incident_problems(incident, awaited.get(incident, []), arrived.get(incident, []))
    return problems


def trace_problems(events: Iterable[LogEvent], spans: Iterable[SpanData]) -> list[str]:
    """Events that do not name the request that caused them."""
    requests = {(span.trace_id, span.span_id) for span in spans if span.kind == "server"}
    lost = sum((event.trace_id, event.span_id) not in requests for event in events)
    return [f"{lost} events carry no trace id of a request that arrived"] if lost else []


def content_problems(inventory: Inventory, found: Iterable[str]) -> list[str]:
    """Content that arrived."""
    return [f"content arrived: {string!r} ({inventory.strings[string]})" for string in sorted(found)]


def control_problems(
    inventory: Inventory, haystack: Haystack, carrier: bytes, canary: str
) -> tuple[list[str], int]:
    """Whether the search could have found anything, and how many planted strings it found.

    Args:
        inventory: What was looked for.
        haystack: What was searched.
        carrier: A part of it, to plant strings in.
        canary: What must be found, because the host was told to send it.
    """
    problems = [] if haystack.find([canary]) else ["the search does not find what was sent on purpose"]
    counts = control(carrier, inventory.strings)
    for guise in GUISES:
        missed = len(inventory.strings) - counts[guise]
        if missed:
            problems.append(f"the search does not find {missed} strings that were planted as {guise}")
    return problems, sum(counts.values())


def collector_problems(events: Iterable[LogEvent], at_collector: Iterable[LogEvent]) -> list[str]:
    """Whether the real collector wrote exactly what the receiver had passed on to it."""
    passed_on = Counter(str(event.attributes.get(UID)) for event in events)
    written = Counter(str(event.attributes.get(UID)) for event in at_collector)
    if passed_on == written:
        return []
    return [f"the collector wrote {written.total()} events, and was given {passed_on.total()}"]


def _by_incident(pairs: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    grouped: dict[str, list[T]] = {}
    for incident, item in pairs:
        grouped.setdefault(incident, []).append(item)
    return grouped


def _incident_problems(incident: str, expected: Sequence[Expected], arrived: Sequence[LogEvent]) -> list[str]:
    problems = []
    awaited, came = [each.name for each in expected], [event.event_name for event in arrived]
    for kind, first, last, begin, end in SequenceMatcher(None, awaited, came, autojunk=False).get_opcodes():
        if kind == "equal":
            for each, event in zip(expected[first:last], arrived[begin:end], strict=True):
                problems += _attribute_problems(each, event)
            continue
        if first < last:
            which = f"{first + 1} to {last}" if last - first > 1 else str(last)
            problems.append(
                f"incident {incident}: missing is event {which}: {', '.join(awaited[first:last])}"
            )
        problems += [
            f"incident {incident}: {name} arrived, and was not due there" for name in came[begin:end]
        ]
    return problems


def _attribute_problems(expected: Expected, event: LogEvent) -> list[str]:
    attributes: Mapping[str, object] = event.attributes
    problems = []
    for key in sorted({*expected.attributes, *attributes} - {UID, DURATION}):
        awaited, came = expected.attributes.get(key), attributes.get(key)
        if awaited != came or type(awaited) is not type(came):
            problems.append(f"{key} is {came!r}, not {awaited!r}")
    duration = attributes.get(DURATION)
    if expected.name == "incident.end" and not (isinstance(duration, float) and duration >= 0):
        problems.append(f"{DURATION} is {duration!r}")
    if expected.name != "incident.end" and duration is not None:
        problems.append(f"{DURATION} is there")
    return [f"incident {expected.incident}, {expected.name}: {problem}" for problem in problems]
