"""What the README shows works as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest

from otel_incident import environment_variables
from otel_incident.hooks.spec import parse
from otel_incident.testing import recording

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_each_python_block_runs_alone(block: str) -> None:
    """Each can be copied by itself: it finds no name that another one made."""
    space: dict[str, Any] = {}
    with recording():
        exec(compile(block, "README.md", "exec"), space)  # noqa: S102  our own page
    if "provider" in space:
        space["provider"].shutdown()


def test_the_calls_in_code_are_the_five() -> None:
    """The first block reports each kind of event once, in the order of the page."""
    with recording() as recorder:
        exec(compile(blocks("python")[0], "README.md", "exec"), {})  # noqa: S102  our own page
    assert recorder.names() == [
        "incident.create",
        "incident.change_commander",
        "incident.change_stage",
        "incident.end",
        "incident.restart",
    ]


@pytest.mark.parametrize("block", blocks("toml"))
def test_each_hook_file_is_one(block: str) -> None:
    """The hook files of the page are accepted as they stand."""
    assert parse(block, "README.md").hooks


def test_every_variable_is_in_the_table_once() -> None:
    """The page documents each `OTEL_INCIDENT_*` variable exactly once in its table."""
    for name in dir(environment_variables):
        if name.startswith("OTEL_INCIDENT_"):
            assert README.count(f"| `{name}` |") == 1, name
