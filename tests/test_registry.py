"""The registry keeps the rules of the conventions, and what is generated from it says the same."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import pytest

from scripts.generation import OUTPUTS, main
from scripts.registry import Registry, RegistryError
from scripts.registry_rules import RULES, check
from tests.registry_breaches import BREACHES, Breach

if TYPE_CHECKING:
    from types import ModuleType

ROOT: Final = Path(__file__).parent.parent
SHAPE_RULES: Final = {"unknown_property", "missing_property", "wrong_value"}
ACTIONS: Final = ("create", "end", "restart", "change_commander", "change_stage")

# name: (seed name, type on the wire, rule, whom it identifies)
EVENT_ATTRIBUTES: Final = {
    "incident.id": ("incidentID", "string", "id", "nobody"),
    "incident.active": ("IsActive", "boolean", "flag", "nobody"),
    "incident.commander.id": ("CommanderUserID", "string", "id", "person"),
    "incident.team.id": ("TeamID", "string", "id", "nobody"),
    "incident.created_at": ("CreatedAt", "string", "timestamp", "nobody"),
    "incident.post.id": ("PostID", "string", "id", "nobody"),
    "incident.checklist.count": ("NumChecklists", "int", "count", "nobody"),
    "incident.checklist.item.count": ("TotalChecklistItems", "int", "count", "nobody"),
    "incident.stage.index": ("ActiveStage", "int", "count", "nobody"),
    "incident.public": ("public", "boolean", "flag", "nobody"),
    "incident.action": (
        "actionCreate, actionEnd, actionRestart, actionChangeCommander, actionChangeStage",
        "string",
        "enum",
        "nobody",
    ),
    "incident.duration": ("", "double", "seconds", "nobody"),
    "user.id": ("UserActualId", "string", "id", "person"),
    "user.hash": ("UserActualId", "string", "hash", "person"),
    "user.roles": ("end users and System Admins", "string[]", "enum_list", "nobody"),
    "log.record.uid": ("", "string", "uid", "nobody"),
}
RESOURCE_ATTRIBUTES: Final = {
    "incident.diagnostic.id": ("diagnosticID", "string", "id", "installation"),
    "incident.server.version": ("serverVersion", "string", "version", "nobody"),
    "incident.plugin.version": ("pluginVersion", "string", "version", "nobody"),
    "incident.license.id": ("license", "string", "id", "installation"),
    "service.version": ("serverVersion", "string", "version", "nobody"),
}
SPOOL_ATTRIBUTES: Final = {"otel_incident.exporter": ("", "string", "enum", "nobody")}
METRIC_ATTRIBUTES: Final = {
    "otel_incident.signal": ("", "string", "enum", "nobody"),
    "otel_incident.reason": ("", "string", "enum", "nobody"),
    "otel_incident.rule": ("", "string", "enum", "nobody"),
}
ONLY_ON: Final = {
    "incident.public": "incident.create",
    "incident.duration": "incident.end",
    "incident.stage.index": "incident.change_stage",
}
NEW_FAMILY: Final = """
file_format: definition/2
attributes:
  - key: playbook.id
    type: string
    stability: development
    brief: Unique identifier of the playbook.
    examples: ["1042"]
    annotations: {otel_incident: {seed_name: playbookID, why: Groups., identifies: nobody, rule: id}}
  - key: playbook.action
    type:
      members: [{id: publish, value: publish, brief: It is published., stability: development}]
    stability: development
    brief: What happened to the playbook.
    annotations: {otel_incident: {why: Counts what is done., identifies: nobody, rule: enum, alias: Action}}
events:
  - name: playbook.publish
    brief: A playbook was published.
    stability: development
    requirement_level: recommended
    annotations: {otel_incident: {seed_name: publish, action: publish}}
    attributes:
      - {ref: playbook.id, requirement_level: required}
      - {ref: playbook.action, requirement_level: required}
      - {ref: log.record.uid, requirement_level: required}
    entity_associations: [incident.installation]
"""


def load(path: Path) -> ModuleType:
    """Run a generated module by its path, as a module of its own."""
    spec = importlib.util.spec_from_file_location("generated_vocabulary", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def vocabulary() -> ModuleType:
    """The vocabulary as it is committed, without the package around it."""
    return load(ROOT / "src/otel_incident/vocabulary.py")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the registry that a test may break, with places for what is generated."""
    for folder in ("registry", "registry-upstream"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for path in OUTPUTS.values():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text that must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_registry_keeps_every_rule() -> None:
    """Nothing in the registry breaks a rule."""
    assert check(Registry.load(ROOT)) == []


@pytest.mark.parametrize(
    ("rule", "breach"), [(rule, breach) for rule in BREACHES for breach in BREACHES[rule]]
)
def test_a_broken_rule_is_named(copy: Path, rule: str, breach: Breach) -> None:
    """A registry that breaks a rule gives a finding with the rule, the file, the item and the words."""
    replace(copy / breach.file, breach.old, breach.new)
    findings = check(Registry.load(copy))
    named = [f for f in findings if (f.rule, f.item) == (rule, breach.item) and breach.words in f.sentence]
    assert named, findings
    assert all(f.file.startswith("registry") and f.sentence.endswith(".") for f in named)


def test_every_rule_is_broken_on_purpose() -> None:
    """No rule is without a registry that breaks it."""
    assert set(BREACHES) == {rule.__name__ for rule in RULES} | SHAPE_RULES


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("registry/stray.yml", "- a list", "registry/stray.yml: the file holds no mapping"),
        ("registry/stray.yaml", "a: [", "registry/stray.yaml: not readable as YAML"),
        ("registry/stray.yaml", "attributes: []\nattributes: []\n", "`attributes` is written twice"),
    ],
)
def test_an_unreadable_file_is_named(copy: Path, file: str, text: str, words: str) -> None:
    """A file that is no registry file, or says a thing twice, is an error that names the file."""
    (copy / file).write_text(text, encoding="utf-8")
    with pytest.raises(RegistryError, match=words.replace("(", r"\(")):
        Registry.load(copy)


def test_a_missing_manifest_is_named(copy: Path) -> None:
    """Without a manifest there is no registry."""
    (copy / "registry/manifest.yaml").unlink()
    with pytest.raises(RegistryError, match=r"registry/manifest\.yaml: the file is missing"):
        Registry.load(copy)


def test_any_yaml_file_in_the_folder_is_part_of_the_registry(copy: Path) -> None:
    """A stray file under the folder is held to the shape, as the validator holds it."""
    (copy / "registry/settings.yaml").write_text("colour: blue\n", encoding="utf-8")
    rules = {(f.rule, f.file) for f in check(Registry.load(copy))}
    assert ("unknown_property", "registry/settings.yaml") in rules


def test_what_is_generated_is_up_to_date() -> None:
    """The command itself, run as a person would, finds every generated file as the registry says it."""
    command = [sys.executable, str(ROOT / "scripts/generate"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_check_names_what_differs_and_writes_nothing(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check exits 1 with the paths of the files that differ; without it they are written."""
    assert main(["--root", str(copy)]) == 0
    assert main(["--root", str(copy), "--check"]) == 0
    (copy / "docs/telemetry.md").write_text("by hand\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["--root", str(copy), "--check"]) == 1
    message = "docs/telemetry.md is not what the registry says; run scripts/generate and commit it.\n"
    assert capsys.readouterr() == ("", message)
    assert (copy / "docs/telemetry.md").read_text(encoding="utf-8") == "by hand\n"


def test_nothing_is_generated_from_a_bad_registry(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The generator prints file, item, rule and what to do, exits 1, and writes nothing."""
    replace(copy / "registry/signals.yaml", "brief: An incident was ended.", "brief: Ended")
    assert main(["--root", str(copy)]) == 1
    finding = "registry/signals.yaml: incident.end: brief_ends_with_full_stop: "
    assert capsys.readouterr().err.splitlines() == [
        finding + "the brief does not end with a full stop; end it with one.",
        "Nothing is generated: the registry breaks 1 rule(s).",
    ]
    assert not any((copy / path).exists() for path in OUTPUTS.values())


def test_an_unreadable_registry_is_a_message(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read ends the generator with a sentence, not with a traceback."""
    (copy / "registry/manifest.yaml").unlink()
    assert main(["--root", str(copy)]) == 1
    assert capsys.readouterr().err == "registry/manifest.yaml: the file is missing; restore it\n"


def test_every_decided_attribute_is_there(vocabulary: ModuleType) -> None:
    """The vocabulary has the decided attributes, and no other, with seed name, type and rule."""
    found = {
        name: (attribute.seed_name, attribute.type, attribute.rule, attribute.identifies)
        for name, attribute in vocabulary.ATTRIBUTES.items()
    }
    assert found == EVENT_ATTRIBUTES | RESOURCE_ATTRIBUTES | METRIC_ATTRIBUTES | SPOOL_ATTRIBUTES


def test_events_list_what_they_may_carry(vocabulary: ModuleType) -> None:
    """Each event requires id, action and uid; public, duration and stage index are on one event each."""
    assert list(vocabulary.EVENTS) == [f"incident.{action}" for action in ACTIONS]
    for name, event in vocabulary.EVENTS.items():
        expected = {key for key in EVENT_ATTRIBUTES if ONLY_ON.get(key, name) == name}
        required = {key for key, level in event.attributes.items() if level == "required"}
        assert set(event.attributes) == expected
        assert required == {"incident.id", "incident.action", "log.record.uid"}
        assert f"incident.{event.action}" == name
        assert event.seed_name == event.action


def test_resource_and_metrics_list_what_they_may_carry(vocabulary: ModuleType) -> None:
    """The resource is the installation, identified by the diagnostic id; metrics carry closed enums alone."""
    metrics = {
        name: (metric.instrument, metric.unit, metric.value_type, metric.attributes)
        for name, metric in vocabulary.METRICS.items()
    }
    assert set(vocabulary.RESOURCE) == set(RESOURCE_ATTRIBUTES)
    assert [key for key, level in vocabulary.RESOURCE.items() if level == "required"] == [
        "incident.diagnostic.id"
    ]
    exporter = {"otel_incident.exporter": "required"}
    assert metrics == {
        "incident.events": ("counter", "{event}", "int", {"incident.action": "required"}),
        "incident.duration": ("histogram", "s", "double", {}),
        **dict.fromkeys(
            ("otel_incident.policy.audited", "otel_incident.policy.dropped"),
            ("counter", "{drop}", "int", dict.fromkeys(METRIC_ATTRIBUTES, "required")),
        ),
        "otel_incident.spool.waiting": ("updowncounter", "By", "int", exporter),
        "otel_incident.spool.oldest_age": ("gauge", "s", "double", exporter),
        **dict.fromkeys(
            [f"otel_incident.spool.{name}" for name in ("delivered", "rejected", "quarantined")],
            ("counter", "{record}", "int", exporter),
        ),
        "otel_incident.spool.retried": ("counter", "{attempt}", "int", exporter),
        "otel_incident.spool.dropped": (
            "counter",
            "{record}",
            "int",
            {"otel_incident.reason": "required"},
        ),
    }


def test_constants_are_the_names(vocabulary: ModuleType) -> None:
    """A constant is the upper-cased name with underscores, and EVENT_ or METRIC_ before it."""
    tables = (("", vocabulary.ATTRIBUTES), ("EVENT_", vocabulary.EVENTS), ("METRIC_", vocabulary.METRICS))
    for prefix, table in tables:
        for name, value in table.items():
            assert getattr(vocabulary, prefix + name.upper().replace(".", "_")) == name == value.name


def test_closed_enums_are_types_and_tuples(vocabulary: ModuleType) -> None:
    """Each closed enum is a Literal and a tuple of the same members as its attribute."""
    enums: dict[str, tuple[Any, tuple[str, ...]]] = {
        "incident.action": (vocabulary.Action, vocabulary.ACTIONS),
        "user.roles": (vocabulary.Role, vocabulary.ROLES),
        "otel_incident.signal": (vocabulary.Signal, vocabulary.SIGNALS),
        "otel_incident.reason": (vocabulary.Reason, vocabulary.REASONS),
        "otel_incident.exporter": (vocabulary.Exporter, vocabulary.EXPORTERS),
    }
    for name, (alias, members) in enums.items():
        assert get_args(alias) == members == vocabulary.ATTRIBUTES[name].members
    assert vocabulary.ACTIONS == ACTIONS
    assert vocabulary.ROLES == ("end_user", "system_admin")
    assert (*get_args(vocabulary.Rule), "profile", "none") == vocabulary.ATTRIBUTES[
        "otel_incident.rule"
    ].members


def test_the_vocabulary_imports_only_typing() -> None:
    """Loading the vocabulary into a host costs nothing but its own tables."""
    tree = ast.parse((ROOT / "src/otel_incident/vocabulary.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["from typing import Final, Literal, NamedTuple"]


def test_a_new_family_is_data_alone(copy: Path, vocabulary: ModuleType) -> None:
    """One more file with an event and its attributes is in the next vocabulary and on the page."""
    (copy / "registry/playbooks.yaml").write_text(NEW_FAMILY, encoding="utf-8")
    assert main(["--root", str(copy)]) == 0
    grown = load(copy / "src/otel_incident/vocabulary.py")
    event = grown.EVENTS[grown.EVENT_PLAYBOOK_PUBLISH]
    assert (event.name, event.action, event.seed_name) == ("playbook.publish", "publish", "publish")
    assert event.attributes == dict.fromkeys(("playbook.id", "playbook.action", "log.record.uid"), "required")
    assert grown.ATTRIBUTES[grown.PLAYBOOK_ID].seed_name == "playbookID"
    assert get_args(grown.Action) == grown.ACTIONS == (*ACTIONS, "publish")
    assert {name: grown.EVENTS[name] for name in vocabulary.EVENTS} == vocabulary.EVENTS
    page = (copy / "docs/telemetry.md").read_text(encoding="utf-8")
    assert "| `playbook.publish` | `publish` | A playbook was published. |" in page
    assert "| `playbook.id` | `playbookID` | Unique identifier of the playbook. |" in page


def test_the_page_names_everything_that_is_collected(vocabulary: ModuleType) -> None:
    """Every event, attribute, metric, seed name and reason for collecting is on the page."""
    page = (ROOT / "docs/telemetry.md").read_text(encoding="utf-8")
    for name in (*vocabulary.EVENTS, *vocabulary.METRICS, *vocabulary.ATTRIBUTES):
        assert f"| `{name}` |" in page
    for attribute in vocabulary.ATTRIBUTES.values():
        assert attribute.why in page
        assert all(f"`{seed}`" in page for seed in attribute.seed_name.split(", ") if seed)
    assert "`eventTimeStamp`" in page
