"""Hook files that speak of the same thing: it is watched once, and whoever is not heard is told."""

import logging
from pathlib import Path
from typing import Final

import pytest

from otel_incident.hooks.activation import read_files
from otel_incident.hooks.definitions import HookFile
from otel_incident.hooks.precedence import without_doubles
from otel_incident.hooks.shipped import PRESETS
from otel_incident.hooks.spec import parse

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
    assert hooks(files) == [("one.toml", ["declare"])]
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
    assert [file.source for file in files] == [str(one), str(three)]
    assert caplog.record_tuples == [
        (
            "otel_incident",
            logging.WARNING,
            f"{two}, hook '{name}', key '{key}': is what hook '{name}' of {one} is about; {ENOUGH}",
        )
    ]


@pytest.mark.parametrize(
    ("content", "gated", "holds"),
    [
        (True, True, " What it names as content holds all the same."),
        (True, False, ""),
        (False, True, ""),
    ],
)
def test_of_a_double_that_names_content_it_is_said_that_it_holds(
    holds: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, content: bool, gated: bool
) -> None:
    """The gate takes it out though the file is refused; without a gate, or content, nobody says so."""
    named = CALL.replace('name = "desk"\n', 'name = "desk"\ncontent = ["headline"]\n')
    one, two = written(tmp_path, one=CALL, two=named if content else CALL)
    read_files([one, two], gated=gated)
    assert caplog.messages == [
        f"{two}, hook 'declare', key 'target': is what hook 'declare' of {one} is about; {ENOUGH}{holds}"
    ]


def test_one_function_can_mean_two_things(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Hooks on one target for different actions are no doubles, in two files or in one."""
    close = CALL.replace('action = "create"', 'action = "end"')
    both = CALL + close.partition('name = "desk"\n')[2].replace('"declare"\n', '"close"\n', 1)
    assert hooks(read_files(written(tmp_path, one=CALL, two=close))) == [
        ("one.toml", ["declare"]),
        ("two.toml", ["declare"]),
    ]
    assert hooks(read_files(written(tmp_path, three=both)))[0] == ("three.toml", ["declare", "close"])
    assert caplog.records == []


HTTP: Final = """
[host]
name = "desk"
{module}

[[client]]
target = "{choke}"
method = "arg.method"
url = "arg.url"

[[hook]]
name = "resolve"
kind = "http"
route = ["PUT /incidents/{{{capture}}}", "PUT /incidents/{{{capture}}}/{rest}"]
action = "end"
incident.id = "path.{capture}"
"""


def test_an_operators_file_comes_before_a_preset(tmp_path: Path) -> None:
    """For the model that both are about the preset is silent; what else it says of the host stays."""
    (preset,) = [preset for preset in PRESETS if preset.name == "django-helpdesk"]
    whole = preset.read()
    file = without_doubles(whole, read_files(written(tmp_path, one=MODEL)))
    assert hooks([file]) == [("django-helpdesk", [])]
    assert file.content == whole.content
    assert file.content[:4] == ("title", "description", "resolution", "submitter_email")


def test_an_operators_route_comes_before_a_presets(tmp_path: Path) -> None:
    """Of the same library, whatever its captures are called and by whichever choke point; others stay."""
    text = HTTP.format(
        module='module = "desk_client"', choke="desk_client:send", capture="id", rest="resolve"
    )
    preset = parse(text, "desk-client", preset=True)
    own = HTTP.format(module="", choke="desk_client.http:Client.send", capture="number", rest="close")
    other = HTTP.format(module="", choke="other_client:send", capture="id", rest="resolve")
    for name, own_text, left in (
        ("own", own, ["desk_client PUT /incidents/{}/resolve"]),
        ("other", other, [hook.target for hook in preset.hooks]),
    ):
        files = read_files(written(tmp_path, **{name: own_text}))
        assert len(files) == 1
        assert [hook.target for hook in without_doubles(preset, files).hooks] == left


def test_of_two_files_for_one_route_the_second_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """For the same action and under the same conditions; one line names both."""
    text = HTTP.format(module="", choke="desk_client:send", capture="id", rest="resolve")
    again = text.replace('"resolve"', '"again"').replace("{id}", "{number}").replace("path.id", "path.number")
    differs = text + 'given = ["path.id"]\n'
    one, two, three = written(tmp_path, one=text, two=again, three=differs)
    assert [file.source for file in read_files([one, two, three])] == [str(one), str(three)]
    assert caplog.messages == [
        f"{two}, hook 'again', key 'route': is what hook 'resolve' of {one} is about; {ENOUGH}"
    ]


def test_a_path_that_no_file_can_have_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """It is said as of any file that cannot be read."""
    assert read_files([Path("a\0b")]) == []
    (line,) = caplog.messages
    assert line.endswith("cannot be read (ValueError). The file is not in force; the host runs without it.")
