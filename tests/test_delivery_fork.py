"""Forks: a child reports its own events, once, and none of its parent's; the parent goes on."""

from pathlib import Path
from typing import Final

import pytest

from tests.emitting_host import endpoint_of
from tests.otlp_receiver import OtlpReceiver
from tests.processes import run
from tests.spool_hosts import KNOWN

TRANSPORTS: Final = ("grpc", "http")

PREFORK: Final = """
    import os, sys
    from otel_incident import Incident, IncidentEmitter
    from otel_incident.pipeline import default_pipeline

    emitter = IncidentEmitter()
    WHEN = os.environ["WHEN"]
    if WHEN != "before the first event":
        emitter.create(Incident(id=1))
    if WHEN == "after a delivery":
        assert default_pipeline().force_flush()
    children = []
    for number in (2, 3):
        child = os.fork()
        if child == 0:
            emitter.create(Incident(id=number))
            sys.exit(0)
        children.append(child)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    emitter.create(Incident(id=4))
    print(statuses)
"""


@pytest.fixture(params=["on disk", "in memory"])
def keeping(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Where events wait, as the operator says it."""
    if request.param == "in memory":
        return {"OTEL_INCIDENT_SPOOL": "false"}
    return {"OTEL_INCIDENT_SPOOL_DIR": str(tmp_path / "spool")}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("when", ["before the first event", "with an event queued", "after a delivery"])
def test_forked_workers(receiver: OtlpReceiver, transport: str, when: str, keeping: dict[str, str]) -> None:
    """Whenever a server forks its workers, each event of parent and children arrives exactly once."""
    variables = {**endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint), **keeping}
    ended = run(PREFORK, {**KNOWN, **variables, "WHEN": when, "OTEL_BLRP_SCHEDULE_DELAY": "60000"})
    assert (ended.status, ended.stdout, ended.stderr) == (0, "[0, 0]\n", "")
    expected = ["2", "3", "4"] if when == "before the first event" else ["1", "2", "3", "4"]
    events = receiver.wait_for_events(len(expected))
    assert sorted(str(event.attributes["incident.id"]) for event in events) == expected
    assert len({event.attributes["log.record.uid"] for event in events}) == len(events)
    assert len({event.resource["incident.diagnostic.id"] for event in events}) == 1


POOL: Final = """
    import multiprocessing
    from otel_incident import Incident, IncidentEmitter
    from otel_incident.pipeline import default_pipeline

    emitter = IncidentEmitter()

    def work(number):
        emitter.create(Incident(id=number))
        return default_pipeline().force_flush()

    if __name__ == "__main__":
        emitter.create(Incident(id=100))
        assert default_pipeline().force_flush()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(all(pool.map(work, range(10))))
"""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_pool_of_processes(receiver: OtlpReceiver, transport: str, keeping: dict[str, str]) -> None:
    """Workers of a pool, which end without a farewell, deliver what they flush."""
    variables = {**endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint), **keeping}
    ended = run(POOL, {**KNOWN, **variables})
    assert (ended.status, ended.stdout, ended.stderr) == (0, "True\n", "")
    events = receiver.wait_for_events(11)
    assert sorted(int(str(event.attributes["incident.id"])) for event in events) == [*range(10), 100]


CHILD: Final = """
    import multiprocessing, os
    from otel_incident import Incident, IncidentEmitter

    emitter = IncidentEmitter()

    def work(number):
        emitter.create(Incident(id=number))

    if __name__ == "__main__":
        if os.environ["PARENT"]:
            emitter.create(Incident(id=1))
        child = multiprocessing.get_context("fork").Process(target=work, args=(2,))
        child.start()
        child.join()
        print(child.exitcode)
"""


@pytest.mark.parametrize("parent", ["", "reports"])
def test_a_child_without_a_farewell(receiver: OtlpReceiver, parent: str, keeping: dict[str, str]) -> None:
    """What is reported in a child of `multiprocessing`, which ends without exit handlers, arrives once."""
    variables = {**endpoint_of("http", receiver.grpc_endpoint, receiver.http_endpoint), **keeping}
    ended = run(CHILD, {**KNOWN, **variables, "PARENT": parent, "OTEL_BLRP_SCHEDULE_DELAY": "60000"})
    assert (ended.status, ended.stdout, ended.stderr) == (0, "0\n", "")
    expected = ["1", "2"] if parent else ["2"]
    events = receiver.wait_for_events(len(expected))
    assert sorted(str(event.attributes["incident.id"]) for event in events) == expected


IMPORTING: Final = """
    import os, signal, sys, threading
    from importlib.machinery import PathFinder
    from otel_incident import Incident, IncidentEmitter

    importing, forked = threading.Event(), threading.Event()

    class Slow:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name != os.environ["IMPORTED"] or importing.is_set():
                return None
            spec = PathFinder.find_spec(name, path, target)
            load = spec.loader.exec_module

            def slowly(module):
                importing.set()
                forked.wait(0.3)  # a fork that does not wait has been by then
                load(module)

            spec.loader.exec_module = slowly
            return spec

    sys.meta_path.insert(0, Slow)
    os.register_at_fork(after_in_parent=forked.set)
    emitter = IncidentEmitter()
    first = threading.Thread(target=emitter.create, args=(Incident(id=1),))
    first.start()
    assert importing.wait(30)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        emitter.create(Incident(id=2))
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    first.join()
"""


@pytest.mark.parametrize(
    "imported",
    [
        "otel_incident.pipeline",
        "otel_incident.processors",
        "opentelemetry.exporter.otlp.proto.http",
    ],
)
def test_a_fork_in_the_midst_of_an_import(
    receiver: OtlpReceiver, imported: str, keeping: dict[str, str]
) -> None:
    """A child that is forked while a thread imports what events need reports and ends as any other."""
    variables = {**endpoint_of("http", receiver.grpc_endpoint, receiver.http_endpoint), **keeping}
    ended = run(IMPORTING, {**KNOWN, **variables, "IMPORTED": imported, "OTEL_BLRP_SCHEDULE_DELAY": "10"})
    assert (ended.status, ended.stdout, ended.stderr) == (0, "0\n", "")
    events = receiver.wait_for_events(2)
    assert sorted(str(event.attributes["incident.id"]) for event in events) == ["1", "2"]
    assert len({event.attributes["log.record.uid"] for event in events}) == 2


UNGUARDED: Final = """
    import sys, threading
    from otel_incident import Incident, IncidentEmitter
    from otel_incident.forks import no_fork_while_importing as guard
    from otel_incident.pipeline import default_pipeline

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if all(each.thread != threading.get_ident() for each in list(guard._inside)):
                print(name)

    sys.meta_path.insert(0, Finder)
    emitter = IncidentEmitter()
    for number in range(2):
        emitter.create(Incident(id=number))
        default_pipeline().force_flush()
    sys.meta_path.remove(Finder)  # the interpreter has imports of its own at its end
"""


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_delivery_imports_nothing_that_a_fork_may_come_into(
    receiver: OtlpReceiver, transport: str, keeping: dict[str, str]
) -> None:
    """From the first event to its arrival each import is one that forks wait for."""
    variables = {**endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint), **keeping}
    ended = run(UNGUARDED, {**KNOWN, **variables})
    assert (ended.status, ended.stdout, ended.stderr) == (0, "", "")
    assert len(receiver.wait_for_events(2)) == 2


AFTER_THE_PROVIDER: Final = """
    import os, signal, sys
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(resource=Resource({"service.name": "desk"}))
    assert "concurrent.futures.thread" not in sys.modules
    from otel_incident.instrumentor import IncidentInstrumentor
    IncidentInstrumentor().instrument()
    if os.environ["REPORTS"]:
        from otel_incident import Incident, IncidentEmitter
        IncidentEmitter().create(Incident(id=1))
    for _ in range(3):
        child = os.fork()
        if child == 0:
            os._exit(0)
        signal.alarm(20)  # a child that hangs ends this process by SIGALRM
        assert os.wait()[1] == 0
        signal.alarm(0)
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(1) as pool:
        print(pool.submit(lambda: "a pool works").result())
"""


@pytest.mark.parametrize("reports", ["", "yes"])
@pytest.mark.parametrize("gate", ["off", "strict"])
def test_a_host_whose_provider_is_older_than_we_are(
    gate: str, reports: str, keeping: dict[str, str], receiver: OtlpReceiver
) -> None:
    """The SDK looks for its resource in a forked child, which does not wait for ever because of us."""
    variables = endpoint_of("http", receiver.grpc_endpoint, receiver.http_endpoint)
    given = {**KNOWN, **variables, **keeping, "OTEL_INCIDENT_GATE": gate, "REPORTS": reports}
    ended = run(AFTER_THE_PROVIDER, given)
    assert (ended.status, ended.stdout, ended.stderr) == (0, "a pool works\n", "")
