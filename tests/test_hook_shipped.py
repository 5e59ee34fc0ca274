"""The presets that ship with the package: each waits for its host, costs nothing until then, can stay off."""

import importlib
import logging
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident.gate.rules import Standard
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.content import ContentNames
from otel_incident.hooks.shipped import PRESETS, Preset, enabled, unknown
from otel_incident.hooks.spec import ID_ATTRIBUTES, values_in
from otel_incident.hooks_cli.check import check, of_file
from otel_incident.instrumentor import IncidentInstrumentor
from tests.client_hosts import OLDEST
from tests.collector import ROOT
from tests.host_packages import requirements_of
from tests.zero_code import distribution

NAMES: Final = sorted(preset.name for preset in PRESETS)
UNKNOWN: Final = "OTEL_INCIDENT_DISABLED_HOOKS: no preset is called {!r}; known are {}"


def test_the_index_is_that_of_the_files() -> None:
    """Each file stands in the index once, with what it says itself: nothing is read to know that."""
    folder = resources.files("otel_incident.hooks") / "presets"
    assert [f"{name}.toml" for name in NAMES] == sorted(file.name for file in folder.iterdir())
    for preset in PRESETS:
        file = preset.read()
        assert (file.source, file.module, file.distribution) == (
            preset.name,
            preset.module,
            preset.distribution,
        )
        assert bool(file.clients) is preset.client


@pytest.mark.parametrize("preset", PRESETS, ids=NAMES)
def test_each_preset_says_all_that_it_has_to(preset: Preset) -> None:
    """A host, its content, its hooks; a client's hooks are requests, and say what its ids look like."""
    file = preset.read()
    assert file.preset is True
    assert file.content
    assert file.hooks
    for hook in file.hooks:
        assert "incident.id" in (hook.id_shapes or {})
    if preset.client:
        assert {hook.kind for hook in file.hooks} == {"http"}
        for hook in file.hooks:
            assert set(hook.id_shapes or {}) <= set(ID_ATTRIBUTES)


@pytest.mark.parametrize("preset", PRESETS, ids=NAMES)
def test_a_client_is_not_the_host(preset: Preset) -> None:
    """The version of a host's distribution is the host's; that of a client library says nothing of it."""
    assert preset.read().host_distribution == ("" if preset.client else preset.distribution)


def generic(name: str) -> bool:
    """Whether keys that end in a name are, by OpenTelemetry's conventions, of much that is no content."""
    return name in {"name", "message", "id", "status", "state", "value", "body", "type", "text"}


@pytest.mark.parametrize("preset", PRESETS, ids=NAMES)
def test_no_preset_forbids_what_conventions_need(preset: Preset) -> None:
    """`exception.message` and `db.collection.name` stay on the spans of a host that imports a client."""
    assert [name for name in preset.read().content if generic(name)] == []


NAMED: Final = {
    "argus-server": {("self.actor_id", "self.actor.is_superuser"), ("", "")},
    "django-helpdesk": {("", "user.is_superuser")},
    "firefighter-incident": {("", "user.is_superuser")},
    "mattermostautodriver": {("reply.reporter_user_id", ""), ("self.userid", "")},
    "thehive4py": {("reply._createdBy", ""), ("", "")},
}
"""Where presets find who did it, and whether that is a system admin; "" is the default, as in all others."""


@pytest.mark.parametrize("preset", PRESETS, ids=NAMES)
def test_each_preset_says_who_is_a_system_admin(preset: Preset) -> None:
    """In its first lines, and by a flag; of users whom it finds where nothing says it, no role is said."""
    said = (resources.files("otel_incident.hooks") / "presets" / f"{preset.name}.toml").read_text()
    assert "`system_admin`" in said.partition("\n\n")[0]
    paths = [(hook.actor_id, hook.system_admin) for hook in preset.read().hooks]
    found = {tuple(path.text if path is not None else "" for path in each) for each in paths}
    assert found == NAMED.get(preset.name, {("", "")})


CONTENT: Final = {
    "django-helpdesk": ["followup.comment", "ticketchange.old_value", "ticket.secret_key"],
    "firefighter-incident": ["incidentcost.details", "impact.details", "incident.closure_reason"],
    "incident-io": ["incident.name", "incident.slack_channel_name", "incident.call_url"],
    "mattermostautodriver": ["run.retrospective", "playbook_run.description", "checklist_item.title"],
    "opsgenie-sdk": ["incident.message", "incident.details", "status_page_entry"],
    "pagerduty": ["incident.summary", "body.details", "note.content", "status_update.message"],
    "rootly": ["incident.slug", "incident.slack_channel_name"],
    "datadog-api-client": ["incident.fields", "incident.root_cause"],
    "thehive4py": ["case.customFields", "case.tags"],
    "argus-server": ["event.description", "incident.ticket_url", "incident.source_incident_id"],
}
"""Some of what people write into these products, as their models and APIs call it."""


@pytest.mark.parametrize("preset", PRESETS, ids=NAMES)
def test_what_a_host_calls_its_content_goes(preset: Preset) -> None:
    """The gate takes what the models and APIs of a host call its content, and leaves their ids and states."""
    rules = Standard()
    rules.forbid(preset.read().content)
    attributes = {**dict.fromkeys(CONTENT[preset.name], "Payments"), "desk.status": "open", "desk.id": "7"}
    filtered = rules.filter(attributes)
    assert filtered is not None
    assert dict(filtered.attributes) == {"desk.status": "open", "desk.id": "7"}


def test_none_is_disabled() -> None:
    """By default all of them wait."""
    assert enabled([]) == PRESETS
    assert unknown([]) == []


def test_disabled() -> None:
    """By its name, in any case; the others wait."""
    left = enabled(["Django-Helpdesk"])
    assert [preset.name for preset in PRESETS if preset not in left] == ["django-helpdesk"]
    assert unknown(["Django-Helpdesk"]) == []


def test_an_unknown_name_is_said() -> None:
    """A line for each, with the names that there are; what is known stays off."""
    names = ["helpdesk", "django-helpdesk", "pagerdty"]
    assert [preset.name for preset in PRESETS if preset not in enabled(names)] == ["django-helpdesk"]
    assert unknown(names) == [UNKNOWN.format(name, ", ".join(NAMES)) for name in ("helpdesk", "pagerdty")]


def test_it_is_said_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    """As a warning, when instrumentation begins."""
    instrumentor: Any = IncidentInstrumentor()
    instrumentor.instrument(disabled_hooks=["pagerdty", "django-helpdesk"], gate="off")
    instrumentor.uninstrument()
    line = f"{UNKNOWN.format('pagerdty', ', '.join(NAMES))}. Correct or remove it."
    assert ("otel_incident", logging.WARNING, line) in caplog.record_tuples


@pytest.mark.parametrize("off", [False, True])
def test_a_preset_is_read_with_its_host(off: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before the module is imported, and not at all if it is switched off."""
    monkeypatch.syspath_prepend(
        str(
            distribution(tmp_path / "installed", "mattermostautodriver", modules={"mattermostautodriver": ""})
        )
    )
    values_in.cache_clear()  # of what other tests have read
    read: list[str] = []
    loads = tomllib.loads

    def counted(text: str) -> dict[str, Any]:
        read.append(loads(text)["host"]["module"])
        return loads(text)

    monkeypatch.setattr(tomllib, "loads", counted)
    forbidden: list[str] = []
    presets = enabled(["mattermostautodriver"] if off else [])
    waiting = (
        Activation([], lambda _: None, presets),
        ContentNames([], presets, forbidden.extend),
    )
    before = set(sys.modules)
    for each in waiting:
        each.install()
    try:
        assert (read, set(sys.modules)) == ([], before)
        importlib.import_module("mattermostautodriver")
    finally:
        for each in waiting:
            each.uninstall()
        del sys.modules["mattermostautodriver"]
    assert read == ([] if off else ["mattermostautodriver"])  # for its hooks and its content
    assert ("run.name" in forbidden) is not off


def test_the_oldest_clients_are_those_that_are_tried() -> None:
    """The tests of the presets drive what a preset names as its oldest version; of an app one was tried."""
    pinned = dict(line.split(" == ") for line in requirements_of(OLDEST) if " == " in line)
    clients = {preset.name: preset.oldest for preset in PRESETS if preset.client}
    tried = {name.partition("[")[0]: version for name, version in pinned.items()}
    assert {name: tried[name] for name in clients} == clients
    assert {preset.oldest for preset in PRESETS if not preset.client} == {""}
    newest = dict(line.split(" == ") for line in requirements_of("clients") if " == " in line)
    for client, oldest in clients.items():
        latest = next(newest[name] for name in newest if name.partition("[")[0] == client)
        assert f"| `{client}` | {oldest} to {latest} |" in (ROOT / "README.md").read_text()


TOO_OLD: Final = (
    "pagerduty, pagerduty {} is installed, and the preset is for 2.0.0 and later, so it may report nothing; "
    "install a later one."
)
TARGET: Final = "pagerduty, hook 'client': pagerduty.api_client:ApiClient.request"
NOT_THIS: Final = "so it reports nothing; this version is none that the preset is for."
NO_MODULE: Final = f"{TARGET} is in a module that cannot be found, {NOT_THIS}"
NO_FUNCTION: Final = f"{TARGET} does not exist, {NOT_THIS}"
WHOLE: Final = "class ApiClient:\n    def request(self, method, url, **kwargs): ..."


@pytest.mark.parametrize(
    ("version", "code", "expected"),
    [
        ("1.0.0", None, [TOO_OLD.format("1.0.0"), NO_MODULE]),
        ("1.10rc1", WHOLE, [TOO_OLD.format("1.10")]),
        ("2.0.0", WHOLE, []),
        ("10.0", WHOLE, []),
        ("of-1999", WHOLE, []),
        ("99.0", None, [NO_MODULE]),
        ("99.0", "class ApiClient: ...", [NO_FUNCTION]),
    ],
)
def test_a_client_that_a_preset_is_not_for_is_said(
    version: str,
    code: str | None,
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that is too old, and one that has no choke point where the preset watches it: as it is imported."""
    installed = distribution(tmp_path / "installed", "pagerduty", version=version)
    package = installed / "pagerduty"
    package.mkdir()
    (package / "__init__.py").touch()
    if code is not None:
        (package / "api_client.py").write_text(code)
    monkeypatch.syspath_prepend(str(installed))
    activation = Activation([], lambda _: None, presets=PRESETS)
    activation.install()
    try:
        importlib.import_module("pagerduty")
        if code is not None:
            importlib.import_module("pagerduty.api_client")
        assert caplog.messages == expected
        findings = check([preset.read() for preset in PRESETS if preset.name == "pagerduty"], importing=True)
        (file,) = {each.subject.file.source: each.subject.file for each in findings}.values()
        old = [line.removeprefix("pagerduty, ").removesuffix(".") for line in expected if "later" in line]
        assert of_file(file) == old
        assert [each.verdict for each in findings] == ["found" if code == WHOLE else "missing"]
    finally:
        activation.uninstall()
        for name in [name for name in sys.modules if name.partition(".")[0] == "pagerduty"]:
            del sys.modules[name]
