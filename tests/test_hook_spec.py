"""The hook file: what its keys mean, and that it is taken as a whole or refused as a whole.

By which words each mistake is refused stands with the files in `testdata/hooks/bad`; `test_hook_schema.py`
reads them.
"""

import os
import re
from pathlib import Path
from typing import Final

import pytest

from otel_incident.errors import HookFileError
from otel_incident.hooks import spec
from otel_incident.hooks.definitions import Hook, HookFile, Kind, Stage
from otel_incident.hooks.http_spec import AFTER, BEFORE
from otel_incident.hooks.paths import Path as HookPath
from otel_incident.hooks.paths import compile_path
from otel_incident.hooks.requests import Among, Client, Request, Route
from otel_incident.policy import KEEPS_RULE
from otel_incident.vocabulary import EVENTS

LEAST: Final = """
[host]
name = "desk"

[[hook]]
name = "declare"
kind = "call"
target = "desk.services:declare"
action = "create"
incident.id = "result.id"
"""


def refusal(text: str) -> HookFileError:
    """The error by which a text is refused."""
    with pytest.raises(HookFileError) as refused:
        spec.parse(text, "hooks.toml")
    return refused.value


def path_of(text: str, kind: Kind = "call") -> HookPath:
    """A path as a hook holds it."""
    return compile_path(text, spec.ROOTS[kind])


def test_least() -> None:
    """Of a call: name, kind, target, action and where the id is; everything else has a default."""
    file = spec.parse(LEAST, "hooks.toml")
    hook = Hook(
        name="declare",
        kind="call",
        target="desk.services:declare",
        action="create",
        incident={"id": compile_path("result.id", ("result",))},
    )
    assert file == HookFile(source="hooks.toml", host="desk", hooks=(hook,))
    assert file.module == file.distribution == ""
    assert file.content == ()
    assert file.preset is False
    optional = (hook.actor_id, hook.system_admin, hook.public, hook.stage, hook.id_shapes)
    assert optional == (None, None, None, None, None)


def test_call_keys() -> None:
    """Every key of a call hook arrives in the field that is called after it."""
    file = spec.load(Path(__file__).parent / "testdata" / "hooks" / "good" / "call-most.toml")
    assert file.host == "Acme desk"
    assert file.module == "desk.core"
    assert file.distribution == "acme-desk"
    assert file.content == ("title", "description")
    moved, declared = file.hooks
    assert moved == Hook(
        name="move on",
        kind="call",
        target="desk.services:Desk.move_on",
        action="change_stage",
        incident={
            "id": path_of("result['incident'].id"),
            "active": path_of("self.active"),
            "commander_id": path_of("arg.commander.user_id"),
            "team_id": path_of('arg.incident["team"]'),
            "created_at": path_of("result.created_at"),
            "post_id": path_of("arg.posts[-1].id"),
            "checklist_count": path_of("len(self.stages)"),
            "checklist_item_count": path_of("sum(len(self.stages[*].tasks))"),
        },
        actor_id=path_of("user.pk"),
        system_admin=path_of("user.is_staff"),
        stage=Stage(path_of("arg.stage"), order=("triage", 2, True)),
        id_shapes={
            "incident.id": re.compile("INC-[0-9]{1,9}", re.ASCII),
            "user.id": re.compile("[a-z]{3}[0-9]{4}", re.ASCII),
        },
    )
    assert declared.public == path_of("arg.public")


def test_model_keys() -> None:
    """Every key of a model hook arrives in the field that is called after it; values keep their types."""
    (hook,) = spec.load(Path(__file__).parent / "testdata" / "hooks" / "good" / "model-most.toml").hooks
    assert hook.kind == "model"
    assert hook.target == "desk.Incident"
    assert hook.action is None
    assert hook.actor_id == path_of("user.id", "model")
    assert hook.system_admin == path_of("user.is_superuser", "model")
    assert hook.public is False
    assert hook.lifecycle_field == "status"
    assert [(type(value), value) for value in hook.closed] == [
        (int, 3), (int, 4), (str, "resolved"), (bool, False),
    ]  # fmt: skip
    assert hook.commander_field == "commander"
    assert hook.stage == Stage("priority", offset=-1)
    assert hook.id_shapes == {"incident.post.id": re.compile("p[0-9]+", re.ASCII)}


def test_http_keys() -> None:
    """Every key of a client and of an http hook arrives; a hook with several routes is one for each."""
    file = spec.load(Path(__file__).parent / "testdata" / "hooks" / "good" / "http-most.toml")
    assert file.clients == (
        Client(
            targets=("desk_client:Client.send", "desk_client:AsyncClient.send"),
            method=compile_path("arg.method", BEFORE),
            url=compile_path("arg.kwargs['url']", BEFORE),
            base=compile_path("self.base_url", BEFORE),
            body=compile_path("arg.json", BEFORE),
            status=compile_path("result.status_code", AFTER),
            reply=compile_path("result", AFTER),
        ),
        Client(
            targets=("desk_client.bulk:send",),
            method=compile_path("arg.request.method", BEFORE),
            url=compile_path("arg.request.url.path", BEFORE),
            status=compile_path("arg.response.status", AFTER),
        ),
    )
    moved, moved_too, declared, handed, heard, told = file.hooks
    assert moved == Hook(
        name="move on",
        kind="http",
        target="desk_client PATCH /v1/incidents/{}",
        action="change_stage",
        incident={
            "id": path_of("path.incident_id", "http"),
            "active": path_of("reply.active", "http"),
            "team_id": path_of("reply['team'].id", "http"),
            "checklist_count": path_of("len(reply.stages)", "http"),
            "checklist_item_count": path_of("sum(len(reply.stages[*].tasks))", "http"),
        },
        actor_id=path_of("self.user_id", "http"),
        system_admin=path_of("user.is_staff", "http"),
        stage=Stage(path_of("body.stage.kind", "http"), order=("triage", 2, True)),
        id_shapes={
            "incident.id": re.compile("INC-[0-9]{1,9}", re.ASCII),
            "user.id": re.compile("U[0-9]+", re.ASCII),
        },
        request=Request(
            route=Route("PATCH", ("v1", "incidents", "{incident_id}")),
            when=(
                (path_of("body.stage.kind", "http"), ("triage", 2, True)),
                (path_of("reply.active", "http"), (True,)),
            ),
            given=(path_of("body.stage", "http"), path_of("path.incident_id", "http")),
        ),
    )
    assert moved_too.request is not None
    assert moved_too.request.route.text == "POST /v1/desks/{desk_id}/incidents/{incident_id}/move"
    assert moved_too.target == "desk_client POST /v1/desks/{}/incidents/{}/move"
    assert declared.request == Request(
        route=Route("POST", ("v1", "incidents")), each=path_of("reply.incidents", "http")
    )
    assert declared.public == path_of("each.public", "http")
    assert handed.request == Request(
        route=Route("PUT", ("v1", "incidents", "{incident_id}")),
        each=path_of("reply.roles", "http"),
        when=((path_of("each.kind", "http"), ("commander",)),),
        among=((path_of("each.id", "http"), Among(path_of("body.roles", "http"), "role_id")),),
    )
    assert [each.request and each.request.route.method for each in (heard, told)] == ["GET", "POST"]
    assert [each.request and each.request.once for each in (heard, told)] == [
        path_of("path.request_id", "http")
    ] * 2


@pytest.mark.parametrize(
    ("stage", "value", "index"),
    [
        (Stage("f"), 0, 0),
        (Stage("f"), 2, 2),
        (Stage("f", offset=-1), 1, 0),
        (Stage("f", offset=-1), 0, -1),
        (Stage("f"), True, None),
        (Stage("f"), "2", None),
        (Stage("f"), 2.0, None),
        (Stage("f"), None, None),
        (Stage("f", order=("triage", "recover")), "triage", 0),
        (Stage("f", order=("triage", "recover")), "recover", 1),
        (Stage("f", order=("triage", "recover")), "other", None),
        (Stage("f", order=("triage", "recover")), 0, None),
        (Stage("f", order=(1, True, "1")), True, 1),
        (Stage("f", order=(1, True, "1")), 1, 0),
    ],
)
def test_stage_index(stage: Stage, value: object, index: int | None) -> None:
    """A stage is the host's own integer plus an offset, or its position in the list by type and value."""
    assert stage.index(value) == index


def test_refused_as_a_whole() -> None:
    """One bad hook refuses the good ones of its file too, so that a file is never half in force."""
    error = refusal(LEAST + '[[hook]]\nname = "end"\nkind = "call"\ntarget = "desk:end"\naction = "stop"\n')
    assert (error.file, error.hook, error.key) == ("hooks.toml", "end", "incident")
    assert error.reason == "is missing; it says where the incident's values are found"
    assert str(error) == f"hooks.toml, hook 'end', key 'incident': {error.reason}"


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is refused by the system's own reason."""
    with pytest.raises(HookFileError) as refused:
        spec.load(tmp_path / "hooks.toml")
    assert str(refused.value) == f"{tmp_path / 'hooks.toml'}: cannot be read (No such file or directory)"


def test_directory(tmp_path: Path) -> None:
    """A directory is no file."""
    with pytest.raises(HookFileError) as refused:
        spec.load(tmp_path)
    assert str(refused.value) == f"{tmp_path}: cannot be read (Is a directory)"


def test_impossible_path() -> None:
    """A path that no file can have is refused like any other."""
    with pytest.raises(HookFileError) as refused:
        spec.load(Path("hooks\0.toml"))
    assert str(refused.value) == "hooks\0.toml: cannot be read (ValueError)"


def test_not_utf_8(tmp_path: Path) -> None:
    """TOML is UTF-8; a file that is not is refused."""
    path = tmp_path / "hooks.toml"
    path.write_bytes(b'[host]\nname = "B\xfcro"\n')
    with pytest.raises(HookFileError) as refused:
        spec.load(path)
    assert str(refused.value) == f"{path}: is not UTF-8"


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file(kind: str, tmp_path: Path) -> None:
    """What could keep the host waiting for its text, or has no end, is refused without a look into it."""
    path = tmp_path / "hooks.toml"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(HookFileError) as refused:
        spec.load(path)
    assert str(refused.value) == f"{path}: cannot be read (It is no regular file)"


def test_byte_order_mark(tmp_path: Path) -> None:
    """What some editors put before the text is no TOML, and nobody sees it: it is called by its name."""
    path = tmp_path / "hooks.toml"
    path.write_text(LEAST, "utf-8-sig")
    with pytest.raises(HookFileError) as refused:
        spec.load(path)
    assert str(refused.value) == (
        f"{path}: begins with a byte order mark, which TOML does not know; save it without one"
    )


def test_line_breaks(tmp_path: Path) -> None:
    """A file may come from another system."""
    path = tmp_path / "hooks.toml"
    path.write_bytes(LEAST.replace("\n", "\r\n").encode())
    assert spec.load(path).hooks == spec.parse(LEAST, "hooks.toml").hooks


def test_a_number_that_python_refuses() -> None:
    """An integer of thousands of digits is no mistake in TOML; the file is refused like any other."""
    assert str(refusal(f"x = {'1' * 5000}")) == "hooks.toml: holds a number that is too long"


def test_nested_too_deeply() -> None:
    """A file that the reader of TOML gives up on is refused like any other."""
    assert str(refusal(f"x = {'[' * 100_000}")) == "hooks.toml: is nested too deeply"


@pytest.mark.parametrize("shape", ["a{99999999999999999999}", "(?u)a", "(" * 100_000 + ")" * 100_000])
def test_shape_that_no_engine_takes(shape: str) -> None:
    """A regular expression that fails in an unusual way is refused too."""
    error = refusal(f"{LEAST}ids.'user.id' = '{shape}'\n")
    assert (error.hook, error.key) == ("declare", "ids.user.id")
    assert error.reason.startswith("is no regular expression: ")


def test_a_preset_names_its_module() -> None:
    """A preset without a module would be on in every process, and is refused."""
    with pytest.raises(HookFileError) as refused:
        spec.parse(LEAST, "preset", preset=True)
    assert str(refused.value) == "preset, key 'host.module': is missing; it must be text"


def test_no_key_for_content() -> None:
    """What a hook finds becomes an id, a flag, a count or a time: no rule of these takes a sentence."""
    found = {
        "id": "incident.id",
        "active": "incident.active",
        "commander_id": "incident.commander.id",
        "team_id": "incident.team.id",
        "created_at": "incident.created_at",
        "post_id": "incident.post.id",
        "checklist_count": "incident.checklist.count",
        "checklist_item_count": "incident.checklist.item.count",
    }
    assert tuple(found) == spec.INCIDENT_KEYS
    others = ("user.id", "user.roles", "incident.public", "incident.stage.index")
    known = {name for event in EVENTS.values() for name in event.attributes}
    for name in (*found.values(), *others):
        assert name in known
        assert not KEEPS_RULE[name]("Payments down at ACME, call Jane")
