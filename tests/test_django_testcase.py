"""Model hooks in a host's own Django tests: they tell there what the same code tells in production."""
# mypy: allow-subclassing-any
# Django ships no types, so its test cases are Any.

import pickle
import unittest
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest
from django.db import transaction
from django.test import TestCase, TransactionTestCase

from otel_incident.events import IncidentEvent
from tests.django_host import ENTRIES, INCIDENTS, actions, model, said, user, watching

pytestmark = pytest.mark.usefixtures("ops")

Executed = Callable[[], AbstractContextManager[object]]
"""As `captureOnCommitCallbacks(execute=True)`."""


def save(incident: Any, **values: object) -> None:
    """Change a row outside of a transaction of the host's."""
    for name, value in values.items():
        setattr(incident, name, value)
    incident.save()


def run(case: type[unittest.TestCase]) -> None:
    """Run a host's tests as Django's runner does; they have to pass."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun > 0
    assert [text for _, text in (*result.errors, *result.failures, *result.skipped)] == []


@contextmanager
def in_a_test() -> Iterator[Executed]:
    """Within the transaction of a test, as pytest-django opens it for its fixtures."""

    class Case(TestCase):
        """A host's."""

    Case.setUpClass()
    case = Case("__init__")
    case._pre_setup()  # noqa: SLF001  as pytest-django does
    try:
        yield lambda: Case.captureOnCommitCallbacks(execute=True)
    finally:
        case._post_teardown()  # noqa: SLF001  the same
        Case.tearDownClass()
        Case.doClassCleanups()


def end_in_a_transaction(case: Any) -> None:
    """By another instance."""
    with transaction.atomic():
        save(model("Incident").objects.get(pk=case.incident.pk), status=4)


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        ([lambda case: save(case.incident, status=4)], ["end"]),
        ([lambda case: save(case.own, status=4)], ["end"]),
        ([end_in_a_transaction], ["end"]),
        ([lambda case: save(case.incident, commander=case.commander)], ["change_commander"]),
        ([lambda case: save(case.own, commander=case.commander)], ["change_commander"]),
        ([lambda case: save(case.ended, title="Another")], []),
        ([lambda case: save(case.ended, status=1)], ["restart"]),
        (
            [lambda case: save(case.incident, status=4), lambda case: save(case.incident, status=1)],
            ["end", "restart"],
        ),
    ],
)
def test_a_row_of_the_fixtures_is_there_already(
    reported: list[IncidentEvent], acts: list[Callable[[Any], None]], expected: list[str]
) -> None:
    """What a test does with a row of `setUpTestData` or `setUp` is told in a block; not that it was made."""

    class Case(TestCase):
        """A host's."""

        @classmethod
        def setUpTestData(cls) -> None:
            cls.commander = user("sam")
            cls.incident = model("Incident").objects.create()
            with transaction.atomic():
                cls.ended = model("Incident").objects.create()
                save(cls.ended, status=4)

        def setUp(self) -> None:
            self.own = model("Incident").objects.create()

        def test_in_blocks(self) -> None:
            for act in acts:
                with self.captureOnCommitCallbacks(execute=True):
                    act(self)

        def test_without_a_block(self) -> None:
            for act in acts:
                act(self)

    run(Case)
    assert actions(reported) == expected


def test_tests_that_commit_tell_what_production_tells(ops: None) -> None:
    """In a `TransactionTestCase` each save is told at once, without a block."""
    del ops

    class Case(TransactionTestCase):
        """A host's."""

        def test_it(self) -> None:
            incident = model("Incident").objects.create()
            save(incident, commander=user("sam"))
            save(incident, status=4)

    with watching(INCIDENTS) as reported:
        run(Case)
    assert actions(reported) == ["create", "change_commander", "end"]


def each_in_a_block(executed: Executed) -> Any:
    """A row that is made, led and ended, with a block around each."""
    with executed():
        incident = model("Incident").objects.create()
    with executed():
        save(incident, commander=user("sam"))
    with executed():
        save(incident, status=4)
    return incident


def all_in_a_block(executed: Executed) -> Any:
    """The same with one around all."""
    with executed():
        incident = model("Incident").objects.create()
        save(incident, commander=user("sam"))
        save(incident, status=4)
    return incident


@pytest.mark.parametrize("work", [each_in_a_block, all_in_a_block])
def test_each_save_outside_of_the_hosts_transactions_is_told(
    reported: list[IncidentEvent], work: Callable[[Executed], Any]
) -> None:
    """As in production, where each is committed at once."""
    with in_a_test() as executed:
        pk = work(executed).pk
    assert said(reported) == [("create", pk), ("change_commander", pk), ("end", pk)]


@pytest.mark.parametrize("savepoint", [True, False])
def test_a_transaction_of_the_hosts_is_told_as_one(reported: list[IncidentEvent], savepoint: object) -> None:
    """Its creation is complete at its end, and what comes after it is another's."""
    with in_a_test() as executed, executed():
        with transaction.atomic(savepoint=bool(savepoint)):
            incident = model("Incident").objects.create()
            with transaction.atomic():
                save(incident, commander=user("sam"))
        with transaction.atomic():
            save(incident, commander=user("kim"))
        with transaction.atomic():
            save(incident, status=4)
            save(incident, status=1)
    assert [(event.action, event.incident.commander_id is None) for event in reported] == [
        ("create", False),
        ("change_commander", False),
    ]


def test_a_transaction_of_the_hosts_that_is_rolled_back_is_not_told(reported: list[IncidentEvent]) -> None:
    """Neither the outermost nor a savepoint within it; what it was before is what it is."""
    with in_a_test() as executed:
        incident = model("Incident").objects.create()
        with executed():
            with transaction.atomic():
                save(incident, status=4)
                transaction.set_rollback(True)
            incident.refresh_from_db()
            with transaction.atomic():
                save(incident, priority=2)
                with transaction.atomic():
                    save(incident, status=4)
                    transaction.set_rollback(True)
    assert actions(reported) == ["change_stage"]


def test_a_first_commander_of_the_same_transaction(ops: None) -> None:
    """Who takes a new incident in a row of its own is in its creation; later it is a change."""
    del ops
    with watching(INCIDENTS, ENTRIES) as reported, in_a_test() as executed:
        sam, kim = user("sam"), user("kim")
        with executed(), transaction.atomic():
            incident = model("Incident").objects.create()
            model("Entry").objects.create(incident=incident, author=sam)
        with executed():
            model("Entry").objects.create(incident=incident, author=kim)
    assert [(event.action, event.incident.commander_id) for event in reported] == [
        ("create", sam.pk),
        ("change_commander", kim.pk),
    ]


def test_blocks_within_a_block_tell_once(reported: list[IncidentEvent]) -> None:
    """Django calls what is registered in the inner one again at the end of the outer one."""
    with in_a_test() as executed, executed(), executed():
        incident = model("Incident").objects.create()
    assert said(reported) == [("create", incident.pk)]


def test_a_hosts_callback_that_saves_again_adds_nothing(reported: list[IncidentEvent]) -> None:
    """It comes after the commit, as in production."""
    with in_a_test() as executed:
        incident = model("Incident").objects.create()
        with executed(), transaction.atomic():
            transaction.on_commit(lambda: save(incident, title="Told"))
            save(incident, status=4)
    assert actions(reported) == ["end"]


def test_a_hosts_callback_between_two_changes(reported: list[IncidentEvent]) -> None:
    """What it saves is compared with what the row is by then, not with what is being told."""
    with in_a_test() as executed, executed():
        incident = model("Incident").objects.create()
        transaction.on_commit(lambda: save(incident, title="Told"))
        save(incident, status=4)
    assert actions(reported) == ["create", "end"]


@pytest.mark.parametrize("block", [nullcontext, transaction.atomic])
def test_a_copy_of_a_fixture_knows_what_it_is(
    reported: list[IncidentEvent], block: Callable[[], AbstractContextManager[object]]
) -> None:
    """Whatever it was before the fixture's last save."""
    with in_a_test() as executed:
        incident = model("Incident").objects.create()
        with block():
            save(incident, status=4)
        copied = pickle.loads(pickle.dumps(incident))  # noqa: S301  its own
        with executed():
            save(copied, title="Another")
    assert reported == []


def test_blocks_in_a_transaction_that_is_no_tests(reported: list[IncidentEvent]) -> None:
    """What a block has told is told, also by the commit, and what comes after it is a change of that."""
    with transaction.atomic():
        with TestCase.captureOnCommitCallbacks(execute=True):
            incident = model("Incident").objects.create()
        with TestCase.captureOnCommitCallbacks(execute=True):
            save(incident, commander=user("sam"))
        with TestCase.captureOnCommitCallbacks(execute=True):
            save(model("Incident").objects.get(pk=incident.pk), status=4)
    assert actions(reported) == ["create", "change_commander", "end"]
