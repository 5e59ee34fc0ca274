"""The hook file's schema for editors says the same as the package that reads it.

Each file under `testdata/hooks/bad` begins with the words by which it is refused.
"""

import json
import subprocess
import sys
import tomllib
import zipfile
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from otel_incident.errors import HookFileError
from otel_incident.events import Incident
from otel_incident.hooks import spec
from otel_incident.hooks.actors import PLACES
from otel_incident.hooks.http_spec import AFTER, BEFORE
from otel_incident.hooks.paths import PathError, compile_path
from otel_incident.vocabulary import ACTIONS
from tests.collector import ROOT

FILES: Final = Path(__file__).parent / "testdata" / "hooks"
GOOD: Final = sorted((FILES / "good").glob("*.toml"))
BAD: Final = sorted((FILES / "bad").glob("*.toml"))
PRESETS: Final = sorted((ROOT / "src" / "otel_incident" / "hooks" / "presets").glob("*.toml"))
EXAMPLES: Final = sorted((ROOT / "examples").glob("*/hooks.toml"))

BEYOND_A_SCHEMA: Final = {
    "model-twice": "the same, and what models are called",
    "model-class-twice": "the same",
    "target-twice": "the same",
    "hook-names-twice": "that one item's property differs from another's cannot be said in JSON Schema",
    "stage-offset-float": "JSON Schema holds 1.0 for an integer, which TOML does not",
    "client-target-twice": "the same",
    "http-route-and-action-twice": "the same",
    "http-path-of-no-capture": "that a value stands within another cannot be said in JSON Schema",
    "http-when-among-of-no-capture": "the same",
    "http-when-of-no-capture": "the same",
    "http-given-of-no-capture": "the same",
    "http-each-without-list": "the same, without a second definition of each path",
    "when-changed-of-the-row": "that a value goes with some keys alone, without listing them twice",
    "when-changed-of-a-class": "the same",
    "http-once-of-no-capture": "the same as of other paths",
    "row-value-twice": "that a value stands in another list cannot be said in JSON Schema",
    "not-toml": "a schema describes what was read",
}
"""The bad files that the schema cannot refuse, and why."""

SCHEMA: Final = json.loads((resources.files("otel_incident.hooks") / "hooks.schema.json").read_text("utf-8"))


def named(path: Path) -> str:
    """A file's name as a test id."""
    return path.stem


def validator(part: str = "") -> Any:
    """Checks by the schema, or by one of its definitions."""
    schema = {"$ref": f"#/$defs/{part}", "$defs": SCHEMA["$defs"]} if part else SCHEMA
    return Draft202012Validator(schema, format_checker=FormatChecker())


def test_is_a_schema() -> None:
    """The schema itself keeps the rules of its draft."""
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", [*GOOD, *PRESETS, *EXAMPLES], ids=named)
def test_takes_what_the_package_takes(path: Path) -> None:
    """Schema and package both take each good file, each preset and each example."""
    assert spec.load(path).host
    assert [error.message for error in validator().iter_errors(tomllib.loads(path.read_text("utf-8")))] == []


@pytest.mark.parametrize("path", BAD, ids=named)
def test_the_package_refuses_in_these_words(path: Path) -> None:
    """A bad file is refused with the file, the hook, the key and the reason, as its first line says."""
    words = path.read_text("utf-8").splitlines()[0].removeprefix("# refused: ")
    separator = ", " if words.startswith(("hook ", "key ")) else ": "
    with pytest.raises(HookFileError) as refused:
        spec.load(path)
    assert str(refused.value) == f"{path}{separator}{words}"


@pytest.mark.parametrize("path", [path for path in BAD if path.stem not in BEYOND_A_SCHEMA], ids=named)
def test_refuses_what_the_package_refuses(path: Path) -> None:
    """The schema refuses each bad file that a schema can know to be bad."""
    assert not validator().is_valid(tomllib.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("name", sorted(BEYOND_A_SCHEMA))
def test_knows_its_limits(name: str) -> None:
    """What is listed as beyond a schema is a bad file, and either no TOML or valid by the schema."""
    try:
        values = tomllib.loads((FILES / "bad" / f"{name}.toml").read_text("utf-8"))
    except tomllib.TOMLDecodeError:
        assert name == "not-toml"
    else:
        assert validator().is_valid(values)


def test_names_the_vocabulary() -> None:
    """Actions, ids and the incident's keys are those of the vocabulary and of `Incident`, in their order."""
    parts = SCHEMA["$defs"]
    for hook in ("call_hook", "http_hook"):
        assert parts[hook]["properties"]["action"]["enum"] == list(ACTIONS)
    assert parts["ids"]["propertyNames"]["enum"] == list(spec.ID_ATTRIBUTES)
    for hook in ("call_hook", "model_hook", "http_hook"):
        assert list(parts[hook]["properties"]["incident"]["properties"]) == list(spec.INCIDENT_KEYS)
    assert list(spec.INCIDENT_KEYS) == list(Incident.__dataclass_fields__)


def test_describes_every_key() -> None:
    """Every key that an editor can offer has a description."""
    undescribed = []

    def walk(node: object, where: str) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item, where)
        elif isinstance(node, dict):
            for key, value in node.get("properties", {}).items():
                if isinstance(value, dict) and {"const"} != set(value) and not described(value):
                    undescribed.append(f"{where}.{key}")
            for key, value in node.items():
                walk(value, f"{where}.{key}")

    def described(value: dict[str, Any]) -> bool:
        return "description" in value or "description" in SCHEMA["$defs"][value["$ref"].rpartition("/")[2]]

    walk(SCHEMA, "")
    assert undescribed == []


PIECES: Final = (
    *(
        "arg",
        "self",
        "result",
        "user",
        "path",
        "body",
        "reply",
        "each",
        "g",
        "state",
        "selfish",
        "len(",
        "sum(len(",
        ")",
        "))",
        " ",
        "[0]",
        "[-12]",
        "[1234567]",
    ),
    *("['key']", '["key"]', "['it's']", "[*]", ".name", "._name", ".__name", ".", "[", "]", "()", "é", "0"),
)


PATHS: Final[dict[str, tuple[str, ...]]] = {
    **{str(kind): roots for kind, roots in spec.ROOTS.items()},
    **{f"{kind}_actor": (*roots, *PLACES) for kind, roots in spec.ROOTS.items()},
    "before": BEFORE,
    "after": AFTER,
}


@pytest.mark.parametrize("kind", PATHS)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=7))
def test_reads_paths_alike(kind: str, pieces: list[str]) -> None:
    """Schema and package agree on every path that can be put together from right and wrong pieces."""
    text = "".join(pieces)
    try:
        compile_path(text, PATHS[kind])
    except PathError:
        taken = False
    else:
        taken = True
    assert validator(f"{kind}_path").is_valid(text) is taken


def test_is_in_the_wheel(tmp_path: Path) -> None:
    """A wheel built from the source has the schema and the presets."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--quiet",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  the words are ours
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "otel_incident/hooks/hooks.schema.json" in names
    assert [name for name in names if name.startswith("otel_incident/hooks/presets/")] == [
        f"otel_incident/hooks/presets/{path.name}" for path in PRESETS
    ]
