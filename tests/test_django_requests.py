"""Who did it in Django: the request's user, as far as the host has looked at him, without a query of ours."""

import base64
import contextvars
import importlib
import re
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.db.models import signals
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from otel_incident import guard
from otel_incident.events import Actor, IncidentEvent
from tests.django_host import INCIDENTS, actions, model, user, watching

pytestmark = pytest.mark.usefixtures("ops")


@pytest.fixture
def pk(reported: list[IncidentEvent]) -> Any:
    """The key of an open incident that was reported already."""
    made = model("Incident").objects.create()
    reported.clear()
    return made.pk


def client(who: Any = None) -> Client:
    """A browser, logged in or not."""
    made = Client()
    if who is not None:
        made.force_login(who)
    return made


def test_the_user_the_host_looked_at_did_it(reported: list[IncidentEvent], pk: Any) -> None:
    """His key and his role: whoever is not a superuser is an end user, staff included."""
    staff = user("sam", is_staff=True)
    assert client(staff).post(f"/seen/{pk}").content == b"sam"
    (event,) = reported
    assert event.actor == Actor(id=staff.pk, roles=("end_user",))
    assert event.actor is not None
    assert type(event.actor.id) is int


def test_a_superuser_is_a_system_admin(reported: list[IncidentEvent], pk: Any) -> None:
    """By Django's own flag."""
    admin = user("kim", is_superuser=True)
    client(admin).post(f"/seen/{pk}")
    assert [event.actor for event in reported] == [Actor(id=admin.pk, roles=("system_admin",))]


def test_a_user_nobody_looked_at_is_not_looked_up(reported: list[IncidentEvent], pk: Any) -> None:
    """Django would ask the database for him; we do not, so he is absent."""
    logged_in = client(user("sam"))
    with CaptureQueriesContext(connection) as captured:
        logged_in.post(f"/unseen/{pk}")
    assert [event.actor for event in reported] == [None]
    tables = {match[1] for query in captured if (match := re.search(r'FROM "(\w+)"', query["sql"]))}
    assert tables == {"ops_incident"}


def test_nobody_is_absent(reported: list[IncidentEvent], pk: Any) -> None:
    """A request without a login has a user who is nobody."""
    client().post(f"/seen/{pk}")
    assert [event.actor for event in reported] == [None]


def test_outside_a_request_nobody_is_known(reported: list[IncidentEvent], pk: Any) -> None:
    """A command, a job; also after a request, and after one that failed."""
    logged_in = client(user("sam"))
    logged_in.post(f"/seen/{pk}")
    with pytest.raises(RuntimeError):
        logged_in.post(f"/failing/{pk}")
    incident = model("Incident").objects.get(pk=pk)
    incident.status = 1
    incident.save()
    assert [(event.action, event.actor is None) for event in reported] == [("end", False), ("restart", True)]


def test_a_failing_request_has_done_what_it_has_done(reported: list[IncidentEvent], pk: Any) -> None:
    """The row was saved before the view failed, and he did it."""
    who = user("sam")
    with pytest.raises(RuntimeError):
        client(who).post(f"/failing/{pk}")
    assert [event.actor for event in reported] == [Actor(id=who.pk, roles=("end_user",))]


def test_the_user_of_rest_framework(reported: list[IncidentEvent], pk: Any) -> None:
    """It authenticates each request by itself; wrong credentials change nothing."""
    who = user("sam", is_superuser=True)
    who.set_password("a password")
    who.save()
    for password, status in (("wrong", 401), ("a password", 200)):
        credentials = base64.b64encode(f"sam:{password}".encode()).decode()
        done = client().post(f"/rest/{pk}", headers={"authorization": f"Basic {credentials}"})
        assert done.status_code == status
    assert [event.actor for event in reported] == [Actor(id=who.pk, roles=("system_admin",))]


def test_a_role_that_was_not_loaded_is_absent(reported: list[IncidentEvent], pk: Any) -> None:
    """A user without his `is_superuser`: the id alone, and no query for the rest."""
    who = user("sam", is_superuser=True)
    client(who).post(f"/partly/{pk}")
    assert [event.actor for event in reported] == [Actor(id=who.pk, roles=())]


def test_a_user_who_is_no_row(reported: list[IncidentEvent], pk: Any) -> None:
    """A user that an authentication of the host's makes up from a token."""
    client().post(f"/robot/{pk}")
    expected = Actor(id="018f4f2e7d1c7e559d4a0123456789ab", roles=("system_admin",))
    assert [event.actor for event in reported] == [expected]


def test_a_user_who_cannot_be_looked_at_is_absent(reported: list[IncidentEvent], pk: Any) -> None:
    """The event goes out without him, and it is no error."""
    assert client().post(f"/hostile/{pk}").status_code == 200
    assert [(event.action, event.actor) for event in reported] == [("end", None)]
    assert guard.swallowed() == {}


def test_a_request_within_a_request(reported: list[IncidentEvent], pk: Any) -> None:
    """The inner one is nobody's; the outer one is his again."""
    who = user("sam")
    client(who).post(f"/nested/{pk}")
    assert [(event.action, event.actor) for event in reported] == [
        ("end", None),
        ("restart", Actor(id=who.pk, roles=("end_user",))),
    ]


def test_an_asynchronous_view(reported: list[IncidentEvent], pk: Any) -> None:
    """The user he was to `auser()`, across the threads in which Django saves."""
    who = user("sam")

    async def scenario() -> bytes:
        browser = AsyncClient()
        await browser.aforce_login(who)
        done: bytes = (await browser.post(f"/asynchronous/{pk}")).content
        return done

    assert async_to_sync(scenario)() == b"sam"
    assert [event.actor for event in reported] == [Actor(id=who.pk, roles=("end_user",))]


def test_what_goes_on_after_the_request_is_nobodys(reported: list[IncidentEvent], pk: Any) -> None:
    """A task that a request leaves behind inherits its context, but may live for ever."""
    views: Any = importlib.import_module("tests.hosts.ops.views")
    who = user("sam")

    async def scenario() -> None:
        browser = AsyncClient()
        await browser.aforce_login(who)
        await browser.post(f"/spawning/{pk}")
        assert reported == []
        views.go_on.set()
        await views.later.pop()

    async_to_sync(scenario)()
    assert [(event.action, event.actor) for event in reported] == [("end", None)]


def test_what_a_request_leaves_behind_in_its_thread_is_nobodys(
    reported: list[IncidentEvent], pk: Any
) -> None:
    """A context that was copied in a synchronous view outlives the request, and is of nobody then."""
    left: list[contextvars.Context] = []

    def leave(**_: Any) -> None:
        left.append(contextvars.copy_context())

    def restart() -> None:
        incident = model("Incident").objects.get(pk=pk)
        incident.status = 1
        incident.save()

    who = user("sam")
    signals.post_save.connect(leave, sender=model("Incident"))
    try:
        client(who).post(f"/seen/{pk}")
    finally:
        signals.post_save.disconnect(leave, sender=model("Incident"))
    left[0].run(restart)
    assert [(event.action, event.actor) for event in reported] == [
        ("end", Actor(id=who.pk, roles=("end_user",))),
        ("restart", None),
    ]


def test_a_hook_can_name_who_did_it(ops: None) -> None:
    """Then he is the one, in a request too; his role is not that of the request's user."""
    del ops
    named = INCIDENTS + '\n[hook.actor]\nid = "self.commander_id"\n'
    commander, admin = user("kim"), user("sam", is_superuser=True)
    with watching(named) as reported:
        made = model("Incident").objects.create(commander=commander)
        client(admin).post(f"/seen/{made.pk}")
    assert actions(reported) == ["create", "end"]
    assert [event.actor for event in reported] == [Actor(id=commander.pk)] * 2


def test_a_hook_can_name_who_is_an_admin(ops: None) -> None:
    """Another flag than Django's; what is no flag says nothing."""
    del ops
    who = user("sam", is_staff=True)
    roles = []
    for flag in ("user.is_staff", "user.is_superuser", "user.username"):
        with watching(f'{INCIDENTS}\n[hook.actor]\nsystem_admin = "{flag}"\n') as reported:
            made = model("Incident").objects.create()
            client(who).post(f"/seen/{made.pk}")
            assert reported[-1].actor is not None
            roles.append(reported[-1].actor.roles)
    assert roles == [("system_admin",), ("end_user",), ()]
