"""Ids: what a machine made passes, everything else leaves as its keyed hash, or not at all."""

import re
from typing import Any, Final, get_args

import pytest

from otel_incident.policy import ID_MODES, Drop, IdMode, Policy
from otel_incident.vocabulary import ATTRIBUTES, EVENTS
from tests import strategies
from tests.policy_oracle import is_hash, pseudonym

ULID: Final = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
ACTION: Final = {"incident.action": "create", "log.record.uid": ULID}
IDS: Final = ("incident.id", "incident.commander.id", "incident.team.id", "incident.post.id", "user.id")
PLAIN: Final = "123e4567-e89b-12d3-a456-426614174000"
WORD: Final = "payments-outage-acme"
NO_TEXT: Final[tuple[Any, ...]] = (
    5,
    True,
    None,
    1.5,
    b"1",
    [],
    strategies.Lazy(),
    strategies.HostileStr("1"),
    "",
)


def check(
    attributes: dict[str, Any],
    id_modes: dict[str, IdMode] | None = None,
    id_shapes: dict[str, re.Pattern[str]] | None = None,
) -> tuple[dict[str, Any], list[Drop]]:
    """What leaves of some ids, and what was taken out."""
    whole = {"incident.id": "1", **ACTION, **attributes}
    checked = Policy(pseudonym=pseudonym, id_modes=id_modes).check_event("incident.create", whole, id_shapes)
    assert checked.attributes is not None
    others = {name: value for name, value in checked.attributes.items() if name not in ACTION}
    return others, list(checked.drops)


def test_the_ids_of_an_event() -> None:
    """These five attributes, and no others, are ids of events."""
    named = {name for event in EVENTS.values() for name in event.attributes}
    assert {name for name in named if ATTRIBUTES[name].rule == "id"} == set(IDS)
    assert get_args(IdMode) == ID_MODES == ("plain", "hmac", "drop")


@pytest.mark.parametrize("name", IDS)
def test_plain_keeps_what_a_machine_made(name: str) -> None:
    """By default an id that a machine made leaves as it is."""
    attributes, drops = check({name: PLAIN})
    assert attributes[name] == PLAIN
    assert drops == []


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("word", [WORD, "jane.doe", "jane@example.org", " ", "\ud800", "x" * 10_000])
def test_plain_hashes_what_might_be_a_word(name: str, word: str) -> None:
    """What no machine made leaves as `hmac-` and 32 hex; `user.id` moves to `user.hash`; it is counted."""
    attributes, drops = check({name: word})
    moved = "user.hash" if name == "user.id" else name
    assert attributes == {"incident.id": "1", moved: pseudonym(word)}
    assert drops == [Drop(name, "hashed", "id")]


@pytest.mark.parametrize("name", IDS)
def test_hmac_hashes_every_id(name: str) -> None:
    """`hmac` hashes what would pass, too; that was asked for, so it is not counted."""
    attributes, drops = check({name: PLAIN}, {"": "hmac"})
    moved = "user.hash" if name == "user.id" else name
    assert attributes == {"incident.id": pseudonym("1"), moved: pseudonym(PLAIN)}
    assert drops == []


def test_drop_leaves_ids_out_but_the_incident_s() -> None:
    """`drop` leaves every id out; the incident's own is hashed: an event without it says nothing."""
    attributes, drops = check(dict.fromkeys(IDS, PLAIN), {"": "drop"})
    assert attributes == {"incident.id": pseudonym(PLAIN)}
    assert drops == []


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("default", ID_MODES)
@pytest.mark.parametrize("mode", ID_MODES)
def test_mode_by_attribute(name: str, default: IdMode, mode: IdMode) -> None:
    """An attribute's own mode comes before the mode of all others."""
    other = "incident.team.id" if name != "incident.team.id" else "incident.post.id"
    attributes, drops = check({name: PLAIN, other: PLAIN}, {"": default, name: mode})
    moved = "user.hash" if name == "user.id" else name
    expected = {"plain": {name: PLAIN}, "hmac": {moved: pseudonym(PLAIN)}, "drop": {}}
    hashed = {moved: pseudonym(PLAIN)}
    mine = hashed if (name, mode) == ("incident.id", "drop") else expected[mode]
    others = {"plain": {other: PLAIN}, "hmac": {other: pseudonym(PLAIN)}, "drop": {}}[default]
    incident = {"incident.id": "1" if default == "plain" else pseudonym("1")}
    assert attributes == {**incident, **others, **mine}
    assert drops == []


@pytest.mark.parametrize("name", IDS[1:])
@pytest.mark.parametrize("mode", ["plain", "hmac"])
@pytest.mark.parametrize("value", NO_TEXT, ids=map(str, range(len(NO_TEXT))))
def test_what_is_no_text_is_never_hashed(name: str, mode: IdMode, value: Any) -> None:
    """Only a plain, non-empty string can be an id; anything else is left out and counted."""
    attributes, drops = check({name: value}, {name: mode})
    assert attributes == {"incident.id": "1"}
    assert drops == [Drop(name, "bad_value" if type(value) is str else "wrong_type", "id")]


def test_a_keyed_hash_passes_as_an_id() -> None:
    """A hash of ours is an id that a machine made: checked again it stays."""
    attributes, drops = check({"incident.team.id": pseudonym(WORD)})
    assert attributes["incident.team.id"] == pseudonym(WORD)
    assert drops == []


@pytest.mark.parametrize(
    ("mode", "kept"), [("plain", {"user.hash"}), ("hmac", {"user.hash"}), ("drop", set())]
)
def test_a_user_who_was_hashed_before(mode: IdMode, kept: set[str]) -> None:
    """His hash stays as it is, and goes where his id would go."""
    hashed = pseudonym(WORD)
    attributes, drops = check({"user.hash": hashed}, {"user.id": mode})
    assert attributes == {"incident.id": "1", **dict.fromkeys(kept, hashed)}
    assert drops == []
    policy = Policy(pseudonym=pseudonym, id_modes={"user.id": mode})
    assert policy.check_user("user.hash", hashed) == dict.fromkeys(kept, hashed)
    assert policy.check_user("user.hash", WORD) == {}


@pytest.mark.parametrize(
    ("mode", "value", "kept"),
    [
        ("plain", "7", {"user.id": "7"}),
        ("plain", WORD, {"user.hash": pseudonym(WORD)}),
        ("plain", "sam", {"user.id": "sam"}),
        ("plain", 7, {}),
        ("plain", None, {}),
        ("hmac", "7", {"user.hash": pseudonym("7")}),
        ("drop", "7", {}),
    ],
)
def test_a_user_alone_is_judged_as_in_an_event(mode: IdMode, value: Any, kept: dict[str, str]) -> None:
    """By the mode, the host's own shape and the general rule."""
    policy = Policy(pseudonym=pseudonym, id_modes={"": mode})
    assert policy.check_user("user.id", value, {"user.id": re.compile("sam|7")}) == kept


def test_a_hook_may_name_a_wider_shape() -> None:
    """A host whose ids are `INC-7` says so for one attribute; the others keep the general rule."""
    shapes = {"incident.id": re.compile(r"INC-[0-9]+")}
    attributes, drops = check({"incident.id": "INC-7", "incident.team.id": "INC-7"}, None, shapes)
    assert attributes == {"incident.id": "INC-7", "incident.team.id": pseudonym("INC-7")}
    assert drops == [Drop("incident.team.id", "hashed", "id")]


def test_a_hook_may_name_a_tighter_shape() -> None:
    """What a machine could have made, but this host does not, is hashed."""
    attributes, drops = check(
        {"incident.team.id": PLAIN}, None, {"incident.team.id": re.compile(r"[0-9]{3}")}
    )
    assert attributes["incident.team.id"] == pseudonym(PLAIN)
    assert drops == [Drop("incident.team.id", "hashed", "id")]


@pytest.mark.parametrize(
    "value", ["INC-7 and more", "x INC-7", "INC-7\n", "INC-" + "7" * 61, "INC-\u0667", "\u0406NC-7"]
)
def test_a_shape_is_matched_in_full_in_ascii_and_to_64_characters(value: str) -> None:
    """A shape cannot let a longer text through, whatever the hook's pattern says of digits."""
    attributes, drops = check({"incident.id": value}, None, {"incident.id": re.compile(r"INC-\d+")})
    assert attributes == {"incident.id": pseudonym(value)}
    assert drops == [Drop("incident.id", "hashed", "id")]


def test_a_shape_of_64_characters_passes() -> None:
    """The bound of a shape is 64 characters, included."""
    value = "INC-" + "7" * 60
    assert check({"incident.id": value}, None, {"incident.id": re.compile(r"INC-\d+")})[0] == {
        "incident.id": value
    }


@pytest.mark.parametrize("mode", ["hmac", "drop"])
def test_a_shape_does_not_soften_a_mode(mode: IdMode) -> None:
    """Where the operator hashes or drops, no hook lets an id pass."""
    shapes = {"incident.team.id": re.compile(r".*")}
    attributes, _ = check({"incident.team.id": WORD}, {"incident.team.id": mode}, shapes)
    assert attributes.get("incident.team.id") == (pseudonym(WORD) if mode == "hmac" else None)


@pytest.mark.parametrize("value", ["a" * 65, "\u00e9"], ids=["too long", "not ASCII"])
def test_a_shape_of_a_hook_s_is_not_tried_on_just_anything(value: str) -> None:
    """An expression that takes for ever does so on at most 64 characters: length and letters come first."""

    class Forbidden:
        def fullmatch(self, _: str) -> None:
            raise AssertionError

    shapes: Any = {"incident.id": Forbidden()}
    attributes = {"incident.id": value, "incident.action": "create", "log.record.uid": ULID}
    checked = Policy(pseudonym=pseudonym).check_event("incident.create", attributes, shapes)
    assert checked.attributes is not None
    assert is_hash(str(checked.attributes["incident.id"]))
