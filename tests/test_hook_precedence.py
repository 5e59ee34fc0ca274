"""Hook files that speak of the same thing: it is watched once, and whoever is not heard is told."""

import logging
from pathlib import Path
from typing import Final

import pytest

from otel_incident.hooks.activation import read_files
from otel_incident.hooks.spec import HookFile

CALL: Final = """
[host]
name = "desk"

[[hook]]
name = "declare"
kind = "call"
target = "desk.services:declare"
action = "create"
incident.id = "result.id"
"""
MODEL: Final = """
[host]
name = "helpdesk"

[[hook]]
name = "a ticket"
kind = "model"
model = "helpdesk.ticket"
incident.id = "self.pk"
"""
ENOUGH: Final = "one of them is enough. The file is not in force; the host runs without it."
PRESET: Final = "django-helpdesk"


def written(directory: Path, **texts: str) -> list[Path]:
    """Files with these texts."""
    for name, text in texts.items():
        (directory / f"{name}.toml").write_text(text)
    return [directory / f"{name}.toml" for name in texts]


def hooks(files: list[HookFile]) -> list[tuple[str, list[str]]]:
    """The hooks in force, by file."""
    return [(Path(file.source).name, [hook.name for hook in file.hooks]) for file in files]


def test_a_file_that_is_named_twice_counts_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By the same path, by another way to it and by a link; nobody needs to be told."""
    (path,) = written(tmp_path, one=CALL)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    files = read_files([path, path, tmp_path / "nowhere" / ".." / "one.toml", link])
    assert hooks(files) == [("one.toml", ["declare"]), (PRESET, ["ticket"])]
    assert caplog.records == []


@pytest.mark.parametrize(
    ("text", "name", "key"),
    [(CALL, "declare", "target"), (MODEL, "a ticket", "model")],
    ids=["call", "model"],
)
def test_of_two_files_for_one_thing_the_second_is_refused(
    tmp_path: Path, text: str, name: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line that names both; the first is in force, and so is the third, which is about something else."""
    other = CALL.replace("services:declare", "services:close")
    one, two, three = written(
        tmp_path, one=text, two=text.replace("helpdesk.ticket", "helpdesk.Ticket"), three=other
    )
    files = read_files([one, two, three])
    assert [file.source for file in files[:2]] == [str(one), str(three)]
    assert caplog.record_tuples == [
        (
            "otel_incident",
            logging.ERROR,
            f"{two}, hook '{name}', key '{key}': is what hook '{name}' of {one} is about; {ENOUGH}",
        )
    ]


def test_one_function_can_mean_two_things(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Hooks on one target for different actions are no doubles, in two files or in one."""
    close = CALL.replace('action = "create"', 'action = "end"')
    both = CALL + close.partition('name = "desk"\n')[2].replace('"declare"\n', '"close"\n', 1)
    assert hooks(read_files(written(tmp_path, one=CALL, two=close)))[:2] == [
        ("one.toml", ["declare"]),
        ("two.toml", ["declare"]),
    ]
    assert hooks(read_files(written(tmp_path, three=both)))[0] == ("three.toml", ["declare", "close"])
    assert caplog.records == []


def test_an_operators_file_comes_before_a_preset(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """For the model that both are about the preset is silent; what else it says of the host stays."""
    files = read_files(written(tmp_path, one=MODEL))
    assert hooks(files) == [("one.toml", ["a ticket"]), (PRESET, [])]
    assert files[1].content == ("title", "description", "resolution", "submitter_email")
    assert caplog.records == []


def test_a_path_that_no_file_can_have_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """It is said as of any file that cannot be read."""
    assert hooks(read_files([Path("a\0b")])) == [(PRESET, ["ticket"])]
    (line,) = caplog.messages
    assert line.endswith("cannot be read (ValueError). The file is not in force; the host runs without it.")
