"""Rows that say what is done with an incident: entries of its history, and the roles of its people."""

import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.apps import apps
from django.core.signals import request_started
from django.db import transaction

from otel_incident.events import Actor, IncidentEvent
from tests.django_host import INCIDENTS, JOBS, model, said, user, watching

pytestmark = pytest.mark.usefixtures("ops")

ENTRIES: Final = """
[host]
name = "ops"

[[hook]]
name = "entry"
kind = "model"
model = "ops.Entry"
incident = { id = "self.incident_id", created_at = "self.incident.created" }
actor.id = "self.author_id"

[hook.row]
of = "incident"
field = "kind"
create = ["START"]
end = ["END", "CLOSE"]
restart = ["REOPEN"]
"""
WHEN: Final = '\nwhen = { "self.incident.created" = { path = "self.at" }, "self.author_id" = [1, 2] }\n'
ROLES: Final = """
[host]
name = "ops"

[[hook]]
name = "role"
kind = "model"
model = "ops.Role"
incident = { id = "self.incident_id", commander_id = "self.person_id" }
when = { "self.kind.name" = "commander" }
row = { of = "incident" }
commander = { field = "person" }
"""
PRIORITIES: Final = """
[host]
name = "ops"

[[hook]]
name = "priority"
kind = "model"
model = "ops.Incident"
incident.id = "self.pk"
row = { of = "id" }
stage = { field = "priority", offset = -1 }
"""
NOON: Final = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)


@pytest.fixture
def entries() -> Iterator[list[IncidentEvent]]:
    """What the hook on `Entry` reports."""
    with watching(ENTRIES) as seen:
        yield seen


@pytest.fixture
def roles() -> Iterator[list[IncidentEvent]]:
    """What the hooks on `Incident` and `Role` report."""
    with watching(INCIDENTS, ROLES) as seen:
        yield seen


def incident() -> Any:
    """An incident in the database."""
    return model("Incident").objects.create(created=NOON)


def entry(of: Any, kind: str, **fields: Any) -> Any:
    """An entry in the history of an incident."""
    return model("Entry").objects.create(incident=of, kind=kind, **fields)


def kinds() -> tuple[Any, Any]:
    """The kinds of roles: a commander, and another."""
    make = model("State").objects.create
    return make(name="commander"), make(name="scribe")


def test_a_new_row_means_what_its_field_says(entries: list[IncidentEvent]) -> None:
    """Each value is its action, in the order of the rows; other values are none; the actor is the row's."""
    one, author = incident(), user("sam")
    for kind in ("START", "END", "NOTE", "REOPEN", "CLOSE", "end"):
        entry(one, kind, author=author)
    assert [event.action for event in entries] == ["create", "end", "restart", "end"]
    for event in entries:
        assert (event.incident.id, event.incident.created_at) == (one.pk, NOON)
        assert event.actor == Actor(id=author.pk)


def test_a_row_that_is_changed_is_no_action(entries: list[IncidentEvent]) -> None:
    """Whatever becomes of an entry later: what it said has happened."""
    made = entry(incident(), "NOTE")
    made.kind = "END"
    made.save()
    made.save()
    assert entries == []


def test_a_row_that_is_rolled_back_never_was(entries: list[IncidentEvent]) -> None:
    """Nothing is said of a transaction that ends so, nor of a savepoint."""
    one = incident()
    with transaction.atomic():
        entry(one, "START")
        with transaction.atomic():
            entry(one, "END")
            transaction.set_rollback(True)
        assert entries == []
    assert said(entries) == [("create", one.pk)]


def test_rows_that_are_made_at_once(entries: list[IncidentEvent]) -> None:
    """`bulk_create` has the instances at hand: an event for each, once it is committed."""
    one, two = incident(), incident()
    row = model("Entry")
    rows = [row(incident=one, kind="END"), row(incident=two, kind="NOTE"), row(incident=two, kind="END")]
    with transaction.atomic():
        row.objects.bulk_create(iter(rows))
        assert entries == []
    assert said(entries) == [("end", one.pk), ("end", two.pk)]


@pytest.mark.parametrize(
    ("at", "author", "expected"),
    [
        (NOON, "sam", 1),
        ("2026-01-05T13:00:00+01:00", "sam", 1),
        (NOON + dt.timedelta(seconds=1), "sam", 0),
        (NOON, "kim", 0),
        (NOON, "", 0),
    ],
)
def test_rows_are_meant_by_conditions(at: object, author: str, expected: int) -> None:
    """All must hold: a value of a list, and what another path leads to, as a time even if it is text."""
    users = {name: user(name, pk=number) for number, name in ((1, "sam"), (3, "kim"))}
    text = ENTRIES.replace("\n[hook.row]", f"{WHEN}\n[hook.row]")
    with watching(text) as seen:
        entry(incident(), "END", at=at, author=users.get(author))
    assert len(seen) == expected


CHANGED: Final = """
[hook.when]
"self.incident.status" = { changed = true }
"""


def test_an_entry_that_changes_nothing_is_none() -> None:
    """What is as the host has read it has not been restarted; what is not known may have been."""
    with watching(ENTRIES + CHANGED) as seen:
        one = incident()
        entry(one, "START")
        again = model("Incident").objects.get(pk=one.pk)
        entry(again, "START")
        entry(again, "REOPEN")
        assert said(seen) == [("create", one.pk)]
        again.status = 3
        again.save()
        entry(again, "END")
        assert said(seen[1:]) == [("end", one.pk)]
        entry(model("Incident").objects.get(pk=one.pk), "REOPEN")
        model("Incident").objects.filter(status=9).update(status=1)
        model("Incident").objects.update(team=9)
        entry(model("Incident").objects.get(pk=one.pk), "REOPEN")
        assert said(seen[2:]) == []
        model("Entry").objects.create(incident_id=one.pk, kind="REOPEN")
        model("Incident").objects.filter(status=3).update(status=1)
        entry(model("Incident").objects.get(pk=one.pk), "REOPEN")
        assert said(seen[2:]) == [("restart", one.pk)] * 2
        request_started.send(sender=None)
        entry(model("Incident").objects.get(pk=one.pk), "REOPEN")
        assert len(seen) == 4


def test_what_is_written_of_other_rows_changes_nothing() -> None:
    """A write of many rows of another model, whose field is called the same."""
    text = ROLES.replace('"self.kind.name" = "commander"', '"self.kind.name" = { changed = true }')
    with watching(text) as seen:
        one, (commander, _), sam = incident(), kinds(), user("sam")
        read = model("State").objects.get(pk=commander.pk)
        group = apps.get_model("auth", "Group")
        assert group.objects.create(name="on call").pk
        assert group.objects.update(name="off") == 1
        model("Role").objects.create(incident=one, person=sam, kind=read)
        assert seen == []
        assert model("State").objects.filter(pk=commander.pk).update(name="lead") == 1
        model("Role").objects.create(incident=one, person=sam, kind=read)
    assert said(seen) == [("change_commander", one.pk)]


def test_a_condition_that_finds_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Which row is not known is not reported, and said once, without a value."""
    text = ENTRIES.replace("\n[hook.row]", '\nwhen = { "self.author.username" = "sam" }\n\n[hook.row]')
    with watching(text) as seen, caplog.at_level(logging.WARNING, "otel_incident"):
        for _ in range(2):
            entry(incident(), "END")
    assert seen == []
    (said_of_it,) = caplog.messages
    assert said_of_it == (
        "one.toml, hook 'entry': nothing is found at self.author.username (when) for a row, so it is not "
        "reported; correct the path, or have the host load it. This is said once."
    )


@pytest.mark.parametrize(
    "condition", ['"self.author_id" = %d', '"self.incident.team" = { path = "self.author_id" }']
)
def test_a_row_that_holds_nothing_there_is_not_meant(
    caplog: pytest.LogCaptureFixture, condition: str
) -> None:
    """NULL is none of the values and the same as nothing, which is no mistake that is to be said."""
    sam = user("sam")
    when = condition % sam.pk if "%" in condition else condition
    with watching(ENTRIES.replace("\n[hook.row]", f"\nwhen = {{ {when} }}\n\n[hook.row]")) as seen:
        one = model("Incident").objects.create(created=NOON, team=sam.pk)
        entry(one, "END", author=None)
        assert seen == []
        entry(one, "END", author=sam)
    assert said(seen) == [("end", one.pk)]
    assert caplog.messages == []


def test_the_first_commander_of_a_new_incident_is_no_change(roles: list[IncidentEvent]) -> None:
    """In the transaction that makes the incident; another person in it is a change, and so is a later row."""
    commander, _ = kinds()
    sam, kim = user("sam"), user("kim")
    with transaction.atomic():
        one = incident()
        role = model("Role").objects.create(incident=one, person=sam, kind=commander)
    two = incident()
    assert said(roles) == [("create", one.pk), ("create", two.pk)]
    role.person = kim
    role.save()
    role.save()
    model("Role").objects.create(incident=two, person=kim, kind=commander)
    assert said(roles[2:]) == [("change_commander", one.pk), ("change_commander", two.pk)]
    assert [event.incident.commander_id for event in roles[2:]] == [kim.pk, kim.pk]


def test_a_creation_says_who_its_first_commander_is(roles: list[IncidentEvent]) -> None:
    """Whose row is made in the same transaction and stays, unless the incident itself has one."""
    commander, scribe = kinds()
    sam, kim, own = user("sam"), user("kim"), user("own")
    role = model("Role").objects.create
    with transaction.atomic():
        one = incident()
        role(incident=one, person=kim, kind=scribe)
        role(incident=one, person=sam, kind=commander)
    with transaction.atomic():
        two = incident()
        two.save()
        with transaction.atomic():
            role(incident=two, person=kim, kind=commander)
            transaction.set_rollback(True)
    with transaction.atomic():
        three = model("Incident").objects.create(created=NOON, commander=own)
        role(incident=three, person=kim, kind=commander)
    with transaction.atomic():
        four = incident()
        savepoint = transaction.savepoint()
        role(incident=four, person=kim, kind=commander)
        transaction.savepoint_rollback(savepoint)
    with transaction.atomic():
        five = model("Incident").objects.create(created=NOON, status=4)
        role(incident=five, person=kim, kind=commander)
    assert said(roles) == [*[("create", each.pk) for each in (one, two, three, four, five)], ("end", five.pk)]
    assert [event.incident.commander_id for event in roles] == [sam.pk, None, own.pk, None, kim.pk, None]


def test_a_creation_does_not_name_who_commands_it_no_longer(roles: list[IncidentEvent]) -> None:
    """A role that is given to another, or taken away, in the transaction that makes the incident."""
    (commander, _), sam, kim = kinds(), user("sam"), user("kim")
    role = model("Role").objects.create
    with transaction.atomic():
        one, two = incident(), incident()
        given = role(incident=one, person=sam, kind=commander)
        given.person = kim
        given.save()
        role(incident=two, person=sam, kind=commander).delete()
    assert [(event.action, event.incident.id, event.incident.commander_id) for event in roles] == [
        ("create", one.pk, kim.pk),
        ("create", two.pk, None),
    ]


@pytest.mark.parametrize("job_first", [True, False])
def test_a_row_of_another_model_has_another_commander(job_first: bool) -> None:  # noqa: FBT001  a parameter of a test
    """Rows of two models that are made in one transaction may have one key."""
    with watching(INCIDENTS, ROLES, JOBS) as seen:
        (commander, _), sam = kinds(), user("sam")
        make = {
            "job": lambda: model("Job").objects.create(pk=77, state=commander),
            "incident": lambda: model("Incident").objects.create(pk=77, created=NOON),
        }
        with transaction.atomic():
            for name in sorted(make, reverse=job_first):
                make[name]()
            model("Role").objects.create(incident_id=77, person=sam, kind=commander)
    expected = [("create", 77, None), ("create", 77, sam.pk)]
    assert [(event.action, event.incident.id, event.incident.commander_id) for event in seen] == (
        expected if job_first else expected[::-1]
    )


def test_a_kind_that_the_host_has_read_before(roles: list[IncidentEvent]) -> None:
    """The role holds the key of its kind alone: what that is called is known, and no query is made."""
    commander, scribe = kinds()
    one, sam = incident(), user("sam")
    for kind in (commander, scribe):
        model("Role").objects.create(incident=one, person=user(kind.name), kind=kind)
    roles.clear()
    for kind in (commander, scribe):
        read = model("State").objects.get(name=kind.name)
        changed, made = model("Role").objects.update_or_create(
            incident=one, kind=read, defaults={"person": sam}
        )
        assert made is False
        assert "kind" not in changed._state.fields_cache  # noqa: SLF001  what this test is about
    assert said(roles) == [("change_commander", one.pk)]


def test_the_incident_itself_without_its_lifecycle() -> None:
    """With `of = "id"` only what is watched is reported, not that the row is new."""
    with watching(PRIORITIES) as seen:
        one = incident()
        one.priority = 3
        one.save()
    assert [(event.action, event.stage_index) for event in seen] == [("change_stage", 2)]


def test_a_commander_that_an_incident_is_made_with() -> None:
    """Its creation is said elsewhere, and nobody has taken over from nobody."""
    sam, kim = user("sam"), user("kim")
    with watching(PRIORITIES.replace("stage = {", 'commander = { field = "commander" }\nstage = {')) as seen:
        one = model("Incident").objects.create(created=NOON, commander=sam)
        assert seen == []
        one.commander = kim
        one.save()
    assert said(seen) == [("change_commander", one.pk)]


def test_a_new_incident_whose_creation_other_rows_say() -> None:
    """Its first stage and its first commander are no changes, once it is there they are."""
    commander, _ = kinds()
    sam = user("sam")
    with watching(PRIORITIES, ROLES) as seen:
        with transaction.atomic():
            one = incident()
            one.priority = 3
            one.save()
            model("Role").objects.create(incident=one, person=sam, kind=commander)
        assert seen == []
        one.priority = 2
        one.save()
        model("Role").objects.create(incident=one, person=sam, kind=commander)
    assert said(seen) == [("change_stage", one.pk), ("change_commander", one.pk)]


@pytest.mark.parametrize(
    "wrong", [('of = "incident"', 'of = "elsewhere"'), ('"kind"', '"elsewhere"')], ids=["of", "field"]
)
def test_a_field_that_is_not_there(caplog: pytest.LogCaptureFixture, wrong: tuple[str, str]) -> None:
    """The hook reports nothing, which is said with the name of the field."""
    with caplog.at_level(logging.WARNING, "otel_incident"), watching(ENTRIES.replace(*wrong)) as seen:
        entry(incident(), "END")
    assert seen == []
    (said_of_it,) = caplog.messages
    assert said_of_it == (
        "one.toml, hook 'entry': the model ops.Entry has no field 'elsewhere', so the hook reports nothing; "
        "correct it."
    )
