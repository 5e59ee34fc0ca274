"""Where events go by the SDK's own variables: the exporters, their endpoints, the batch.

The SDK's own resolution is private; tests compare the two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, final

from otel_incident.config_values import MAX_SETTING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_incident.config_values import Values

# The protocol names of the OTLP specification, and the exporters that speak them.
_OTLP_EXPORTERS: Final[Mapping[str, str]] = {
    "grpc": "otlp_proto_grpc",
    "http/protobuf": "otlp_proto_http",
    "http/json": "otlp_json_http",
}
GRPC: Final = _OTLP_EXPORTERS["grpc"]
HTTP: Final = _OTLP_EXPORTERS["http/protobuf"]
HTTP_JSON: Final = _OTLP_EXPORTERS["http/json"]

DEFAULT_ENDPOINT: Final[Mapping[str, str]] = {
    GRPC: "http://localhost:4317",
    HTTP: "http://localhost:4318/v1/logs",
    HTTP_JSON: "http://localhost:4318/v1/logs",
}
"""Where an OTLP exporter sends that nobody has told otherwise, by the specification."""


COMPRESSIONS_OF_GRPC: Final = ("gzip",)
"""What its exporter takes."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """How a batch processor is set up: by `OTEL_BLRP_*`, or by the configuration file for each exporter."""

    schedule_delay_millis: int = 1000
    max_queue_size: int = 2048
    max_export_batch_size: int = 512
    export_timeout_millis: int = 30_000

    @classmethod
    def described_by(cls, processor: Any) -> Batch:
        """The settings of a processor in the configuration file; those that cannot be used are default."""
        described, default = processor.batch, cls()

        def usable(value: object, otherwise: int) -> int:
            return value if type(value) is int and 0 < value <= MAX_SETTING else otherwise

        if described is None:  # a simple processor: an event never waits for a network here
            return default
        queue = usable(described.max_queue_size, default.max_queue_size)
        return cls(
            schedule_delay_millis=usable(described.schedule_delay, default.schedule_delay_millis),
            max_queue_size=queue,
            max_export_batch_size=min(
                queue, usable(described.max_export_batch_size, default.max_export_batch_size)
            ),
            export_timeout_millis=usable(described.export_timeout, default.export_timeout_millis),
        )


def read_exporters(values: Values) -> tuple[str, ...]:
    """The entry point names of the log exporters, each once; none where `none` is asked for."""
    names = values.list("OTEL_LOGS_EXPORTER") or ("otlp",)
    if any(name.lower() == "none" for name in names):
        if len(names) > 1:
            value = values.text("OTEL_LOGS_EXPORTER")
            values.problem("OTEL_LOGS_EXPORTER", value, "`none` alone or a list of exporters", "none holds")
        return ()
    resolved = (_otlp(values) if name == "otlp" else name for name in names)
    # each once: the same exporter twice would send each event twice
    return tuple(dict.fromkeys(resolved))


def read_endpoints(values: Values) -> dict[str, str]:
    """Where each OTLP exporter sends, by its entry point's name."""
    own = values.text("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
    general = values.text("OTEL_EXPORTER_OTLP_ENDPOINT")
    endpoints = {}
    for name, default in DEFAULT_ENDPOINT.items():
        appended = f"{general.removesuffix('/')}/v1/logs" if general and name != GRPC else general
        endpoints[name] = own or appended or default
    return endpoints


def read_insecure(values: Values) -> bool | None:
    """Whether gRPC does without TLS where the endpoint does not ask for it; None where that is not said."""
    for name in ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE"):
        if value := values.text(name):
            return value.lower() == "true"
    return None


def check_timeout(values: Values) -> None:
    """Say of a time limit that leaves no time for an answer, for which exporters blame the endpoint."""
    for name in ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"):
        if value := values.text(name):
            if leaves_no_time(value):
                values.problem(name, value, "a number of seconds above 0", "no event can leave")
            return


def leaves_no_time(value: str) -> bool:
    """Whether a time limit is a number, and none above 0; what is no number exporters refuse themselves."""
    try:
        return not float(value) > 0
    except ValueError:
        return False


def read_refused_by_grpc(values: Values) -> tuple[str, ...]:
    """The variables of which gRPC's exporter cannot be made; it says so by an exception's class alone."""
    usable: dict[str, Callable[[str], bool]] = {
        "TIMEOUT": is_number,
        "COMPRESSION": lambda value: value.lower() in COMPRESSIONS_OF_GRPC,
    }
    return tuple(
        name
        for suffix, is_usable in usable.items()
        for name in (f"OTEL_EXPORTER_OTLP_LOGS_{suffix}", f"OTEL_EXPORTER_OTLP_{suffix}")
        if values.text(name) and not is_usable(values.text(name))
    )


def is_number(value: str) -> bool:
    """Whether a time limit can be read at all."""
    try:
        float(value)
    except ValueError:
        return False
    return True


def read_batch(values: Values) -> Batch:
    """`OTEL_BLRP_*`."""
    default = Batch()
    read = Batch(
        schedule_delay_millis=values.positive("OTEL_BLRP_SCHEDULE_DELAY", default.schedule_delay_millis),
        max_queue_size=values.positive("OTEL_BLRP_MAX_QUEUE_SIZE", default.max_queue_size),
        max_export_batch_size=values.positive(
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", default.max_export_batch_size
        ),
        export_timeout_millis=values.positive("OTEL_BLRP_EXPORT_TIMEOUT", default.export_timeout_millis),
    )
    if read.max_export_batch_size <= read.max_queue_size:
        return read
    name = "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"
    value = str(read.max_export_batch_size)
    if values.text(name) == value:  # else the queue alone was set, or the size has had its line already
        values.problem(name, value, f"at most the queue's {read.max_queue_size}", "the queue's size holds")
    return replace(read, max_export_batch_size=read.max_queue_size)


def _otlp(values: Values) -> str:
    for name in ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        value = values.text(name)
        if value in _OTLP_EXPORTERS:
            return _OTLP_EXPORTERS[value]
        if value:
            values.problem(name, value, f"one of {', '.join(_OTLP_EXPORTERS)}", "grpc holds")
            break
    return GRPC
