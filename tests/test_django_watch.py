"""Model hooks and the host's program: found when it comes, said when it does not, harmless, and removable."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.handlers.base import BaseHandler
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model, signals

from otel_incident import guard
from otel_incident.events import IncidentEvent
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.definitions import HookFile
from otel_incident.hooks.spec import parse
from tests.django_host import CASES, INCIDENTS, actions, model, said, script, watching

pytestmark = pytest.mark.usefixtures("ops")


DATABASE: Final = (
    "run_and_clear_commit_hooks",
    "savepoint",
    "savepoint_commit",
    "savepoint_rollback",
    "rollback",
    "close",
)


def messages(caplog: pytest.LogCaptureFixture) -> str:
    """What was said, a line each."""
    return "\n".join(record.getMessage() for record in caplog.records)


def preset(module: str) -> HookFile:
    """The hooks on `Incident` as a preset of a host whose module this is."""
    text = INCIDENTS.replace('name = "ops"', f'name = "ops"\nmodule = "{module}"\ndistribution = "django"', 1)
    return parse(text, "ops", preset=True)


@pytest.fixture
def _is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The presets of these tests name a distribution that is installed; their host comes with none."""
    monkeypatch.setattr("otel_incident.hooks.activation.is_of", lambda *_: True)


@pytest.mark.usefixtures("_is_its_own")
def test_a_preset_is_in_force_for_its_host(ops: None) -> None:
    """The model's module is the one the preset names, or in it."""
    del ops
    seen: list[IncidentEvent] = []
    activation = Activation([preset("tests.hosts.ops")], seen.append)
    activation.install()
    try:
        model("Incident").objects.create()
        assert actions(seen) == ["create"]
        assert activation.host_distribution() == "django"
    finally:
        activation.uninstall()


@pytest.mark.usefixtures("_is_its_own")
@pytest.mark.parametrize("module", ["tests.waiting", "tests.hosts.op"])
def test_another_app_of_the_same_label_is_not_the_presets_host(
    ops: None, module: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A model called `ops.Incident` in another package is somebody else's; nothing is said of it."""
    del ops
    __import__("tests.waiting")
    seen: list[IncidentEvent] = []
    activation = Activation([preset(module)], seen.append)
    activation.install()
    try:
        model("Incident").objects.create()
        assert (seen, activation.host_distribution(), caplog.records) == ([], "", [])
    finally:
        activation.uninstall()


@pytest.mark.parametrize(
    ("table", "field"), [("lifecycle", "state"), ("commander", "leader_id"), ("stage", "stage")]
)
def test_a_field_that_does_not_exist_is_one_warning_that_names_it(
    ops: None, table: str, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The hook reports nothing rather than half; the other hooks and the host go on."""
    del ops
    head, _, tail = INCIDENTS.partition(f"[hook.{table}]\nfield = ")
    wrong = f'{head}[hook.{table}]\nfield = "{field}"\n{tail.partition(chr(10))[2]}'
    with watching(wrong, CASES) as reported:
        model("Incident").objects.create()
        model("Case").objects.create()
    assert actions(reported) == ["create"]
    assert messages(caplog) == (
        f"one.toml, hook 'incident': the model ops.Incident has no field '{field}', "
        "so the hook reports nothing; correct it."
    )


def test_a_model_that_does_not_exist_is_one_warning_that_names_it(
    ops: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the apps were ready before the hooks came."""
    del ops
    with watching(INCIDENTS.replace("ops.Incident", "ops.Incidence")):
        model("Incident").objects.create()
    assert messages(caplog) == (
        "one.toml, hook 'incident': there is no model ops.Incidence, so it reports nothing; "
        "correct `model` or remove the hook."
    )


def test_a_model_in_another_module_than_the_files_is_said(
    ops: None, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator's file that names a module holds for that module only, and says what it found."""
    del ops
    elsewhere = INCIDENTS.replace('name = "ops"', 'name = "ops"\nmodule = "operations"', 1)
    with watching(elsewhere) as reported:
        model("Incident").objects.create()
    assert reported == []
    assert messages(caplog) == (
        "one.toml, hook 'incident': the model ops.Incident is in tests.hosts.ops.models, not in 'operations' "
        "as `module` says, so the hook reports nothing; correct it."
    )


EARLY: Final = """
for text, source in ((hooks, "one.toml"), (absent, "two.toml"), (unknown, "three.toml")):
    watch(text, source)
watch(preset, "a preset", preset=True)
assert "django" not in sys.modules
setup()
from tests.hosts.ops.models import Alarm, Incident

Incident.objects.create(status=4)
Alarm.objects.create()
print([event.action for event in events])
"""


def test_hooks_wait_for_a_host_that_comes_later(tmp_path: Path) -> None:
    """As instrumentation starts them: before Django, importing nothing; what is missing is said once."""
    ended = script(
        EARLY,
        tmp_path,
        hooks=INCIDENTS,
        absent=CASES.replace("ops.Case", "ops.Cases"),
        unknown=CASES.replace('field = "owner"', 'field = "keeper"'),
        preset=CASES.replace('name = "ops"', 'name = "ops"\nmodule = "absent_app"', 1),
    )
    assert ended.stdout == "['create', 'end', 'create']\n"
    assert ended.stderr == (
        "WARNING three.toml, hook 'case': the model ops.Case has no field 'keeper', so the hook reports "
        "nothing; correct it.\n"
        "WARNING two.toml, hook 'case': there is no model ops.Cases, so it reports nothing; correct `model` "
        "or remove the hook.\n"
    )


MIGRATION: Final = """
watch(hooks)
setup()
from django.db import connection
from django.db.migrations.state import ModelState, ProjectState
from tests.hosts.ops.models import Incident

from django.apps import apps

state = ProjectState()
for name in ("auth.User", "auth.Group", "auth.Permission", "contenttypes.ContentType", "ops.Incident"):
    state.add_model(ModelState.from_model(apps.get_model(name)))
Historical = state.apps.get_model("ops", "Incident")
Historical.objects.create(status=4)
print(Historical is Incident, [event.action for event in events])
"""


def test_a_data_migration_is_no_action(tmp_path: Path) -> None:
    """Migrations work on models of their own, rebuilt from history; those are not watched."""
    assert script(MIGRATION, tmp_path, hooks=INCIDENTS).stdout == "False []\n"


def test_an_error_of_ours_does_not_reach_the_host(ops: None, caplog: pytest.LogCaptureFixture) -> None:
    """A sink that fails, at once or at the commit: the row is saved, and it is counted and said once."""
    del ops

    def fail(_event: IncidentEvent) -> None:
        raise ValueError("never said")

    guard.set_reraise(reraise=False)
    activation = Activation([parse(INCIDENTS, "one.toml")], fail)
    activation.install()
    try:
        model("Incident").objects.create()
        with transaction.atomic():
            model("Incident").objects.create()
    finally:
        activation.uninstall()
    assert model("Incident").objects.count() == 2
    assert guard.swallowed() == {"hook": 2}
    (record,) = caplog.records
    assert "ValueError" in record.getMessage()
    assert "never said" not in record.getMessage()


@pytest.mark.parametrize("broken", ["held", "stored", "pending", "wait", "incident_of", "get_current"])
def test_an_error_anywhere_in_a_receiver_does_not_reach_the_host(
    ops: None, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading, saving, reading again, and what follows, wherever the error is."""
    del ops

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    guard.set_reraise(reraise=False)
    with watching(INCIDENTS):
        monkeypatch.setattr(f"otel_incident.hooks.django_models.{broken}", fail)
        model("Incident").objects.create()
        incident = model("Incident").objects.get()
        incident.status = 4
        incident.save()
        incident.refresh_from_db()
    assert incident.status == 4
    assert guard.swallowed()["hook"] >= 1


def receivers() -> list[int]:
    """How many receivers each of Django's signals has."""
    found = (signals.pre_init, signals.post_init, signals.pre_save, signals.post_save, signals.class_prepared)
    return [len(signal.receivers) for signal in found]


def patched() -> list[Any]:
    """Every attribute of Django's and the host's that is ever replaced."""
    incident = model("Incident")
    return [
        vars(incident).get("refresh_from_db"),
        vars(Model)["refresh_from_db"],
        vars(BaseHandler)["get_response"],
        vars(BaseHandler)["get_response_async"],
        *(vars(BaseDatabaseWrapper)[name] for name in DATABASE),
    ]


def test_uninstalling_restores_everything(ops: None) -> None:
    """Signals, the model and the handler are what they were, twice over; nothing is reported any more."""
    del ops
    before, connected = patched(), receivers()
    for _ in range(2):
        with watching(INCIDENTS, CASES) as reported:
            assert patched() != before
            assert receivers() != connected
            model("Incident").objects.create()
            assert actions(reported) == ["create"]
        assert [now is then for now, then in zip(patched(), before, strict=True)] == [True] * 10
        assert receivers() == connected
        model("Incident").objects.create()
        assert actions(reported) == ["create"]


def test_uninstalling_keeps_what_the_host_has_put_over_it(ops: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that wraps `refresh_from_db` after us keeps its wrapper, and it works."""
    del ops
    incident = model("Incident")
    monkeypatch.setattr(incident, "refresh_from_db", Model.refresh_from_db, raising=False)
    with watching(INCIDENTS):
        ours = incident.refresh_from_db

        def theirs(self: Any, *args: Any, **kwargs: Any) -> None:
            ours(self, *args, **kwargs)

        incident.refresh_from_db = theirs
    assert vars(incident)["refresh_from_db"] is theirs
    made = incident.objects.create()
    made.title = "Another"
    made.refresh_from_db()
    assert made.title == "Payments are down"


def test_a_change_that_waits_when_the_hooks_go_is_not_reported(ops: None) -> None:
    """Uninstalling ends reporting at once, also for a transaction that is open."""
    del ops
    with transaction.atomic():
        with watching(INCIDENTS) as reported:
            model("Incident").objects.create()
        assert reported == []
    assert reported == []


def test_watching_twice_reports_twice_and_for_itself(ops: None) -> None:
    """Two activations do not disturb one another; the end of one leaves the other whole."""
    del ops
    with watching(INCIDENTS) as outer:
        with watching(INCIDENTS) as inner:
            made = model("Incident").objects.create()
        made.refresh_from_db()
        made.status = 4
        made.save()
    assert said(inner) == [("create", made.pk)]
    assert said(outer) == [("create", made.pk), ("end", made.pk)]


def committed() -> None:
    """A transaction ends well."""


def rolled_back() -> None:
    """It does not."""
    transaction.set_rollback(True)


def closed() -> None:
    """Nor does it with its connection."""
    connections["default"].close()


@pytest.mark.parametrize(("end", "said"), [(committed, 2), (rolled_back, 0), (closed, 0)])
def test_what_is_kept_of_a_transaction_goes_with_it(
    reported: list[IncidentEvent], end: Callable[[], None], said: int
) -> None:
    """However it ends, a connection that lives for ever keeps neither its changes nor its savepoints."""
    kept = vars(connections["default"])
    with transaction.atomic():
        for _ in range(2):
            model("Incident").objects.create()
            with transaction.atomic():
                pass
        assert [name for name in kept if name.startswith("_otel_incident")] == ["_otel_incident_waiting"]
        end()
    assert [name for name in kept if name.startswith("_otel_incident")] == []
    assert actions(reported) == ["create"] * said
    model("Incident").objects.create()
    assert actions(reported) == ["create"] * (said + 1)


@pytest.mark.parametrize("callbacks", [[], [(set(), list, False)]], ids=["none", "the host's"])
def test_a_transaction_of_whose_end_nobody_hears(
    reported: list[IncidentEvent], callbacks: list[object]
) -> None:
    """Where a connection is emptied without a word, its changes are forgotten when the next one comes."""
    with transaction.atomic():
        row = model("Incident").objects.create()
        connections["default"].run_on_commit = callbacks[:]
        row.status = 4
        row.save()
    assert actions(reported) == ["end"]
