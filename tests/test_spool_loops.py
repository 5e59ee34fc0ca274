"""The spool under one thread that must not wait: asyncio's loop, and gevent's hub."""

import json
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.otlp_receiver import HANG, OK, OtlpReceiver
from tests.processes import run, start
from tests.spool_hosts import EMITTER, arrived, deliver_all, variables

LOOP: Final = (
    EMITTER
    + """
    import asyncio, json
    from tests.test_spool_loops import system_calls

    async def work(first):
        for number in range(first, first + 100):
            emit(number)
            await asyncio.sleep(0)

    async def main():
        emit(1)  # begins the segment and the thread that delivers
        print("emitted", flush=True)
        await asyncio.to_thread(sys.stdin.readline)  # it hangs in the exporter now
        with system_calls() as calls:
            await asyncio.gather(*(work(first) for first in (1000, 2000, 3000)))
        print(json.dumps(calls), flush=True)

    asyncio.run(main())
    os.kill(os.getpid(), 9)
"""
)

SYSTEM: Final = ("posix.", "fcntl.", "_socket.", "_io.", "_ssl.", "select.", "time.sleep", "grpc")
KEEPING: Final = {"posix.write", "posix.fstat", "posix.getpid"}
LOOPING: Final = {"select.poll"}
"""What the loop itself does between two tasks."""


@contextmanager
def system_calls() -> Iterator[dict[str, int]]:
    """How often this thread calls what asks the system for something."""
    calls: Counter[str] = Counter()

    def look(_: Any, event: str, function: Any) -> None:
        if event == "c_call":
            owner = getattr(function, "__module__", None) or type(function.__self__).__module__
            name = f"{owner}.{function.__name__}"
            if name.startswith(SYSTEM):
                calls[name] += 1

    sys.setprofile(look)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def test_asyncio(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Beside a delivery that hangs, the loop's thread makes one write for each record and never waits."""
    receiver.answer_with(HANG)
    process = start(LOOP, variables(tmp_path / "spool", receiver))
    receiver.wait_for_requests(1)
    stdout, stderr = process.communicate("\n", timeout=60)
    assert (process.returncode, stderr) == (-signal.SIGKILL, "")
    calls = json.loads(stdout.splitlines()[1])
    assert calls["posix.write"] == 300
    assert set(calls) <= KEEPING | LOOPING
    assert set(deliver_all(tmp_path / "spool", receiver)) == {
        1,
        *range(1000, 1100),
        *range(2000, 2100),
        *range(3000, 3100),
    }


GEVENT: Final = (
    """
    from gevent import monkey
    monkey.patch_all()
    import gevent
"""
    + EMITTER
    + """
    turns = 0

    def turn():
        global turns
        while True:
            turns += 1
            gevent.sleep(0)

    turning = gevent.spawn(turn)
    gevent.joinall([gevent.spawn(emit, number) for number in range(1, 51)], raise_error=True)
    print("emitted", flush=True)
    before = turns
    flushed = processor.force_flush(int(os.environ["FLUSH"]))
    print(flushed, turns > before, flush=True)
    turning.kill()
    provider.shutdown()
"""
)


def test_gevent_over_http(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Greenlets emit, and go on while a batch waits for its answer; everything arrives once, in order."""
    receiver.answer_with(HANG)
    process = start(GEVENT, variables(tmp_path / "spool", receiver, FLUSH="600000"))
    receiver.wait_for_requests(1)
    assert process.stdout is not None
    assert process.stdout.readline() == "emitted\n"
    receiver.answer_with(OK)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (0, "True True\n", "")
    assert arrived(receiver) == list(range(1, 51))


def test_gevent_over_grpc(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """It is refused in one line that says what to set; nothing is sent, nothing is lost, the host runs."""
    ended = run(GEVENT, variables(tmp_path / "spool", receiver, "grpc", FLUSH="300"))
    assert (ended.status, ended.stdout) == (0, "emitted\nFalse True\n")
    assert ended.stderr == (
        "Log records wait in the spool: the exporter exporter cannot deliver them (gRPC freezes a process "
        "that gevent has patched for as long as a request takes: set "
        "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf). This is said once for an outage.\n"
    )
    assert receiver.requests == ()
    assert deliver_all(tmp_path / "spool", receiver) == list(range(1, 51))
