"""Hooks that report nothing say why, in a line that names the file, the hook and what the operator wrote."""

import inspect
import logging
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import pytest

from otel_incident.hooks.definitions import HookFile
from otel_incident.hooks.modules import is_the_program, why_absent
from otel_incident.hooks.spec import parse
from tests.desk_app import PRINTED
from tests.django_host import INCIDENTS, model, script
from tests.django_host import watching as watching_models
from tests.host_package import desk_package as desk_package  # noqa: PLC0414  a fixture is used by its name
from tests.host_package import forget_package, hook_file, services, watching
from tests.processes import succeed
from tests.zero_code import App, tool
from tests.zero_code import app as app  # noqa: PLC0414  a fixture is used by its name

MISSING: Final = (
    "hooks.toml, hook 'watched': {} {}, so it reports nothing; correct `target` or remove the hook."
)


NO_ID: Final = (
    "{}: nothing is found at {} (incident.id), so its event is dropped, and each without an id; correct "
    "the path. This is said once."
)
ASTRAY: Final = (
    "one.toml, hook '{}': the model ops.{} has neither a field nor a relation at the beginning "
    "of {}, which finds nothing unless the host sets it on its instances; correct the path."
)
NO_DISTRIBUTION: Final = (
    "hooks.toml, key 'host.distribution': no distribution 'desk' is installed, so it says nothing of the "
    "host's version; correct or remove it."
)
NO_DJANGO: Final = (
    "hooks.toml, hook 'b': the model desk.Incident is to be Django's, which is not installed; correct or "
    "remove the hook. A class of SQLAlchemy's is named as in desk.models:Incident."
)


def targeting(target: str) -> HookFile:
    """An operator's file with a hook on a target."""
    text = f"""
        [host]
        name = "desk"
        [[hook]]
        name = "watched"
        kind = "call"
        target = "{target}"
        action = "create"
        incident.id = "result.id"
    """
    return parse(text, "hooks.toml")


def at_the_end(file: HookFile, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is said when the process ends, while a file is in force."""
    with watching(file) as watched:
        assert caplog.messages == []
        watched.activation._ended()  # noqa: SLF001  what the interpreter calls
        return caplog.messages


# -- targets that never come


@pytest.mark.usefixtures("desk_package")
@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("deks.services:declare", "is in a module that cannot be found"),
        ("desk.servces:declare", "is in a module that cannot be found"),
        ("desk.services.more:declare", "is in a module that cannot be found"),
        ("desk.other:declare", "is in a module that was not imported in this process"),
    ],
)
def test_a_module_that_never_came(
    tmp_path: Path, target: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once the host has run it is known what it never imported, and what is not there at all."""
    (tmp_path / "host" / "desk" / "other.py").write_text("")
    services()
    assert at_the_end(targeting(target), caplog) == [MISSING.format(target, why)]
    assert caplog.records[0].levelno == logging.WARNING
    assert "desk.other" not in sys.modules


@pytest.mark.usefixtures("desk_package")
@pytest.mark.parametrize("target", ["desk.services:declare", "desk.other.more:declare"])
def test_another_program_says_nothing(target: str, caplog: pytest.LogCaptureFixture) -> None:
    """What imports nothing of the host runs under its environment by chance."""
    assert at_the_end(targeting(target), caplog) == []
    assert "desk" not in sys.modules


@pytest.mark.usefixtures("desk_package")
def test_what_was_watched_or_said_already_is_not_said_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """A hook in force has nothing to say, and one on a missing function has said it."""
    with watching(hook_file("declare"), hook_file("nothing")) as watched:
        services()
        (line,) = caplog.messages
        assert line == MISSING.format("desk.services:nothing", "does not exist")
        watched.activation._ended()  # noqa: SLF001  what the interpreter calls
        assert caplog.messages == [line]


@pytest.mark.usefixtures("desk_package")
def test_a_module_that_has_gone_again_was_there(caplog: pytest.LogCaptureFixture) -> None:
    """A host that forgets a module has imported it, and its function was watched."""
    with watching(hook_file("declare")) as watched:
        services()
        forget_package()
        sys.modules["desk"] = ModuleType("desk")
        watched.activation._ended()  # noqa: SLF001  what the interpreter calls
    assert caplog.messages == []


@pytest.mark.usefixtures("desk_package")
def test_nothing_is_kept_for_the_end_of_what_was_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter has nothing more to do at its end, and keeps nothing until then."""
    kept: list[Any] = []
    interpreter = SimpleNamespace(register=kept.append, unregister=kept.remove)
    monkeypatch.setattr("otel_incident.hooks.activation.atexit", interpreter)
    with watching(hook_file("declare")) as watched:
        assert kept == [watched.activation._ended]  # noqa: SLF001  what the interpreter calls
    assert kept == []


@pytest.mark.usefixtures("desk_package")
def test_a_preset_says_nothing_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """Versions of a host differ; what a preset does not find there is nobody's mistake."""
    text = '[host]\nname = "desk"\nmodule = "desk"\n[[hook]]\nname = "watched"\nkind = "call"\n'
    text += 'target = "desk.gone:declare"\naction = "create"\nincident.id = "result.id"\n'
    services()
    assert at_the_end(parse(text, "desk", preset=True), caplog) == []


def test_a_finder_that_fails_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host may have import hooks of its own; where they fail nothing is known."""

    class Failing:
        def find_spec(self, *_: object) -> None:
            raise LookupError

    monkeypatch.setattr(sys, "meta_path", [Failing()])
    assert why_absent("desk.services") == ""


ENDING: Final = """
import logging
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.spec import parse

logging.basicConfig(format="%(levelname)s %(message)s")
for text in {texts!r}:
    activation = Activation([parse(text, "hooks.toml")], print)
    activation.install()
activation.uninstall()
"""
"""A host without Django that has no such module; of what was taken away before the end nothing is said."""


CALL: Final = """
host.name = "desk"
[[hook]]
name = "watched"
kind = "call"
target = "nowhere:do"
action = "end"
incident.id = "arg.id"
"""
ROWS: Final = """
host.name = "desk"
[[hook]]
name = "b"
kind = "model"
model = "desk.Incident"
incident.id = "self.pk"
"""


def test_the_interpreter_says_it_at_its_end() -> None:
    """A wrong target and a Django model without Django: a line each, and the status is the host's."""
    absent = "import sys\nsys.modules['django'] = None\n"
    ended = succeed(absent + ENDING.format(texts=(CALL, ROWS, CALL)))
    assert ended.stdout == ""
    why = "is in a module that cannot be found"
    line = f"WARNING {MISSING.format('nowhere:do', why)}\n"
    assert ended.stderr == f"WARNING {NO_DJANGO}\n{line}"
    assert succeed(ENDING.format(texts=(CALL, ROWS, CALL))).stderr == line  # Django is there, if unused


# -- the program itself


@pytest.mark.parametrize(
    ("words", "module", "expected"),
    [
        (["-m", "app"], "app.__main__", True),
        (["-m", "app.desk"], "app.desk", True),
        (["-Im", "app"], "app.__main__", True),
        (["-mapp"], "app.__main__", True),
        (["-X", "dev", "-W", "error", "-m", "app"], "app.__main__", True),
        (["-m", "app"], "app.desk", False),
        (["-m", "app", "-m", "other"], "other.__main__", False),
        (["manage.py", "-m", "app"], "app.__main__", False),
        (["-c", "import app", "-m", "app"], "app.__main__", False),
        (["-cimport app", "-m", "app"], "app.__main__", False),
        ([], "app.__main__", False),
    ],
)
def test_the_program_is_known_before_it_runs(
    words: list[str], module: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instrumentation starts before the interpreter comes to it: its own arguments tell."""
    monkeypatch.setattr(sys, "orig_argv", ["python", *words])
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    assert is_the_program(module) is expected


def test_a_target_in_the_program_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server may run for months before it ends."""
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "app"])
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    with watching(targeting("app.__main__:work")):
        assert caplog.messages == [
            MISSING.format("app.__main__:work", "is in the program itself, which is never imported")
        ]


def test_the_program_is_known_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was started in another way it knows its own name."""
    main: Any = ModuleType("__main__")
    main.__spec__ = SimpleNamespace(name="app.__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert is_the_program("app.__main__")
    assert not is_the_program("app")


@pytest.mark.parametrize(
    ("script", "module", "expected"),
    [
        ("run.py", "run", True),
        ("./run.py", "run", True),
        ("link.py", "run", True),
        ("link.py", "link", False),
        ("run.py", "desk", False),
        ("run.py", "desk.run", False),
        ("desk/app.py", "app", True),
        ("desk/app.py", "desk.app", True),
        ("desk/app.py", "host.desk.app", False),
        ("desk/app.py", "other.app", False),
        ("desk/app.py", "desk", False),
        ("tool", "tool", False),
        ("both.py", "both", False),
    ],
)
@pytest.mark.parametrize("options", [[], ["-X", "dev", "-P"]])
def test_a_script_is_the_module_of_its_name(
    options: list[str],
    script: str,
    module: str,
    expected: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`python app.py` runs what would be imported as `app`; a package of that name comes before it."""
    for name in ("run.py", "both.py", "both/__init__.py", "desk/__init__.py", "desk/app.py", "tool"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link.py").symlink_to("run.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "orig_argv", ["python", *options, script, "run.py"])
    main = ModuleType("__main__")  # of a script it has no spec, before it runs and then
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert is_the_program(module) is expected


def test_a_target_in_the_script_itself_is_said(app: App) -> None:
    """`python run.py` runs `run` under another name: said at once, not again at the end."""
    app.hooks.write_text(app.hooks.read_text().replace("app.desk:Desk.declare", "run:work"))
    script = app.directory / "run.py"
    script.write_text("def work():\n    pass\n\nwork()\n")
    ended = app.call(
        [tool("opentelemetry-instrument"), sys.executable, str(script)], {"OTEL_LOGS_EXPORTER": "none"}
    )
    assert (ended.status, ended.stdout) == (0, "")
    assert ended.stderr == (
        f"{app.hooks}, hook 'declare': run:work is in the program itself, which is never imported, "
        "so it reports nothing; correct `target` or remove the hook.\n"
    )


def test_a_target_in_the_program_itself_is_said(app: App) -> None:
    """`python -m app` runs `app.__main__` under another name: said at once, not again at the end."""
    app.hooks.write_text(app.hooks.read_text().replace("app.desk:Desk.declare", "app.__main__:work"))
    day = app.run({"OTEL_LOGS_EXPORTER": "none"})
    assert (day.status, day.stdout) == (0, PRINTED)
    assert day.stderr == (
        f"{app.hooks}, hook 'declare': app.__main__:work is in the program itself, which is never imported, "
        "so it reports nothing; correct `target` or remove the hook.\n"
    )


# -- ids that are not found


PATHS: Final = """
    [hook.incident]
    id = "arg.no_id"
    commander_id = "arg.{0}.id"
    team_id = "len(arg.{0})"
    post_id = "result.post"
    [hook.actor]
    id = "arg['{0}']"
    system_admin = "user.is_superuser"
    [hook.create]
    public = "arg[0]"
"""


def paths_on(target: str, parameter: str) -> HookFile:
    """A file with one hook whose paths begin with a parameter, but for `arg[0]`, which none is."""
    text = f"""
        [host]
        name = "desk"
        [[hook]]
        name = "watched"
        kind = "call"
        target = "desk.services:{target}"
        action = "create"
    """
    return parse(text + PATHS.format(parameter), "hooks.toml")


NO_PARAMETER: Final = (
    "hooks.toml, hook 'watched': desk.services:{} has no parameter at the beginning of {}, which finds "
    "nothing; correct the path."
)


@pytest.mark.usefixtures("desk_package")
@pytest.mark.parametrize(
    ("target", "parameter", "known"),
    [
        ("declare", "owner", True),
        ("declare", "public", True),
        ("declare", "onwer", False),
        ("declare_async", "owner", True),
        ("declare_async", "onwer", False),
        ("Desk.declare", "owner", True),
        ("Desk.declare", "onwer", False),
        ("Desk.declare_class", "onwer", False),
        ("Desk.declare_static", "onwer", False),
        ("Desk.declare_static", "error", True),
        ("declare_any", "people", True),
        ("declare_any", "facts", True),
        ("declare_any", "owner", False),
        ("declare_decorated", "owner", True),  # what it claims of what it wraps
        ("declare_decorated", "onwer", False),
        ("declare_decorated", "args", False),
        ("declare_signed", "owner", True),
        ("declare_signed", "facts", False),
    ],
)
def test_a_parameter_that_there_is_not_is_said(
    target: str, parameter: str, known: object, caplog: pytest.LogCaptureFixture
) -> None:
    """When the function is there, before any event goes out without it; of the id the first event says it."""
    services().declare_signed = signed = lambda **facts: facts
    vars(signed)["__signature__"] = inspect.signature(services().declare)
    wrong = ["arg[0]"]
    if not known:
        wrong = [f"arg.{parameter}.id", f"len(arg.{parameter})", f"arg['{parameter}']", *wrong]
    with watching(paths_on(target, parameter)):
        assert caplog.messages == [NO_PARAMETER.format(target, path) for path in wrong]


@pytest.mark.usefixtures("desk_package")
@pytest.mark.parametrize("target", ["declare_cached", "declare_partial", "declare_odd", "declare_asked"])
def test_what_does_not_say_its_parameters_is_not_asked(target: str, caplog: pytest.LogCaptureFixture) -> None:
    """An object that can be called may have code behind every question: nothing is said of its paths."""

    class Asked:
        def __getattribute__(self, name: str) -> object:
            raise LookupError(name)

    services().declare_odd = odd = lambda owner: owner
    vars(odd)["__signature__"] = Asked()
    services().declare_asked = asked = lambda owner: owner
    vars(asked)["__wrapped__"] = Asked()
    with watching(paths_on(target, "onwer")):
        assert caplog.messages == []


@pytest.mark.usefixtures("desk_package")
def test_a_preset_s_parameters_are_not_questioned(caplog: pytest.LogCaptureFixture) -> None:
    """Versions of a host differ; who runs it can correct nothing."""
    file = replace(paths_on("declare", "onwer"), preset=True, module="desk")
    services()
    with watching(file):
        assert hasattr(services().declare, "__wrapped__")
    assert caplog.messages == []


@pytest.mark.usefixtures("desk_package")
def test_an_id_that_is_not_found_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """With the path as the operator wrote it; the events go to the policy, which counts them."""
    with watching(hook_file("declare", identifier="result.number")) as watched:
        services().declare(3)
        services().declare(3)
    assert [event.incident.id for event in watched.events] == [None, None]
    assert caplog.messages == [NO_ID.format("hooks.toml, hook 'watched'", "result.number")]


def test_an_id_of_a_model_that_is_not_found(ops: None, caplog: pytest.LogCaptureFixture) -> None:
    """A property is not looked at: that is said at once of the path, and then of the event."""
    del ops
    with watching_models(INCIDENTS.replace("self.pk", "self.reference")) as reported:
        model("Incident").objects.create()
        model("Incident").objects.create()
    assert [event.incident.id for event in reported] == [None, None]
    assert caplog.messages == [
        ASTRAY.format("incident", "Incident", "self.reference"),
        NO_ID.format("one.toml, hook 'incident'", "self.reference"),
    ]


def test_paths_that_a_model_can_have_are_not_questioned(ops: None, caplog: pytest.LogCaptureFixture) -> None:
    """Columns by both names, relations in both directions, by their own names, and the request's user."""
    del ops
    paths = {
        "self.commander_id": "self.commander.pk",
        "self.team": "self.outage.region",
        "self.created": "self.created",
    }
    text = INCIDENTS
    for path, other in paths.items():
        text = text.replace(path, other)
    more = 'post_id = "self.commander_id"\nchecklist_count = "len(user.groups)"\n\n[hook.lifecycle]'
    with watching_models(text.replace("\n[hook.lifecycle]", more)):
        model("Incident").objects.create()
    assert caplog.messages == []


RELATIONS: Final = """
host.name = "ops"
[[hook]]
name = "state"
kind = "model"
model = "ops.State"
incident.id = "self.pk"
incident.checklist_count = "len(self.job_set)"
incident.checklist_item_count = "len(self.job)"
[[hook]]
name = "user"
kind = "model"
model = "auth.User"
incident.id = "self.pk"
incident.checklist_count = "len(self.groups)"
"""


def test_a_relation_is_called_as_the_host_calls_it(ops: None, caplog: pytest.LogCaptureFixture) -> None:
    """From the other side it ends in `_set`; under its own name nothing is found there."""
    del ops
    with watching_models(RELATIONS):
        assert caplog.messages == [ASTRAY.format("state", "State", "len(self.job)")]


LATER: Final = """
watch(hooks)
setup()
"""


def test_paths_are_questioned_once_all_apps_are_loaded(tmp_path: Path) -> None:
    """Where the hooks come before Django, relations of apps that are loaded later are known by then."""
    hooks = INCIDENTS.replace("self.team", "self.outage.pk").replace("self.created", "self.creatd")
    line = ASTRAY.format("incident", "Incident", "self.creatd")
    assert script(LATER, tmp_path, hooks=hooks).stderr == f"WARNING {line}\n"


# -- a distribution that is not there


@pytest.mark.usefixtures("desk_package")
@pytest.mark.parametrize(("distribution", "installed"), [("desk", False), ("pytest", True)])
def test_a_distribution_that_is_not_installed_is_said_once(
    distribution: str, installed: object, caplog: pytest.LogCaptureFixture
) -> None:
    """When the first hook of the file matches: until then it may be another host's."""
    file = f'[host]\nname = "desk"\ndistribution = "{distribution}"\n'
    for name in ("declare", "declare_async"):
        file += (
            f'[[hook]]\nname = "{name}"\nkind = "call"\ntarget = "desk.services:{name}"\naction = "create"\n'
        )
        file += 'incident.id = "result.id"\n'
    with watching(parse(file, "hooks.toml")):
        assert caplog.messages == []
        services()
    assert caplog.messages == ([] if installed else [NO_DISTRIBUTION])


@pytest.mark.usefixtures("desk_package")
def test_a_preset_s_distribution_may_be_absent(caplog: pytest.LogCaptureFixture) -> None:
    """The module is then another host's, who did not write the preset: nothing is watched, nothing said."""
    text = '[host]\nname = "desk"\nmodule = "desk"\ndistribution = "desk"\n[[hook]]\nname = "watched"\n'
    text += 'kind = "call"\ntarget = "desk.services:declare"\naction = "create"\nincident.id = "result.id"\n'
    with watching(parse(text, "desk", preset=True)) as watched:
        services().declare(3)
    assert watched.events == []
    assert caplog.messages == []


# -- a stage without an index

NO_INTEGER: Final = (
    "hooks.toml, hook 'watched': what is found at result.stage (stage.path) is no integer, so the stage has "
    "no index; list its values in `stage.order`. This is said once."
)
OTHER_TYPE: Final = (
    "hooks.toml, hook 'watched': what is found at result.stage (stage.path) is of another type than what "
    "`stage.order` lists, so the stage has no index; write its values as they are. This is said once."
)


@pytest.mark.usefixtures("desk_package")
@pytest.mark.parametrize(
    ("more", "found", "lines"),
    [
        ("", "contain", [NO_INTEGER]),
        ("", True, [NO_INTEGER]),
        ("", 3, []),
        ("", None, []),
        ("order = [1, 2]", "contain", [OTHER_TYPE]),
        ("order = ['1', '2']", 1, [OTHER_TYPE]),
        ("order = ['triage', 'review']", "contain", []),
        ("order = ['triage', 'contain']", "contain", []),
    ],
)
def test_a_stage_that_has_no_index_is_said_once(
    more: str, found: object, lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Where its type is wrong, without the stage; one that the list leaves out has no index rightly."""
    stage = f'[hook.stage]\npath = "result.stage"\n{more}\n'
    with watching(hook_file("declare", stage, action="change_stage")) as watched:
        services().RESULT.stage = found
        services().declare(3)
        services().declare(3)
    assert len(watched.events) == 2
    assert caplog.messages == lines


@pytest.mark.usefixtures("desk_package")
def test_a_preset_s_stage_is_not_questioned(caplog: pytest.LogCaptureFixture) -> None:
    """Versions of a host differ; who runs it can correct nothing."""
    services()
    file = hook_file("declare", '[hook.stage]\npath = "result.stage"\n', action="change_stage")
    with watching(replace(file, preset=True, module="desk")) as watched:
        services().declare(3)
    assert len(watched.events) == 1
    assert caplog.messages == []


# -- a file without a hook


@pytest.mark.parametrize(("more", "expected"), [("", 1), ('content = ["title"]\n', 0)])
def test_a_file_without_a_hook_is_said(more: str, expected: int, caplog: pytest.LogCaptureFixture) -> None:
    """It reports nothing, and says so when it is put in force, unless it names content for the gate."""
    with watching(parse(f'[host]\nname = "desk"\n{more}', "hooks.toml")):
        assert (
            caplog.messages
            == ["hooks.toml, key 'hook': is missing, so nothing of desk is reported; add a [[hook]]."][
                :expected
            ]
        )
