"""A host that sets up logging in its own way: that costs no event, and our lines obey it."""

from typing import Final

import pytest

from tests.desk_app import NAMES, PRINTED
from tests.otlp_receiver import OtlpReceiver
from tests.zero_code import BY_HAND, App, assert_untouched
from tests.zero_code import app as app  # noqa: PLC0414  a fixture is used by its name

RAISING: Final = """
    import logging
    class Raising(logging.Handler):
        def emit(self, record):
            if record.name != "asyncio":
                raise LookupError(record.name)
    logging.basicConfig(level=logging.DEBUG, handlers=[Raising()], force=True)
"""
"""A handler that raises for each record of anybody's but the host's own loop, which it would end."""

RAISING_FOR_US: Final = """
    import logging
    class Raising(logging.Handler):
        def emit(self, record):
            raise LookupError(record.name)
    logging.getLogger("otel_incident").addHandler(Raising())
    logging.getLogger("otel_incident").setLevel(logging.INFO)
"""
"""The same for our lines alone: the host's own exporters are not to fail."""

EVERYTHING: Final = """
    import logging
    logging.basicConfig(level=logging.DEBUG, format="%(name)s %(levelname)s", force=True)
"""
"""All that anybody logs, on stderr."""

REPLACED: Final = """
    import logging.config
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
"""
"""As many hosts do: whatever logger exists by then is silenced."""

JSON_LINES: Final = """
    import json, logging, sys
    class Lines(logging.Formatter):
        def format(self, record):
            return json.dumps([record.name, record.levelname, record.getMessage()])
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(handlers=[handler], force=True)
"""
VERSION_LINE: Final = (
    '["otel_incident", "WARNING", "The host\'s version is unknown: set OTEL_INCIDENT_SERVER_VERSION, or '
    'service.version in OTEL_RESOURCE_ATTRIBUTES."]\n'
)


def to(receiver: OtlpReceiver, protocol: str = "http/protobuf") -> dict[str, str]:
    """The variables that send there."""
    endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}


def names(receiver: OtlpReceiver) -> list[str]:
    """The names of the events, once they are there."""
    return [event.event_name for event in receiver.wait_for_events(5)]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("by_hand", [False, True], ids=["by the command", "by the host"])
def test_a_handler_that_raises_for_everything(
    protocol: str, by_hand: object, receiver: OtlpReceiver, app: App
) -> None:
    """A root handler that raises at every level costs no event, however we were started."""
    app.hooks.write_text(app.hooks.read_text().replace('distribution = "acme-desk"', ""))
    code = RAISING + BY_HAND if by_hand else RAISING
    variables = {**to(receiver, protocol), "OTEL_INCIDENT_GATE": "strict"}
    day = app.run_in_code(code, variables, instrumented=not by_hand)
    assert (day.status, day.stdout) == (0, PRINTED)
    assert names(receiver) == NAMES


def test_loggers_that_are_disabled(receiver: OtlpReceiver, app: App) -> None:
    """A host that silences all loggers silences our lines, and no event."""
    app.hooks.write_text(app.hooks.read_text().replace('distribution = "acme-desk"', ""))
    assert_untouched(app.run_in_code(REPLACED, to(receiver), instrumented=True))
    assert names(receiver) == NAMES


def test_our_lines_in_the_host_s_format(receiver: OtlpReceiver, app: App) -> None:
    """Our one line comes in the form that the host gives to all, under our own name."""
    app.hooks.write_text(app.hooks.read_text().replace('distribution = "acme-desk"', ""))
    day = app.run_in_code(JSON_LINES, to(receiver), instrumented=True)
    assert (day.status, day.stdout, day.stderr) == (0, PRINTED, VERSION_LINE)
    assert names(receiver) == NAMES


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_host_that_logs_everything(protocol: str, receiver: OtlpReceiver, app: App) -> None:
    """At level DEBUG no line of an exporter about our events appears, and one of ours, about the gate."""
    day = app.run_in_code(EVERYTHING + BY_HAND, to(receiver, protocol))
    assert (day.status, day.stdout) == (0, PRINTED)
    ours = ("otel_incident", "opentelemetry.exporter", "urllib3", "requests", "grpc")
    assert [line for line in day.stderr.splitlines() if line.startswith(ours)] == ["otel_incident INFO"]
    assert "asyncio DEBUG" in day.stderr  # of the host's own loop: everything is on
    assert names(receiver) == NAMES


def test_a_handler_that_raises_for_our_information(receiver: OtlpReceiver, app: App) -> None:
    """Without a logs exporter, which is worth a line at level INFO, the metrics still count each event."""
    variables = {**to(receiver), "OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "otlp"}
    day = app.run_in_code(RAISING_FOR_US, variables, instrumented=True)
    assert (day.status, day.stdout) == (0, PRINTED)
    points = receiver.wait_for_metrics(len(NAMES) + 1)
    assert [point.value for point in points if point.name == "incident.events"] == [1] * len(NAMES)
    assert receiver.telemetry().events == ()
