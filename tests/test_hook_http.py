"""HTTP hooks: a request that a server has accepted is reported, once, with what its paths find."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from http import HTTPStatus
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import pytest

from otel_incident.events import Actor, Incident, IncidentEvent
from otel_incident.guard import swallowed
from otel_incident.hooks.actors import user_reader
from otel_incident.hooks.definitions import HookFile
from otel_incident.hooks.documents import MOST_CHARACTERS, document
from otel_incident.hooks.spec import parse
from tests.host_package import watching

HEAD: Final = """
[host]
name = "desk"

[[client]]
target = ["desk_client:Client.send", "desk_client:AsyncClient.send", "desk_client:send"]
method = "arg.method"
url = "arg.url"
base = "self.base"
body = "arg.json"
status = "result.status"
reply = "result.reply"
"""
RESOLVE: Final = """
[[hook]]
name = "resolve"
kind = "http"
route = "PUT /incidents/{incident_id}/resolve"
action = "end"
incident.id = "path.incident_id"
"""
ENDED: Final = IncidentEvent(action="end", incident=Incident(id="7"))
PATH: Final = "/incidents/7/resolve"


class Answer(SimpleNamespace):
    """What a client gives back."""

    status: int
    reply: Any


class TroubleError(Exception):
    """A client's own error."""


@pytest.fixture(autouse=True)
def desk_client(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client library, imported: it sends nothing, and gives what it was told to give."""

    class Base:
        base = "https://desk.test"
        user_id = "u1"

        def __init__(self, *answers: Any) -> None:
            self.answers = list(answers)

        def give(self) -> Any:
            answer = self.answers.pop(0)
            if isinstance(answer, BaseException):
                raise answer
            return answer

    class Client(Base):
        def send(self, method: str, url: str, json: Any = None) -> Any:
            del method, url, json
            return self.give()

    class AsyncClient(Base):
        async def send(self, method: str, url: str, json: Any = None) -> Any:
            del method, url, json
            await asyncio.sleep(0)
            return self.give()

    def send(method: str, url: str, json: Any = None) -> Any:
        raise NotImplementedError(method, url, json)

    module: Any = ModuleType("desk_client")
    module.Client, module.AsyncClient, module.send = Client, AsyncClient, send
    monkeypatch.setitem(sys.modules, "desk_client", module)
    return module


def file_of(*hooks: str, head: str = HEAD) -> HookFile:
    """An operator's file."""
    return parse(head + "".join(hooks), "hooks.toml")


def accepted(reply: Any = None, status: int = 200) -> Answer:
    """An answer."""
    return Answer(status=status, reply=reply)


def events_of(
    file: HookFile, module: Any, *sent: tuple[Any, ...], answer: Answer | None = None
) -> list[IncidentEvent]:
    """What a client's requests are reported as."""
    with watching(file) as watched:
        client = module.Client(*[answer or accepted()] * len(sent))
        for each in sent:
            client.send(*each)
        return watched.events


# -- which requests


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("PUT", PATH),
        ("put", PATH),
        ("PUT", "incidents/7/resolve"),
        ("PUT", f"{PATH}/"),
        ("PUT", f"{PATH}?force=true#now"),
        ("PUT", f"https://desk.test{PATH}"),
        ("PUT", f"https://desk.test:8443{PATH}?force=true"),
    ],
)
def test_a_request_of_the_route_is_reported(method: str, url: str, desk_client: Any) -> None:
    """By its method in any case and its path, wherever it goes and whatever is asked besides."""
    assert events_of(file_of(RESOLVE), desk_client, (method, url)) == [ENDED]


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", PATH),
        ("GET", PATH),
        ("PUT", "/incidents/7"),
        ("PUT", "/incidents/7/resolved"),
        ("PUT", "/v1/incidents/7/resolve"),
        ("PUT", "/incidents/7/resolve/now"),
        ("PUT", ""),
        ("PUT", None),
        ("PUT", "https://[desk"),
        (None, PATH),
        (b"PUT", PATH),
    ],
)
def test_another_request_is_not(method: Any, url: Any, desk_client: Any) -> None:
    """Neither one of another method nor one whose path begins or ends otherwise, nor what is no request."""
    assert events_of(file_of(RESOLVE), desk_client, (method, url)) == []
    assert swallowed() == {}


@pytest.mark.parametrize("base", ["https://proxy.test/desk", "https://proxy.test/desk/", "/desk"])
def test_the_path_begins_after_the_base(base: str, desk_client: Any) -> None:
    """A server below a path of its own is still that server; one without the path is not elsewhere."""
    desk_client.Client.base = base
    for url in (f"https://proxy.test/desk{PATH}", f"/desk{PATH}", PATH):
        assert events_of(file_of(RESOLVE), desk_client, ("PUT", url)) == [ENDED]
    assert events_of(file_of(RESOLVE), desk_client, ("PUT", f"https://proxy.test/desktop{PATH}")) == []


def test_a_capture_is_decoded(desk_client: Any) -> None:
    """What a URL has to escape is read as what it stands for, and a slash in it is no end of the segment."""
    (event,) = events_of(file_of(RESOLVE), desk_client, ("PUT", "/incidents/%7E7%2F8/resolve"))
    assert event.incident.id == "~7/8"


def test_each_route_of_a_hook(desk_client: Any) -> None:
    """A hook with several routes reports each of them."""
    hook = RESOLVE.replace('"PUT', '["POST /end/{incident_id}", "PUT').replace('resolve"\na', 'resolve"]\na')
    sent = ("POST", "/end/8"), ("PUT", PATH), ("PUT", "/end/9")
    assert [event.incident.id for event in events_of(file_of(hook), desk_client, *sent)] == ["8", "7"]


def test_the_most_literal_route_is_meant(desk_client: Any) -> None:
    """A path that a route names is no incident of that name to another."""
    one = RESOLVE.replace("/resolve", "")
    bulk = '[[hook]]\nname = "all"\nkind = "http"\nroute = "PUT /incidents/_all"\naction = "restart"\n'
    bulk += 'incident.id = "body.id"\n'
    sent = ("PUT", "/incidents/_all", {"id": 9}), ("PUT", "/incidents/8", {"id": 9})
    assert events_of(file_of(one, bulk), desk_client, *sent) == [
        IncidentEvent(action="restart", incident=Incident(id=9)),
        IncidentEvent(action="end", incident=Incident(id="8")),
    ]


# -- what the server said


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299, HTTPStatus.CREATED])
def test_accepted(status: int, desk_client: Any) -> None:
    """Every status of 2xx is success."""
    assert events_of(file_of(RESOLVE), desk_client, ("PUT", PATH), answer=accepted(status=status)) == [ENDED]


@pytest.mark.parametrize("status", [100, 199, 300, 304, 400, 404, 429, 500, 503, None, True, "200", 200.0])
def test_not_accepted(status: Any, desk_client: Any) -> None:
    """Any other status is none, and so is what is no status."""
    assert events_of(file_of(RESOLVE), desk_client, ("PUT", PATH), answer=accepted(status=status)) == []


def test_without_a_status_what_returns_has_succeeded(desk_client: Any) -> None:
    """Where a client raises on everything else, its file need not say where the status is."""
    file = file_of(RESOLVE, head=HEAD.replace('status = "result.status"\n', ""))
    with watching(file) as watched:
        client = desk_client.Client(None, TroubleError())
        client.send("PUT", PATH)
        with pytest.raises(TroubleError):
            client.send("PUT", PATH)
    assert watched.events == [ENDED]


@pytest.mark.parametrize("error", [TroubleError("500"), SystemExit(1), KeyboardInterrupt()])
def test_what_a_client_raises_passes(error: BaseException, desk_client: Any) -> None:
    """The same object; where the status is not known, nothing has happened."""
    with watching(file_of(RESOLVE)) as watched, pytest.raises(type(error)) as raised:
        desk_client.Client(error).send("PUT", PATH)
    assert raised.value is error
    assert watched.events == []


LATE: Final = """
[host]
name = "desk"

[[client]]
target = ["desk_client:build", "desk_client:build_async"]
method = "arg.response.request.method"
url = "arg.response.request.url.path"
body = "arg.response.request"
status = "arg.response.status_code"
reply = "arg.response"
"""
"""A client whose choke point is where it reads the reply."""


async def build_now(module: Any, response: Any) -> None:
    """A plain choke point."""
    module.build(response)


async def build_later(module: Any, response: Any) -> None:
    """One that has to be awaited."""
    await module.build_async(response)


@pytest.mark.parametrize("call", [build_now, build_later])
@pytest.mark.parametrize(("status", "reported"), [(201, [5]), (422, [])])
def test_a_client_that_fails_on_the_reply(
    call: Callable[[Any, Any], Coroutine[Any, Any, None]],
    status: int,
    reported: list[int],
    desk_client: Any,
) -> None:
    """The server has acted: what is raised passes, and the event is there."""

    def build(response: Any) -> None:
        raise TroubleError(response)

    async def build_async(response: Any) -> None:
        await asyncio.sleep(0)
        raise TroubleError(response)

    desk_client.build, desk_client.build_async = build, build_async
    request = SimpleNamespace(method="PUT", url=SimpleNamespace(path=PATH), _content=b'{"team": 3}')
    response = SimpleNamespace(request=request, status_code=status, _content=b'{"by": 5}')
    hook = RESOLVE + 'incident.commander_id = "reply.by"\nincident.team_id = "body.team"\n'
    with watching(file_of(hook, head=LATE)) as watched, pytest.raises(TroubleError):
        asyncio.run(call(desk_client, response))
    assert [(event.incident.commander_id, event.incident.team_id) for event in watched.events] == [
        (by, 3) for by in reported
    ]


# -- choke points of every kind


def sync_call(module: Any, answer: Any) -> Any:
    """A plain method."""
    return module.Client(answer).send("PUT", PATH)


def async_call(module: Any, answer: Any) -> Any:
    """A coroutine function."""
    return asyncio.run(module.AsyncClient(answer).send("PUT", PATH))


def later_call(module: Any, answer: Any) -> Any:
    """A plain function that gives a coroutine."""
    module.answer = answer
    return asyncio.run(module.send("PUT", PATH))


@pytest.mark.parametrize("call", [sync_call, async_call, later_call])
def test_each_kind_of_choke_point(call: Callable[[Any, Any], Any], desk_client: Any) -> None:
    """Sync, async, and sync giving a coroutine: one event, and the host gets its own answer."""

    async def work() -> Any:
        return desk_client.answer

    desk_client.send = lambda method, url, json=None: work()  # noqa: ARG005  as the file names them
    answer = accepted()
    with watching(file_of(RESOLVE)) as watched:
        assert call(desk_client, answer) is answer
    assert watched.events == [ENDED]


def test_a_future_is_reported_when_it_is_done(desk_client: Any) -> None:
    """A choke point that hands out futures."""
    future: Future[Any] = Future()
    desk_client.send = lambda method, url, json=None: future  # noqa: ARG005  as the file names them
    with watching(file_of(RESOLVE)) as watched:
        assert desk_client.send("PUT", PATH) is future
        assert watched.events == []
        future.set_result(accepted())
    assert watched.events == [ENDED]


def test_a_request_of_no_route_is_left_alone(desk_client: Any) -> None:
    """Its coroutine is the client's own, and nothing is looked into."""

    async def work() -> str:
        return "done"

    made = work()
    desk_client.send = lambda method, url, json=None: made  # noqa: ARG005  as the file names them
    with watching(file_of(RESOLVE)) as watched:
        assert desk_client.send("GET", PATH) is made
    assert asyncio.run(made) == "done"
    assert watched.events == []


def test_a_retry_within_a_choke_point_is_one_event(desk_client: Any) -> None:
    """What goes wrong before does not count, however often it is tried."""

    def send(method: str, url: str, json: Any = None) -> Any:
        assert json is None
        for status in (503, 429, 200):
            answer = accepted(status=status)
            if status == HTTPStatus.OK:
                break
        assert (method, url) == ("PUT", PATH)
        return answer

    desk_client.send = send
    with watching(file_of(RESOLVE)) as watched:
        desk_client.send("PUT", PATH)
    assert watched.events == [ENDED]


def test_choke_points_within_each_other_are_one_event(desk_client: Any) -> None:
    """Whichever of a file's: one that calls another, sync or async, reports once for each incident."""
    inner = desk_client.Client(*[accepted()] * 4)
    desk_client.send = inner.send
    file = file_of(RESOLVE)
    with watching(file) as watched:
        desk_client.send("PUT", PATH)
        assert watched.events == [ENDED]
        desk_client.send("PUT", PATH)
    assert watched.events == [ENDED, ENDED]


def test_two_hooks_of_one_request_report_in_the_order_of_the_file(desk_client: Any) -> None:
    """One request can mean two things."""
    first = RESOLVE.replace('"resolve"', '"commander"').replace('"end"', '"change_commander"')
    file = file_of(first + 'incident.commander_id = "body.to"\n', RESOLVE)
    for _ in range(2):
        assert events_of(file, desk_client, ("PUT", PATH, {"to": 3})) == [
            IncidentEvent(action="change_commander", incident=Incident(id="7", commander_id=3)),
            ENDED,
        ]


def test_uninstalled(desk_client: Any) -> None:
    """What is taken away reports nothing, not even what is under way; the methods are the client's own."""
    original = vars(desk_client.Client)["send"]
    future: Future[Any] = Future()
    desk_client.send = lambda method, url, json=None: future  # noqa: ARG005  as the file names them
    with watching(file_of(RESOLVE)) as watched:
        assert vars(desk_client.Client)["send"] is not original
        desk_client.send("PUT", PATH)
    future.set_result(accepted())
    assert vars(desk_client.Client)["send"] is original
    assert watched.events == []


# -- values


DECLARE: Final = """
[[hook]]
name = "declare"
kind = "http"
route = "POST /desks/{desk_id}/incidents"
action = "create"

[hook.incident]
id = "reply.id"
active = "reply.active"
commander_id = "reply.owner.id"
team_id = "path.desk_id"
created_at = "reply.at"
post_id = "body.post"
checklist_count = "len(reply.stages)"
checklist_item_count = "sum(len(reply.stages[*].tasks))"

[hook.actor]
id = "self.user_id"

[hook.create]
public = "body.public"
"""
REPLY: Final = {
    "id": 9,
    "active": True,
    "owner": {"id": "u2"},
    "at": "2026-01-02T03:04:05Z",
    "stages": [{"tasks": [1, 2]}, {"tasks": []}],
}
SENT: Final = {"post": "p1", "public": False, "title": "Checkout is down"}
CREATED: Final = IncidentEvent(
    action="create",
    incident=Incident(
        id=9,
        active=True,
        commander_id="u2",
        team_id="d1",
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        post_id="p1",
        checklist_count=2,
        checklist_item_count=2,
    ),
    actor=Actor(id="u1"),
    public=False,
)


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        (SENT, REPLY),
        (json.dumps(SENT), json.dumps(REPLY)),
        (json.dumps(SENT).encode(), json.dumps(REPLY).encode("utf-16")),
        (SENT, SimpleNamespace(_content=json.dumps(REPLY).encode())),
        (SENT, SimpleNamespace(_body=json.dumps(REPLY).encode())),
        (SENT, SimpleNamespace(data=json.dumps(REPLY))),
        (SENT, SimpleNamespace(**{**REPLY, "owner": SimpleNamespace(id="u2")})),
    ],
    ids=["parsed", "text", "bytes", "httpx and requests", "urllib3", "wrapped urllib3", "model"],
)
def test_values_of_a_request(sent: Any, reply: Any, desk_client: Any) -> None:
    """From path, body, reply and the client itself, in whatever form the client has them."""
    call = ("POST", "/desks/d1/incidents", sent)
    assert events_of(file_of(DECLARE), desk_client, call, answer=accepted(reply)) == [CREATED]


def test_what_is_empty_or_absent_is_left_out(desk_client: Any) -> None:
    """An empty text is how JSON says that there is no id; a null list has no count."""
    reply = {"id": "9", "owner": {"id": ""}, "at": "yesterday", "stages": None}
    desk_client.Client.user_id = ""
    call = ("POST", "/desks/d1/incidents", {"post": ""})
    assert events_of(file_of(DECLARE), desk_client, call, answer=accepted(reply)) == [
        IncidentEvent(action="create", incident=Incident(id="9", team_id="d1"))
    ]


def test_the_user_is_the_hosts(desk_client: Any) -> None:
    """Where the hook names nobody, it was the user whose request the host handles."""
    token = user_reader.set(lambda: SimpleNamespace(pk=42, is_superuser=True))
    (event,) = events_of(file_of(RESOLVE), desk_client, ("PUT", PATH))
    user_reader.reset(token)
    assert event.actor == Actor(id=42, roles=("system_admin",))


def test_ids_of_the_host_and_of_the_hook(desk_client: Any) -> None:
    """What the host uses as ids holds for each hook that does not say otherwise."""
    head = HEAD.replace("\n[[client]]", '\n[host.ids]\n"incident.id" = "I-1"\n"user.id" = "u"\n\n[[client]]')
    own = RESOLVE.replace("resolve", "open").replace('"end"', '"restart"') + 'ids."incident.id" = "O-1"\n'
    sent = ("PUT", PATH), ("PUT", "/incidents/7/open")
    shapes = [
        {name: shape.pattern for name, shape in (event.id_shapes or {}).items()}
        for event in events_of(file_of(RESOLVE, own, head=head), desk_client, *sent)
    ]
    assert shapes == [
        {"incident.id": "I-1", "user.id": "u"},
        {"incident.id": "O-1", "user.id": "u"},
    ]


MOVE: Final = """
[[hook]]
name = "move"
kind = "http"
route = "PATCH /incidents/{incident_id}"
action = "change_stage"
incident.id = "path.incident_id"
stage.path = "body.stage"
stage.order = ["triage", "contain"]
"""


@pytest.mark.parametrize(
    ("more", "body", "index"),
    [
        ("", {"stage": "contain"}, 1),
        ("", {"stage": "other"}, None),
        ("", {}, None),
        ('when = { "body.stage" = "triage" }', {"stage": "triage"}, 0),
        ('when = { "body.stage" = "triage" }', {"stage": "contain"}, "nothing"),
        ('when = { "body.stage" = "triage" }', {}, "nothing"),
        ('when = { "body.stage" = ["triage", "contain"] }', {"stage": "contain"}, 1),
        ('when = { "body.n" = 1 }', {"n": 1}, None),
        ('when = { "body.n" = 1 }', {"n": True}, "nothing"),
        ('when = { "body.n" = true, "body.stage" = "contain" }', {"n": True, "stage": "contain"}, 1),
        ('when = { "body.n" = true, "body.stage" = "contain" }', {"n": True}, "nothing"),
        ('given = ["body.stage"]', {"stage": "other"}, None),
        ('given = ["body.stage"]', {"stage": None}, "nothing"),
        ('given = ["body.stage"]', {"stage": ""}, "nothing"),
        ('given = ["body.stage", "body.n"]', {"stage": "contain"}, "nothing"),
        ('given = ["body.stage", "body.n"]', {"stage": "contain", "n": 0}, 1),
    ],
)
def test_conditions(more: str, body: Any, index: Any, desk_client: Any) -> None:
    """`when` compares by type and value, `given` asks for something; all of them must hold."""
    events = events_of(file_of(MOVE, more), desk_client, ("PATCH", "/incidents/7", body))
    expected = IncidentEvent(
        action="change_stage", incident=Incident(id="7"), stage_index=None if index == "nothing" else index
    )
    assert events == ([] if index == "nothing" else [expected])


BULK: Final = """
[[hook]]
name = "resolve many"
kind = "http"
route = "PUT /incidents"
action = "end"
each = "body.incidents"
when = { "each.status" = "resolved" }
incident.id = "each.id"
"""


def test_one_request_about_many_incidents(desk_client: Any) -> None:
    """An event for each that the hook is about, in their order; one that stands twice is one."""
    incidents = [
        {"id": "2", "status": "resolved"},
        {"id": "1", "status": "resolved"},
        {"id": "3", "status": "acknowledged"},
        {"id": "2", "status": "resolved"},
    ]
    events = events_of(file_of(BULK), desk_client, ("PUT", "/incidents", {"incidents": incidents}))
    assert [(event.action, event.incident.id) for event in events] == [("end", "1"), ("end", "2")]


HAND_OVER: Final = """
[[hook]]
name = "hand over"
kind = "http"
route = "PUT /incidents/{incident_id}"
action = "change_commander"
each = "reply.roles"
when = { "each.kind" = "lead", "each.id" = { among = "body.roles", as = "role" } }
incident = { id = "path.incident_id", commander_id = "each.person" }
"""


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ([{"role": 1}], ["9"]),
        ([{"role": 2}, {"role": 1}], ["9"]),
        ([{"role": 2}], []),
        ([{"role": "1"}], []),
        ([{"role": True}], []),
        ([{"role": None}, {}, 1, "1"], []),
        ({"role": 1}, []),
        (None, []),
    ],
)
def test_what_the_reply_says_of_what_was_sent(roles: Any, expected: list[str], desk_client: Any) -> None:
    """Of the items of a reply, those that stand in a list of the request, by type and value."""
    reply = {"roles": [{"kind": "lead", "id": 1, "person": "9"}, {"kind": "scribe", "id": 2, "person": "8"}]}
    sent = ("PUT", "/incidents/7", {"roles": roles})
    events = events_of(file_of(HAND_OVER), desk_client, sent, answer=accepted(reply))
    assert [event.incident.commander_id for event in events] == expected


@pytest.mark.parametrize("nothing", [None, [1], {"a": 1}])
def test_what_is_neither_text_nor_a_number_is_not_sent_back(nothing: Any, desk_client: Any) -> None:
    """An item without an id is not the one that was sent without one."""
    reply = {"roles": [{"kind": "lead", "id": nothing, "person": "9"}]}
    sent = ("PUT", "/incidents/7", {"roles": [{"role": nothing}]})
    assert events_of(file_of(HAND_OVER), desk_client, sent, answer=accepted(reply)) == []


HEAR: Final = """
[[hook]]
name = "hear"
kind = "http"
route = "GET /requests/{request_id}"
action = "create"
once = "path.request_id"
when = { "reply.done" = true }
incident.id = "reply.incident"
"""


def test_what_is_asked_again_is_one_event(desk_client: Any) -> None:
    """Of each thing one event, as soon as the reply says what the hook asks for."""
    answers = [accepted({"done": done, "incident": 7}) for done in (False, True, True)]
    with watching(file_of(HEAR)) as watched:
        client = desk_client.Client(*answers, accepted({"done": True, "incident": 8}))
        for request in ("a", "a", "a", "b"):
            client.send("GET", f"/requests/{request}")
        assert [event.incident.id for event in watched.events] == [7, 8]


def test_what_cannot_be_told_apart_is_not_reported(desk_client: Any) -> None:
    """It may have been: nothing is where `once` looks, or what is there is neither text nor a number."""
    hook = HEAR.replace('"path.request_id"', '"reply.key"')
    for key in (None, [1], {"a": 1}, 1.5, True):
        answer = accepted({"done": True, "incident": 7, "key": key})
        assert events_of(file_of(hook), desk_client, ("GET", "/requests/a"), answer=answer) == []
    assert swallowed() == {}


def test_a_clients_module_may_come_later(desk_client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Of an operator's file nothing is said at the start, when nothing of the host is there yet."""
    del desk_client
    head = HEAD.replace('["desk_client:Client.send", ', '["desk_client_of_tomorrow:Client.send", ')
    with watching(file_of(RESOLVE, head=head)):
        assert caplog.messages == []


def test_what_is_told_apart_is_bounded(desk_client: Any) -> None:
    """4096 things are remembered; of one before them an event comes again."""
    answer = accepted({"done": True, "incident": 7})
    with watching(file_of(HEAR)) as watched:
        client = desk_client.Client(*[answer] * 4101)
        for request in (*range(4096), 1, 0, 4096, 1, 0):
            client.send("GET", f"/requests/{request}")
        assert len(watched.events) == 4098


@pytest.mark.parametrize("incidents", [None, {}, "all", 3])
def test_what_is_no_list_touches_nothing(incidents: Any, desk_client: Any) -> None:
    """A request without the list is another one."""
    events = events_of(file_of(BULK), desk_client, ("PUT", "/incidents", {"incidents": incidents}))
    assert events == []
    assert swallowed() == {}


def test_each_can_be_the_id_itself(desk_client: Any) -> None:
    """A list of ids."""
    hook = BULK.replace("body.incidents", "body.ids").replace("each.id", "each")
    hook = hook.replace("each.status", "body.status")
    sent = ("PUT", "/incidents", {"ids": [4, 5], "status": "resolved"})
    assert [event.incident.id for event in events_of(file_of(hook), desk_client, sent)] == [4, 5]


# -- what is not there


def test_a_reply_that_is_not_read_is_left_alone() -> None:
    """Neither httpx's nor requests' nor urllib3's response is read by us; text that is no JSON is nothing."""

    class Streaming:
        def __init__(self, **held: object) -> None:
            vars(self).update(held)

        @property
        def content(self) -> bytes:
            raise AssertionError

        data = text = content

    for held in ({"_content": False}, {"_content": None}, {"_body": None}):
        assert document(Streaming(**held)) is None
    for text in ("", "Created", b"\xff", "[" * 100_000, '{"id": 1} and more', " " * MOST_CHARACTERS + "1"):
        assert document(text) is None
    unread = Streaming()
    assert document(unread) is unread


NO_ID: Final = (
    "hooks.toml, hook 'declare': nothing is found at reply.id (incident.id), so its event is dropped, and "
    "each without an id; correct the path. This is said once."
)
NO_PARAMETER: Final = (
    "hooks.toml, hook 'client': desk_client:{} has no parameter at the beginning of {}, which finds nothing; "
    "correct the path."
)
NO_CHOKE_POINT: Final = (
    "hooks.toml, hook 'client': desk_client:AsyncClient.send does not exist, so it reports nothing; correct "
    "`target` or remove the hook."
)


def test_an_id_that_is_not_found_is_said_once(desk_client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """With the hook and its path, never with a value."""
    sent = [("POST", "/desks/d1/incidents", SENT)] * 2
    events = events_of(file_of(DECLARE), desk_client, *sent, answer=accepted("<html>Checkout</html>"))
    assert [event.incident.id for event in events] == [None, None]
    assert caplog.record_tuples == [
        (
            "otel_incident",
            logging.WARNING,
            NO_ID,
        )
    ]


def test_a_choke_point_that_is_missing_is_said(desk_client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Each that an operator's file names; the others are watched."""
    del desk_client.AsyncClient.send
    assert events_of(file_of(RESOLVE), desk_client, ("PUT", PATH)) == [ENDED]
    assert caplog.messages == [NO_CHOKE_POINT]


def test_a_path_that_no_argument_begins_is_said(desk_client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Of each choke point that has no such parameter; there it finds nothing."""
    head = HEAD.replace('"arg.url"', '"arg.uri"')
    assert events_of(file_of(RESOLVE, head=head), desk_client, ("PUT", PATH)) == []
    assert caplog.messages == [
        NO_PARAMETER.format(target, path)
        for target, path in (
            ("Client.send", "arg.uri"),
            ("AsyncClient.send", "arg.uri"),
            ("send", "arg.uri"),
        )
    ]
    caplog.clear()
    preset = parse(
        head.replace('name = "desk"', 'name = "desk"\nmodule = "desk_client"', 1) + RESOLVE,
        "desk",
        preset=True,
    )
    assert events_of(preset, desk_client, ("PUT", PATH)) == []
    assert caplog.messages == []


class Odd:
    """Values of a client that fail when they are looked at."""

    def __getattr__(self, name: str) -> Any:
        """Fail."""
        raise TroubleError(name)


@pytest.mark.parametrize("odd", ["base", "json", "reply", "status"])
def test_odd_values_cost_themselves_alone(odd: str, desk_client: Any) -> None:
    """Nothing of the client's reaches the host as an error; what is not needed is not missed."""
    head = HEAD.replace("self.base", "self.odd.base") if odd == "base" else HEAD
    desk_client.Client.odd = Odd()
    answer = Answer(status=200, reply=Odd() if odd == "reply" else None)
    if odd == "status":
        answer = Odd()  # type: ignore[assignment]  # whatever a client gives
    with watching(file_of(RESOLVE, head=head)) as watched:
        assert desk_client.Client(answer).send("PUT", PATH, Odd() if odd == "json" else None) is answer
    assert watched.events == ([] if odd == "status" else [ENDED])
    assert swallowed() == {}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No call is still open when a test ends."""
    from otel_incident.hooks.nesting import _open  # noqa: PLC0415  the state itself is what is looked at

    yield
    assert _open.get() == ()


def test_a_stage_of_another_type_is_said_once(desk_client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A request whose stage can have no index says so with the path, not with what was sent."""
    hook = RESOLVE.replace('"end"', '"change_stage"') + 'stage.path = "body.stage"\n'
    sent = [("PUT", PATH, {"stage": "contain"})] * 2
    assert len(events_of(file_of(hook), desk_client, *sent)) == len(sent)
    assert caplog.messages == [
        (
            "hooks.toml, hook 'resolve': what is found at body.stage (stage.path) is no integer, so the "
            "stage has no index; list its values in `stage.order`. This is said once."
        )
    ]
