"""Model hooks: which change of which field is which event, and what the event says."""

import datetime as dt
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.management import call_command
from django.db import transaction
from django.db.models import F

from otel_incident.events import Incident, IncidentEvent
from tests.django_host import CASES, INCIDENTS, JOBS, actions, model, said, script, user, watching

pytestmark = pytest.mark.usefixtures("ops")

CREATED: Final = dt.datetime(2020, 9, 13, 12, 26, 40, 123456, tzinfo=dt.UTC)
SOMEONE: Final = uuid.UUID("018f4f2e-7d1c-7e55-9d4a-0123456789ab")


@pytest.fixture
def cases(ops: None) -> Iterator[list[IncidentEvent]]:
    """What the hooks on `Case` report."""
    del ops
    with watching(CASES) as seen:
        yield seen


def loaded(reported: list[IncidentEvent], **fields: Any) -> Any:
    """An incident in the database, loaded, its creation reported already."""
    made = model("Incident").objects.create(**fields)
    reported.clear()
    return model("Incident").objects.get(pk=made.pk)


def test_an_event_says_what_the_row_holds(reported: list[IncidentEvent]) -> None:
    """Exactly the fields the hook names, with the host's own types; no actor outside a request."""
    commander = user("sam")
    made = model("Incident").objects.create(commander=commander, priority=2, created=CREATED)

    (event,) = reported
    assert event.action == "create"
    assert event.incident == Incident(
        id=made.pk, active=True, commander_id=commander.pk, team_id=7, created_at=CREATED
    )
    assert [type(value) for value in (event.incident.id, event.incident.commander_id)] == [int, int]
    assert (event.actor, event.public, event.stage_index, event.id_shapes) == (None, None, None, None)


def test_a_row_that_is_created_closed_has_ended_too(reported: list[IncidentEvent]) -> None:
    """Create, then end; the incident of both is the row as it is."""
    made = model("Incident").objects.create(status=4)
    assert said(reported) == [("create", made.pk), ("end", made.pk)]
    assert [event.incident.active for event in reported] == [False, False]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1, 4, ["end"]),
        (4, 2, ["restart"]),
        (1, 2, []),
        (3, 4, []),
        (5, 3, []),
        (4, 4, []),
        (1, 1, []),
        (1, 9, []),
    ],
)
def test_only_crossing_the_line_is_an_end_or_a_restart(
    reported: list[IncidentEvent], before: int, after: int, expected: list[str]
) -> None:
    """Between open values nothing is said, between closed ones neither, nor if nothing changes."""
    incident = loaded(reported, status=before)
    incident.status = after
    incident.save()
    assert actions(reported) == expected


def test_several_changes_of_one_save_are_several_events(reported: list[IncidentEvent]) -> None:
    """Restart, who takes over, which stage; or who, which, end: in the order a reader expects."""
    incident = loaded(reported, status=4, priority=1)
    incident.status, incident.priority, incident.commander = 2, 3, user("sam")
    incident.save()
    assert actions(reported) == ["restart", "change_commander", "change_stage"]
    reported.clear()
    incident.status, incident.priority, incident.commander = 4, 1, None
    incident.save()
    assert actions(reported) == ["change_commander", "change_stage", "end"]


def test_a_change_of_commander_says_the_new_one(reported: list[IncidentEvent]) -> None:
    """From one to another, to nobody (absent), and from nobody."""
    first, second = user("sam"), user("kim")
    incident = loaded(reported, commander=first)
    for commander in (second, None, first):
        incident.commander = commander
        incident.save()
    assert actions(reported) == ["change_commander"] * 3
    assert [event.incident.commander_id for event in reported] == [second.pk, None, first.pk]


def test_the_first_commander_and_stage_after_the_creation_are_changes(reported: list[IncidentEvent]) -> None:
    """Once the row is committed, by the instance that made it, too: somebody takes over what nobody led."""
    incident = model("Incident").objects.create()
    incident.commander, incident.priority = user("sam"), 2
    incident.save()
    assert actions(reported) == ["create", "change_commander", "change_stage"]


def test_the_first_commander_of_a_row_that_was_there_is_a_change(reported: list[IncidentEvent]) -> None:
    """Somebody takes over what nobody led."""
    incident = loaded(reported)
    incident.commander, incident.priority = user("sam"), 2
    incident.save()
    assert actions(reported) == ["change_commander", "change_stage"]


def test_a_stage_is_the_hosts_integer_with_an_offset(reported: list[IncidentEvent]) -> None:
    """Priority 1 to 5 is index 0 to 4; without a priority there is no index."""
    incident = loaded(reported, priority=5)
    for priority in (1, 4, None):
        incident.priority = priority
        incident.save()
    assert actions(reported) == ["change_stage"] * 3
    assert [event.stage_index for event in reported] == [0, 3, None]


def test_a_stage_is_a_place_in_a_list(cases: list[IncidentEvent]) -> None:
    """Choices that are text, as members and as plain strings; the end is no stage, nor is the way back."""
    from tests.hosts.ops.models import Phase  # noqa: PLC0415  models can be imported once Django is configured

    case = model("Case").objects.create()
    for phase in (Phase.REPAIR, "review", Phase.REVIEW, Phase.OVER, "dropped", Phase.TRIAGE, "repair"):
        case.phase = phase
        case.save()
    assert actions(cases) == ["create", "change_stage", "change_stage", "end", "restart", "change_stage"]
    assert [event.stage_index for event in cases] == [None, 1, 2, None, None, 1]


def test_a_stage_that_is_not_listed_has_no_index(cases: list[IncidentEvent]) -> None:
    """The event goes out without one."""
    case = model("Case").objects.create()
    case.phase = "handover"
    case.save()
    assert [(event.action, event.stage_index) for event in cases] == [
        ("create", None),
        ("change_stage", None),
    ]


def test_integer_choices_are_their_integers(ops: None) -> None:
    """A member and its integer are the same value, and the index is the integer."""
    del ops
    from tests.hosts.ops.models import Severity  # noqa: PLC0415  models can be imported once Django is configured

    by_severity = CASES.replace('field = "phase"\norder', 'field = "severity"\n# order')
    with watching(by_severity) as reported:
        case = model("Case").objects.create(severity=Severity.HIGH)
        for severity in (1, Severity.LOW, 0):
            case.severity = severity
            case.save()
    assert [(event.action, event.stage_index) for event in reported] == [
        ("create", None),
        ("change_stage", 0),
    ]


def test_a_status_that_is_a_row_of_a_table(ops: None) -> None:
    """It is compared by its key, set as an object or as the key."""
    del ops
    states = [model("State").objects.create(pk=number, name=f"state {number}") for number in (1, 2, 3)]
    with watching(JOBS) as reported:
        job = model("Job").objects.create(state=states[0])
        for state in (states[1], states[2]):
            job.state = state
            job.save()
        job.state_id = 2
        job.save()
    assert actions(reported) == ["create", "end", "restart", "end"]


def test_a_value_as_text_is_the_value(reported: list[IncidentEvent]) -> None:
    """What comes out of a form and is saved as it came is what the field makes of it."""
    commander = user("sam")
    incident = loaded(reported, commander=commander, priority=2)
    incident.commander_id, incident.priority = str(commander.pk), "2"
    incident.save()
    assert reported == []
    incident.status, incident.priority = "4", "3"
    incident.save()
    assert [(event.action, event.stage_index) for event in reported] == [("change_stage", 2), ("end", None)]


def test_a_uuid_as_text_is_the_uuid(cases: list[IncidentEvent]) -> None:
    """The same owner in another type is no change."""
    case = model("Case").objects.create(owner=SOMEONE)
    case.owner = str(SOMEONE)
    case.save()
    assert actions(cases) == ["create"]


def test_what_the_database_computes_is_not_known(reported: list[IncidentEvent]) -> None:
    """An expression says nothing; once the row is read again, the next change is seen."""
    incident = loaded(reported, priority=2)
    incident.priority = F("priority") + 1
    incident.save()
    incident.priority = 5
    incident.save()
    assert reported == []
    incident.refresh_from_db()
    incident.priority = 1
    incident.save()
    assert [(event.action, event.stage_index) for event in reported] == [("change_stage", 0)]


def test_a_fixture_is_data_and_no_action(reported: list[IncidentEvent], tmp_path: Path) -> None:
    """`loaddata` makes and changes rows without an event."""
    fixture = tmp_path / "incidents.json"
    for status in (1, 4):
        fixture.write_text(
            f'[{{"model": "ops.incident", "pk": 12, "fields": {{"status": {status}, '
            '"team": 7, "title": "t", "created": "2020-09-13T12:26:40Z"}}]'
        )
        call_command("loaddata", str(fixture), verbosity=0)
    assert model("Incident").objects.get(pk=12).status == 4
    assert reported == []


def test_a_proxy_is_its_model(reported: list[IncidentEvent]) -> None:
    """Rows made and changed under another class are the same incidents."""
    made = model("Alarm").objects.create()
    alarm = model("Alarm").objects.get(pk=made.pk)
    alarm.status = 4
    alarm.save()
    assert said(reported) == [("create", made.pk), ("end", made.pk)]


def test_a_child_continues_its_parent(reported: list[IncidentEvent]) -> None:
    """With a table of its own, too: each change is said once."""
    made = model("Outage").objects.create()
    outage = model("Outage").objects.get(pk=made.pk)
    outage.status = 4
    outage.save()
    assert said(reported) == [("create", made.pk), ("end", made.pk)]


def test_another_database_has_transactions_of_its_own(reported: list[IncidentEvent]) -> None:
    """What is saved there waits for its commit, not for that of the default one."""
    with transaction.atomic(using="default"), transaction.atomic(using="archive"):
        made = model("Incident").objects.using("archive").create()
        assert reported == []
    assert said(reported) == [("create", made.pk)]
    incident = model("Incident").objects.using("archive").get(pk=made.pk)
    with transaction.atomic(using="default"):
        incident.status = 4
        incident.save()
        assert actions(reported) == ["create", "end"]


def test_deleting_a_row_says_nothing(reported: list[IncidentEvent]) -> None:
    """There is no event for it."""
    loaded(reported).delete()
    assert reported == []


BERLIN: Final = """
setup()
watch(hooks)
from tests.hosts.ops.models import Job, State
from datetime import datetime
from otel_incident.events import wire_timestamp

state = State.objects.create(name="open")
for month in (1, 7):
    Job.objects.create(state=state, opened=datetime(2020, month, 13, 12, 26, 40, 123456))
print([wire_timestamp(event.incident.created_at) for event in events])
"""


def test_a_naive_datetime_is_in_the_projects_time_zone(tmp_path: Path) -> None:
    """With USE_TZ off and TIME_ZONE Europe/Berlin: an hour before in winter, two in summer, in UTC."""
    variables = {"OPS_USE_TZ": "false", "OPS_TIME_ZONE": "Europe/Berlin"}
    ended = script(BERLIN, tmp_path, variables, hooks=JOBS)
    assert ended.stdout == "['2020-01-13T11:26:40.123Z', '2020-07-13T10:26:40.123Z']\n"


def test_hooks_of_two_files_do_not_mix(ops: None) -> None:
    """Two files may call their hooks alike, even where rows have the same key."""
    del ops
    jobs = JOBS.replace('name = "job"', 'name = "incident"')
    state, other = (model("State").objects.create(pk=number, name="a state") for number in (1, 2))
    with watching(INCIDENTS, jobs) as reported:
        with transaction.atomic():
            incident = model("Incident").objects.create(pk=77)
            job = model("Job").objects.create(pk=77, state=state)
            incident.status = 4
            incident.save()
            job.state = other
            job.save()
        assert actions(reported) == ["create", "create", "end", "end"]


def test_two_hooks_on_one_model_each_know_their_own_fields(ops: None) -> None:
    """Of the same name, in two files: one watches the status, the other the commander."""
    del ops
    by_status = INCIDENTS.partition("[hook.commander]")[0]
    by_commander = INCIDENTS.partition("[hook.lifecycle]")[0] + '[hook.commander]\nfield = "commander"\n'
    made = model("Incident").objects.create()
    with watching(by_status, by_commander) as reported:
        incident = model("Incident").objects.get(pk=made.pk)
        incident.status, incident.commander = 4, user("sam")
        incident.save()
    assert sorted(actions(reported)) == ["change_commander", "end"]
