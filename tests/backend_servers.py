"""VictoriaLogs, Jaeger and Prometheus as operators run them, on free loopback ports, asked in their own APIs.

They are addressed by the names that the README uses, so that its blocks can be run as they stand.
"""

import http.client
import json
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final
from urllib.parse import urlencode, urlsplit

from tests.backend_programs import JAEGER, PROMETHEUS, VICTORIALOGS, Program
from tests.waiting import wait_until

OTLP_RECEIVER: Final = "--web.enable-otlp-receiver"
"""The flag without which Prometheus takes no OTLP."""

OTLP_OF_OLD_JAEGERS: Final = "COLLECTOR_OTLP_ENABLED=true"
"""The variable without which Jaeger of that age takes no OTLP."""

_ATTEMPTS: Final = 5
_READY_WITHIN: Final = 30.0


@final
@dataclass(frozen=True, slots=True)
class Servers:
    """Those that are running.

    Attributes:
        places: Host and port by the name that the README uses.
    """

    places: Mapping[str, str]

    def placed(self, block: str) -> str:
        """A block of the README with the addresses of these servers."""
        found = [name for name in self.places if name in block]
        assert found, f"no server of {list(self.places)} in:\n{block}"
        for name in found:
            block = block.replace(name, self.places[name])
        return block

    def ask_victorialogs(self, query: str) -> list[dict[str, str]]:
        """The rows of a LogsQL query."""
        form = urlencode({"query": query})
        said = _post(self.places["victorialogs:9428"], "/select/logsql/query", form)
        return [json.loads(line) for line in said.splitlines()]

    def ask_prometheus(self, query: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The values of a PromQL query now, by their labels."""
        said = json.loads(_post(self.places["prometheus:9090"], "/api/v1/query", urlencode({"query": query})))
        assert said["status"] == "success", said
        return {tuple(row["metric"].items()): float(row["value"][1]) for row in said["data"]["result"]}

    def ask_jaeger(self, url: str) -> list[dict[str, Any]]:
        """The traces that a URL of its API gives."""
        parts = urlsplit(url)
        pairs = [pair.partition("=") for pair in parts.query.split("&")]
        path = f"{parts.path}?{urlencode([(key, value) for key, _, value in pairs])}"
        traces: list[dict[str, Any]] = json.loads(_get(parts.netloc, path))["data"]
        return traces


@contextmanager
def victorialogs(binary: Path, directory: Path) -> Iterator[Servers]:
    """A VictoriaLogs."""

    def arguments(ports: list[str]) -> list[str]:
        return [f"-httpListenAddr={ports[0]}", f"-storageDataPath={directory / 'victorialogs'}"]

    with _running(VICTORIALOGS, binary, directory, arguments, ready="/health") as (address,):
        yield Servers({"victorialogs:9428": address})


@contextmanager
def jaeger(binary: Path, directory: Path) -> Iterator[Servers]:
    """A Jaeger that keeps its traces in memory."""
    unused = (
        "collector.otlp.grpc.host-port", "collector.grpc-server.host-port", "collector.http-server.host-port",
        "query.grpc-server.host-port", "admin.http.host-port", "http-server.host-port",
        "processor.jaeger-binary.server-host-port", "processor.jaeger-compact.server-host-port",
        "processor.zipkin-compact.server-host-port",
    )  # fmt: skip

    def arguments(ports: list[str]) -> list[str]:
        return [
            f"--query.http-server.host-port={ports[0]}",
            f"--collector.otlp.http.host-port={ports[1]}",
            *(f"--{name}=127.0.0.1:0" for name in unused),
        ]

    with _running(JAEGER, binary, directory, arguments, ready="/", ports=2) as (query, otlp):
        yield Servers({"jaeger:16686": query, "jaeger:4318": otlp})


@contextmanager
def prometheus(binary: Path, directory: Path) -> Iterator[Servers]:
    """A Prometheus that scrapes nothing and takes OTLP."""
    config = directory / "prometheus.yml"
    config.write_text("")

    def arguments(ports: list[str]) -> list[str]:
        return [
            f"--web.listen-address={ports[0]}",
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'prometheus'}",
            OTLP_RECEIVER,
        ]

    with _running(PROMETHEUS, binary, directory, arguments, ready="/-/ready") as (address,):
        yield Servers({"prometheus:9090": address})


@contextmanager
def all_servers(binaries: Mapping[str, Path], directory: Path) -> Iterator[Servers]:
    """All three.

    Args:
        binaries: By the name of the program.
        directory: For what they store and say; must exist.
    """
    with ExitStack() as stack:
        places: dict[str, str] = {}
        for program, server in ((VICTORIALOGS, victorialogs), (JAEGER, jaeger), (PROMETHEUS, prometheus)):
            places |= stack.enter_context(server(binaries[program.name], directory)).places
        yield Servers(places)


@contextmanager
def _running(
    program: Program,
    binary: Path,
    directory: Path,
    arguments: Callable[[list[str]], list[str]],
    *,
    ready: str,
    ports: int = 1,
) -> Iterator[list[str]]:
    """A server from the time it is ready; its addresses, the first of which answers `ready`."""
    log = directory / f"{program.name}.log"
    for attempt in range(_ATTEMPTS):
        addresses = _free_addresses(ports)
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  the words are the tests' own
                [str(binary), *arguments(addresses)],
                cwd=directory,
                env=dict([OTLP_OF_OLD_JAEGERS.split("=")]),  # and none of the tests' own settings
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(
                lambda process=process, addresses=addresses: (  # type: ignore[misc]  # bound in this turn
                    process.poll() is not None or _answers(addresses[0], ready)
                ),
                _READY_WITHIN,
                f"a ready {program.name}",
            )
            if process.poll() is None:
                yield addresses
                return
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(_READY_WITHIN)
        # Between finding a port and listening on it, another process may take it.
        if attempt == _ATTEMPTS - 1 or b"address already in use" not in log.read_bytes():
            raise RuntimeError(f"{program.name} ended with status {process.returncode}:\n{log.read_text()}")


def _answers(address: str, path: str) -> bool:
    try:
        _get(address, path)
    except (OSError, http.client.HTTPException):
        return False
    return True


def _get(address: str, path: str) -> str:
    return _request(address, "GET", path, None)


def _post(address: str, path: str, form: str) -> str:
    return _request(address, "POST", path, form)


def _request(address: str, method: str, path: str, form: str | None) -> str:
    connection = http.client.HTTPConnection(address, timeout=_READY_WITHIN)
    try:
        connection.request(method, path, form, {"Content-Type": "application/x-www-form-urlencoded"})
        response = connection.getresponse()
        said = response.read().decode()
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise http.client.HTTPException(f"{method} {path}: status {response.status}: {said}")
    return said


def _free_addresses(n: int) -> list[str]:
    """Loopback addresses that are free now; all held until all are found, so that they differ."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    finally:
        for each in sockets:
            each.close()
