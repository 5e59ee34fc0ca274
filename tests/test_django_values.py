"""Model hooks and values that are objects of the host's: one that cannot be read costs no event."""

import pickle
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NoReturn

import pytest
from django.db import transaction
from django.db.models import F

from otel_incident import guard
from otel_incident.events import Incident, IncidentEvent
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.spec import parse
from tests.django_host import CASES, INCIDENTS, actions, model, watching

pytestmark = pytest.mark.usefixtures("ops")

SOMEONE: Final = uuid.UUID("018f4f2e-7d1c-7e55-9d4a-0123456789ab")
DIRECTORY: Final = "/srv/acme-outages"


class Classless:
    """An object that does not say what it is."""

    @property  # type: ignore[misc]  # read-only, unlike what it hides
    def __class__(self) -> Any:
        """Fails."""
        raise LookupError


class Zoneless(datetime):
    """A datetime that does not say where it is."""

    @property
    def tzinfo(self) -> NoReturn:
        """Fails."""
        raise LookupError


class Incomparable(str):
    """A text that is equal to nothing, not even to itself."""

    __slots__ = ()

    def __eq__(self, _: object) -> NoReturn:
        """Fails."""
        raise LookupError

    __hash__ = str.__hash__


class Unhashable(type):
    """A class that cannot be looked up in a table."""

    def __hash__(cls) -> NoReturn:
        """Fails."""
        raise LookupError


class Odd(metaclass=Unhashable):
    """What no field can make anything of."""


def changed(row: Any, **fields: Any) -> None:
    """Set fields and save; what is odd among them is not written."""
    for name, value in fields.items():
        setattr(row, name, value)
    row.save(update_fields=["status"])


UNREADABLE: Final[dict[str, Callable[[], object]]] = {
    "of no class": Classless,
    "of no zone": lambda: Zoneless(2020, 9, 13),
    "of an odd class": Odd,
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_creation_time_that_cannot_be_read(reported: list[IncidentEvent], kind: str) -> None:
    """Whatever it is and raises: the event goes out, and the incident is who it was."""
    value = UNREADABLE[kind]()
    incident = model("Incident").objects.create()
    reported.clear()
    changed(incident, status=4, created=value)
    (event,) = reported
    assert (event.action, event.incident.id, event.incident.active) == ("end", incident.pk, False)
    assert event.incident.created_at is (None if type(value) is Zoneless else value)
    assert guard.swallowed() == {}


def test_a_status_that_cannot_be_compared(ops: None) -> None:
    """It is not known, so of the lifecycle nothing is said; who took over is."""
    del ops
    with watching(CASES) as reported:
        case = model("Case").objects.create()
        reported.clear()
        case.phase, case.owner = Incomparable("over"), SOMEONE
        case.save()
    (event,) = reported
    assert event == IncidentEvent(
        action="change_commander",
        incident=Incident(id=case.pk, commander_id=SOMEONE),
        timestamp=event.timestamp,
        context=event.context,
    )
    assert event.incident.active is None


def test_a_row_whose_status_cannot_be_compared_is_created(ops: None) -> None:
    """The creation is said, without whether it is active."""
    del ops
    with watching(CASES) as reported:
        model("Case").objects.create(phase=Incomparable("over"))
    assert [(event.action, event.incident.active) for event in reported] == [("create", None)]


def test_an_admin_flag_that_cannot_be_read(ops: None) -> None:
    """Who did it is said, without a role."""
    del ops
    named = f'{INCIDENTS}\n[hook.actor]\nid = "self.pk"\nsystem_admin = "self.flag"\n'
    with watching(named) as reported:
        incident = model("Incident").objects.create()
        changed(incident, status=4, flag=Classless())
    assert [(event.actor.id, event.actor.roles) for event in reported if event.actor] == [
        (incident.pk, ())
    ] * 2


def test_values_that_no_field_can_read(reported: list[IncidentEvent]) -> None:
    """An instance may be made with anything; what is no value of a column is not known to have been one."""
    made = model("Incident")(status=Odd(), priority=F("team"), commander_id=3)
    assert kept(made) == [{"commander_id": 3}]
    assert reported == []


# -- what is kept on an instance


def kept(instance: Any) -> list[Any]:
    """What of an instance's state is ours."""
    return [value for name, value in vars(instance._state).items() if "incident" in name]  # noqa: SLF001  it is there


def test_what_is_pickled_with_an_instance_is_plain(ops: None) -> None:
    """Values under a name that tells nothing: no path, no file's name, no class of ours, at no time."""
    del ops
    activation = Activation([parse(INCIDENTS, f"{DIRECTORY}/hooks.toml")], lambda _: None)
    activation.install()
    try:
        with transaction.atomic():
            incident = model("Incident").objects.create(priority=2)
            pickled = [pickle.dumps(incident)]
        pickled += [pickle.dumps(each) for each in (incident, model("Incident").objects.get(pk=incident.pk))]
    finally:
        activation.uninstall()
    for each in pickled:
        (values,) = kept(pickle.loads(each))  # noqa: S301  what was pickled just before
        assert values == {"status": 1, "commander_id": None, "priority": 2}
        assert [type(value) for value in (values, *values.values())] == [dict, int, type(None), int]
        for ours in (b"acme", b"srv", b"toml", b"otel_incident.", b"Memory", b"Known"):
            assert ours not in each


def test_members_of_an_enumeration_are_kept_as_their_values(ops: None) -> None:
    """What is kept needs no class of the host's either."""
    del ops
    from tests.hosts.ops.models import Phase  # noqa: PLC0415  models can be imported once Django is configured

    with watching(CASES) as reported:
        case = model("Case")(phase=Phase.REPAIR)
        assert [(name, type(value)) for name, value in kept(case)[0].items()] == [
            ("phase", str),
            ("owner", type(None)),
        ]
        case.save()
    assert actions(reported) == ["create"]
