"""The canary tests that the README shows run as they stand there, and would fail if something left."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.desk_hosts import pager
from tests.host_environment import HostEnvironment, host_environment
from tests.processes import Ended
from tests.test_readme import blocks

DJANGO, FASTAPI = blocks("py")
EXPORT, UNDER_DJANGO, UNDER_PYTEST = next(
    block for block in blocks("console") if "manage.py test" in block
).splitlines()

APP: Final = """
import logging
from typing import Annotated
from fastapi import FastAPI, Form

app = FastAPI()

@app.post("/incidents/{team}")
def declare(team: str, title: Annotated[str, Form()], reporter: Annotated[str, Form()]) -> str:
    logging.getLogger("desk").warning("%s declared %s", reporter, title)
    return title
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where both frameworks and their instrumentations are installed, with this package's wheel."""
    return host_environment("instrumented", tmp_path_factory.mktemp("instrumented"))


def under_django(environment: HostEnvironment, directory: Path, block: str) -> Ended:
    """Run Django's tests, by the command of the page, but for the names of its project."""
    (directory / "tests_of_the_page.py").write_text(block)
    assert UNDER_DJANGO == (
        "DJANGO_SETTINGS_MODULE=desk.settings opentelemetry-instrument python manage.py test"
    )
    words = [environment.tool("opentelemetry-instrument"), environment.tool("python"), "-m", "django", "test"]
    with pager() as pages:
        variables = {
            "DJANGO_SETTINGS_MODULE": "django_desk.settings",
            "DESK_DATABASE": str(directory / "desk.sqlite3"),
            "DESK_PAGER": pages,
        }
        return run(environment, [*words, "tests_of_the_page"], variables, directory)


def under_pytest(environment: HostEnvironment, directory: Path, block: str) -> Ended:
    """Run pytest, by the command of the page."""
    (directory / "desk").mkdir()
    (directory / "desk" / "__init__.py").touch()
    (directory / "desk" / "main.py").write_text(APP)
    (directory / "test_of_the_page.py").write_text(block)
    words = [environment.tool(word) for word in UNDER_PYTEST.split()]
    return run(environment, [*words, "-p", "no:cacheprovider"], {}, directory)


def run(environment: HostEnvironment, words: list[str], variables: dict[str, str], directory: Path) -> Ended:
    """Run a command of the page to its end, with the variables that the page exports."""
    exported = dict(pair.split("=") for pair in EXPORT.removeprefix("export ").split())
    path = f"{environment.variables()['PYTHONPATH']}:{directory}"
    return environment.run(words, {**exported, **variables, "PYTHONPATH": path}, directory)


@pytest.mark.parametrize(
    ("run_tests", "block", "passed"),
    [(under_django, DJANGO, "Ran 1 test in"), (under_pytest, FASTAPI, "1 passed")],
    ids=["django", "fastapi"],
)
def test_it_passes_as_it_stands_and_fails_without_the_gate(
    run_tests: Callable[[HostEnvironment, Path, str], Ended],
    block: str,
    passed: str,
    environment: HostEnvironment,
    tmp_path: Path,
) -> None:
    """In strict the test of the page passes; with the gate off it names what leaves."""
    (tmp_path / "strict").mkdir()
    ended = run_tests(environment, tmp_path / "strict", block)
    assert ended.status == 0, f"{ended.stdout}\n{ended.stderr}"
    assert passed in f"{ended.stdout}\n{ended.stderr}"
    (tmp_path / "off").mkdir()
    ended = run_tests(environment, tmp_path / "off", block.replace('mode="strict"', 'mode="off"'))
    assert ended.status == 1
    said = f"{ended.stdout}\n{ended.stderr}"
    assert "2 canaries would have left this process (gate: off):" in said
    assert (
        "'Payments are down' (as it is) in logs: resource_logs.scope_logs.log_records.body.string_value"
        in said
    )
