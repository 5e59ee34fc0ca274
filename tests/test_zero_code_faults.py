"""Whatever goes wrong when we start, the host runs, and the instrumentors after us are loaded."""

from pathlib import Path
from typing import Final

import pytest

from tests.desk_app import NAMES, PRINTED
from tests.otlp_receiver import OtlpReceiver
from tests.zero_code import App, Day, Neighbour, distribution
from tests.zero_code import app as app  # noqa: PLC0414  a fixture is used by its name

NO_GATE: Final = (
    "The gate (standard) could not be put in place: the host's own spans, logs and metrics leave as they "
    "are. Incident events are checked all the same."
)
NOT_IN_FORCE: Final = "The file is not in force; the host runs without it."

SECOND_RAISES: Final = """
    import json, threading
    from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter

    class Exporter(ConsoleLogRecordExporter):
        def __init__(self):
            if threading.current_thread() is not threading.main_thread():  # in which we make it
                raise LookupError("secret of the vendor's")
            super().__init__()
"""

SABOTAGES: Final = {
    "reading the configuration": """
        from otel_incident import config
        def fail(*arguments, **options):
            raise ZeroDivisionError("secret")
        config.Config.from_env = fail
    """,
    "hooks": """
        from otel_incident.hooks import activation
        def fail(*arguments, **options):
            raise ZeroDivisionError("secret")
        activation.Activation.install = fail
    """,
    "another SDK": """
        import sys
        sys.modules["opentelemetry.sdk.resources"] = None
    """,
}
"""Defects of ours and incompatible packages, put in before any instrumentor is loaded."""


class Started:
    """The application with neighbours, and where its events go."""

    def __init__(self, app: App, receiver: OtlpReceiver, directory: Path) -> None:
        """Install the neighbour.

        Args:
            app: The application.
            receiver: Where events go.
            directory: For what is installed beside it.
        """
        self.app = app
        self.receiver = receiver
        self._directory = directory
        self._neighbour = Neighbour(directory / "neighbour")
        self._before: list[Path] = []

    def add(self, name: str, entry_point: str, code: str) -> None:
        """Install a further distribution with one module, which comes before ours."""
        self._before.append(
            distribution(self._directory / name, name.replace("_", "-"), entry_point, {name: code})
        )

    def run_first(self, code: str) -> None:
        """Have code run before any instrumentor is loaded, and after the SDK is set up."""
        body = "\n".join(f"    {line}" for line in code.strip("\n").splitlines())
        self.add(
            "acme_first",
            "[opentelemetry_pre_instrument]\nfirst = acme_first:run\n",
            f"def run():\n    if True:\n{body}\n",
        )

    def run(self, **variables: str) -> Day:
        """A day of it: the application does its work, and the neighbour is loaded after us."""
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.receiver.grpc_endpoint}
        day = self.app.run(
            {**self._neighbour.variables, **endpoint, **variables},
            before=self._before,
            behind=[self._neighbour.installed],
        )
        assert (day.status, day.stdout) == (0, PRINTED)
        assert self._neighbour.loaded() == "after us"
        return day

    def names(self, count: int) -> list[str]:
        """The names of the events that arrived, `count` of them at least."""
        return [event.event_name for event in self.receiver.wait_for_events(count)]


@pytest.fixture
def started(app: App, receiver: OtlpReceiver, tmp_path: Path) -> Started:
    """An application with a neighbour."""
    return Started(app, receiver, tmp_path)


def test_without_a_fault(started: Started) -> None:
    """With nothing wrong nobody says a word, all events come, and the neighbour is loaded after us."""
    assert started.run().stderr == ""
    assert started.names(5) == NAMES


def test_a_state_directory_that_cannot_be_used(started: Started, tmp_path: Path) -> None:
    """Where identity cannot be kept one line says so, and the events come with an id of this process."""
    (tmp_path / "file").write_text("a file")
    state = tmp_path / "file" / "state"
    day = started.run(OTEL_INCIDENT_STATE_DIR=str(state), OTEL_INCIDENT_DIAGNOSTIC_ID="")
    line, kept = day.stderr.splitlines()
    assert kept.startswith("Log records cannot be kept on disk (Not a directory): until that works again ")
    assert f" The spool is {state / 'spool'}/" in kept
    assert line.startswith(f"The state directory {state} cannot be used (Not a directory): ")
    assert line.endswith(" Until then its diagnostic id is another one at each start.")
    assert started.names(5) == NAMES
    events = started.receiver.wait_for_events(5)
    assert len({event.resource["incident.diagnostic.id"] for event in events}) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, ": cannot be read (No such file or directory)"),
        (b"", ", key 'host': is missing; it names the host"),
        (b"[host\n", ": is not TOML: Expected ']' at the end of a table declaration (at line 1, column 6)"),
        (b"\xff\xfe", ": is not UTF-8"),
    ],
    ids=["missing", "empty", "no TOML", "no UTF-8"],
)
def test_a_hook_file_that_cannot_be_used(content: bytes | None, reason: str, started: Started) -> None:
    """A hook file with a mistake is one line; the file beside it is in force."""
    bad = started.app.directory / "bad.toml"
    if content is not None:
        bad.write_bytes(content)
    day = started.run(OTEL_INCIDENT_HOOKS=f"{bad}:{started.app.hooks}")
    assert day.stderr == f"{bad}{reason}. {NOT_IN_FORCE}\n"
    assert started.names(5) == NAMES


def test_a_hook_file_that_is_a_directory(started: Started) -> None:
    """A directory in the place of a hook file is the same, and without another file nothing is reported."""
    directory = started.app.directory
    day = started.run(OTEL_INCIDENT_HOOKS=str(directory))
    assert day.stderr == f"{directory}: cannot be read (Is a directory). {NOT_IN_FORCE}\n"
    assert started.receiver.requests == ()


def test_an_exporter_that_raises_when_we_make_it(started: Started) -> None:
    """An exporter that cannot be made is one line without its message; the other one delivers."""
    entry_point = "[opentelemetry_logs_exporter]\nacme = acme_exporter:Exporter\n"
    started.add("acme_exporter", entry_point, SECOND_RAISES)
    day = started.run(OTEL_LOGS_EXPORTER="acme,otlp")
    assert day.stderr == (
        "Log records wait in the spool: the exporter acme cannot deliver them (it cannot be made of its "
        "settings: LookupError; `otel-incident doctor` says which). This is said once for an outage.\n"
    )
    assert started.names(5) == NAMES


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_a_defect_of_ours(sabotage: str, started: Started) -> None:
    """An error in our own start is swallowed with one line that has its class and place, not its message."""
    started.run_first(SABOTAGES[sabotage])
    day = started.run()
    *gate, line = day.stderr.splitlines()
    assert gate[:1] == ([NO_GATE] if sabotage == "another SDK" else [])
    kind = "ModuleNotFoundError" if sabotage == "another SDK" else "ZeroDivisionError"
    assert line.startswith(f"An internal error ({kind} at ")
    assert ") was swallowed in instrument; the host is not affected" in line
    assert "secret" not in line
    assert started.receiver.requests == ()


RAISING: Final = """
    import logging
    class Raising(logging.Handler):
        def emit(self, record):
            raise LookupError(record.name)
    logging.getLogger("otel_incident").addHandler(Raising())
"""


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_INCIDENT_GATE": "strict"},
        {"OTEL_INCIDENT_ID_MODE": "hash"},
        {"OTEL_INCIDENT_SERVER_VERSION": "not a version"},
        {"OTEL_INCIDENT_HOOKS": "missing.toml:hooks.toml"},
    ],
    ids=lambda variables: next(iter(variables), "nothing to say"),
)
def test_a_log_handler_that_raises(variables: dict[str, str], started: Started) -> None:
    """Whatever we have to say when we start, a log handler that raises costs the line and no event."""
    started.run_first(RAISING)
    started.run(**variables)
    assert started.names(5) == NAMES
