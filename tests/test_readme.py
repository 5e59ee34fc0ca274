"""What the README shows works as it stands there."""

import re
from pathlib import Path

import pytest

from otel_incident import environment_variables
from otel_incident.hooks.spec import parse
from otel_incident.testing import recording

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_blocks_run_one_after_the_other() -> None:
    """Emitting in code, recording, and the gate by hand, in the order of the page."""
    space: dict[str, object] = {}
    with recording() as recorder:
        exec(compile(blocks("python")[0], "README.md", "exec"), space)  # noqa: S102  our own page
    assert recorder.names() == [
        "incident.create",
        "incident.change_commander",
        "incident.change_stage",
        "incident.end",
        "incident.restart",
    ]
    for block in blocks("python")[1:]:
        exec(compile(block, "README.md", "exec"), space)  # noqa: S102  our own page
    space["provider"].shutdown()  # type: ignore[attr-defined]  # made by the last block


@pytest.mark.parametrize("block", blocks("toml"))
def test_each_hook_file_is_one(block: str) -> None:
    """The hook files of the page are accepted as they stand."""
    assert parse(block, "README.md").hooks


def test_every_variable_is_in_the_table_once() -> None:
    """The page documents each `OTEL_INCIDENT_*` variable exactly once in its table."""
    for name in dir(environment_variables):
        if name.startswith("OTEL_INCIDENT_"):
            assert README.count(f"| `{name}` |") == 1, name
