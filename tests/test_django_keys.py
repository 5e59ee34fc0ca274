"""Model hooks and the keys of rows in one transaction: however a host holds one, it is the same row."""

import uuid
from typing import Any, Final

import pytest
from django.db import transaction

from otel_incident.events import IncidentEvent
from otel_incident.hooks.django_rows import normal
from tests.django_host import CASES, ENTRIES, model, said, user, watching

pytestmark = pytest.mark.usefixtures("ops")

KEY: Final = "0c2f9d0e-7a5b-4a5e-9a53-0c8f3f7f6a11"


def case(key: object) -> Any:
    """A case of this key, saved."""
    made = model("Case")(pk=key)
    made.save()
    return made


@pytest.mark.parametrize("key", [KEY, KEY.upper().replace("-", ""), uuid.UUID(KEY)])
def test_a_key_as_text_is_the_key(ops: None, key: object) -> None:
    """A row that is made by the text of its key, and changed and deleted by what is read back, is one row."""
    del ops
    with watching(CASES) as reported:
        with transaction.atomic():
            case(key)
            again = model("Case").objects.get(pk=KEY)
            again.owner = uuid.uuid4()
            again.save()
        assert [(event.action, event.incident.commander_id) for event in reported] == [
            ("create", again.owner)
        ]
        reported.clear()
        with transaction.atomic():
            again.pk, again.phase = key, "over"
            again.save()
            other = model("Case").objects.get(pk=KEY)
            other.phase = "triage"
            other.save()
        assert reported == []


@pytest.mark.parametrize("key", [KEY, uuid.UUID(KEY)])
def test_a_row_of_a_key_as_text_that_is_deleted_has_never_been(ops: None, key: object) -> None:
    """By another instance, by a condition, and by itself."""
    del ops
    with watching(CASES) as reported, transaction.atomic():
        case(key)
        model("Case").objects.get(pk=KEY).delete()
        case(key)
        model("Case").objects.filter(pk=KEY).delete()
        case(key)
        model("Case").objects.filter(pk__in=[KEY]).delete()
        case(key).delete()
    assert reported == []


def test_an_incident_that_a_row_names_by_the_text_of_its_key(reported: list[IncidentEvent]) -> None:
    """Its first commander is in its creation all the same."""
    with watching(ENTRIES) as changes, transaction.atomic():
        incident = model("Incident").objects.create()
        commander = user("sam")
        model("Entry").objects.create(incident_id=str(incident.pk), author=commander)
    assert [(event.action, event.incident.commander_id) for event in reported] == [("create", commander.pk)]
    assert changes == []


def test_a_key_of_which_its_field_makes_nothing_is_what_it_is(ops: None) -> None:
    """The host's field refuses it; that is the host's to hear."""
    del ops
    field = model("Case")._meta.pk  # noqa: SLF001  Django's documented Meta API
    assert normal(field, "no key") == "no key"
    assert normal(field, KEY) == uuid.UUID(KEY)


# -- children


def test_a_child_of_a_key_of_its_own(reported: list[IncidentEvent]) -> None:
    """Its parent's key is the incident's, whichever of both is deleted."""
    model("Incident").objects.create()
    reported.clear()
    with transaction.atomic():
        drill = model("Drill").objects.create()
        assert drill.pk != drill.id
        model("Incident").objects.get(pk=drill.id).delete()
        model("Drill").objects.create().delete()
    assert reported == []


def test_a_child_that_leaves_its_parent_is_an_incident_still(reported: list[IncidentEvent]) -> None:
    """`keep_parents` deletes the child's own columns alone."""
    with transaction.atomic():
        outage = model("Outage").objects.create()
        pk = outage.pk
        outage.delete(keep_parents=True)
    assert said(reported) == [("create", pk)]
    assert model("Incident").objects.filter(pk=pk).exists()
