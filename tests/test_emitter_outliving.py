"""A process whose main thread has returned while another thread of the host goes on, and only then loads us.

The interpreter is ending for whoever asks to be told of that: the pools of threads, which the SDK needs,
cannot be imported for the first time any more.
"""

from pathlib import Path
from typing import Final

import pytest

from tests.emitting_host import endpoint_of
from tests.otlp_receiver import OtlpReceiver
from tests.processes import succeed

PROGRAM: Final = """
    import collections, os, sys, threading

    register, registered = os.register_at_fork, []

    def noted(**hooks):
        registered.extend((hook.__module__, hook.__qualname__) for hook in hooks.values())
        register(**hooks)

    os.register_at_fork = noted

    def bot():
        threading.main_thread().join()
        assert "concurrent.futures.thread" not in sys.modules
        from otel_incident import Incident, IncidentEmitter, IncidentInstrumentor
        if os.environ["OTEL_INCIDENT_GATE"]:
            IncidentInstrumentor().instrument()
            assert IncidentInstrumentor().has_begun_gate
        IncidentEmitter().create(Incident(id=1))
        times = collections.Counter(registered)
        ours = [each for each in times if str(each[0]).startswith("otel_incident")]
        assert ("otel_incident.forks", "_before") in ours, ours
        assert [each for each in ours if times[each] > 1] == []
        try:
            from concurrent.futures import ThreadPoolExecutor
            with ThreadPoolExecutor(1) as pool:
                pool.submit(print)
        except RuntimeError:
            print("a pool refuses")
        print("the host goes on")

    threading.Thread(target=bot).start()
"""
GOES_ON: Final = ("a pool refuses\nthe host goes on\n", "")


def variables(
    directory: Path, transport: str, receiver: OtlpReceiver, spool: str, gate: str = ""
) -> dict[str, str]:
    """Those of a host that sends to the receiver."""
    return {
        **endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint),
        "OTEL_INCIDENT_STATE_DIR": str(directory),
        "OTEL_INCIDENT_SERVER_VERSION": "1",
        "OTEL_INCIDENT_SPOOL": spool,
        "OTEL_INCIDENT_GATE": gate,
    }


@pytest.mark.parametrize("spool", ["true", "false"])
@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_its_event_arrives(receiver: OtlpReceiver, tmp_path: Path, transport: str, spool: str) -> None:
    """Nothing is raised or said, no fork hook is registered twice, and pools refuse work as without us."""
    ended = succeed(PROGRAM, variables(tmp_path, transport, receiver, spool))
    assert (ended.stdout, ended.stderr) == GOES_ON
    assert [event.event_name for event in receiver.wait_for_events(1)] == ["incident.create"]


@pytest.mark.parametrize("gate", ["standard", "strict"])
def test_it_may_instrument(receiver: OtlpReceiver, tmp_path: Path, gate: str) -> None:
    """The gate stands and the event arrives, as in a host that instruments while its main thread runs."""
    ended = succeed(PROGRAM, variables(tmp_path, "http", receiver, "true", gate))
    assert (ended.stdout, ended.stderr) == GOES_ON
    assert [event.event_name for event in receiver.wait_for_events(1)] == ["incident.create"]


@pytest.mark.parametrize("off", ["DO_NOT_TRACK", "OTEL_SDK_DISABLED"])
def test_off_it_is_not_hurt_either(receiver: OtlpReceiver, tmp_path: Path, off: str) -> None:
    """Importing us raises nothing where telemetry is off, and nothing leaves."""
    given = variables(tmp_path, "http", receiver, "true") | {off: "true"}
    ended = succeed(PROGRAM, given)
    assert ended.stdout == GOES_ON[0]
    assert "Traceback" not in ended.stderr
    assert receiver.requests == ()
