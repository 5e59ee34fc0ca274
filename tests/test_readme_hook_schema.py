"""How an editor comes to the hook file's schema, as the README says it."""

import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Final

from otel_incident.hooks.spec import parse
from tests.collector import ROOT
from tests.processes import environment

SECTION: Final = (
    (ROOT / "README.md").read_text(encoding="utf-8").split("## The hook file\n")[1].split("\n## ")[0]
)


def test_the_command_copies_the_schema(tmp_path: Path) -> None:
    """In the environment that has the package, it puts the schema beside the hook file."""
    (command,) = re.findall(r"```console\n(.*?)```", SECTION, re.DOTALL)
    variables = environment()
    variables["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), variables["PATH"]])

    # S603, S607: the words are our own page's, for a shell.
    subprocess.run(["sh", "-ec", command], cwd=tmp_path, env=variables, timeout=60, check=True)  # noqa: S603, S607

    (copied,) = tmp_path.iterdir()
    packaged = resources.files("otel_incident.hooks") / "hooks.schema.json"
    assert copied.name == "hooks.schema.json"
    assert copied.read_bytes() == packaged.read_bytes()


def test_the_line_that_names_the_schema_is_only_a_comment() -> None:
    """To the package, a hook file with the line says what it says without."""
    (line,) = re.findall(r"`(#:schema \S+)`", SECTION)
    example = (ROOT / "examples" / "desk" / "hooks.toml").read_text(encoding="utf-8")

    assert line == "#:schema ./hooks.schema.json"
    assert parse(f"{line}\n{example}", "hooks.toml").hooks == parse(example, "hooks.toml").hooks
