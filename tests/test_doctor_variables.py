"""`otel-incident doctor` names each variable of the SDK that keeps events from leaving, and what to write."""

from pathlib import Path
from typing import Final

import pytest

from tests.doctor import about, diagnosis, host
from tests.emitting_host import endpoint_of
from tests.otlp_receiver import OtlpReceiver
from tests.zero_code import App
from tests.zero_code import app as app  # noqa: PLC0414  a fixture is used by its name

STOPS: Final = "opentelemetry-instrument stops at it and loads no instrumentation, this one neither"
JSON: Final = ", or name the exporter itself: OTEL_LOGS_EXPORTER=otlp_json_http, for each signal"
# The variable, its value, how that is, and what to do.
STOPPING: Final = [
    *(
        (
            f"OTEL_{signal}_EXPORTER",
            "otlp,acme",
            f"OTEL_{signal}_EXPORTER names 'acme', an exporter that no installed package has",
            f"install its package, or write otlp or none in OTEL_{signal}_EXPORTER",
        )
        for signal in ("TRACES", "METRICS", "LOGS")
    ),
    *(
        (
            f"OTEL_{signal}_EXPORTER",
            "none,console",
            f"OTEL_{signal}_EXPORTER='none,console' has none beside others",
            "write none alone, or take it out",
        )
        for signal in ("TRACES", "METRICS", "LOGS")
    ),
    (
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "http/json",
        "OTEL_EXPORTER_OTLP_PROTOCOL='http/json' is no protocol of the SDK's",
        f"write grpc or http/protobuf in OTEL_EXPORTER_OTLP_PROTOCOL{JSON}",
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        "acme",
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL='acme' is no protocol of the SDK's",
        "write grpc or http/protobuf in OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    ),
]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A host of whose environment nothing else is wrong."""
    host(monkeypatch)
    return monkeypatch


@pytest.mark.parametrize(("name", "value", "text", "to_do"), STOPPING)
def test_what_stops_the_command(
    name: str,
    value: str,
    text: str,
    to_do: str,
    settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The line names the variable, its value and what to write, once, of whichever signal it is."""
    settings.setenv(name, value)
    status, lines = diagnosis(capsys, "--offline")
    assert [each for each in about("settings", lines) if each.startswith("failure")] == [
        f"failure: {text}: {STOPS}; {to_do}"
    ]
    assert status == 1


@pytest.mark.parametrize(("name", "value", "text", "to_do"), [STOPPING[0], STOPPING[4], STOPPING[6]])
def test_the_command_does_stop(
    name: str, value: str, text: str, to_do: str, app: App, receiver: OtlpReceiver
) -> None:
    """Under the real command nothing of ours runs with these, and its log says what the README says."""
    del text, to_do
    endpoint = endpoint_of("http", receiver.grpc_endpoint, receiver.http_endpoint)
    day = app.run({**endpoint, name: value})
    assert "Failed to auto initialize OpenTelemetry" in day.stderr
    assert receiver.requests == ()


def test_each_variable_is_said_once(settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What stops the command is not said a second time as a value or a switch that is read otherwise."""
    settings.setenv("OTEL_LOGS_EXPORTER", "none,console")
    status, lines = diagnosis(capsys, "--offline")
    assert [each.split()[0] for each in lines if "OTEL_LOGS_EXPORTER" in each] == ["failure"]
    assert (status, about("on", lines), len(about("settings", lines))) == (1, [], 1)


@pytest.mark.parametrize("value", ["0", "nan"])
@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_a_time_limit_without_time(
    value: str,
    transport: str,
    receiver: OtlpReceiver,
    settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An endpoint that would answer is not blamed for it, nor asked."""
    for name, said in endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint).items():
        settings.setenv(name, said)
    settings.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", value)
    status, lines = diagnosis(capsys)
    assert about("endpoint", lines) == [
        "failure: not asked: OTEL_EXPORTER_OTLP_TIMEOUT leaves no time for an answer; correct it"
    ]
    assert (status, receiver.requests) == (1, ())


def test_what_is_as_it_should_be(settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exporters that are there, `none` alone and the SDK's protocols are not spoken of."""
    settings.setenv("OTEL_TRACES_EXPORTER", "console, otlp")
    settings.setenv("OTEL_METRICS_EXPORTER", "none")
    settings.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    settings.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "deflate")
    settings.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", __file__)
    status, lines = diagnosis(capsys, "--offline")
    assert (status, about("settings", lines)) == (0, [])


@pytest.mark.parametrize("signal", ["", "LOGS_"])
@pytest.mark.parametrize(
    ("transport", "suffix", "value", "line"),
    [
        (
            "http",
            "HEADERS",
            "a=1, s3cr3t,=jane",
            (
                "warning: {} has what is no header (part 2, 3 of 3), which is not sent; write name=value, "
                "separated by commas, in values %20 for a blank and %2C for a comma"
            ),
        ),
        *(
            (
                transport,
                "TIMEOUT",
                value,
                f"{level}: {{}}={value!r} is no number of seconds above 0; write 10, or unset it",
            )
            for transport, value, level in (
                ("http", "soon", "warning"),
                ("grpc", "soon", "failure"),
                ("http", "0", "failure"),
                ("grpc", "nan", "failure"),
            )
        ),
        (
            "grpc",
            "COMPRESSION",
            "A" * 101,
            f"failure: {{}}='{'A' * 100}...' is no compression of this exporter's; write gzip, or unset it",
        ),
        (
            "http",
            "COMPRESSION",
            "zip",
            (
                "warning: {}='zip' is no compression of this exporter's; write gzip or deflate or none, or "
                "unset it"
            ),
        ),
        (
            "grpc",
            "COMPRESSION",
            "deflate",
            "failure: {}='deflate' is no compression of this exporter's; write gzip, or unset it",
        ),
        *(
            (
                transport,
                suffix,
                "/nowhere/jane.pem",
                "warning: {} names a file that cannot be read (FileNotFoundError); correct it, or unset it",
            )
            for transport in ("http", "grpc")
            for suffix in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
        ),
    ],
)
def test_what_the_exporter_cannot_use(
    signal: str,
    transport: str,
    suffix: str,
    value: str,
    line: str,
    settings: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The variable that holds is named, the one for logs before the one for all; no secret is shown."""
    for name, said in endpoint_of(transport, "http://127.0.0.1:9", "http://127.0.0.1:9").items():
        settings.setenv(name, said)
    variable = f"OTEL_EXPORTER_OTLP_{signal}{suffix}"
    settings.setenv(variable, value)
    _, lines = diagnosis(capsys, "--offline")
    assert about("settings", lines) == [line.format(variable)]


def test_a_configuration_file_takes_their_place(
    tmp_path: Path, settings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a file the SDK reads none of these variables, and none is spoken of."""
    file = tmp_path / "otel.yaml"
    file.write_text(
        'file_format: "1.0"\nlogger_provider: {processors: [{batch: {exporter: {console: {}}}}]}\n'
    )
    settings.setenv("OTEL_CONFIG_FILE", str(file))
    settings.setenv("OTEL_TRACES_EXPORTER", "acme")
    settings.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")
    status, lines = diagnosis(capsys, "--offline")
    assert (status, about("settings", lines)) == (0, [])
