"""`otel-incident hooks`: what each hook would find in an environment, and in words what it lets leave."""

import json
import os
import textwrap
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident.config import Config
from otel_incident.hooks.shipped import PRESETS
from otel_incident.hooks_cli.explain import explanation
from tests.processes import Ended, environment, run
from tests.zero_code import distribution

MODULE: Final = """
    import functools

    class Route:
        def __init__(self, endpoint):
            self.endpoint = endpoint

    class App:
        def __init__(self):
            self.routes = []

        def post(self, path):
            def register(function):
                self.routes.append(Route(function))
                return function
            return register

    app = App()

    def audited(function):
        def inner(*args, **kwargs):
            return function(*args, **kwargs)
        return inner

    def logged(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs)
        return inner

    def declare(title, *, owner=None):
        return {"id": 1}

    async def later(title):
        return {"id": 1}

    class Desk:
        def declare(self, title, owner):
            return self

        @classmethod
        def opened(cls, title):
            return cls()

        @staticmethod
        def closed(title):
            return title

    class NightDesk(Desk):
        pass

    @app.post("/incidents")
    def routed(title):
        return title

    @audited
    @app.post("/audited")
    def routed_within(title):
        return title

    @logged
    def decorated(title):
        return title

    def in_table(title):
        return title

    TABLE = {"in": in_table}

    class Incident:
        pass

    def each(titles):
        yield from titles

    print("this module has been imported")
"""
"""What a host has: nothing of it knows of hooks."""


def hook(target: str, path: str = "arg.title", kind: str = "call", name: str = "it") -> str:
    """The text of a hook file with one hook."""
    what = (
        f'kind = "call"\ntarget = "{target}"\naction = "create"'
        if kind == "call"
        else f'kind = "model"\nmodel = "{target}"\nlifecycle.field = "status"\nlifecycle.closed = ["closed"]'
    )
    return f'[host]\nname = "desk"\n\n[[hook]]\nname = "{name}"\n{what}\nincident.id = "{path}"\n'


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The directory of a host."""
    package = tmp_path / "desk"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "services.py").write_text(textwrap.dedent(MODULE))
    (package / "views.py").write_text("from .services import declare as make, Desk\n")
    (package / "cli.py").write_text("from desk.services import declare\n")
    (package / "needy.py").write_text("import somewhere_else\n")
    (package / "broken.py").write_text("raise RuntimeError('Payments are down')\n")
    (package / "models.py").write_text("from django.contrib.auth.models import User\n")
    return tmp_path


def hooks(host: Path, *words: str, variables: dict[str, str] | None = None) -> Ended:
    """Run `otel-incident hooks` in the directory of a host."""
    code = f"""
        import os, sys
        os.chdir({str(host)!r})
        from otel_incident.cli import main
        sys.exit(main({["hooks", *words]!r}))
    """
    state = {"OTEL_INCIDENT_STATE_DIR": str(host / "state")}
    return run(code, {**state, **(variables or {})})


def checked(
    host: Path, text: str, *words: str, variables: dict[str, str] | None = None
) -> tuple[int, list[Any]]:
    """What the check says of a hook file, as data, and its exit status."""
    (host / "hooks.toml").write_text(text)
    ended = hooks(host, "check", "--json", "hooks.toml", *words, variables=variables)
    assert "Traceback" not in ended.stderr
    told = json.loads(ended.stdout)
    assert told["refused"] == []
    return ended.status, told["found"]


FOUND: Final[tuple[str, list[str]]] = ("found", [])
BY_NAME: Final = (
    "imported by name in desk.cli, desk.views: watched there, too, under opentelemetry-instrument; a host "
    "that "
    "instruments itself has to do so before it imports them"
)


def taken(target: str, by: str) -> str:
    """The note of a function that somebody has."""
    return (
        f"{target} was taken by {by} before the hook could come: what is called through that is not "
        "reported; "
        "name a function that it calls, or watch the model"
    )


def lost(path: str, why: str) -> str:
    """The note of a path that finds nothing."""
    return f"incident.id: {path} finds nothing, since {why}"


CASES: Final[list[tuple[str, str, tuple[str, list[str]]]]] = [
    ("declare", "arg.title", ("found", [BY_NAME])),
    ("declare", "arg.owner", ("found", [BY_NAME])),
    ("declare", "result.id", ("found", [BY_NAME])),
    (
        "declare",
        "arg.titel",
        ("wrong path", [lost("arg.titel", "the parameters are: title, owner"), BY_NAME]),
    ),
    (
        "declare",
        "self.id",
        ("wrong path", [lost("self.id", "desk.services:declare is called on no object"), BY_NAME]),
    ),
    ("later", "arg.title", FOUND),
    ("Desk.declare", "arg.owner", FOUND),
    ("Desk.declare", "self.id", FOUND),
    ("Desk.declare", "arg.self", ("wrong path", [lost("arg.self", "the parameters are: title, owner")])),
    ("NightDesk.declare", "self.id", FOUND),
    ("Desk.opened", "arg.title", FOUND),
    ("Desk.opened", "arg.cls", ("wrong path", [lost("arg.cls", "the parameters are: title")])),
    ("Desk.closed", "arg.title", FOUND),
    (
        "Desk.closed",
        "self.id",
        ("wrong path", [lost("self.id", "desk.services:Desk.closed is called on no object")]),
    ),
    ("decorated", "arg.title", FOUND),
    ("routed", "arg.title", ("captured too early", [taken("desk.services:routed", "desk.services.Route")])),
    (
        "routed_within",
        "arg.args",
        ("captured too early", [taken("desk.services:routed_within", "desk.services.Route")]),
    ),
    (
        "in_table",
        "arg.title",
        ("captured too early", [taken("desk.services:in_table", "desk.services.TABLE")]),
    ),
    (
        "absent",
        "arg.title",
        (
            "missing",
            [
                (
                    "desk.services:absent does not exist, so it reports nothing; correct `target` or remove "
                    "the hook"
                )
            ],
        ),
    ),
    (
        "Desk",
        "arg.title",
        (
            "missing",
            [
                (
                    "desk.services:Desk is a class, not a function (its __init__ is one), so it reports "
                    "nothing; "
                    "correct `target` or remove the hook"
                )
            ],
        ),
    ),
    (
        "each",
        "arg.titles",
        (
            "missing",
            [
                (
                    "desk.services:each is a generator function, which has done nothing when it returns, "
                    "so it "
                    "reports nothing; correct `target` or remove the hook"
                )
            ],
        ),
    ),
]


def test_what_becomes_of_functions(host: Path) -> None:
    """Each hook is found, missing, too late or with a path that leads nowhere, as the host would have it."""
    actions = ("create", "end", "restart", "change_commander", "change_stage")
    text = '[host]\nname = "desk"\n'
    # several hooks of a file on one function differ in their action
    for number, (target, path, _) in enumerate(CASES):
        text += (
            f'[[hook]]\nname = "{number}"\nkind = "call"\ntarget = "desk.services:{target}"\n'
            f'action = "{actions[number % 5]}"\nincident.id = "{path}"\n'
        )
    status, found = checked(host, text)
    assert [(each["target"], (each["verdict"], each["notes"])) for each in found] == [
        (f"desk.services:{target}", expected) for target, _, expected in CASES
    ]
    assert status == 1


def test_a_hook_that_is_found_is_success(host: Path) -> None:
    """The status is 0, stdout is ours alone, and nothing is left where the host is."""
    before = sorted(host.iterdir())
    (host / "hooks.toml").write_text(hook("desk.services:later"))
    ended = hooks(host, "check", "hooks.toml")
    assert (ended.status, ended.stdout) == (
        0,
        "hooks.toml\n  found               it: desk.services:later\n",
    )
    assert ended.stderr == "this module has been imported\n"
    assert sorted(path for path in host.iterdir() if path.name != "hooks.toml") == before


@pytest.mark.parametrize("words", [(), ("--no-import",)])
def test_what_is_wrong_with_a_file_as_a_whole(words: tuple[str, ...], host: Path) -> None:
    """A distribution that is not installed, or no hook at all, is said under the file; the status is 1."""
    (host / "hooks.toml").write_text(
        hook("desk.services:later").replace('"desk"', '"desk"\ndistribution = "acme-desk"', 1)
    )
    (host / "bare.toml").write_text('[host]\nname = "bare"\n')
    (host / "good.toml").write_text(
        hook("desk.services:declare").replace('"desk"', '"desk"\ndistribution = "pytest"', 1)
    )
    absent = (
        "key 'host.distribution': no distribution 'acme-desk' is installed, so it says nothing of the host's "
        "version; correct or remove it"
    )
    bare = "key 'hook': is missing, so nothing of bare is reported; add a [[hook]]"
    told = hooks(host, "check", "--json", "hooks.toml", "bare.toml", "good.toml", *words)
    assert json.loads(told.stdout)["files"] == [
        {"file": "hooks.toml", "preset": False, "notes": [absent]},
        {"file": "bare.toml", "preset": False, "notes": [bare]},
        {"file": "good.toml", "preset": False, "notes": []},
    ]
    for name, note in (("hooks.toml", absent), ("bare.toml", bare)):
        ended = hooks(host, "check", name, *words)
        assert " ".join(ended.stdout.split()).startswith(f"{name} {note}.")
        assert ended.status == 1
    assert hooks(host, "check", "good.toml", *words).status == 0


@pytest.mark.parametrize("words", [(), ("--no-import",)])
def test_a_file_that_names_content_alone_is_right(words: tuple[str, ...], host: Path) -> None:
    """It does so for the gate: nothing is said of it, and the status is 0."""
    (host / "alone.toml").write_text('[host]\nname = "desk"\ncontent = ["title"]\n')
    told = hooks(host, "check", "--json", "alone.toml", *words)
    assert json.loads(told.stdout)["files"] == [{"file": "alone.toml", "preset": False, "notes": []}]
    assert told.status == 0


def test_lines_fit_a_terminal(host: Path) -> None:
    """What is wrong stands below its hook, in lines that a terminal shows whole."""
    (host / "hooks.toml").write_text(hook("desk.services:routed"))
    ended = hooks(host, "check", "hooks.toml")
    assert ended.stdout.splitlines() == [
        "hooks.toml",
        "  captured too early  it: desk.services:routed",
        (
            "      desk.services:routed was taken by desk.services.Route before the hook could come: what is "
            "called "
            "through"
        ),
        "      that is not reported; name a function that it calls, or watch the model.",
    ]
    assert ended.status == 1


@pytest.mark.parametrize(
    ("module", "note"),
    [
        (
            "desk.absent",
            "there is no module desk.absent in this environment; correct `target`, or install it",
        ),
        ("absent.services", "there is no module absent in this environment; correct `target`, or install it"),
        (
            "desk.needy",
            "desk.needy cannot be imported: there is no module somewhere_else, which it needs",
        ),
        (
            "desk.broken",
            (
                "desk.broken cannot be imported (RuntimeError): see `python -c 'import desk.broken'`, run "
                "from here"
            ),
        ),
        (
            "desk.models",
            (
                "desk.models cannot be imported before Django is set up: set DJANGO_SETTINGS_MODULE to the "
                "project's "
                "settings, as for the host"
            ),
        ),
    ],
)
def test_a_module_that_cannot_be_imported(module: str, note: str, host: Path) -> None:
    """The line says what is missing, and repeats nothing of what the host's error says."""
    status, (found,) = checked(host, hook(f"{module}:declare"))
    assert found["verdict"] == "missing"
    assert found["notes"][0] == note
    assert "Payments" not in json.dumps(found)
    assert status == 1


def test_a_method_that_is_inherited(host: Path) -> None:
    """The class that it is from has it rightly, and has not taken it from anybody."""
    status, (found,) = checked(host, hook("desk.services:NightDesk.declare"))
    assert (status, found["verdict"], found["notes"]) == (0, "found", [])


def test_a_path_that_leads_nowhere_is_said_once(host: Path) -> None:
    """What the host's log would say of it as well is left to the note that names the parameters."""
    status, (found,) = checked(host, hook("desk.services:later") + 'incident.team_id = "arg.team.id"\n')
    assert (status, found["verdict"], found["notes"]) == (
        1,
        "wrong path",
        ["incident.team_id: arg.team.id finds nothing, since the parameters are: title"],
    )


# -- models


def test_a_module_of_a_model_that_is_not_there(host: Path) -> None:
    """The key to correct is `model`."""
    status, (found,) = checked(host, hook("desk.absent:Incident", "self.id", "model"))
    assert (status, found["verdict"], found["notes"]) == (
        1,
        "missing",
        ["there is no module desk.absent in this environment; correct `model`, or install it"],
    )


def test_a_model_of_django_needs_settings(host: Path) -> None:
    """Without them its models are not known, which is said with the variable."""
    status, (found,) = checked(host, hook("ops.Incident", "self.pk", "model"))
    assert (status, found["verdict"], found["notes"][0]) == (
        1,
        "missing",
        (
            "its models are known only once Django is set up: set DJANGO_SETTINGS_MODULE to the project's "
            "settings, as for the host (a class of SQLAlchemy's is named as in desk.models:Incident)"
        ),
    )


@pytest.mark.parametrize(
    ("target", "path", "verdict", "notes"),
    [
        ("ops.Incident", "self.pk", "found", []),
        (
            "ops.Incident",
            "self.pk",
            "wrong value",
            [
                (
                    'the field status of the model ops.Incident never holds "closed", which stands in '
                    "`lifecycle.closed`; correct it"
                )
            ],
        ),
        (
            "ops.Incident",
            "self.number",
            "wrong path",
            [
                (
                    "the model ops.Incident has neither a field nor a relation at the beginning of "
                    "self.number, which "
                    "finds nothing unless the host sets it on its instances; correct the path"
                )
            ],
        ),
        (
            "ops.Absent",
            "self.pk",
            "missing",
            ["there is no model ops.Absent, so it reports nothing; correct `model` or remove the hook"],
        ),
        (
            "auth.Group",
            "self.pk",
            "missing",
            ["the model auth.Group has no field 'status', so the hook reports nothing; correct it"],
        ),
    ],
)
def test_a_model_of_django(target: str, path: str, verdict: str, notes: list[str], host: Path) -> None:
    """With settings the model, its fields and its paths are looked up, without a database."""
    variables = {"DJANGO_SETTINGS_MODULE": "tests.hosts.ops.settings", "OPS_DATA": str(host)}
    text = hook(target, path, "model")
    text = text if verdict == "wrong value" else text.replace('["closed"]', "[3]")
    status, (found,) = checked(host, text, variables=variables)
    assert (found["verdict"], found["notes"]) == (verdict, notes)
    assert status == (0 if verdict == "found" else 1)


def test_settings_that_are_not_there(host: Path) -> None:
    """A settings module that cannot be found is named."""
    variables = {"DJANGO_SETTINGS_MODULE": "absent.settings"}
    _, (found,) = checked(host, hook("ops.Incident", "self.pk", "model"), variables=variables)
    assert found["notes"][0] == (
        "Django cannot be set up: there is no module absent; correct DJANGO_SETTINGS_MODULE"
    )


@pytest.mark.parametrize(
    ("target", "path", "verdict", "notes"),
    [
        ("desk.mapped:Incident", "self.id", "found", []),
        (
            "desk.mapped:Incident",
            "self.number",
            "wrong path",
            [
                (
                    "the model desk.mapped:Incident has neither a column nor a relation at the beginning of "
                    "self.number, "
                    "which finds nothing unless the host sets it on its instances; correct the path"
                )
            ],
        ),
        (
            "desk.services:Incident",
            "self.id",
            "missing",
            [
                (
                    "desk.services:Incident is no class that SQLAlchemy maps (a model of Django's is named "
                    "as in desk.Incident), so it reports nothing; correct `model` or remove the hook"
                )
            ],
        ),
        (
            "desk.mapped:Absent",
            "self.id",
            "missing",
            ["desk.mapped:Absent does not exist, so it reports nothing; correct `model` or remove the hook"],
        ),
    ],
)
def test_a_class_of_sqlalchemy(target: str, path: str, verdict: str, notes: list[str], host: Path) -> None:
    """Its mapper is configured as the host's first use does it, and its columns are looked up."""
    (host / "desk" / "mapped.py").write_text(
        textwrap.dedent("""
            from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

            class Base(DeclarativeBase):
                pass

            class Incident(Base):
                __tablename__ = "incident"
                id: Mapped[int] = mapped_column(primary_key=True)
                status: Mapped[str]
        """)
    )
    status, (found,) = checked(host, hook(target, path, "model"))
    assert (found["verdict"], found["notes"]) == (verdict, notes)
    assert status == (0 if verdict == "found" else 1)


def test_a_sqlalchemy_that_is_too_old(host: Path) -> None:
    """A hook that would break it is not put in place, and the check says which version it needs."""
    (host / "desk" / "mapped.py").write_text(
        textwrap.dedent("""
            import sqlalchemy

            sqlalchemy.__version__ = "1.4.54"

            from sqlalchemy.orm import declarative_base

            class Incident(declarative_base()):
                __tablename__ = "incident"
                id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
                status = sqlalchemy.Column(sqlalchemy.String)
        """)
    )
    status, (found,) = checked(host, hook("desk.mapped:Incident", "self.id", "model"))
    assert (status, found["verdict"]) == (1, "missing")
    assert found["notes"] == [
        (
            "the model desk.mapped:Incident is to be SQLAlchemy's, of which 1.4.54 is installed, and hooks "
            "on models need 2.0 or newer, so it reports nothing; upgrade SQLAlchemy, or watch a function "
            "(kind `call`) instead"
        )
    ]


# -- clients


CLIENT: Final = """
[host]
name = "desk"

[[client]]
target = ["desk.client:Client.request", "desk.client:Client.stream"]
method = "arg.method"
url = "arg.uri"

[[hook]]
name = "end"
kind = "http"
route = ["PUT /incidents/{id}/end", "POST /incidents/{id}/end"]
action = "end"
incident.id = "path.id"

[[hook]]
name = "open"
kind = "http"
route = "POST /incidents"
action = "create"
incident.id = "reply.id"
"""


def test_a_client_library(host: Path) -> None:
    """Each choke point is looked at once, for all hooks, with the paths of the client."""
    (host / "desk" / "client.py").write_text(
        "class Client:\n    def request(self, method, url):\n        pass\n"
    )
    status, found = checked(host, CLIENT)
    assert [(each["target"], each["hooks"], each["verdict"], each["notes"]) for each in found] == [
        (
            "desk.client:Client.request",
            ["end", "open"],
            "wrong path",
            ["client.url: arg.uri finds nothing, since the parameters are: method, url"],
        ),
        (
            "desk.client:Client.stream",
            ["end", "open"],
            "missing",
            [
                (
                    "desk.client:Client.stream does not exist, so it reports nothing; correct `target` or "
                    "remove the "
                    "hook"
                )
            ],
        ),
    ]
    assert status == 1


# -- without an import


NOT_IMPORTED: Final[list[tuple[str, str, str, list[str]]]] = [
    ("declare", "arg.title", "found", []),
    ("declare", "arg.titel", "wrong path", [lost("arg.titel", "the parameters are: title, owner")]),
    ("later", "arg.title", "found", []),
    ("Desk.declare", "arg.owner", "found", []),
    ("Desk.opened", "arg.cls", "wrong path", [lost("arg.cls", "the parameters are: title")]),
    (
        "Desk.closed",
        "self.id",
        "wrong path",
        [lost("self.id", "desk.services:Desk.closed is called on no object")],
    ),
    (
        "NightDesk.declare",
        "self.id",
        "not checked",
        [
            (
                "declare is not in the class NightDesk itself, and may be inherited: run the check without "
                "--no-import "
                "to know"
            )
        ],
    ),
    (
        "routed",
        "arg.title",
        "captured too early",
        [
            (
                "desk.services:routed is handed to a framework by @app.post before the hook can come: what "
                "is called "
                "through that is not reported; name a function that it calls, or watch the model"
            )
        ],
    ),
    (
        "app",
        "arg.title",
        "not checked",
        ["app in desk.services is an import or a value: run the check without --no-import to know"],
    ),
    ("absent", "arg.title", "missing", ["desk.services:absent does not exist"]),
    (
        "Desk",
        "arg.title",
        "missing",
        ["desk.services:Desk is a class, not a function (its __init__ is one)"],
    ),
    (
        "each",
        "arg.titles",
        "missing",
        ["desk.services:each is a generator function, which has done nothing when it returns"],
    ),
]


@pytest.mark.parametrize(("target", "path", "verdict", "notes"), NOT_IMPORTED)
def test_without_an_import(target: str, path: str, verdict: str, notes: list[str], host: Path) -> None:
    """`--no-import` reads the source, runs nothing of the host's, and says what it cannot know."""
    (host / "desk" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (host / "hooks.toml").write_text(hook(f"desk.services:{target}", path))
    ended = hooks(host, "check", "--no-import", "--json", "hooks.toml")
    (found,) = json.loads(ended.stdout)["found"]
    assert (found["verdict"], found["notes"]) == (verdict, notes)
    assert (ended.status, ended.stderr) == (0 if verdict == "found" else 1, "")


@pytest.mark.parametrize(
    ("target", "kind", "verdict", "note"),
    [
        ("desk.absent:declare", "call", "missing", "there is no module desk.absent in this environment"),
        ("absent:declare", "call", "missing", "there is no module absent in this environment"),
        (
            "ops.Incident",
            "model",
            "not checked",
            "Django knows its models only once it is set up: run the check without --no-import to know",
        ),
        (
            "desk.services:Incident",
            "model",
            "found",
            "whether SQLAlchemy maps it is not known: run the check without --no-import to know",
        ),
        ("desk.services:declare", "model", "missing", "desk.services:declare is not a class"),
    ],
)
def test_other_targets_without_an_import(target: str, kind: str, verdict: str, note: str, host: Path) -> None:
    """A model is found as far as a source can say it."""
    path = "self.id" if kind == "model" else "arg.title"
    status, (found,) = checked(host, hook(target, path, kind), "--no-import")
    assert (found["verdict"], found["notes"]) == (verdict, [note])
    assert status == (0 if verdict == "found" else 1)


# -- files


def test_a_file_that_cannot_be_used(host: Path) -> None:
    """It is named with its fault, the others are checked all the same, and the status is 2."""
    (host / "hooks.toml").write_text(hook("desk.services:later"))
    (host / "bad.toml").write_text(hook("desk.services:later").replace("create", "made"))
    ended = hooks(host, "check", "bad.toml", "hooks.toml")
    assert ended.status == 2
    assert ended.stderr.splitlines()[0] == (
        "otel-incident: bad.toml, hook 'it', key 'action': must be one of create, end, restart, "
        "change_commander, "
        "change_stage. The file is not in force."
    )
    assert ended.stdout == "hooks.toml\n  found               it: desk.services:later\n"


@pytest.mark.parametrize("command", ["check", "explain"])
@pytest.mark.parametrize("gate", ["standard", "off"])
def test_what_a_file_that_cannot_be_used_names_as_content(command: str, gate: str, host: Path) -> None:
    """It is said to hold all the same where there is a gate."""
    text = hook("desk.services:later").replace("create", "made")
    (host / "bad.toml").write_text(text.replace("[host]", '[host]\ncontent = ["title"]'))
    ended = hooks(host, command, "bad.toml", variables={"OTEL_INCIDENT_GATE": gate})
    end = " What it names as content holds all the same." if gate == "standard" else ""
    assert ended.stderr == (
        "otel-incident: bad.toml, hook 'it', key 'action': must be one of create, end, restart, "
        f"change_commander, change_stage. The file is not in force.{end}\n"
    )


def test_no_file_at_all(host: Path) -> None:
    """Where there is nothing to look at, it is said what to name."""
    # as if no host with a preset were installed here
    off = {"OTEL_INCIDENT_DISABLED_HOOKS": ",".join(each.name for each in PRESETS)}
    for command in ("check", "explain"):
        ended = hooks(host, command, variables=off)
        assert (ended.status, ended.stdout, ended.stderr) == (
            2,
            "",
            (
                "otel-incident: there is no hook file and no host with a preset: name a file, or set "
                "OTEL_INCIDENT_HOOKS.\n"
            ),
        )


def test_the_environments_files_and_presets(host: Path) -> None:
    """Without a FILE it is about OTEL_INCIDENT_HOOKS and the presets whose host is installed."""
    installed = distribution(host / "installed", "opsgenie-sdk")
    (installed / "opsgenie_sdk").mkdir()
    (installed / "opsgenie_sdk" / "__init__.py").write_text("")
    (host / "hooks.toml").write_text(hook("desk.services:later"))
    path = os.pathsep.join([environment()["PYTHONPATH"], str(installed)])
    variables = {"OTEL_INCIDENT_HOOKS": str(host / "hooks.toml"), "PYTHONPATH": path}
    ended = hooks(host, "check", "--json", variables=variables)
    found = json.loads(ended.stdout)["found"]
    assert [(each["file"], each["preset"], each["verdict"]) for each in found][:2] == [
        (str(host / "hooks.toml"), False, "found"),
        ("opsgenie-sdk", True, "missing"),
    ]
    assert ended.status == 1


# -- in words


EVERYTHING: Final = """
[host]
name = "desk"
content = ["title", "description"]

[[hook]]
name = "incident"
kind = "model"
model = "desk.Incident"
[hook.incident]
id = "self.pk"
commander_id = "self.commander_id"
created_at = "self.created_at"
[hook.lifecycle]
field = "status"
closed = ["closed", "merged"]
[hook.commander]
field = "commander"
[hook.stage]
field = "stage"
order = ["triage", "review"]
[hook.ids]
"incident.id" = "INC-[0-9]+"

[[hook]]
name = "declare"
kind = "call"
target = "desk.services:declare"
action = "create"
[hook.incident]
id = "result.id"
[hook.actor]
id = "arg.by.id"
[hook.create]
public = false
"""

WORDS: Final = """\
hooks.toml, for the host desk

  Hook "incident": whenever a row of Django's model desk.Incident has been saved and its transaction is
  committed, there leaves
    incident.create           when the row is new
    incident.end              when its status becomes one of 'closed', 'merged'
    incident.restart          when its status was one of them, and is no longer
    incident.change_commander when its commander changes
    incident.change_stage     when its stage changes

  Each of these events can hold, and holds nothing else of the host:
    incident.id                   from self.pk (the object); as it is if it matches INC-[0-9]+, else a keyed
                                  hash of it
    incident.commander.id         from self.commander_id (the object); a keyed hash of it
    incident.created_at           from self.created_at (the object)
    incident.active               from status: whether it has ended
    incident.duration             on incident.end, computed: the seconds from then
    incident.stage.index          on incident.change_stage, from stage: its position among the 2 stages of the
                                  file, never its name
    user.id                       the request's authenticated user, if there is a request; left out, as
                                  OTEL_INCIDENT_ID_MODE says
    user.roles                    system_admin where that user's is_superuser is true, else end_user

  Hook "declare": whenever the function desk.services:declare has returned without an error, there leaves
    incident.create           each time

  Each of these events can hold, and holds nothing else of the host:
    incident.id                   from result.id (what the call returns); as it is if a machine made it (a
                                  number, a UUID), else a keyed hash of it
    incident.public               on incident.create: always false
    user.id                       from arg.by.id (an argument of the call); left out, as OTEL_INCIDENT_ID_MODE
                                  says

  From the host's own spans, logs and metrics the gate (standard) removes the attributes title, description,
  and those that end in one of these names after a dot, such as desk.title.
"""


def test_a_file_in_words(host: Path) -> None:
    """Each event, each value with its source, each id's fate, and what the gate removes."""
    (host / "hooks.toml").write_text(EVERYTHING)
    mode = {"OTEL_INCIDENT_ID_MODE": "incident.commander.id=hmac,user.id=drop"}
    ended = hooks(host, "explain", "hooks.toml", variables=mode)
    assert ended.stdout == WORDS
    assert (ended.status, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("mode", "content", "words"),
    [
        (
            "off",
            True,
            (
                "OTEL_INCIDENT_GATE is off: of the host's own spans, logs and metrics nothing is removed, "
                "whatever they "
                "hold."
            ),
        ),
        (
            "strict",
            True,
            (
                "Of the host's own spans, logs and metrics the gate (strict) removes whatever is not known "
                "to be free "
                "of content."
            ),
        ),
        (
            "standard",
            False,
            (
                "It names no content of the host, so the gate (standard) removes nothing of it from the "
                "host's own "
                "spans, logs and metrics."
            ),
        ),
    ],
)
def test_what_the_gate_removes_in_words(
    mode: str,
    content: bool,  # noqa: FBT001  a case of a table
    words: str,
    host: Path,
) -> None:
    """What becomes of the host's own signals depends on the gate's mode."""
    (host / "hooks.toml").write_text(EVERYTHING if content else EVERYTHING.replace("content =", "# "))
    ended = hooks(host, "explain", "hooks.toml", variables={"OTEL_INCIDENT_GATE": mode})
    assert " ".join(ended.stdout.split()).endswith(words)


def test_requests_in_words(host: Path) -> None:
    """A client's request is said with its route and its condition."""
    (host / "hooks.toml").write_text(
        CLIENT.replace('action = "create"', 'action = "create"\ngiven = ["body.sev"]')
    )
    ended = hooks(host, "explain", "hooks.toml")
    said = " ".join(ended.stdout.split())
    accepted = "whenever a server has accepted the request"
    assert f'Hook "end": {accepted} PUT /incidents/{{id}}/end, there leaves incident.end each time' in said
    assert (
        f'Hook "open": {accepted} POST /incidents, there leaves incident.create if body.sev is there' in said
    )
    assert "incident.id from path.id (a part of the request's path);" in said


ROWS: Final = """
[host]
name = "desk"

[[hook]]
name = "history"
kind = "model"
model = "desk.Entry"
incident.id = "self.incident_id"
when = { "self.kind.slug" = ["outage", 3], "self.at" = { path = "self.incident.ended" } }
row = { of = "incident", field = "type", end = ["END", "CLOSE"], restart = ["REOPEN"] }
commander.field = "person"
stage.field = "level"
"""


def test_rows_of_an_incident_in_words(host: Path) -> None:
    """What a new row means by which value, what a change means, and of which rows that holds."""
    (host / "hooks.toml").write_text(ROWS)
    said = " ".join(hooks(host, "explain", "hooks.toml").stdout.split())
    given = "if self.kind.slug is one of 'outage', 3, if self.at is the same as self.incident.ended"
    for event, when in (
        ("end", "when the row is new and its type is one of 'END', 'CLOSE'"),
        ("restart", "when the row is new and its type is one of 'REOPEN'"),
        (
            "change_commander",
            (
                "when the row is new, but for the first of a new incident, whom its creation names, "
                "or its person changes"
            ),
        ),
        ("change_stage", "when its level changes"),
    ):
        assert f"incident.{event} {when}, {given}" in said
    assert "incident.create" not in said


@pytest.mark.parametrize("preset", [each.name for each in PRESETS])
def test_every_preset_in_words(preset: str) -> None:
    """Whatever ships with the package can be explained: each of its events is named."""
    (each,) = [each for each in PRESETS if each.name == preset]
    file = each.read()
    said = explanation(file, Config())
    assert said.startswith(f"The preset {preset}, for the host {file.host}\n")
    for hooked in file.hooks:
        assert hooked.action is None or f"incident.{hooked.action} " in said
    assert all(len(line) <= 110 for line in said.splitlines())
    assert all(name in said for name in file.content)


@pytest.mark.parametrize(
    ("preset", "flag"),
    [
        ("argus-server", "self.actor.is_superuser (the object)"),
        ("django-helpdesk", "user.is_superuser (the request's authenticated user)"),
        ("firefighter-incident", "user.is_superuser (the request's authenticated user)"),
    ],
)
def test_the_presets_of_applications_say_who_is_a_system_admin(preset: str, flag: str) -> None:
    """By which flag of the host's own users."""
    (each,) = [each for each in PRESETS if each.name == preset]
    said = " ".join(explanation(each.read(), Config()).split())
    assert f"system_admin where {flag} is true, else end_user" in said
