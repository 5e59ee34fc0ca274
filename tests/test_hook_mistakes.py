"""Mistakes of a hook file that nothing would ever show: each is said once, with what to write instead."""

import pytest

from tests.django_host import CASES, INCIDENTS, JOBS, model
from tests.django_host import watching as watching_models
from tests.hosts.mapped import Base
from tests.mapped_host import CASES as MAPPED_CASES
from tests.mapped_host import INCIDENTS as MAPPED
from tests.mapped_host import watching as watching_mapped

ROWS = """
host.name = "ops"
[[hook]]
name = "entry"
kind = "model"
model = "ops.Entry"
incident.id = "self.incident_id"
row = { of = "incident", field = "kind", end = ["END"] }
when = { "self.kind" = ["END"] }
"""


def never(hook: str, field: str, on: str, value: str, key: str, advice: str) -> str:
    """What is said of a value that a field never holds."""
    return (
        f"one.toml, hook '{hook}': the field {field} of the model {on} never holds {value}, which stands "
        f"in `{key}`; {advice}."
    )


def no_choice(hook: str, field: str, on: str, value: str) -> str:
    """What is said of a value that is not among those that a field is limited to."""
    return (
        f"one.toml, hook '{hook}': the field {field} of the model {on} has no choice {value}, which stands "
        "in `lifecycle.closed`; correct it."
    )


def no_integers(hook: str, field: str, on: str) -> str:
    """What is said of a stage without an index."""
    return (
        f"one.toml, hook '{hook}': the field {field} of the model {on} holds no integers, so its stage has "
        "no index; list its values in `stage.order`."
    )


def first(on: str, path: str) -> str:
    """What is said of a condition that is lost at its first step."""
    return (
        f"one.toml, hook 'entry': the model {on} has neither a field nor a relation at the beginning of "
        f"{path}, which finds nothing unless the host sets it on its instances; correct the path."
    )


def lost(hook: str, on: str, name: str, path: str, what: str = "a field") -> str:
    """What is said of a path that is lost after its first step."""
    return (
        f"one.toml, hook '{hook}': the model {on} has neither {what} nor a relation '{name}', so {path} "
        "finds nothing unless the host sets it on its instances; correct the path."
    )


# -- values of Django's fields


@pytest.mark.parametrize(
    ("text", "old", "new", "line"),
    [
        (
            CASES,
            'closed = ["over", "dropped"]',
            'closed = [3, "over"]',
            never("case", "phase", "ops.Case", "3", "lifecycle.closed", 'write "3"'),
        ),
        (
            INCIDENTS,
            "closed = [3, 4, 5]",
            'closed = ["3", 4]',
            never("incident", "status", "ops.Incident", '"3"', "lifecycle.closed", "write 3"),
        ),
        (
            INCIDENTS,
            "closed = [3, 4, 5]",
            'closed = ["open"]',
            never("incident", "status", "ops.Incident", '"open"', "lifecycle.closed", "correct it"),
        ),
        (JOBS, "[2]", '["2"]', never("job", "state", "ops.Job", '"2"', "lifecycle.closed", "write 2")),
        (
            INCIDENTS,
            "offset = -1",
            'order = [0, "1"]',
            never("incident", "priority", "ops.Incident", '"1"', "stage.order", "write 1"),
        ),
        (
            INCIDENTS,
            "offset = -1",
            "order = [0, true]",
            never("incident", "priority", "ops.Incident", "true", "stage.order", "write 1"),
        ),
        (
            ROWS,
            'end = ["END"]',
            "end = [3]",
            never("entry", "kind", "ops.Entry", "3", "row.end", 'write "3"'),
        ),
        (
            ROWS,
            '"self.kind" = ["END"]',
            '"self.kind" = [3]',
            never("entry", "kind", "ops.Entry", "3", "when", 'write "3"'),
        ),
        (
            ROWS,
            '"self.kind" = ["END"]',
            '"self.incident.status" = ["3"]',
            never("entry", "status", "ops.Incident", '"3"', "when", "write 3"),
        ),
        (
            ROWS,
            '"self.kind" = ["END"]',
            '"self.incident" = [3]',
            (
                "one.toml, hook 'entry': self.incident leads to a row, which is never one of the values in "
                "`when`; write self.incident_id."
            ),
        ),
        (
            CASES,
            'closed = ["over", "dropped"]',
            'closed = ["over", "closed"]',
            no_choice("case", "phase", "ops.Case", '"closed"'),
        ),
        (
            CASES,
            'order = ["triage", "repair", "review"]',
            "",
            no_integers("case", "phase", "ops.Case"),
        ),
    ],
)
def test_a_value_that_a_django_field_never_holds(
    ops: None, text: str, old: str, new: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said as soon as the model is known, once, with file, hook, field and what to write."""
    del ops
    assert old in text
    with watching_models(text.replace(old, new)):
        assert caplog.messages == [line]
        model("Incident").objects.create()
    assert caplog.messages == [line]


def test_values_that_a_django_field_holds_are_not_questioned(
    ops: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Integers, choices, rows by their keys, and conditions on the row and a step from it."""
    del ops
    rows = ROWS.replace('"self.kind" = ["END"]', '"self.incident.status" = [3], "self.incident_id" = [7]')
    for text in (INCIDENTS, CASES, JOBS, rows):
        with watching_models(text):
            pass
    assert caplog.messages == []


# -- paths past what Django's models have


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("self.team", "self.commander.nmae", lost("incident", "auth.User", "nmae", "self.commander.nmae")),
        ("self.team", "self.outage.regoin", lost("incident", "ops.Outage", "regoin", "self.outage.regoin")),
        (
            "self.team",
            "sum(len(self.entry_set[*].lines))",
            lost("incident", "ops.Entry", "lines", "sum(len(self.entry_set[*].lines))"),
        ),
    ],
)
def test_a_path_that_is_lost_beyond_a_relation(
    ops: None, old: str, new: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each step that leads from model to model is looked at."""
    del ops
    with watching_models(INCIDENTS.replace(old, new)):
        assert caplog.messages == [line]


@pytest.mark.parametrize(
    ("when", "line"),
    [
        (
            '"self.knid" = ["END"]',
            first("ops.Entry", "self.knid"),
        ),
        ('"self.incident.sattus" = [3]', lost("entry", "ops.Incident", "sattus", "self.incident.sattus")),
        (
            '"self.at" = { path = "self.incident.craeted" }',
            lost("entry", "ops.Incident", "craeted", "self.incident.craeted"),
        ),
    ],
)
def test_a_condition_that_finds_nothing(
    ops: None, when: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The paths of `[hook.when]` are looked at as the others are, and what they are compared with."""
    del ops
    with watching_models(ROWS.replace('"self.kind" = ["END"]', when)):
        assert caplog.messages == [line]


def test_steps_that_models_have_are_not_questioned(ops: None, caplog: pytest.LogCaptureFixture) -> None:
    """Columns beyond relations in both directions, counts over many rows, and what a value has of its own."""
    del ops
    text = INCIDENTS.replace("self.team", "self.commander.pk").replace("self.created", "self.outage.created")
    more = 'checklist_count = "sum(len(self.entry_set[*].author.groups))"\npost_id = "self.created.year"\n\n'
    with watching_models(text.replace("[hook.lifecycle]", f"{more}[hook.lifecycle]", 1)):
        assert caplog.messages == []


# -- SQLAlchemy


@pytest.mark.parametrize(
    ("text", "old", "new", "line"),
    [
        (
            MAPPED,
            'closed = ["closed", "resolved"]',
            'closed = [3, "closed"]',
            never("incident", "status", "tests.hosts.mapped:Incident", "3", "lifecycle.closed", 'write "3"'),
        ),
        (
            MAPPED,
            "offset = -1",
            'order = ["1", 2]',
            never("incident", "priority", "tests.hosts.mapped:Incident", '"1"', "stage.order", "write 1"),
        ),
        (
            MAPPED.replace('field = "priority"', 'field = "status"'),
            "offset = -1",
            "",
            no_integers("incident", "status", "tests.hosts.mapped:Incident"),
        ),
        (
            MAPPED_CASES,
            'closed = ["over"]',
            'closed = ["OVER"]',
            no_choice("case", "phase", "tests.hosts.mapped:Case", '"OVER"'),
        ),
        (
            MAPPED_CASES,
            'order = ["triage", "repair", "over"]',
            "",
            no_integers("case", "phase", "tests.hosts.mapped:Case"),
        ),
        (
            MAPPED,
            "self.team_id",
            "self.commander.nmae",
            lost("incident", "User", "nmae", "self.commander.nmae", "a column"),
        ),
    ],
)
def test_what_a_mapped_class_has_not(
    text: str, old: str, new: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By the types and relations that it declares."""
    assert old in text
    Base.registry.configure()
    with watching_mapped(text.replace(old, new)):
        assert caplog.messages == [line]


def test_what_a_mapped_class_has_is_not_questioned(caplog: pytest.LogCaptureFixture) -> None:
    """Text, integers, members of enumerations by their values, and columns beyond a relation."""
    Base.registry.configure()
    team = MAPPED.replace("self.team_id", "self.commander.id")
    levels = MAPPED_CASES.replace('field = "phase"\norder = ["triage", "repair", "over"]', 'field = "level"')
    for text in (team, MAPPED_CASES, levels):
        with watching_mapped(text):
            pass
    assert caplog.messages == []
