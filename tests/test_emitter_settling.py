"""What is reported while the first event looks for its route: nobody waits for long, and nothing is lost."""

import atexit
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_incident import emitter as emitter_module
from otel_incident import settling
from otel_incident.emitter import IncidentEmitter
from otel_incident.events import Incident, IncidentEvent
from otel_incident.guard import set_reraise, swallowed
from otel_incident.pipeline import default_pipeline
from otel_incident.records import through_api
from otel_incident.route import Route
from tests.emitting import Emitting
from tests.otlp_receiver import OtlpReceiver
from tests.processes import succeed

# Python warns of forks beside threads, of which these tests make one on purpose.
FORKS: Final = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


SENDERS: Final[list[int]] = []
"""The threads that sent, in turn."""

AGAIN: Final[list[int]] = []
"""How often an emitter looked that had looked before."""


def looking(host: Emitting, meanwhile: Callable[[], object]) -> IncidentEmitter:
    """An emitter whose first look for a route takes as long as something else."""
    meter = host.meter_provider.get_meter("tests")
    logger = host.logger_provider.get_logger("tests")

    def check(_: str, attributes: Mapping[str, object], __: object) -> Mapping[str, object]:
        SENDERS.append(threading.get_ident())
        return attributes

    def resolve() -> Route:
        looked.append(1)
        if len(looked) == 1:
            meanwhile()
        else:
            AGAIN.append(1)
        return Route(write=through_api(logger), meter=meter, check=check)

    looked: list[int] = []
    return IncidentEmitter(route=resolve)


def ids(host: Emitting) -> list[object]:
    """The incidents of the events, in the order in which they went out."""
    return [each["incident.id"] for each in host.attributes()]


def test_a_signal_handler_may_report(host: Emitting) -> None:
    """An event of a handler that interrupts the first one follows it, with its own time and trace."""
    handled: list[int] = []
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")
    spans: list[Any] = []

    def handle(*_: object) -> None:
        with tracer.start_as_current_span("the signal") as span:
            spans.append(span.get_span_context())
            emitter.end(Incident(id=2))
        handled.append(time.time_ns())

    emitter = looking(host, lambda: signal.raise_signal(signal.SIGUSR1))
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        emitter.create(Incident(id=1))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert host.names() == ["incident.create", "incident.end"]
    first, second = (each.log_record for each in host.records())
    assert (first.trace_id, second.trace_id) == (0, spans[0].trace_id)
    assert second.span_id == spans[0].span_id
    assert second.timestamp is not None
    assert second.timestamp <= handled[0] <= (second.observed_timestamp or 0)


def test_what_was_kept_keeps_the_time_that_the_host_gave(host: Emitting) -> None:
    """A time that came with the event stays."""
    event = IncidentEvent(action="end", incident=Incident(id=2), timestamp=5)
    emitter = looking(host, lambda: emitter.emit(event))
    emitter.create(Incident(id=1))
    assert [each.log_record.timestamp for each in host.records()][1] == 5


def slow(host: Emitting, found: threading.Event) -> tuple[IncidentEmitter, threading.Thread]:
    """An emitter that looks until something is found, and the thread that does it with the first event."""
    looked = threading.Event()

    def meanwhile() -> None:
        looked.set()
        assert found.wait(30)

    emitter = looking(host, meanwhile)
    first = threading.Thread(target=emitter.create, args=(Incident(id=1),))
    first.start()
    assert looked.wait(30)
    return emitter, first


def test_other_threads_wait_a_moment(host: Emitting) -> None:
    """While one thread looks the others wait, and then each sends for itself; none looks again."""
    SENDERS.clear()
    AGAIN.clear()
    found = threading.Event()
    emitter, first = slow(host, found)
    others = [threading.Thread(target=emitter.create, args=(Incident(id=number),)) for number in range(2, 9)]
    for other in others:
        other.start()
    threading.Timer(0.1, found.set).start()
    for thread in (first, *others):
        thread.join(30)
    assert AGAIN == []
    assert SENDERS[0] == first.ident
    assert set(SENDERS) == {thread.ident for thread in (first, *others)}
    assert sorted(map(str, ids(host))) == [str(number) for number in range(1, 9)]


def test_other_threads_do_not_wait_for_long(host: Emitting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that takes longer sends, when it has found, what others have left to it."""
    monkeypatch.setattr(settling, "WAIT_SECONDS", 0.0)
    found = threading.Event()
    emitter, first = slow(host, found)
    for number in (2, 3):
        other = threading.Thread(target=emitter.create, args=(Incident(id=number),))
        other.start()
        other.join(30)
        assert not other.is_alive()
    assert host.records() == []
    found.set()
    first.join(30)
    assert ids(host) == ["1", "2", "3"]


@pytest.mark.parametrize("in_time", [True, False])
def test_the_end_of_the_process_waits_for_a_search(
    host: Emitting,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    in_time: bool,  # noqa: FBT001  a case
) -> None:
    """What others have left to it leaves then; of one that does not end there is one line."""
    monkeypatch.setattr(settling, "WAIT_SECONDS", 0.0)
    registered: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", registered.append)
    monkeypatch.setattr(emitter_module, "_settling", settling.Settling())
    found = threading.Event()
    emitter, first = slow(host, found)
    for number in (2, 3):
        emitter.create(Incident(id=number))
    (end,) = registered
    if in_time:
        threading.Timer(0.1, found.set).start()
    else:
        monkeypatch.setattr(settling, "END_SECONDS", 0.01)
    end()
    if in_time:
        first.join(30)
    assert ids(host) == (["1", "2", "3"] if in_time else [])
    assert caplog.messages == (
        []
        if in_time
        else ["2 incident events ended with the process: where they go was still being looked for."]
    )
    found.set()
    first.join(30)


def test_what_was_kept_leaves_though_telemetry_is_disabled_then(
    host: Emitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`disable` is about what comes after it."""
    monkeypatch.setattr(settling, "WAIT_SECONDS", 0.0)
    found = threading.Event()
    emitter, first = slow(host, found)
    emitter.create(Incident(id=2))
    emitter.disable()
    try:
        emitter.create(Incident(id=3))
        found.set()
        first.join(30)
    finally:
        emitter.enable()
    assert ids(host) == ["1", "2"]


class Patient:
    """A lock that nobody waits for, and that says who would have."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waited = 0

    def acquire(self, *, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: ARG002  as a lock has it
        """Take it."""
        self.waited += blocking
        return self._lock.acquire(blocking=False)

    def locked(self) -> bool:
        """Whether it is taken."""
        return self._lock.locked()

    def release(self) -> None:
        """Give it back."""
        self._lock.release()


def test_who_looks_does_not_wait_for_himself(host: Emitting, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes from within a search is kept at once; when it has ended nobody looks any more."""
    looks = settling.Settling()
    busy: Any = Patient()
    looks.busy = busy
    monkeypatch.setattr(emitter_module, "_settling", looks)
    emitter = looking(host, lambda: emitter.create(Incident(id=2)))
    emitter.create(Incident(id=1))
    assert ids(host) == ["1", "2"]
    assert (busy.waited, looks.looker) == (0, 0)


def test_a_search_that_takes_long_is_waited_for_once(host: Emitting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by each event: five seconds after its beginning nobody waits any more."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    looks = settling.Settling()
    busy: Any = Patient()
    looks.busy = busy
    monkeypatch.setattr(emitter_module, "_settling", looks)

    def meanwhile() -> None:
        for seconds in (99.5, 104.5, 105.0, 106.0):
            now[0] = seconds
            other = threading.Thread(target=emitter.create, args=(Incident(id=2),))
            other.start()
            other.join(30)
            waited.append(busy.waited)

    waited: list[int] = []
    emitter = looking(host, meanwhile)
    emitter.create(Incident(id=1))
    assert waited == [1, 2, 2, 2]


def test_an_emitter_without_arguments_goes_the_way_of_the_others(
    host: Emitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is made when another has found the route neither looks nor waits for somebody who does."""
    meter = host.meter_provider.get_meter("tests")
    write = through_api(host.logger_provider.get_logger("tests"))
    route = Route(write=write, meter=meter, check=lambda _, attributes, __: attributes)
    monkeypatch.setattr(emitter_module, "_plain", emitter_module._Plain())  # noqa: SLF001  as a process begins
    monkeypatch.setattr(emitter_module, "_default_route", lambda *_: route)
    monkeypatch.setattr(emitter_module, "_settling", looks := settling.Settling())
    IncidentEmitter().create(Incident(id=1))
    with looks.busy:
        IncidentEmitter().create(Incident(id=2))
        assert ids(host) == ["1", "2"]


def test_what_is_left_to_a_thread_at_its_very_end_is_sent(
    host: Emitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that sends for others looks once more when whoever comes next would not start another."""
    emitter = looking(host, lambda: None)
    looks = settling.Settling()
    send = settling.Settling.send

    def send_and_leave(self: settling.Settling) -> None:
        send(self)
        if late and self is looks:
            self.leave(emitter.emit, late.pop())

    first, second = (IncidentEvent(action="create", incident=Incident(id=number)) for number in (1, 2))
    late = [second]
    monkeypatch.setattr(settling.Settling, "send", send_and_leave)
    looks.leave(emitter.emit, first)
    helped = [thread for thread in threading.enumerate() if thread.name == "otel-incident-settling"]
    for thread in helped:
        thread.join(30)
    assert ids(host) == ["1", "2"]


def test_other_emitters_do_not_wait(host: Emitting) -> None:
    """An emitter that would have to look for itself leaves that to the one who looks, once he is done."""
    other = looking(host, lambda: None)

    def meanwhile() -> None:
        other.create(Incident(id=2))
        other.create(Incident(id=3))

    emitter = looking(host, meanwhile)
    emitter.create(Incident(id=1))
    assert ids(host) == ["1", "2", "3"]


def test_what_comes_at_the_very_end_is_sent(host: Emitting, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who finds the search over only after he has left his event sends it himself."""
    emitter = looking(host, lambda: None)
    monkeypatch.setattr(emitter_module, "_settling", ended := settling.Settling())
    ended.keep(emitter.emit, IncidentEvent(action="create", incident=Incident(id=1)))
    assert ids(host) == ["1"]


class Handing:
    """A lock that lets somebody else come first as soon as it is given back."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._lock = threading.Lock()
        self._then = [then]

    def acquire(self, *, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it."""
        return self._lock.acquire(blocking=blocking, timeout=timeout)

    def locked(self) -> bool:
        """Whether it is taken."""
        return self._lock.locked()

    def release(self) -> None:
        """Give it back, and wait for what the other one does."""
        self._lock.release()
        if self._then:
            other = threading.Thread(target=self._then.pop())
            other.start()
            other.join(30)
            assert not other.is_alive()


def test_events_of_a_thread_stay_in_order(host: Emitting, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread reported meanwhile is sent before it can send its next event by itself."""

    def meanwhile() -> None:
        other = threading.Thread(target=emitter.create, args=(Incident(id=2),))
        other.start()
        other.join(30)

    emitter = looking(host, meanwhile)
    looks = settling.Settling()
    busy: Any = Handing(lambda: emitter.end(Incident(id=2)))
    looks.busy = busy
    monkeypatch.setattr(emitter_module, "_settling", looks)
    monkeypatch.setattr(settling, "WAIT_SECONDS", 0.0)
    emitter.create(Incident(id=1))
    assert [(each["incident.id"], each["incident.action"]) for each in host.attributes()] == [
        ("1", "create"),
        ("2", "create"),
        ("2", "end"),
    ]


def test_a_search_that_fails_costs_what_was_kept_and_counts_it() -> None:
    """Where no route can be had each event is counted as one that went wrong."""
    set_reraise(reraise=False)

    def resolve() -> Route:
        if not looked:
            looked.append(1)
            emitter.create(Incident(id=2))
            emitter.create(Incident(id=3))
        raise ValueError

    looked: list[int] = []
    emitter = IncidentEmitter(route=resolve)
    emitter.create(Incident(id=1))
    assert swallowed() == {"emit": 3}


def test_more_than_can_be_kept_is_counted(
    host: Emitting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory is bounded: what comes beyond that is lost, counted and said once."""
    set_reraise(reraise=False)
    monkeypatch.setattr(settling, "MAX_KEPT", 2)

    def meanwhile() -> None:
        for number in range(2, 7):
            emitter.create(Incident(id=number))

    emitter = looking(host, meanwhile)
    emitter.create(Incident(id=1))
    assert ids(host) == ["1", "2", "3"]
    assert swallowed() == {"emit": 3}
    (line,) = caplog.messages
    assert line.startswith("An internal error (OverflowError at settling.py:")


@FORKS
def test_a_child_forked_meanwhile_looks_for_itself(host: Emitting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker forked while a thread of its parent looks has neither its search nor what was kept."""
    monkeypatch.setattr(settling, "WAIT_SECONDS", 0.0)
    found = threading.Event()
    emitter, thread = slow(host, found)
    emitter.create(Incident(id=2))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            looking(host, lambda: None).create(Incident(id=3))
            status = 0 if ids(host) == ["3"] else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    found.set()
    thread.join(30)
    assert ids(host) == ["1", "2"]


def test_a_state_directory_that_is_locked_costs_no_event(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With its lock held by another process the first event leaves, with the identity that is kept."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.http_endpoint)
    monkeypatch.setenv("OTEL_INCIDENT_SERVER_VERSION", "1")
    directory = tmp_path / "state"
    directory.mkdir(0o700)
    with (directory / ".lock").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        IncidentEmitter().create(Incident(id="payments-outage"))
    assert default_pipeline().force_flush()
    (event,) = receiver.wait_for_events(1)
    assert event.resource["incident.diagnostic.id"] == (directory / "diagnostic-id").read_text().strip()
    assert len((directory / "key").read_bytes()) == 32


DEEP: Final = """
    import sys
    from otel_incident import Incident, IncidentEmitter

    emitter = IncidentEmitter()

    def dive(frames):
        if frames:
            dive(frames - 1)
        else:
            emitter.create(Incident(id=1))

    def depth():
        low, high = 0, sys.getrecursionlimit()
        while low < high:
            middle = (low + high + 1) // 2
            try:
                plain(middle)
            except RecursionError:
                high = middle - 1
            else:
                low = middle
        return low

    def plain(frames):
        if frames:
            plain(frames - 1)

    for _ in range(2):
        dive(depth() - {left})
    emitter.end(Incident(id=2))
    import asyncio  # which the imports of the first event bring; half of it would be a NameError
"""


@pytest.mark.parametrize("left", [30, 100])
def test_a_first_event_near_the_end_of_the_stack(receiver: OtlpReceiver, tmp_path: Path, left: int) -> None:
    """Its imports do not end there: it leaves as the later ones do, and no module of the host's is broken."""
    variables = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
        "OTEL_INCIDENT_STATE_DIR": str(tmp_path),
        "OTEL_INCIDENT_SERVER_VERSION": "1",
    }
    ended = succeed(DEEP.format(left=left), variables)
    assert ended.stderr == ""
    names = sorted(event.event_name for event in receiver.wait_for_events(3))
    assert names == ["incident.create", "incident.create", "incident.end"]


def test_where_no_thread_starts_the_next_event_takes_it_along(
    host: Emitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was left where neither a search nor a thread could begin goes out with what comes next."""
    set_reraise(reraise=False)
    monkeypatch.setattr(emitter_module, "_settling", settling.Settling())
    emitter = IncidentEmitter(logger_provider=host.logger_provider, meter_provider=host.meter_provider)
    with monkeypatch.context() as deep:
        deep.setattr(emitter_module, "stack_ends_soon", lambda: True)
        deep.setitem(sys.modules, "otel_incident.pipeline", None)
        deep.delitem(sys.modules, "otel_incident.pipeline")
        deep.setattr(threading, "Thread", NoThread)
        for number in (1, 2):
            emitter.create(Incident(id=number))
    assert ids(host) == []
    assert swallowed() == {"emit": 2}
    emitter.create(Incident(id=3))
    assert sorted(map(str, ids(host))) == ["1", "2", "3"]


class NoThread:
    """One that cannot start."""

    def __init__(self, **_: object) -> None:
        """It is asked for as any other."""

    def start(self) -> None:
        """Fail."""
        raise RecursionError


def test_how_much_of_the_stack_is_left() -> None:
    """It ends soon where fewer frames are left than the imports need."""
    found: list[bool] = []

    def dive(frames: int) -> None:
        if frames:
            dive(frames - 1)
        else:
            found.append(settling.stack_ends_soon())

    limit = sys.getrecursionlimit()
    dive(limit - settling.ROOM)
    dive(limit // 2 - settling.ROOM)
    assert found == [True, False]


BURST: Final = """
    import threading
    from otel_incident import Incident, IncidentEmitter

    def report(first):
        together.wait()
        for number in range(first, first + 2000):
            IncidentEmitter().create(Incident(id=number))

    if {warm}:
        IncidentEmitter().create(Incident(id=0))
    together = threading.Barrier(4)
    threads = [threading.Thread(target=report, args=(2000 * k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


@pytest.mark.parametrize("warm", [False, True])
def test_threads_that_make_an_emitter_for_each_event(tmp_path: Path, warm: bool) -> None:  # noqa: FBT001  a case
    """Emitters that are made where they are used lose nothing, before and after the first event."""
    ended = succeed(
        BURST.format(warm=warm),
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_INCIDENT_STATE_DIR": str(tmp_path),
            "OTEL_INCIDENT_SERVER_VERSION": "1",
        },
    )
    assert "internal error" not in ended.stderr
    kept = [line for each in tmp_path.rglob("*.jsonl") for line in each.read_text().splitlines()]
    assert sum('"incident.create"' in line for line in kept) == 8000 + warm


def test_many_emitters_that_wait_for_one_that_looks(host: Emitting) -> None:
    """Each looks for its own route when the first is done; the stack does not grow with their number."""
    others = [looking(host, lambda: None) for _ in range(1500)]

    def meanwhile() -> None:
        for number, emitter in enumerate(others, 1):
            emitter.create(Incident(id=number))

    looking(host, meanwhile).create(Incident(id=0))
    assert ids(host) == [str(number) for number in range(1501)]
    assert swallowed() == {}
