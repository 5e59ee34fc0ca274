"""A process whose first event still looks for its way when it ends: what waits for that leaves."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest

from otel_incident import settling
from otel_incident.config import Config
from otel_incident.config_exporters import Batch
from otel_incident.ending import ending
from otel_incident.exporters import BoundedBatchProcessor, DeferredExporter
from otel_incident.processors import processors_of
from otel_incident.spool.attempts import Attempts
from otel_incident.spool.spool import Outlet, Spool
from tests.emitting_host import endpoint_of
from tests.otlp_receiver import HANG, OtlpReceiver
from tests.processes import Ended, succeed
from tests.scripted_exporter import SUCCESS, Scripted, take

PROGRAM: Final = """
    import atexit, importlib, threading
    from otel_incident import Incident, IncidentEmitter, emitter as emitters, settling

    importlib.import_module("otel_incident.processors")  # dear, and not what takes long here
    importlib.import_module("otel_incident.spool.attempts")
    importlib.import_module("opentelemetry.exporter.otlp.proto.{transport}._log_exporter")
    settling.WAIT_SECONDS = 0.0
    looks, found, look = threading.Event(), threading.Event(), emitters._default_route

    def look_for_long(*given):
        looks.set()
        found.wait()
        return look(*given)

    class Thread(threading.Thread):
        def start(self):
            if not threading.main_thread().is_alive():  # as Python 3.12 has it
                raise RuntimeError("can't create new thread at interpreter shutdown")
            super().start()

    if {no_threads}:
        threading.Thread = Thread
    emitters._default_route = look_for_long
    emitter = IncidentEmitter()
    first = threading.Thread(target=emitter.create, args=(Incident(id=1),), daemon=True)
    first.start()
    looks.wait()
    for number in {kept}:
        emitter.create(Incident(id=number))

    def find():
        found.set()
        if {before}:
            first.join()
        for number in {handled}:
            emitter.create(Incident(id=number))

    atexit.register(find)
"""


def ended(
    directory: Path, transport: str, receiver: OtlpReceiver, spool: str = "false", **more: object
) -> Ended:
    """A process that finds the way when its exit handlers are called."""
    told = {
        **endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint),
        "OTEL_INCIDENT_STATE_DIR": str(directory),
        "OTEL_INCIDENT_SERVER_VERSION": "1",
        "OTEL_INCIDENT_SPOOL": spool,
    }
    cases = {"no_threads": False, "before": False, "kept": (2, 3, 4), "handled": ()} | more
    return succeed(PROGRAM.format(transport=transport, **cases), told, timeout=30)


@pytest.mark.parametrize("no_threads", [True, False], ids=["3.12", "3.11"])
@pytest.mark.parametrize("before", [True, False], ids=["found before", "found meanwhile"])
@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_every_event_arrives(
    receiver: OtlpReceiver,
    tmp_path: Path,
    transport: str,
    before: bool,  # noqa: FBT001  a table's column
    no_threads: bool,  # noqa: FBT001  the same
) -> None:
    """Whether the search ends before our exit handler or while that waits, nothing is lost or said."""
    process = ended(tmp_path, transport, receiver, before=before, no_threads=no_threads)
    assert (process.stdout, process.stderr) == ("", "")
    arrived = [event.attributes["incident.id"] for event in receiver.wait_for_events(4)]
    assert arrived == ["1", "2", "3", "4"]


def test_what_an_exit_handler_reports_arrives(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Where nothing had to wait for the search, and a handler of the host's is the next to report."""
    process = ended(tmp_path, "http", receiver, before=True, kept=(), handled=(2, 3, 4))
    assert (process.stdout, process.stderr) == ("", "")
    arrived = [event.attributes["incident.id"] for event in receiver.wait_for_events(4)]
    assert arrived == ["1", "2", "3", "4"]


def test_from_a_spool_they_leave_at_once(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """They do not wait on disk for the next start."""
    process = ended(tmp_path, "http", receiver, spool="true")
    assert (process.stdout, process.stderr) == ("", "")
    arrived = [event.attributes["incident.id"] for event in receiver.wait_for_events(4)]
    assert arrived == ["1", "2", "3", "4"]
    assert list(tmp_path.glob("spool/*/segments/*")) == []


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "refuses"])
def test_an_endpoint_that_is_dead_costs_one_line(receiver: OtlpReceiver, tmp_path: Path, hangs: bool) -> None:  # noqa: FBT001  a table's column
    """The process ends all the same, and says how many events ended with it, and why."""
    receiver.answer_with(HANG)
    if not hangs:
        receiver.close()
    process = ended(tmp_path, "http", receiver)
    assert process.stdout == ""
    assert process.stderr == (
        "4 incident events were not delivered by the exporter otlp_proto_http when the process ended "
        f"({'no answer' if hangs else 'ConnectionError'}).\n"
    )


def test_both_waits_together_keep_the_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the search has used of the two seconds is not there for delivery any more."""
    clock = iter([100.0, 101.5])
    monkeypatch.setattr(settling, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    settling.Settling().end()
    assert ending.left == 0.25
    waited: list[object] = []
    processor = BoundedBatchProcessor(DeferredExporter("x", lambda: Scripted(SUCCESS)), Batch(), 1.0)
    sdk = processor._batch_processor  # noqa: SLF001  what waits shows to nobody for how long
    end = sdk.shutdown

    def shutdown(timeout_millis: int) -> None:
        waited.append(timeout_millis)
        end()

    monkeypatch.setattr(sdk, "shutdown", shutdown)
    take(processor, 1)
    processor.shutdown()
    spool = Spool(tmp_path, [Outlet("x", lambda: Attempts(Scripted(SUCCESS)))])
    (sender,) = spool._senders  # noqa: SLF001  the same

    def begin_to_end(seconds: float) -> float:
        waited.append(seconds)
        return 0.0

    monkeypatch.setattr(sender, "end", begin_to_end)
    spool.shutdown()
    assert waited == [250, 0.5]
    assert processor.gave_up is False


def test_a_search_without_end_leaves_no_time_for_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor less than none."""
    clock = iter([100.0, 103.0])
    monkeypatch.setattr(settling, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    settling.Settling().end()
    assert ending.left == 0.0


def test_a_process_at_work_that_can_start_no_thread_is_not_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on threads is an error to be said, and no reason to deliver in the host's threads."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        processors_of(Config(exporters=("x",)), "desk")
