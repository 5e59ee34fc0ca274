"""Processes that share a spool and end, stop or fork at the worst moment: nothing is lost."""

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.otlp_receiver import HANG, OK, OtlpReceiver
from tests.processes import run, start
from tests.spool_hosts import EMITTER, arrived, deliver_all, variables
from tests.waiting import wait_until

TRANSPORTS: Final = pytest.mark.parametrize("transport", ["grpc", "http"])

WORKER: Final = (
    """
    from otel_incident.spool import lease, turns
    lease.SILENCE_SECONDS = 1.0
    turns.LOOK_SECONDS = 0.05
"""
    + EMITTER
    + """
    first = int(os.environ["FIRST"])
    for number in range(first, first + 100):
        emit(number)
    print("emitted", flush=True)
    sys.stdin.readline()
    for number in range(first + 100, first + 200):
        emit(number)
    while not processor.force_flush():
        pass
    provider.shutdown()
"""
)


def emitted(process: subprocess.Popen[str]) -> None:
    """Wait until a worker has emitted its first hundred."""
    assert process.stdout is not None
    assert process.stdout.readline() == "emitted\n"


def told(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Let a worker go on to its end: its status and what it has said."""
    _, stderr = process.communicate("\n", timeout=60)
    return process.returncode, stderr


def is_stopped(process: subprocess.Popen[str]) -> bool:
    """Whether all of it stands still."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@TRANSPORTS
def test_a_lease_holder_that_is_killed(receiver: OtlpReceiver, transport: str, tmp_path: Path) -> None:
    """The other worker delivers what the dead one has left, and its own: each process's in order."""
    receiver.answer_with(HANG)
    holder = start(WORKER, variables(tmp_path / "spool", receiver, transport, FIRST="1000"))
    receiver.wait_for_requests(1)
    emitted(holder)
    other = start(WORKER, variables(tmp_path / "spool", receiver, transport, FIRST="2000"))
    emitted(other)
    holder.kill()
    holder.communicate(timeout=30)
    receiver.answer_with(OK)
    assert told(other) == (0, "")
    numbers = arrived(receiver)
    for first, count in ((1000, 100), (2000, 200)):
        mine = list(dict.fromkeys(number for number in numbers if number // 1000 * 1000 == first))
        assert mine == list(range(first, first + count))
    # what hung was taken after nobody was there to hear it
    assert max(Counter(numbers).values()) <= 2


@TRANSPORTS
def test_a_lease_holder_that_is_stopped(receiver: OtlpReceiver, transport: str, tmp_path: Path) -> None:
    """Another one takes over after a silence; the one that then goes on repeats one batch at most."""
    receiver.answer_with(HANG)
    holder = start(WORKER, variables(tmp_path / "spool", receiver, transport, FIRST="1000"))
    receiver.wait_for_requests(1)
    emitted(holder)
    os.kill(holder.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: is_stopped(holder), 30, "the holder stands still")
        receiver.answer_with(OK)
        other = start(WORKER, variables(tmp_path / "spool", receiver, transport, FIRST="2000"))
        emitted(other)
        assert told(other) == (0, "")
        taken_over = set(arrived(receiver))
    finally:
        os.kill(holder.pid, signal.SIGCONT)
    assert taken_over == {*range(1000, 1100), *range(2000, 2200)}
    assert told(holder) == (0, "")
    numbers = arrived(receiver)
    assert set(numbers) == {*range(1000, 1200), *range(2000, 2200)}
    assert len(numbers) <= 400 + 100  # the batch that was under way


FLUSHING: Final = (
    EMITTER
    + """
    import signal

    def end(*_):
        provider.shutdown()
        sys.exit(3)

    signal.signal(signal.SIGTERM, end)
    emit(1)
    emit(2)
    print("emitted", flush=True)
    processor.force_flush(600_000)
"""
)


@TRANSPORTS
def test_a_signal_during_a_flush(receiver: OtlpReceiver, transport: str, tmp_path: Path) -> None:
    """A host whose handler shuts down in the middle of its own flush ends as it says, and loses nothing."""
    receiver.answer_with(HANG)
    process = start(FLUSHING, variables(tmp_path / "spool", receiver, transport))
    emitted(process)
    receiver.wait_for_requests(1)
    process.terminate()
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 3
    assert stderr == (
        "Log records wait in the spool: the exporter exporter cannot deliver them (no answer when the "
        "process ended). This is said once for an outage.\n"
    )
    assert set(deliver_all(tmp_path / "spool", receiver)) == {1, 2}


SENDING: Final = (
    EMITTER
    + """
    emit(1)
    sys.stdin.readline()  # it hangs in the exporter now
    child = os.fork()
    if child == 0:
        emit(2)
        emit(3)
        processor.shutdown()
        os._exit(0)
    emit(4)
    assert os.waitpid(child, 0)[1] == 0
    processor.force_flush(600_000)
    provider.shutdown()
"""
)


@TRANSPORTS
def test_a_fork_while_a_batch_is_sent(receiver: OtlpReceiver, transport: str, tmp_path: Path) -> None:
    """Both go on after it: the parent hears its answer, and sends what the child has left, all of it once."""
    receiver.answer_with(HANG)
    process = start(SENDING, variables(tmp_path / "spool", receiver, transport))
    receiver.wait_for_requests(1)
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    segments = tmp_path / "spool" / "segments"
    wait_until(lambda: len(list(segments.glob("*.jsonl"))) == 2, 30, "the child has emitted")
    receiver.answer_with(OK)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    assert sorted(arrived(receiver)) == [1, 2, 3, 4]
    assert list(segments.iterdir()) == []


PAST_PYTHON: Final = (
    EMITTER
    + """
    import ctypes

    def pids():
        return {name.split("-")[1] for name in os.listdir(os.environ["DIRECTORY"] + "/segments")}

    emit(1)
    while not processor.force_flush():
        pass
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        emit(2)
        os.write(1, b"%d\\n" % (str(os.getpid()) in pids()))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    emit(3)
    while not processor.force_flush():
        pass
    provider.shutdown()
"""
)


def test_a_fork_past_python(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A child of which Python knows nothing, as uWSGI makes them, has a segment of its own and no lease."""
    ended = run(PAST_PYTHON, variables(tmp_path / "spool", receiver))
    assert (ended.status, ended.stdout, ended.stderr) == (0, "1\n", "")
    assert sorted(deliver_all(tmp_path / "spool", receiver)) == [1, 2, 3]


POOL: Final = """
    import multiprocessing
    from tests.spool_pool import emit

    if __name__ == "__main__":
        import os
        with multiprocessing.get_context(os.environ["METHOD"]).Pool(2) as pool:
            print(sorted(pool.map(emit, range(1, 21), chunksize=1)) == list(range(1, 21)))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_of_processes(receiver: OtlpReceiver, method: str, tmp_path: Path) -> None:
    """Workers of `multiprocessing`, which are terminated without a farewell, lose nothing."""
    program = tmp_path / "pool.py"
    program.write_text(POOL.replace("\n    ", "\n"))
    code = f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')"
    if method != "fork":  # those import the main module by its path
        code = f"import os, sys; os.execv(sys.executable, [sys.executable, {str(program)!r}])"
    ended = run(code, variables(tmp_path / "spool", receiver, METHOD=method))
    assert (ended.status, ended.stdout, ended.stderr) == (0, "True\n", "")
    assert set(deliver_all(tmp_path / "spool", receiver)) == set(range(1, 21))
