"""What holds for every event, whatever a host puts in: no unknown key, no free text, no exception."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from otel_incident.policy import ID_MODES, KEEPS_RULE, Drop, Policy, refusal
from otel_incident.vocabulary import ATTRIBUTES, EVENTS, REASONS
from tests import strategies
from tests.policy_oracle import is_id, keeps_rule, pseudonym

KEYS = st.one_of(st.sampled_from(sorted(ATTRIBUTES)), st.text(max_size=20), st.just("incident.title"))
ATTRIBUTE_SETS = st.dictionaries(KEYS, strategies.ANYTHING, max_size=12)
IDS = tuple(name for name in EVENTS["incident.create"].attributes if ATTRIBUTES[name].rule == "id")
MODES = st.dictionaries(st.sampled_from(("", *IDS)), st.sampled_from(ID_MODES))
EVENT_NAMES = st.sampled_from(sorted(EVENTS))
GOOD: Mapping[str, Any] = {"incident.id": "1", "log.record.uid": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}


def whole(event: str, handed: Mapping[str, strategies.Handed]) -> dict[str, Any]:
    """What is required, overlaid with anything."""
    anything = {name: each.value for name, each in handed.items()}
    return {**GOOD, "incident.action": EVENTS[event].action, **anything}


@given(EVENT_NAMES, ATTRIBUTE_SETS, MODES)
def test_nothing_leaves_that_has_no_rule(event: str, handed: Any, modes: Any) -> None:
    """Every key is one of the event's, every value keeps its rule by an oracle of the test's own."""
    checked = Policy(pseudonym=pseudonym, id_modes=modes).check_event(event, whole(event, handed))
    for name, value in (checked.attributes or {}).items():
        assert type(name) is str
        assert name in EVENTS[event].attributes
        assert keeps_rule(name, value), name


@given(EVENT_NAMES, ATTRIBUTE_SETS, MODES)
def test_drops_name_nothing_from_outside(event: str, handed: Any, modes: Any) -> None:
    """A drop says a registered name or none, a reason and a rule of the closed sets."""
    for drop in Policy(pseudonym=pseudonym, id_modes=modes).check_event(event, whole(event, handed)).drops:
        assert drop.attribute == "" or drop.attribute in ATTRIBUTES
        assert drop.reason in REASONS
        assert drop.rule in ATTRIBUTES["otel_incident.rule"].members


@given(EVENT_NAMES, ATTRIBUTE_SETS)
def test_checking_twice_changes_nothing(event: str, handed: Any) -> None:
    """What was checked passes a second time as it is, with nothing taken out."""
    policy = Policy(pseudonym=pseudonym)
    first = policy.check_event(event, whole(event, handed))
    if first.attributes is not None:
        second = policy.check_event(event, first.attributes)
        assert second == (first.attributes, ())


@given(EVENT_NAMES, ATTRIBUTE_SETS, MODES)
def test_a_required_attribute_is_there_or_the_event_is_not(event: str, handed: Any, modes: Any) -> None:
    """An event that leaves has everything it requires; one that does not says what it lacked."""
    checked = Policy(pseudonym=pseudonym, id_modes=modes).check_event(event, whole(event, handed))
    if checked.attributes is None:
        assert checked.drops[-1].reason == "missing_required"
    else:
        assert {"incident.id", "incident.action", "log.record.uid"} <= set(checked.attributes)


@given(EVENT_NAMES, ATTRIBUTE_SETS)
def test_whatever_is_taken_out_is_counted(event: str, handed: Any) -> None:
    """In plain mode each attribute either leaves as it came or has its drop."""
    given_ = whole(event, handed)
    checked = Policy(pseudonym=pseudonym).check_event(event, given_)
    if checked.attributes is not None:
        unchanged = sum(1 for name in given_ if name in checked.attributes and keeps_rule(name, given_[name]))
        assert unchanged + len(checked.drops) == len(given_)


@given(st.sampled_from(IDS), st.one_of(strategies.MACHINE_IDS, strategies.TEXT))
def test_an_id_passes_or_is_hashed(name: str, value: str) -> None:
    """An id leaves as it is if and only if a machine made it; else its hash does, `user.id`'s elsewhere."""
    event = whole("incident.create", {name: strategies.Handed(value)})
    checked = Policy(pseudonym=pseudonym).check_event("incident.create", event)
    if not value:
        assert checked.attributes is None or name not in checked.attributes
        return
    assert checked.attributes is not None
    moved = "user.hash" if name == "user.id" and not is_id(value) else name
    assert checked.attributes[moved] == (value if is_id(value) else pseudonym(value))
    assert checked.drops == (() if is_id(value) else (Drop(name, "hashed", "id"),))


@given(strategies.MACHINE_IDS)
def test_every_machine_s_id_is_one(value: str) -> None:
    """The oracle takes what the strategy makes, so that the laws above are not empty."""
    assert is_id(value)


@given(strategies.ANYTHING)
def test_rules_are_total(handed: strategies.Handed) -> None:
    """Every rule answers for any value with yes or no, as the oracle does, and never raises."""
    for name in ATTRIBUTES:
        assert KEEPS_RULE[name](handed.value) is keeps_rule(name, handed.value)
        assert refusal(name, handed.value).attribute == name


VALID = st.fixed_dictionaries(
    {},
    optional={
        "incident.active": st.booleans(),
        "incident.checklist.count": st.integers(-1, 3),
        "incident.commander.id": st.one_of(strategies.MACHINE_IDS, st.just("jane.doe")),
        "incident.duration": st.floats(),
        "incident.created_at": st.sampled_from(("2020-09-13T12:26:40.000Z", "2020-09-13")),
        "user.roles": st.sampled_from((("end_user",), ["end_user"], ("guest",), ())),
    },
)


@given(EVENT_NAMES, st.one_of(VALID, ATTRIBUTE_SETS), MODES, st.sampled_from(("", *GOOD)))
def test_what_passes_at_once_would_pass_one_by_one(event: str, more: Any, modes: Any, lacking: str) -> None:
    """The look at an event as a whole decides as the look at each attribute, which id shapes ask for."""
    policy = Policy(pseudonym=pseudonym, id_modes=modes)
    anything = {
        name: each.value if isinstance(each, strategies.Handed) else each for name, each in more.items()
    }
    attributes = {**GOOD, "incident.action": EVENTS[event].action, **anything}
    attributes.pop(lacking, None)
    at_once = policy.check_event(event, dict(attributes))
    one_by_one = policy.check_event(event, dict(attributes), {})
    assert at_once.drops == one_by_one.drops
    assert (at_once.attributes is None) == (one_by_one.attributes is None)
    assert list((at_once.attributes or {}).items()) == list((one_by_one.attributes or {}).items())
