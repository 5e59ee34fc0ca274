"""What reaches gRPC is what a fork waits for: each call by itself, and not the time between two."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.sdk._logs.export import LogRecordExportResult

from otel_incident.exporters import DeferredExporter
from otel_incident.forks import no_fork_while_sending
from otel_incident.grpc_calls import guard_calls, has_fork_hooks
from otel_incident.spool.answers import Answer
from otel_incident.spool.attempts import Attempts
from tests.spool_records import numbered

VARIABLE: Final = "GRPC_ENABLE_FORK_SUPPORT"


@pytest.fixture(autouse=True)
def _variable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that has not imported gRPC yet, and whose host says nothing."""
    monkeypatch.delenv(VARIABLE, raising=False)
    has_fork_hooks.cache_clear()
    yield
    has_fork_hooks.cache_clear()


class Unavailable(grpc.RpcError):  # type: ignore[misc]  # grpcio ships no types
    """An endpoint that is not there for a moment."""

    def code(self) -> grpc.StatusCode:
        """The status of gRPC."""
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        """Nothing more."""
        return ""

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        """Try again at once."""
        return (("google.rpc.retryinfo-bin", RetryInfo().SerializeToString()),)


class Overheard(GrpcExporter):
    """The SDK's, that remembers for whom a fork would wait while it does what."""

    def __init__(self, failures: int) -> None:
        self.heard: list[tuple[str, list[object]]] = []
        self._failures = failures
        super().__init__(endpoint="http://127.0.0.1:9")
        self._shutdown_in_progress: Any = SimpleNamespace(wait=self._pause)

    def _hear(self, what: str) -> None:
        self.heard.append((what, list(no_fork_while_sending._inside)))  # noqa: SLF001  it can be seen nowhere else

    def _initialize_channel_and_stub(self) -> None:
        self._hear("make")
        self._channel: Any = SimpleNamespace(close=lambda: self._hear("close"))
        self._client: Any = SimpleNamespace(Export=self._answer)

    def _answer(self, **_: Any) -> ExportLogsServiceResponse:
        self._hear("Export")
        self._failures -= 1
        if self._failures >= 0:
            raise Unavailable
        return ExportLogsServiceResponse()

    def _pause(self, _seconds: float) -> bool:
        self._hear("wait")
        return False

    @property
    def waited_for(self) -> list[tuple[str, int]]:
        """What was done, and for how many a fork would have waited."""
        return [(what, len(stays)) for what, stays in self.heard]


def test_in_memory_each_try_is_one_of_its_own() -> None:
    """The SDK's exporter tries again by itself: a fork waits for each try and channel, not for the pauses."""
    exporter = Overheard(failures=2)
    deferred = DeferredExporter("otlp_proto_grpc", lambda: exporter)
    assert deferred.export([numbered(1)]) is LogRecordExportResult.SUCCESS
    assert exporter.waited_for == [
        ("make", 0),  # nobody listens yet
        ("Export", 1),
        ("close", 1),
        ("make", 1),
        ("wait", 0),
        ("Export", 1),
        ("wait", 0),
        ("Export", 1),
    ]
    stays = [each for _, stays in exporter.heard for each in stays]
    assert len(set(stays)) == len(stays) == 5
    assert no_fork_while_sending._inside == set()  # noqa: SLF001  it can be seen nowhere else


def test_with_the_spool_each_attempt_is_one_of_its_own() -> None:
    """A fork waits for the request and for the new channel; a second attempt has them anew."""
    exporter = Overheard(failures=1)
    attempts = Attempts(exporter)
    assert attempts([numbered(1)]) == Answer("hold", "gRPC UNAVAILABLE", 0.0)
    assert attempts([numbered(1)]) == Answer("delivered")
    assert exporter.waited_for == [("make", 0), ("Export", 1), ("close", 1), ("make", 1), ("Export", 1)]
    assert no_fork_while_sending._inside == set()  # noqa: SLF001  it can be seen nowhere else


@pytest.mark.parametrize(
    ("value", "waiting"),
    [
        (None, 1),
        *((value, 0) for value in ("0", "f", "F", "false", "False", "FALSE", "n", "no", "NO")),
        *((value, 1) for value in ("1", "true", "yes", "", "off", "half")),
    ],
)
def test_without_hooks_no_fork_waits(
    monkeypatch: pytest.MonkeyPatch, value: str | None, waiting: int
) -> None:
    """What gRPC takes for false switches its hooks off, and with them the danger."""
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    exporter = Overheard(failures=0)
    assert Attempts(exporter)([numbered(1)]) == Answer("delivered")
    assert exporter.waited_for == [("make", 0), ("Export", waiting)]


def test_the_variable_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As gRPC reads it: what a host says later changes nothing."""
    for value in ("1", "0"):
        monkeypatch.setenv(VARIABLE, value)
        exporter = Overheard(failures=0)
        assert Attempts(exporter)([numbered(1)]) == Answer("delivered")
        assert exporter.waited_for == [("make", 0), ("Export", 1)]


def test_an_exporter_is_guarded_once() -> None:
    """However often it is looked at, its places hold what the first look has put there."""
    exporter = Overheard(failures=0)
    guard_calls(exporter)
    places = dict(vars(exporter))
    guard_calls(exporter)
    assert vars(exporter) == places


def test_a_request_over_http_holds_up_no_fork() -> None:
    """Only gRPC has hooks of its own for a fork: any other exporter is left as it is."""
    exporter = HttpExporter(endpoint="http://127.0.0.1:9/v1/logs")
    places = dict(vars(exporter))
    guard_calls(exporter)
    assert vars(exporter) == places
