"""Fixtures for whatever sends OTLP: something real to send to. The work is in the modules they name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from otel_incident.events import IncidentEvent
from otel_incident.guard import set_reraise
from otel_incident.instrumentor import IncidentInstrumentor
from tests.backend import Backend, collector_binary, everything_required, report
from tests.certificates import Certificates, make_certificates
from tests.client_hosts import OLDEST
from tests.collector import Collector
from tests.django_host import INCIDENTS, empty, project, watching
from tests.emitting import Emitting
from tests.host_environment import HostEnvironment, host_environment
from tests.otlp_receiver import OtlpReceiver
from tests.process_state import clear_environment, forget_everything

# Nothing here depends on how fast the machine is.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


def pytest_report_header() -> str:
    """Say which backend the run is about to use."""
    return report()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say it again at the end if the real one was missing: that is what a reader of the result must know."""
    if not everything_required() and not isinstance(collector_binary(), Path):
        terminalreporter.write_line(report())


@pytest.fixture(autouse=True)
def _fresh_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test finds the package as a new process does, and whatever production swallows is raised."""
    clear_environment(monkeypatch, tmp_path)
    forget_everything()
    set_reraise(reraise=True)
    yield
    forget_everything()


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """A recording receiver, plain text, that accepts everything until told otherwise."""
    with OtlpReceiver() as running:
        yield running


@pytest.fixture
def to_receiver(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> OtlpReceiver:
    """A receiver that the environment points to, with an identity that needs no state directory."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.http_endpoint)
    monkeypatch.setenv("OTEL_INCIDENT_DIAGNOSTIC_ID", "77")
    monkeypatch.setenv("OTEL_INCIDENT_SERVER_VERSION", "1")
    return receiver


@pytest.fixture
def host() -> Iterator[Emitting]:
    """Providers of a host's own, which keep what comes, and an emitter on them."""
    host = Emitting()
    yield host
    host.close()


@pytest.fixture
def instrumentor() -> Iterator[Any]:
    """The instrumentor, which is one for the process; switched off again at the end."""
    found: Any = IncidentInstrumentor()
    yield found
    if found.is_instrumented_by_opentelemetry:
        found.uninstrument()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, a server and a client, for TLS and mTLS."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def newest_clients(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where the client libraries of incident products are installed, with this package's wheel."""
    return host_environment("clients", tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="session", params=["newest", "oldest"])
def clients(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """The same, and once more with the oldest versions for which the presets are."""
    if request.param == "newest":
        newest: HostEnvironment = request.getfixturevalue("newest_clients")
        return newest
    return host_environment(OLDEST, tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="session")
def collector_path() -> Path:
    """The real collector's binary. Without it the test is skipped, or fails if everything is required."""
    found = collector_binary()
    if isinstance(found, Path):
        return found
    if everything_required():
        pytest.fail(f"the real collector is required; {found}", pytrace=False)
    pytest.skip(found)


@pytest.fixture
def collector(collector_path: Path, tmp_path: Path) -> Iterator[Collector]:
    """A real collector of this test's own, for what only the real one can prove."""
    with Collector(collector_path, tmp_path / "collector") as running:
        yield running


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Backend:
    """The real collector, or the recording receiver where none is built: a test must not care."""
    real = everything_required() or isinstance(collector_binary(), Path)
    chosen: Backend = request.getfixturevalue("collector" if real else "receiver")
    return chosen


@pytest.fixture(scope="session")
def django_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Django in this process, which can be configured once only."""
    with project(tmp_path_factory.mktemp("ops")):
        yield


@pytest.fixture
def ops(django_project: None) -> Iterator[None]:
    """The project `tests.hosts.ops` with empty databases, not watched."""
    del django_project
    yield
    empty()


@pytest.fixture
def reported(ops: None) -> Iterator[list[IncidentEvent]]:
    """What the hooks on its `Incident` report."""
    del ops
    with watching(INCIDENTS) as seen:
        yield seen
