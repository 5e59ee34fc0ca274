"""Where events go by the SDK's own variables: the exporters, their protocol, the batch."""

import itertools
from typing import Final

import pytest
from opentelemetry.sdk._configuration import _get_exporter_entry_point, _get_exporter_names

from otel_incident.config import Config
from otel_incident.config_exporters import Batch

PROTOCOLS: Final = (None, "", "grpc", "http/protobuf", " grpc ")
GENERAL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
OWN: Final = "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"


def read(**variables: str) -> Config:
    """The configuration of an environment in which only this is set."""
    return Config.from_env(variables)


@pytest.mark.parametrize(
    ("value", "exporters"),
    [
        ("", ("otlp_proto_grpc",)),
        (" ", ("otlp_proto_grpc",)),
        ("otlp", ("otlp_proto_grpc",)),
        ("console", ("console",)),
        ("none", ()),
        ("NONE", ()),
        ("otlp,console", ("otlp_proto_grpc", "console")),
        (" console , otlp ,", ("console", "otlp_proto_grpc")),
        ("otlp_proto_http", ("otlp_proto_http",)),
        ("otlp_json_http", ("otlp_json_http",)),
        ("my_vendor", ("my_vendor",)),
        ("otlp,otlp", ("otlp_proto_grpc",)),
        ("otlp,otlp_proto_grpc", ("otlp_proto_grpc",)),
    ],
)
def test_logs_exporter(value: str, exporters: tuple[str, ...]) -> None:
    """Names of entry points, each once; unset means OTLP, as with the distribution."""
    config = read(OTEL_LOGS_EXPORTER=value)
    assert config.exporters == exporters
    assert config.problems == ()
    assert config.off == ""


@pytest.mark.parametrize("value", ["none,console", "otlp,none", "None, otlp"])
def test_none_among_others(value: str) -> None:
    """`none` with others is a contradiction: the quiet half holds, with one line."""
    config = read(OTEL_LOGS_EXPORTER=value)
    assert config.exporters == ()
    (line,) = config.problems
    assert line == (
        f"OTEL_LOGS_EXPORTER={value!r} cannot be used: expected `none` alone or a list of exporters; "
        "none holds."
    )


@pytest.mark.parametrize(("own", "general"), list(itertools.product(PROTOCOLS, PROTOCOLS)))
@pytest.mark.parametrize("name", ["otlp", "otlp_proto_grpc", "otlp_proto_http", "console"])
def test_the_protocol_is_the_sdk_s(
    name: str, own: str | None, general: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every combination the SDK's own, private resolution names the same entry point."""
    variables = {"OTEL_LOGS_EXPORTER": name}
    if own is not None:
        variables[OWN] = own
    if general is not None:
        variables[GENERAL] = general
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert read(**variables).exporters == (_get_exporter_entry_point(name, "logs"),)
    assert list(read(**variables).exporters) == _get_exporter_names("logs")
    assert read(**variables).problems == ()


@pytest.mark.parametrize(
    ("variables", "exporter"),
    [
        ({GENERAL: "http/json"}, "otlp_json_http"),
        ({OWN: "http/json", GENERAL: "grpc"}, "otlp_json_http"),
    ],
)
def test_json_is_a_protocol_too(variables: dict[str, str], exporter: str) -> None:
    """The specification's third protocol means the exporter that speaks it; the SDK knows only two."""
    assert read(**variables).exporters == (exporter,)
    assert read(**variables).problems == ()


@pytest.mark.parametrize("name", [OWN, GENERAL])
@pytest.mark.parametrize("value", ["GRPC", "http", "https", "kafka"])
def test_a_protocol_that_is_none(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the SDK raises, we say one line and speak gRPC."""
    monkeypatch.setenv(name, value)
    with pytest.raises(RuntimeError, match="Unsupported OTLP protocol"):
        _get_exporter_entry_point("otlp", "logs")
    config = read(**{name: value})
    assert config.exporters == ("otlp_proto_grpc",)
    assert config.problems == (
        f"{name}={value!r} cannot be used: expected one of grpc, http/protobuf, http/json; grpc holds.",
    )


def test_a_protocol_that_is_not_needed_is_not_looked_at() -> None:
    """Without an OTLP exporter there is no protocol to complain of."""
    assert read(**{"OTEL_LOGS_EXPORTER": "console", GENERAL: "kafka"}).problems == ()


def test_batch() -> None:
    """`OTEL_BLRP_*` are the SDK's variables, in milliseconds and records."""
    config = read(
        OTEL_BLRP_SCHEDULE_DELAY="1",
        OTEL_BLRP_MAX_QUEUE_SIZE=" 20 ",
        OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="20",
        OTEL_BLRP_EXPORT_TIMEOUT="2147483647",
    )
    assert config.batch == Batch(
        schedule_delay_millis=1,
        max_queue_size=20,
        max_export_batch_size=20,
        export_timeout_millis=2_147_483_647,
    )
    assert config.problems == ()


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("OTEL_BLRP_SCHEDULE_DELAY", 1000),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", 2048),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", 512),
        ("OTEL_BLRP_EXPORT_TIMEOUT", 30000),
    ],
)
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e3", "many", "\u0661", "2147483648", "9" * 5000])
def test_a_batch_setting_that_cannot_be_used(name: str, default: int, value: str) -> None:
    """What the SDK would raise for, or die of in its thread, costs one line and the default."""
    config = read(**{name: value})
    assert config.batch == Batch()
    (line,) = config.problems
    assert line.startswith(f"{name}={value!r}"[:100])
    assert line.endswith(f" cannot be used: expected an integer from 1 to 2147483647; {default} holds.")


def test_a_batch_larger_than_the_queue() -> None:
    """A batch that the queue cannot hold is cut to it, with a line if it was asked for."""
    config = read(OTEL_BLRP_MAX_QUEUE_SIZE="100", OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="101")
    assert (config.batch.max_queue_size, config.batch.max_export_batch_size) == (100, 100)
    (line,) = config.problems
    assert line == (
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE='101' cannot be used: expected at most the queue's 100; "
        "the queue's size holds."
    )


def test_a_small_queue_alone_is_no_problem() -> None:
    """Who sets the queue alone gets a batch that fits it, without a line about what he did not set."""
    config = read(OTEL_BLRP_MAX_QUEUE_SIZE="100")
    assert (config.batch.max_queue_size, config.batch.max_export_batch_size) == (100, 100)
    assert config.problems == ()


def test_one_value_has_one_line() -> None:
    """A batch size that is no number is said once, not again as the default that the queue cannot hold."""
    config = read(OTEL_BLRP_MAX_QUEUE_SIZE="100", OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="many")
    assert config.batch.max_export_batch_size == 100
    assert len(config.problems) == 1
