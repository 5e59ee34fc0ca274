"""Where events go: the exporters that the operator has named, and the folder in which events wait for them.

What waits for one endpoint must not leave to another. So segments are kept apart by what decides where they
go: the service's name and the endpoints as they are in force, whichever variable or file has said so. Headers
do not count: a new token must not leave behind what waited for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, final
from urllib.parse import urlsplit, urlunsplit

from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.util._importlib_metadata import entry_points

from otel_incident.config_exporters import DEFAULT_ENDPOINT, GRPC, HTTP, HTTP_JSON, Batch
from otel_incident.config_file import described_processors
from otel_incident.errors import ConfigurationError
from otel_incident.quiet import attach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from otel_incident.config import Config

DESCRIPTION: Final = "destination.json"
"""In the folder of a destination: what it is, for a person and for `otel-incident spool`."""

FORMAT: Final = 1
"""Of the files in such a folder; one that says nothing has this one.

Another format that this release could not read would need folders of other names, so that neither of two
releases delivers, or deletes, what the other one keeps there.
"""

_GROUP: Final = "opentelemetry_logs_exporter"
# One that a protocol of the specification leads to, though none of our dependencies brings it.
_PACKAGES: Final = {HTTP_JSON: "opentelemetry-exporter-otlp-json-http"}
_CONSOLE: Final = "console"
_FILE: Final = "otlp_file_development"
_UNSAFE: Final = re.compile(r"[^0-9A-Za-z]+", re.ASCII)
_SHOWN: Final = 40  # of a service's name, in its folder's


@final
@dataclass(frozen=True, slots=True)
class Destination:
    """One exporter, and where it sends.

    Attributes:
        name: What it is called on disk and in log lines, unique among those of a process.
        kind: The entry point's name.
        endpoint: The URL in force; "" where that is the exporter's own affair.
        batch: How records are batched for it.
        build: Makes the exporter; called in the thread that delivers.
        insecure: Whether gRPC does without TLS where the endpoint has no scheme.
    """

    name: str
    kind: str
    endpoint: str
    batch: Batch
    build: Callable[[], LogRecordExporter]
    insecure: bool = False

    @property
    def is_console(self) -> bool:
        """Whether it writes to the console of this process, where nothing is waited for."""
        return self.kind == _CONSOLE

    @property
    def shown(self) -> str:
        """The endpoint without what in it may be secret."""
        endpoint = self.endpoint
        if self.kind in DEFAULT_ENDPOINT and "://" not in endpoint:  # gRPC does without a scheme
            return re.split(r"[?#]", endpoint, maxsplit=1)[0].rpartition("@")[2]
        try:
            parts = urlsplit(endpoint)
        except ValueError:  # who can say what of it is a password
            return "(no URL)"
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def destinations(config: Config) -> list[Destination]:
    """The exporters that the environment or the configuration file names, in a fixed order."""
    if config.config_file is None:
        found = [
            Destination(
                name,
                name,
                config.endpoints.get(name, ""),
                config.batch,
                _from_entry_point(
                    name, config.endpoints.get(name), config.refused_by_grpc if name == GRPC else ()
                ),
            )
            for name in config.exporters
        ]
    else:
        found = [_described(each) for each in described_processors(config.config_file)]
    return named(replace(each, insecure=bool(config.insecure)) for each in found)


def named(found: Iterable[Destination]) -> list[Destination]:
    """Destinations in a fixed order, whatever order they were named in, each with a name of its own."""
    number: dict[str, int] = {}
    made = []
    for each in sorted(found, key=lambda each: (each.kind, each.endpoint)):
        number[each.kind] = number.get(each.kind, 0) + 1
        name = f"{each.kind}-{number[each.kind]}" if number[each.kind] > 1 else each.kind
        made.append(replace(each, name=name))
    return made


def folder_of(service: str, found: Sequence[Destination]) -> str:
    """The name of the folder in which events of a service wait for its destinations.

    Args:
        service: The service's name.
        found: The destinations.
    """
    where = [[each.kind, _without_user(_with_scheme(each))] for each in found]
    decides = json.dumps([service, where]).encode()
    readable = _UNSAFE.sub("-", service).strip("-").lower()[:_SHOWN]
    return f"{readable or 'service'}-{hashlib.sha256(decides).hexdigest()[:12]}"


def describe(folder: Path, service: str, found: Sequence[Destination]) -> None:
    """Write down whose a folder is and where what is in it goes, if that is not done.

    Raises:
        OSError: It cannot be written.
    """
    path = folder / DESCRIPTION
    if path.exists():
        return
    where = {each.name: {"exporter": each.kind, "endpoint": each.shown} for each in found}
    draft = folder / f".{DESCRIPTION}.{os.getpid()}"
    text = json.dumps({"format": FORMAT, "service": service, "exporters": where}, indent=2)
    try:
        draft.touch(0o600)
        draft.write_text(f"{text}\n", "utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _with_scheme(destination: Destination) -> str:
    """An endpoint with what gRPC's exporter takes for granted where there is no scheme: TLS, unless told."""
    endpoint = destination.endpoint
    bare = destination.kind == GRPC and endpoint and "://" not in endpoint
    scheme = "http" if destination.insecure else "https"
    return f"{scheme}://{endpoint}" if bare else endpoint


def _without_user(endpoint: str) -> str:
    """An endpoint without the user and the password in it, which change as headers do; hosts have no case."""
    try:
        parts = urlsplit(endpoint)
    except ValueError:  # events wait for it all the same, until it is mended
        return endpoint
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2].lower()))


def _from_entry_point(
    name: str, endpoint: str | None = None, refused: Sequence[str] = ()
) -> Callable[[], LogRecordExporter]:
    # said to an OTLP exporter, which would else read it from the environment as it is by then
    given = {} if endpoint is None else {"endpoint": endpoint}

    def build() -> LogRecordExporter:
        for entry_point in entry_points(group=_GROUP, name=name):
            made_by = entry_point.load()
            attach(entry_point.module.partition(".")[0])
            try:
                exporter = made_by(**given)
            except Exception as error:
                if not refused:
                    raise
                names = " and ".join(refused)
                raise ConfigurationError(
                    f"it cannot be made with {names}; `otel-incident doctor` says what to write"
                ) from error
            if isinstance(exporter, LogRecordExporter):
                return exporter
        hint = f": install {_PACKAGES[name]}" if name in _PACKAGES else ""
        raise ConfigurationError(
            f"no installed package has an exporter of that name in the group {_GROUP}{hint}"
        )

    return build


def _described(processor: Any) -> Destination:
    """What a processor of the configuration file says of its exporter."""
    exporter = (processor.batch or processor.simple).exporter
    kind, endpoint = _kind_of(exporter), ""
    if kind in DEFAULT_ENDPOINT:
        otlp = exporter.otlp_grpc if kind == GRPC else exporter.otlp_http
        endpoint = (otlp.endpoint or "").strip() or DEFAULT_ENDPOINT[kind]
    elif kind == _FILE:
        endpoint = exporter.otlp_file_development.output_stream or ""
    return Destination(kind, kind, endpoint, Batch.described_by(processor), _from_file(exporter))


def _kind_of(exporter: Any) -> str:
    """The entry point's name of what the file calls otherwise, so that both ways lead to one folder."""
    if exporter.otlp_grpc is not None:
        return GRPC
    if exporter.otlp_http is not None:
        encoding = exporter.otlp_http.encoding
        return HTTP_JSON if encoding is not None and encoding.value == "json" else HTTP
    known = [name for name in (_CONSOLE, _FILE) if getattr(exporter, name) is not None]
    return str([*known, *exporter.additional_properties, "exporter"][0])


def _from_file(described: Any) -> Callable[[], LogRecordExporter]:
    def build() -> LogRecordExporter:
        # The one way to the file's exporters without its processors, whose shutdown has no bound.
        from opentelemetry.configuration._logger_provider import (  # noqa: PLC0415  optional dependency
            _create_log_record_exporter,
        )

        exporter: LogRecordExporter = _create_log_record_exporter(described)
        return exporter

    return build
