"""Copies of spans from which everything that may not leave is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from opentelemetry.sdk.trace import Event
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.status import Status, StatusCode

from otel_incident.gate.fields import (
    contents_of,
    is_bare,
    lacking,
    lacking_items,
    mapping,
    parts_of,
    plain_time,
    rebuilt,
)
from otel_incident.gate.memory import judged_on, remember_judged, was_audited
from otel_incident.gate.parts import Resources, Scopes, bare
from otel_incident.gate.rules import FAILED, FIELD
from otel_incident.guard import swallow

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from otel_incident.gate.rules import GateRules, ScopeRules
    from otel_incident.policy import Drop

# Names that the conventions fix; any other name of a span event could be a sentence.
_OTHER_EVENT: Final = "event"
_EXCEPTION: Final = "exception"
_KIND_NAMES: Final = {kind: kind.name.lower() for kind in SpanKind}
_UNSET: Final = StatusCode.UNSET  # members of an enumeration take long to look up and to hash
_BARE_STATUS: Final = {code: Status(code) for code in StatusCode}
_BARE_UNSET: Final = _BARE_STATUS[_UNSET]


@final
class SpanFilter:
    """What a gate makes of a span that has ended.

    Args:
        rules: The gate's.
    """

    def __init__(self, rules: GateRules) -> None:
        self._rules = rules
        self._resources = Resources(rules.strict)
        self._scopes = Scopes(rules.strict)

    def __call__(self, span: ReadableSpan) -> ReadableSpan:
        """The span as the next in line may see it; the same object where nothing had to go."""
        if self._rules.mode == "strict":
            drops: list[Drop] = []
            passed = self._strict(span, drops)
            if drops:
                self._rules.count("spans", drops)
            return passed
        if self._rules.mode == "audit" and not was_audited(span):
            would: list[Drop] = []
            try:
                self._strict(span, would)
            except Exception as error:  # noqa: BLE001  what strict would drop, audit only counts
                would = [FAILED]
                swallow("gate", error)
            self._rules.would("spans", would)
        return self._standard(span)

    def _strict(self, span: ReadableSpan, drops: list[Drop]) -> ReadableSpan:
        (
            scope, context, parent, resource, code, description,
            attributes, lost, events, lost_events, links, lost_links,
        ) = parts_of(span)  # fmt: skip
        if type(span.kind) is not SpanKind:
            raise TypeError  # it could be any text, and no encoder knows it
        noted: list[Drop] = []  # what is no attribute of the span's, whose count OTLP has
        _, rules, scope = self._scopes.of(scope, noted)
        judged = judged_on(span) if rules.attributes.judges else None
        kept = rules.attributes.keep(attributes, drops, judged)
        lost += len(drops)
        if description:
            drops.append(FIELD)
        name = _name(span, kept, rules)
        came = span.name
        if type(came) is not str or (came != name and came):
            drops.append(FIELD)
        passed = rebuilt(
            span,
            name=name,
            context=context if is_bare(context) else bare(context, drops),
            parent=parent if is_bare(parent) else bare(parent, drops),
            resource=self._resources.of(resource, noted),
            attributes=lacking(kept, lost) if lost else kept,
            events=lacking_items([self._event(event, rules, drops) for event in events], lost_events)
            if events or lost_events
            else (),
            links=lacking_items([_link(link, rules, drops) for link in links], lost_links)
            if links or lost_links
            else (),
            status=_BARE_UNSET if code is _UNSET else _BARE_STATUS[code],
            scope=scope,
        )
        if judged:
            remember_judged(passed, judged)
        if noted:
            drops.extend(noted)
        return passed

    def _event(self, event: Any, rules: ScopeRules, drops: list[Drop]) -> Event:
        came = event.name
        name = came if type(came) is str else _OTHER_EVENT
        checks = self._rules.strict.of_event(name)
        if checks is None:
            checks = rules.events.get(name, rules.attributes)
            if name not in rules.events and name != _EXCEPTION:
                name = _OTHER_EVENT
        before = len(drops)
        kept = checks.keep(mapping(event.attributes), drops)
        lost = len(drops) - before
        if name is not came:
            drops.append(FIELD)
        return Event(name, lacking(kept, event.dropped_attributes + lost), plain_time(event.timestamp))

    def _standard(self, span: ReadableSpan) -> ReadableSpan:
        forbidden = self._rules.standard.filter
        looked_at, events, links = contents_of(span)
        attributes = forbidden(looked_at)
        if attributes is None and not events and not links:
            return span
        of_events = [forbidden(mapping(event.attributes)) for event in events]
        of_links = [forbidden(mapping(link.attributes)) for link in links]
        found = (attributes, *of_events, *of_links)
        drops = [drop for filtered in found if filtered is not None for drop in filtered.drops]
        if not drops:
            return span
        self._rules.count("spans", drops)
        passed = rebuilt(
            span,
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=looked_at
            if attributes is None
            else lacking(attributes.attributes, span.dropped_attributes + len(attributes.drops)),
            events=lacking_items(
                [
                    event
                    if filtered is None
                    else Event(
                        event.name,
                        lacking(filtered.attributes, event.dropped_attributes + len(filtered.drops)),
                        event.timestamp,
                    )
                    for event, filtered in zip(events, of_events, strict=True)
                ],
                span.dropped_events,
            )
            if events or span.dropped_events
            else (),
            links=lacking_items(
                [
                    link
                    if filtered is None
                    else Link(
                        link.context,
                        lacking(filtered.attributes, link.dropped_attributes + len(filtered.drops)),
                    )
                    for link, filtered in zip(links, of_links, strict=True)
                ],
                span.dropped_links,
            )
            if links or span.dropped_links
            else (),
            status=span.status,
            scope=span.instrumentation_scope,
        )
        remember_judged(passed, judged_on(span))
        return passed


def _link(link: Link, rules: ScopeRules, drops: list[Drop]) -> Link:
    before = len(drops)
    kept = rules.attributes.keep(mapping(link.attributes), drops)
    lost = len(drops) - before
    return Link(bare(link.context, drops), lacking(kept, link.dropped_attributes + lost))


def _name(span: ReadableSpan, kept: dict[str, Any], rules: ScopeRules) -> str:
    """A span's name made of what its profile lets it say, else its kind."""
    for first, others in rules.span_name:
        made = kept.get(first)
        if type(made) is str and made:  # what the operator names may hold other things
            for key in others:
                word = kept.get(key)
                if type(word) is not str or not word:  # the root's route is empty
                    break
                made = f"{made} {word}"
            else:
                return made
    name = span.name
    if rules.first_words and type(name) is str:
        word = name.partition(" ")[0]
        if word in rules.first_words:
            return word
    return _KIND_NAMES[span.kind]
