"""Events carry values without a place for content, and put them into wire types without trusting them."""

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_incident.events import (
    Actor,
    Incident,
    IncidentEvent,
    Moment,
    epoch_milliseconds,
    wire_id,
    wire_timestamp,
)
from otel_incident.policy import refusal
from tests import strategies

LAST = 253_402_300_799_999


@pytest.mark.parametrize(
    "name", ["title", "name", "description", "summary", "message", "email", "attributes"]
)
@pytest.mark.parametrize("kind", [Incident, Actor, IncidentEvent])
def test_content_has_no_parameter(kind: Any, name: str) -> None:
    """Passing a title, or anything else that could hold content, is a TypeError."""
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        kind(**{name: strategies.CONTENT})


def test_only_id_is_required_of_an_incident() -> None:
    """An incident needs its id; the item count is 0 as the seed's, everything else is unsaid."""
    assert dataclasses.asdict(Incident(id="1")) == {
        "id": "1",
        "active": None,
        "commander_id": None,
        "team_id": None,
        "created_at": None,
        "post_id": None,
        "checklist_count": None,
        "checklist_item_count": 0,
    }
    with pytest.raises(TypeError, match="id"):
        Incident()  # type: ignore[call-arg]  # that is what is tested


def test_values_take_no_positional_argument() -> None:
    """Every value is named, so that none can take another's place unseen."""
    kinds: tuple[Any, ...] = (Incident, Actor, IncidentEvent)
    for kind in kinds:
        with pytest.raises(TypeError, match="positional"):
            kind("1")


def test_values_cannot_be_changed_or_extended() -> None:
    """Nothing can be added to a value after it was made: they are frozen and slotted."""
    incident: Any = Incident(id="1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        incident.id = "2"
    with pytest.raises((TypeError, AttributeError, dataclasses.FrozenInstanceError)):
        incident.title = strategies.CONTENT
    assert not hasattr(incident, "__dict__")


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (7, "7"),
        (0, "0"),
        (-7, "-7"),
        (10**20, "1" + "0" * 20),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ("jane.doe", "jane.doe"),
        (strategies.Word.CREATE, "create"),
        (None, None),
        (True, True),
        (5.0, 5.0),
    ],
)
def test_id_on_the_wire(value: object, wire: object) -> None:
    """Integers are decimal, UUIDs canonical, strings themselves; what is no id passes as it is."""
    found = wire_id(value)
    assert found == wire
    assert type(found) is type(wire)


def test_a_subclass_of_str_is_taken_by_its_text() -> None:
    """Of a string's subclass its text counts, not what its `__str__` says."""
    found = wire_id(strategies.HostileStr("12345"))
    assert type(found) is str
    assert found == "12345"


class _TalkativeInt(int):
    """An integer with code of its own wherever Python would ask it for its text."""

    def __repr__(self) -> str:
        raise LookupError

    __str__ = __format__ = __index__ = __int__ = __repr__  # type: ignore[assignment]  # all of them raise


class _Row(IntEnum):
    FIRST = 12


@pytest.mark.parametrize("value", [_TalkativeInt(12), _Row.FIRST], ids=["talkative", "enumeration"])
def test_a_subclass_of_int_is_taken_by_its_number(value: object) -> None:
    """Of an integer's subclass its number counts, an enumeration's too, and nothing of it is called."""
    found = wire_id(value)
    assert type(found) is str
    assert found == "12"


def test_a_subclass_of_uuid_is_taken_by_its_value() -> None:
    """Of a UUID's subclass its number counts, not what its `__str__` says."""
    assert wire_id(strategies.TalkativeUuid(int=5)) == "00000000-0000-0000-0000-000000000005"


@given(strategies.ANYTHING)
def test_wire_conversions_never_raise(handed: strategies.Handed) -> None:
    """Whatever a host hands over comes out as a str or as itself, and a moment has its bounds."""
    value = handed.value
    for found in (wire_id(value), wire_timestamp(value)):
        assert type(found) is str or found is value
    milliseconds = epoch_milliseconds(value)
    assert milliseconds is None or (type(milliseconds) is int and 0 <= milliseconds <= LAST)


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (1_600_000_000_000, "2020-09-13T12:26:40.000Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        (7, "1970-01-01T00:00:00.007Z"),
        (LAST, "9999-12-31T23:59:59.999Z"),
        (datetime(2020, 9, 13, 12, 26, 40, 123_999, UTC), "2020-09-13T12:26:40.123Z"),
        (datetime(2020, 9, 13, 14, 26, 40, tzinfo=timezone(timedelta(hours=2))), "2020-09-13T12:26:40.000Z"),
    ],
)
def test_moment_on_the_wire(value: object, wire: str) -> None:
    """Milliseconds since the epoch and aware datetimes become ISO 8601 in UTC with milliseconds."""
    assert wire_timestamp(value) == wire


@pytest.mark.parametrize(
    "value",
    [
        datetime(2020, 9, 13, 12, 26, 40),  # noqa: DTZ001  naive on purpose
        True,
        1.6e12,
        None,
        strategies.Suit.SPADES,
        datetime(2020, 9, 13, tzinfo=strategies.HostileZone()),
        datetime(2020, 9, 13, tzinfo=strategies.WrongZone()),
    ],
)
def test_what_is_no_moment(value: object) -> None:
    """A naive datetime, a float or a broken time zone is no moment, and passes to be refused."""
    assert epoch_milliseconds(value) is None
    assert wire_timestamp(value) is value


class _TalkativeMoment(datetime):
    """A datetime with code of its own where it is subtracted from."""

    def __sub__(self, other: object) -> timedelta:  # type: ignore[override]  # it lies
        return timedelta(days=1)


def test_a_subclass_of_datetime_is_taken_by_its_value() -> None:
    """Of a datetime's subclass its date and time count, not what its `__sub__` says."""
    value = _TalkativeMoment(2020, 9, 13, 12, 26, 40, tzinfo=UTC)
    assert epoch_milliseconds(value) == 1_600_000_000_000
    assert wire_timestamp(value) == "2020-09-13T12:26:40.000Z"


@pytest.mark.parametrize("value", [-1, LAST + 1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_what_is_beyond(value: Moment) -> None:
    """A moment before 1970 or after 9999 is a text that no timestamp is: its type was right."""
    assert epoch_milliseconds(value) is None
    assert refusal("incident.created_at", wire_timestamp(value)).reason == "bad_value"


@given(st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(UTC) | st.timezones()))  # noqa: DTZ001  Hypothesis adds the zone
def test_every_aware_datetime_keeps_its_millisecond(value: datetime) -> None:
    """Whatever its zone, an aware datetime means the same instant on the wire, to the millisecond."""
    if value.astimezone(UTC).year > 9998:
        return  # the conversion of the test itself would overflow
    wire = wire_timestamp(value)
    assert isinstance(wire, str)
    back = datetime.fromisoformat(wire)
    assert timedelta(0) <= value.astimezone(UTC) - back < timedelta(milliseconds=1)
