"""What a user installs: the wheel of this tree, away from the checkout, with what it says it needs."""

import configparser
import email.message
import email.parser
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from otel_incident.cli import catalog, catalog_text
from otel_incident.hooks.shipped import PRESETS
from otel_incident.version import __version__
from otel_incident.vocabulary import EVENTS
from tests.collector import ROOT
from tests.host_environment import builder, built_wheel, cached_environment, pip, run_in
from tests.host_packages import runtime_requirements
from tests.processes import Ended

PACKAGE: Final = ROOT / "src" / "otel_incident"
DIST_INFO: Final = f"otel_incident-{__version__}.dist-info"
ENTRY_POINTS: Final = {
    "console_scripts": {"otel-incident": "otel_incident.cli:main"},
    "opentelemetry_instrumentor": {"incident": "otel_incident.instrumentor:IncidentInstrumentor"},
    "opentelemetry_resource_detector": {"incident": "otel_incident.identity:IncidentResourceDetector"},
    "opentelemetry_pre_instrument": {"incident": "otel_incident.pre_instrument:begin"},
    "opentelemetry_post_instrument": {"incident": "otel_incident.post_instrument:check"},
    "opentelemetry_environment_variables": {"incident": "otel_incident.launching"},
    "opentelemetry_distro": {"incident": "otel_incident.pre_instrument:distro"},
}
DIAGNOSTIC_ID: Final = "5f0c7c1e-2f7a-4a55-9d3e-7c1f5f6b8a90"


@dataclass(frozen=True, slots=True)
class Installed:
    """A virtual environment with the wheel in it, and an empty directory to run in."""

    environment: Path
    directory: Path

    def tool(self, name: str) -> str:
        """One of its programs."""
        return str(self.environment / "bin" / name)

    def run(self, *words: str, **variables: str) -> Ended:
        """Run a program with nothing of the checkout on any path and none of the caller's variables."""
        return run_in(self.directory, list(words), {"PYTHONDONTWRITEBYTECODE": "1", **variables})

    def python(self, code: str) -> str:
        """What a program prints that must end with status 0 and say nothing else."""
        ended = self.run(self.tool("python"), "-c", code)
        assert (ended.status, ended.stderr) == (0, "")
        return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    return built_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def archive(wheel: Path) -> Iterator[zipfile.ZipFile]:
    """The same, opened."""
    with zipfile.ZipFile(wheel) as opened:
        yield opened


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own; what it needs comes from one that all sessions share."""
    base = cached_environment("runtime", runtime_requirements())
    scratch = tmp_path_factory.mktemp("installed")
    environment = scratch / "environment"
    subprocess.run([base.python, "-m", "venv", "--without-pip", environment], check=True)  # noqa: S603  the words are ours
    site_packages = "lib/python{}.{}/site-packages".format(*sys.version_info)
    (environment / site_packages / "needed.pth").write_text(f"{base.directory / site_packages}\n")
    python = str(environment / "bin" / "python")
    pip(base, "--python", python, "install", "--no-deps", "--no-index", str(wheel))
    assert pip(base, "--python", python, "check") == "No broken requirements found.\n"
    (scratch / "elsewhere").mkdir()
    return Installed(environment, scratch / "elsewhere")


def metadata(archive: zipfile.ZipFile) -> email.message.Message:
    """What the wheel says of itself."""
    return email.parser.Parser().parsestr(archive.read(f"{DIST_INFO}/METADATA").decode())


def files_below(directory: Path) -> set[str]:
    """The files of a package as an importer names them."""
    files = (path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(directory.parent).as_posix() for path in files}


def test_the_wheel_holds_the_package_and_nothing_else(archive: zipfile.ZipFile) -> None:
    """Every file of the package, its metadata, and no test, no script and no registry."""
    described = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    names = archive.namelist()
    assert sorted(names) == sorted(files_below(PACKAGE) | {f"{DIST_INFO}/{name}" for name in described})


@pytest.mark.parametrize(
    "name",
    [
        "py.typed",
        "vocabulary.py",
        "hooks/hooks.schema.json",
        "hooks/presets/django-helpdesk.toml",
    ],
)
def test_what_is_no_module_is_there_too(archive: zipfile.ZipFile, name: str) -> None:
    """The marker for type checkers, the generated vocabulary, the schema and the presets are in the wheel."""
    assert archive.read(f"otel_incident/{name}") == (PACKAGE / name).read_bytes()


def test_the_wheel_is_for_any_platform(wheel: Path) -> None:
    """It is pure Python: one file for every system."""
    assert wheel.name == f"otel_incident-{__version__}-py3-none-any.whl"


def test_the_metadata(archive: zipfile.ZipFile) -> None:
    """Name, version, license, Python and the five requirements, with the one extra, exactly."""
    said = metadata(archive)
    assert said["Name"] == "otel-incident"
    assert said["Version"] == __version__
    assert said["License-Expression"] == "Apache-2.0"
    assert said.get_all("License-File") == ["LICENSE"]
    assert said["Requires-Python"] == ">=3.11"
    assert said.get_all("Provides-Extra") == ["auto"]
    assert sorted(said.get_all("Requires-Dist", [])) == [
        "opentelemetry-api>=1.40",
        "opentelemetry-distro>=0.61b0; extra == 'auto'",
        "opentelemetry-exporter-otlp>=1.40",
        "opentelemetry-instrumentation>=0.61b0",
        "opentelemetry-sdk>=1.40",
        "wrapt<3,>=1.14",
    ]
    assert said["Description-Content-Type"] == "text/markdown"
    assert str(said.get_payload()).strip() == (ROOT / "README.md").read_text().strip()
    assert archive.read(f"{DIST_INFO}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_the_entry_points(archive: zipfile.ZipFile) -> None:
    """The command, the instrumentor, the resource detector and the variables, exactly."""
    said = configparser.ConfigParser(delimiters="=")
    said.read_string(archive.read(f"{DIST_INFO}/entry_points.txt").decode())
    assert {group: dict(said[group]) for group in said.sections()} == ENTRY_POINTS


def test_every_entry_point_is_found_and_loads(installed: Installed) -> None:
    """Where the wheel is installed, each entry point is offered under its name and can be loaded."""
    printed = installed.python(
        "import json\n"
        "from importlib.metadata import distribution\n"
        "found = distribution('otel-incident').entry_points\n"
        "print(json.dumps(sorted([each.group, each.name, each.value] for each in found if each.load())))\n"
    )
    expected = [
        [group, name, value] for group, named in ENTRY_POINTS.items() for name, value in named.items()
    ]
    assert json.loads(printed) == sorted(expected)


def test_nothing_of_the_checkout_is_on_the_path(installed: Installed) -> None:
    """What is imported is the installed package, and no directory of the checkout is looked at."""
    printed = installed.python(
        "import json, sys, otel_incident\nprint(json.dumps([otel_incident.__file__, *sys.path]))"
    )
    imported, *path = [Path(each) for each in json.loads(printed)]
    assert imported.is_relative_to(installed.environment)
    assert not [each for each in path if each.is_relative_to(ROOT)]


def test_every_module_needs_only_the_five_requirements(installed: Installed) -> None:
    """Each module can be imported where nothing but the runtime dependencies is installed."""
    printed = installed.python(
        "import importlib, json, pkgutil, otel_incident\n"
        "found = pkgutil.walk_packages(otel_incident.__path__, 'otel_incident.')\n"
        "print(json.dumps([importlib.import_module(each.name).__name__ for each in found]))\n"
    )
    modules = {
        name.removesuffix(".py").replace("/", ".") for name in files_below(PACKAGE) if ".py" in name[-3:]
    }
    expected = {name.removesuffix(".__init__") for name in modules} - {"otel_incident"}
    assert set(json.loads(printed)) == expected


def test_the_presets_load(installed: Installed) -> None:
    """Each preset is read from the installed package, and waits there for its host's distribution."""
    printed = installed.python(
        "from otel_incident.hooks.shipped import PRESETS\n"
        "for each in PRESETS:\n"
        "    print(each.read().source, each.module, each.distribution)\n"
    )
    expected = [f"{each.name} {each.module} {each.distribution}" for each in PRESETS]
    assert "django-helpdesk helpdesk django-helpdesk" in expected
    assert printed.splitlines() == expected


def test_the_catalog(installed: Installed) -> None:
    """`otel-incident catalog` prints what this tree would, as text and as JSON."""
    text, data = (
        installed.run(installed.tool("otel-incident"), "catalog", *form) for form in ([], ["--json"])
    )
    assert (text.status, text.stderr, text.stdout) == (0, "", f"{catalog_text()}\n")
    assert (data.status, data.stderr, json.loads(data.stdout)) == (0, "", catalog())


def test_the_preview(installed: Installed) -> None:
    """`otel-incident preview` prints one event of each kind, from the installation's identity."""
    ended = installed.run(
        installed.tool("otel-incident"),
        "preview",
        OTEL_INCIDENT_STATE_DIR=str(installed.directory / "state"),
        OTEL_INCIDENT_DIAGNOSTIC_ID=DIAGNOSTIC_ID,
        OTEL_INCIDENT_SERVER_VERSION="7.8.1",
    )
    assert (ended.status, ended.stderr) == (0, "")
    (resource_logs,) = json.loads(ended.stdout)["resourceLogs"]
    (scope_logs,) = resource_logs["scopeLogs"]
    assert [record["eventName"] for record in scope_logs["logRecords"]] == list(EVENTS)
    said = {each["key"]: each["value"] for each in resource_logs["resource"]["attributes"]}
    assert said["incident.diagnostic.id"] == {"stringValue": DIAGNOSTIC_ID}
    assert said["incident.plugin.version"] == {"stringValue": __version__}
    assert said["incident.server.version"] == {"stringValue": "7.8.1"}


def test_the_version(installed: Installed) -> None:
    """`otel-incident --version` prints the version."""
    ended = installed.run(installed.tool("otel-incident"), "--version")
    assert (ended.status, ended.stdout) == (0, f"otel-incident {__version__}\n")


def test_a_type_checker_finds_the_types(installed: Installed, tmp_path: Path) -> None:
    """Of a user's program mypy knows the calls' types: it accepts a right one and refuses content."""
    program = tmp_path / "program.py"
    program.write_text(
        "from otel_incident import Incident, IncidentEmitter\n"
        "IncidentEmitter().create(Incident(id=1))\n"
        "IncidentEmitter().create(Incident(id=1), title='Checkout is down')\n"
        "reveal_type(Incident(id=1).checklist_count)\n"
    )
    # this session's mypy, looking only at what is installed beside the wheel
    ended = run_in(
        tmp_path,
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file", ""),
            *("--python-executable", installed.tool("python"), "--cache-dir", str(tmp_path / "cache")),
            program.name,
        ],
        {},
        timeout=300.0,
    )
    said = [line for line in ended.stdout.splitlines() if " defined in " not in line]
    refused = 'Unexpected keyword argument "title" for "create" of "IncidentEmitter"'
    assert said == [
        f"program.py:3: error: {refused}  [call-arg]",
        'program.py:4: note: Revealed type is "int | None"',
        "Found 1 error in 1 file (checked 1 source file)",
    ]


def built_sdist(source: Path, directory: Path) -> Path:
    """The source distribution of a tree."""
    command = [str(builder().python), "-m", "hatchling", "build", "-t", "sdist", "-d", str(directory)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)  # noqa: S603  the words are ours
    (made,) = directory.iterdir()
    return made


def test_the_source_distribution_makes_the_same_wheel(archive: zipfile.ZipFile, tmp_path: Path) -> None:
    """Built from it, the wheel has the same files with the same bytes."""
    sdist = built_sdist(ROOT, tmp_path / "sdist")
    assert sdist.name == f"otel_incident-{__version__}.tar.gz"
    with zipfile.ZipFile(built_wheel(tmp_path, sdist)) as built:
        assert {name: built.read(name) for name in built.namelist()} == {
            name: archive.read(name) for name in archive.namelist()
        }


def test_the_source_distribution_holds_no_leftovers(tmp_path: Path) -> None:
    """What tools leave in a tree, hidden or compiled, does not leave with it."""
    tree = tmp_path / "tree"
    shutil.copytree(PACKAGE, tree / "src" / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tree / name)
    wanted = {path.relative_to(tree) for path in tree.rglob("*") if path.is_file()}
    for name in (".tool_cache/graph.json", ".env", ".venv/pyvenv.cfg", "src/otel_incident/__pycache__/x.pyc"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("left behind")
    with tarfile.open(built_sdist(tree, tmp_path / "sdist")) as opened:
        names = {Path(*Path(member.name).parts[1:]) for member in opened if member.isfile()}
    assert names == wanted | {Path("PKG-INFO")}
