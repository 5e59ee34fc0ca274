"""What may leave, rule by rule: exact grammars, bounds and types, and what happens to what breaks them."""

import calendar
import uuid
from collections.abc import Mapping
from typing import Any, Final

import pytest

from otel_incident.policy import KEEPS_RULE, MAX_COUNT, Checked, Drop, Policy, refusal
from otel_incident.vocabulary import ATTRIBUTES, EVENTS, RESOURCE
from tests import strategies
from tests.policy_oracle import keeps_rule, pseudonym

ULID: Final = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
UUID: Final = "123e4567-e89b-12d3-a456-426614174000"
REQUIRED: Final[Mapping[str, Any]] = {
    "incident.id": "1",
    "incident.action": "create",
    "log.record.uid": ULID,
}
HASH: Final = "hmac-0123456789abcdef0123456789abcdef"

KEEP: Final[Mapping[str, tuple[Any, ...]]] = {
    "incident.id": (
        *("0", "7", "18446744073709551615", "0" * 20, UUID, UUID.upper(), ULID, "7" + "Z" * 25),
        *("mytpaxxhs7dtx8qtc5fzmd4k1a", "abcdef012345", "ABCDEF012345", "f" * 64, HASH),
    ),
    "log.record.uid": (ULID, "0" * 26, "7" + "Z" * 25),
    "user.hash": (HASH,),
    "incident.created_at": (
        *("2020-09-13T12:26:40.000Z", "1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"),
        *("2020-02-29T00:00:00.000Z", "2000-02-29T00:00:00.000Z", "2021-02-28T00:00:00.000Z"),
    ),
    "incident.server.version": ("1", "1.2.3", "v5.4.0-rc1+build~2", "2024:1_2", "a" * 64, "unknown"),
    "incident.active": (True, False),
    "incident.checklist.count": (0, 1, MAX_COUNT),
    "incident.duration": (0.0, 0.001, 3.2e9),
    "incident.action": ("create", "end", "restart", "change_commander", "change_stage"),
    "user.roles": (*(("end_user",), ("system_admin",), ("end_user", "system_admin"), ["end_user"]),),
}
BREAK: Final[Mapping[str, tuple[Any, ...]]] = {
    "incident.id": (
        *("", " ", "jane.doe", "payments-outage-acme", "jane@example.org", "-1", "+1", "1.5", "1" * 65),
        *("12 ", " 12", "12\n", "\uff11\uff12", "\u0661\u0662", "1\u0661", "\u00b2", "1_000"),
        *(UUID[:-1], UUID + "0", UUID + "x", "{" + UUID + "}", UUID.replace("1", "l")),
        *(ULID + "A", "8" + ULID[1:], ULID[:-1] + "U", ULID[:-1] + "I", ULID.lower()),
        *("mytpaxxhs7dtx8qtc5fzmd4k1l", "mytpaxxhs7dtx8qtc5fzmd4k1", "mytpaxxhs7dtx8qtc5fzmd4k2a"),
        *("MYTPAXXHS7DTX8QTC5FZMD4K1A", "abcdef01234", "f" * 65, "abcdefabcdeg", "\u0430bcdef012345"),
        *("hmac-" + "0" * 31, "hmac-" + "0" * 33, "hmac-" + "G" * 32, "HMAC-" + "0" * 32, "hmac-" + "A" * 32),
        *(1, True, None, 1.0, b"1", uuid.UUID(UUID), ("1",), strategies.HostileStr("1")),
    ),
    "log.record.uid": (ULID.lower(), "8" + "0" * 25, "0" * 25, "0" * 27, "O" * 26, UUID, 1),
    "user.hash": ("0" * 32, HASH.upper(), HASH + "0", "1", UUID),
    "incident.created_at": (
        *("2020-09-13", "2020-09-13T12:26:40Z", "2020-09-13T12:26:40.000+00:00", "2020-09-13 12:26:40.000Z"),
        *("2020-09-13T12:26:40.000000Z", "2020-13-13T12:26:40.000Z", "2020-00-13T12:26:40.000Z"),
        *("2020-09-32T12:26:40.000Z", "2020-09-00T12:26:40.000Z", "2020-09-13T24:26:40.000Z"),
        *("2020-09-13T12:60:40.000Z", "2020-09-13T12:26:60.000Z", "2020-09-13T12:26:40.000Z\n"),
        *("\u0662020-09-13T12:26:40.000Z", 1_600_000_000_000, ""),
        *("2020-02-31T00:00:00.000Z", "2021-02-29T00:00:00.000Z", "1900-02-29T00:00:00.000Z"),
        *("2020-04-31T00:00:00.000Z", "2020-11-31T00:00:00.000Z", "2020-12-32T00:00:00.000Z"),
    ),
    "incident.server.version": (
        *("", "a" * 65, "1 2", ".1", "-1", "1/2", "1.0 (Acme)", "1\n", "v\u00e9", "\u0661", 1, 1.0),
    ),
    "incident.active": (0, 1, "true", None, strategies.Suit.SPADES),
    "incident.checklist.count": (
        *(-1, MAX_COUNT + 1, True, False, 1.0, "1", None, strategies.HostileInt(1), strategies.Suit.SPADES),
    ),
    "incident.duration": (-0.1, 3.2000001e9, float("nan"), float("inf"), float("-inf"), 1, True, "1.0"),
    "incident.action": ("Create", "create ", "delete", "", "incident.create", 1, strategies.Word.CREATE),
    "user.roles": (
        *((), [], ("admin",), ("end_user", "admin"), "end_user", {"end_user"}, ("end_user",) * 3),
        *((1,), (True,), (None,), (strategies.HostileStr("end_user"),), frozenset({"end_user"})),
        *(
            strategies.HostileTuple(("end_user",)),
            ("end_user", ("end_user",)),
            {"end_user": 1},
            strategies.Incomparable(),
        ),
    ),
}


def _names(table: Mapping[str, tuple[Any, ...]]) -> list[Any]:
    return [
        pytest.param(name, index, id=f"{name}-{index}") for name in table for index in range(len(table[name]))
    ]


def check(
    attributes: Mapping[str, Any], event: str = "incident.create", **settings: Any
) -> tuple[dict[str, Any], list[Drop]]:
    """The decision about an event that has what is required."""
    shapes = settings.pop("id_shapes", None)
    checked = Policy(pseudonym=pseudonym, **settings).check_event(event, {**REQUIRED, **attributes}, shapes)
    assert checked.attributes is not None
    return checked.attributes, list(checked.drops)


@pytest.mark.parametrize(("name", "index"), _names(KEEP))
def test_what_keeps_its_rule(name: str, index: int) -> None:
    """Each grammar takes what it is for, up to its bounds."""
    value = KEEP[name][index]
    assert KEEPS_RULE[name](value) is True
    assert keeps_rule(name, value) is True


def test_a_timestamp_is_on_a_day_that_there_is() -> None:
    """Of every month of four centuries the days that the calendar has keep the rule, and no other."""
    keeps = KEEPS_RULE["incident.created_at"]
    for year in range(1800, 2201):
        for month in range(1, 13):
            days = calendar.monthrange(year, month)[1]
            found = [day for day in range(33) if keeps(f"{year}-{month:02}-{day:02}T00:00:00.000Z")]
            assert found == list(range(1, days + 1)), (year, month)


@pytest.mark.parametrize(("name", "index"), _names(BREAK))
def test_what_breaks_its_rule(name: str, index: int) -> None:
    """One character, one type or one step over a bound away, each grammar refuses, and never raises."""
    value = BREAK[name][index]
    assert KEEPS_RULE[name](value) is False
    assert keeps_rule(name, value) is False


def test_every_rule_is_tried() -> None:
    """The two tables above hold a value for each rule of the vocabulary."""
    rules = {attribute.rule for attribute in ATTRIBUTES.values()}
    assert {ATTRIBUTES[name].rule for name in KEEP} == rules
    assert {ATTRIBUTES[name].rule for name in BREAK} == rules


def test_attributes_of_one_rule_have_one_rule() -> None:
    """What the tables try for one attribute of a rule holds for all that have it."""
    for name, attribute in ATTRIBUTES.items():
        if attribute.rule in {"enum", "enum_list"}:
            continue  # their members are their own
        tried = next(other for other in KEEP if ATTRIBUTES[other].rule == attribute.rule)
        assert all(KEEPS_RULE[name](value) for value in KEEP[tried])
        assert not any(KEEPS_RULE[name](value) for value in BREAK[tried])


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("incident.created_at", "yesterday", "bad_value"),
        ("incident.created_at", 5, "wrong_type"),
        ("incident.active", 1, "wrong_type"),
        ("incident.checklist.count", -1, "bad_value"),
        ("incident.checklist.count", True, "wrong_type"),
        ("incident.checklist.count", "3", "wrong_type"),
        ("user.roles", ("admin",), "bad_value"),
        ("user.roles", ["admin"], "bad_value"),
        ("user.roles", "end_user", "wrong_type"),
        ("incident.post.id", 5, "wrong_type"),
        ("incident.post.id", "", "bad_value"),
    ],
)
def test_a_broken_rule_costs_the_attribute_alone(name: str, value: Any, reason: str) -> None:
    """An optional value that breaks its rule is left out with its reason; the event goes on."""
    attributes, drops = check({name: value})
    assert attributes == REQUIRED
    assert drops == [Drop(name, reason, ATTRIBUTES[name].rule)]  # type: ignore[arg-type]  # one of the reasons


@pytest.mark.parametrize("name", ["incident.id", "incident.action", "log.record.uid"])
@pytest.mark.parametrize("event", EVENTS)
def test_an_event_without_what_it_requires_is_refused(event: str, name: str) -> None:
    """Absent or refused, a required attribute takes the event with it, and the drop names it."""
    action = EVENTS[event].action
    whole: dict[str, Any] = {**REQUIRED, "incident.action": action}
    policy = Policy(pseudonym=pseudonym)
    assert policy.check_event(event, whole) == Checked(whole, ())
    missing = Drop(name, "missing_required", ATTRIBUTES[name].rule)
    without = {key: value for key, value in whole.items() if key != name}
    assert policy.check_event(event, without) == Checked(None, (missing,))
    refused = policy.check_event(event, {**whole, name: 5})
    assert refused == Checked(None, (Drop(name, "wrong_type", ATTRIBUTES[name].rule), missing))


@pytest.mark.parametrize("event", ["", "incident.delete", "create", "incident.Create", "incident.create "])
def test_an_event_that_is_not_registered_is_refused(event: str) -> None:
    """Nothing of an unknown event leaves; what it lacks is an action that is known."""
    checked = Policy(pseudonym=pseudonym).check_event(event, REQUIRED)
    assert checked == Checked(None, (Drop("incident.action", "missing_required", "enum"),))


@pytest.mark.parametrize(
    ("event", "name", "value"),
    [
        (event, name, value)
        for name, value, own in (
            ("incident.public", True, "incident.create"),
            ("incident.stage.index", 2, "incident.change_stage"),
            ("incident.duration", 5.0, "incident.end"),
        )
        for event in EVENTS
        if event != own
    ],
)
def test_what_belongs_to_another_event_is_left_out(event: str, name: str, value: object) -> None:
    """`incident.public` stands on create alone, the stage on change_stage, the duration on end."""
    attributes, drops = check({name: value}, event)
    assert attributes == REQUIRED
    assert drops == [Drop(name, "unknown_key", "none")]


@pytest.mark.parametrize("name", [*RESOURCE, "otel_incident.signal"])
def test_what_belongs_to_the_resource_or_a_metric_is_left_out(name: str) -> None:
    """A registered attribute of something else is no attribute of an event."""
    attributes, drops = check({name: "1"})
    assert attributes == REQUIRED
    assert drops == [Drop(name, "unknown_key", "none")]


@pytest.mark.parametrize(
    "name", ["incident.title", "title", "exception.message", "", "INCIDENT.ID", "incident.id "]
)
def test_a_key_without_a_rule_is_deleted_and_not_named(name: str) -> None:
    """An unknown key goes with its value, and the drop does not repeat it: it is text from outside."""
    attributes, drops = check({name: "1"})
    assert attributes == REQUIRED
    assert drops == [Drop("", "unknown_key", "none")]


def test_a_key_must_be_a_plain_string() -> None:
    """A key that only equals a registered one would leave as whatever object it is; it is deleted."""

    class Key(str):
        __slots__ = ()

    attributes, drops = check({Key("incident.post.id"): "1", 5: "1"})  # type: ignore[dict-item]  # on purpose
    assert attributes == REQUIRED
    assert drops == [Drop("", "unknown_key", "none")] * 2


def test_a_list_of_roles_leaves_as_a_tuple() -> None:
    """What was checked cannot be changed afterwards by whoever still holds the list."""
    attributes, drops = check({"user.roles": ["end_user"]})
    assert attributes["user.roles"] == ("end_user",)
    assert type(attributes["user.roles"]) is tuple
    assert drops == []


def test_refusal_of_an_unregistered_name() -> None:
    """A refusal names only what is registered."""
    assert refusal("incident.title", "x") == Drop("", "unknown_key", "none")
