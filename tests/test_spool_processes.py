"""The spool over processes: killed, forked, stopped, several at once; what was emitted arrives, in order."""

import random
import signal
import subprocess
from multiprocessing import util
from pathlib import Path
from typing import Final

import pytest

from otel_incident.child_ends import at_end_of_child
from tests.backend import everything_required
from tests.otlp_receiver import HANG, OK, OtlpReceiver, Status
from tests.processes import run, start, succeed
from tests.reduction import reduced
from tests.spool_hosts import EMITTER, QUIET, deliver_all, variables

FULL_KILLS: Final = 200
FOREVER: Final = (
    EMITTER
    + """
    number = int(os.environ["FIRST"])
    while True:
        emit(number)
        os.write(1, b"%d\\n" % number)
        number += 1
"""
)


def acknowledged(process: subprocess.Popen[str], count: int) -> list[int]:
    """Kill it after it has said so often that a call has returned; all that it has said."""
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(count)]
    process.kill()
    rest, _ = process.communicate(timeout=30)
    return [int(line) for line in "".join([*said, rest]).splitlines(keepends=True) if line.endswith("\n")]


def test_kills(receiver: OtlpReceiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whenever a process is killed, every record whose emit had returned arrives, in the process's order."""
    with capsys.disabled():
        kills = reduced(FULL_KILLS, "kills")
    chance = random.Random(5)  # noqa: S311  a test's
    said: list[int] = []
    for number in range(kills):
        receiver.answer_with(chance.choice((OK, OK, Status(503), HANG)))
        first = str((number + 1) * 10**6)
        process = start(FOREVER, variables(tmp_path / "spool", receiver, FIRST=first))
        said += acknowledged(process, chance.randrange(1, 3000))
    arrived = deliver_all(tmp_path / "spool", receiver, kills=kills)
    assert set(said) <= set(arrived)
    for number in range(1, kills + 1):
        mine = list(dict.fromkeys(each for each in arrived if each // 10**6 == number))
        assert mine == sorted(mine)


TWICE: Final = (
    """
    import os
    from otel_incident.spool import spool
    spool.EXIT_SECONDS = float(os.environ["BOUND"])
"""
    + EMITTER
    + """
    first = int(os.environ["FIRST"])
    for number in range(first, first + 500):
        emit(number)
    processor.shutdown()
"""
)


def test_two_processes_with_one_directory(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """One of them delivers for all: each record arrives once, each process's in order."""
    arrived = of_three_processes(
        receiver, tmp_path / "spool", bound=60.0
    )  # no attempt is cut short at an exit
    for first in FIRSTS:
        assert [each for each in arrived if first <= each < first + 1000] == list(range(first, first + 500))
    assert len(arrived) == 1500


@pytest.mark.parametrize("bound", [0.0, 0.01])
def test_two_processes_that_may_not_take_their_time(
    receiver: OtlpReceiver, tmp_path: Path, bound: float
) -> None:
    """An exit that cuts an attempt short costs no record and no order: what it was sending may come twice."""
    arrived = [*dict.fromkeys(of_three_processes(receiver, tmp_path / "spool", bound=bound))]
    for first in FIRSTS:
        assert [each for each in arrived if first <= each < first + 1000] == list(range(first, first + 500))
    assert len(arrived) == 1500


FIRSTS: Final = (1000, 2000, 3000)


def of_three_processes(receiver: OtlpReceiver, directory: Path, bound: float) -> list[int]:
    """What has arrived of three processes at once, in order of arrival.

    Args:
        receiver: Where it goes.
        directory: Of their spool.
        bound: Seconds that the exit of each may take.
    """
    known = variables(directory, receiver, BOUND=str(bound))
    for process in [start(TWICE, {**known, "FIRST": str(first)}) for first in FIRSTS]:
        _, stderr = process.communicate(timeout=120)
        assert (process.returncode, stderr) == (0, "")
    return deliver_all(directory, receiver)


PREFORK: Final = (
    EMITTER
    + """
    WHEN = os.environ["WHEN"]
    if WHEN != "before the first record":
        emit(1)
    if WHEN == "after a delivery":
        assert processor.force_flush()
    children = []
    for number in (10, 20, 30):
        child = os.fork()
        if child == 0:
            for each in range(number, number + 5):
                emit(each)
            processor.shutdown()
            os._exit(0)
        children.append(child)
    emit(2)
    print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
    processor.shutdown()
"""
)


@pytest.mark.parametrize("when", ["before the first record", "with a record queued", "after a delivery"])
def test_forked_workers(receiver: OtlpReceiver, tmp_path: Path, when: str) -> None:
    """Whenever a server forks its workers, each record of parent and children arrives exactly once."""
    ended = run(PREFORK, variables(tmp_path / "spool", receiver, WHEN=when))
    assert (ended.status, ended.stdout, ended.stderr) == (0, "[0, 0, 0]\n", "")
    arrived = deliver_all(tmp_path / "spool", receiver)
    expected = [*range(10, 15), *range(20, 25), *range(30, 35)]
    assert sorted(arrived) == ([2] if when == "before the first record" else [1, 2]) + expected


CHILDREN: Final = (
    """
    import os
    from otel_incident.spool import spool
    spool.EXIT_SECONDS = float(os.environ["BOUND"])
"""
    + EMITTER
    + """
    import concurrent.futures, multiprocessing
    from multiprocessing.util import Finalize

    def work(number):
        emit(number)

    def work_to_the_end(number):
        Finalize(None, emit, (number + 1,), exitpriority=0)
        emit(number)

    context = multiprocessing.get_context("fork")
    if os.environ["WAY"] == "process":
        child = context.Process(target=work_to_the_end, args=(1,))
        child.start()
        child.join()
    elif os.environ["WAY"] == "pool":
        with context.Pool(1) as pool:
            pool.map(work, [1, 2])
            pool.close()
            pool.join()
    else:
        with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
            list(pool.map(work, [1, 2]))
    print("ended", flush=True)
    sys.stdin.readline()
"""
)


@pytest.mark.parametrize("way", ["process", "pool", "executor"])
def test_children_of_a_parent_that_reports_nothing(receiver: OtlpReceiver, tmp_path: Path, way: str) -> None:
    """What a child reports, in a finalizer of the host's too, has left when the child has ended."""
    parent = start(CHILDREN, variables(tmp_path / "spool", receiver, WAY=way, BOUND="30"))
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ended\n"
    assert [event.timestamp for event in receiver.telemetry().events] == [1, 2]
    assert parent.communicate("\n", timeout=30) == ("", "")


def test_a_process_that_multiprocessing_has_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that only imports it ends by `atexit` as any other: the finalizers are left to the children."""
    monkeypatch.setattr(util, "Finalize", lambda *_, **__: pytest.fail("a finalizer"))
    at_end_of_child(lambda: None)


def test_a_child_whose_endpoint_hangs(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Its end is bounded as any other's, and the next start delivers what it has reported."""
    receiver.answer_with(HANG)
    code = CHILDREN.replace("sys.stdin.readline()", "")
    started = succeed(code, variables(tmp_path / "spool", receiver, WAY="process", BOUND="0.5"), timeout=30)
    assert started.stdout == "ended\n"
    assert sorted(set(deliver_all(tmp_path / "spool", receiver))) == [1, 2]


SENDING: Final = (
    EMITTER
    + """
    emit(1)
    sys.stdin.readline()  # it hangs in the exporter now
    child = os.fork()
    if child == 0:
        emit(2)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    emit(3)
    os.kill(os.getpid(), 9)
"""
)


def test_a_fork_while_a_batch_is_sent(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Neither what is under way nor what child and parent emit then is lost."""
    receiver.answer_with(HANG)
    process = start(SENDING, variables(tmp_path / "spool", receiver))
    receiver.wait_for_requests(1)
    _, stderr = process.communicate("\n", timeout=60)
    assert (process.returncode, stderr) == (-signal.SIGKILL, "")
    assert sorted(set(deliver_all(tmp_path / "spool", receiver))) == [1, 2, 3]


ENDING: Final = (
    EMITTER
    + """
    import atexit
    atexit.register(provider.shutdown)
    emit(1)
    sys.stdin.readline()
    emit(2)
"""
)


INTERRUPTED: Final = (
    "Log records wait in the spool: the exporter exporter cannot deliver them (no answer when the process "
    "ended). This is said once for an outage.\n"
)


@pytest.mark.parametrize("end", ["exit", "SIGTERM"])
def test_an_end_while_the_endpoint_hangs(receiver: OtlpReceiver, tmp_path: Path, end: str) -> None:
    """A host ends within the bound, or as its signal says, and the next start delivers the rest."""
    receiver.answer_with(HANG)
    process = start(ENDING, variables(tmp_path / "spool", receiver))
    receiver.wait_for_requests(1)
    if end == "SIGTERM":
        process.terminate()
    _, stderr = process.communicate("\n" if end == "exit" else None, timeout=30)
    assert (process.returncode, stderr) == ((0, INTERRUPTED) if end == "exit" else (-signal.SIGTERM, ""))
    assert sorted(set(deliver_all(tmp_path / "spool", receiver))) == ([1, 2] if end == "exit" else [1])


TMPFS: Final = """
    import os
    from otel_incident.guard import swallowed
    from otel_incident.spool.processor import DurableLogRecordProcessor
    from tests.spool_exporters import FAILURE, SUCCESS, Obedient
    from tests.spool_records import numbered

    exporter = Obedient(lambda: FAILURE)
    processor = DurableLogRecordProcessor(exporter, os.environ["DIRECTORY"], delay=0.0, queue_size=10000)
    processor.take(numbered(0))
    processor.force_flush()  # cursor and reserve are there
    number = 0
    while not processor.status().in_memory:
        number += 1
        processor.take(numbered(number, "x" * 10000))
    for more in range(20):
        number += 1
        processor.take(numbered(number))
    exporter.answer = lambda: SUCCESS
    while not processor.force_flush():
        pass
    assert sorted(set(exporter.taken)) == list(range(number + 1)), len(exporter.taken)
    processor.shutdown()
    print(number > 100, swallowed(), os.listdir(os.environ["DIRECTORY"] + "/segments"))
"""


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """On a full file system everything is delivered all the same, and what was delivered is deleted."""
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mount)]
    # S603, S607: the words are the test's own.
    if subprocess.run(command, capture_output=True, check=False).returncode:  # noqa: S603  the words are the tests' own
        reason = "mounting needs more rights than this user has"
        if everything_required():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    try:
        ended = succeed(TMPFS, {"DIRECTORY": str(mount / "spool"), **QUIET})
    finally:
        subprocess.run(["umount", str(mount)], check=True)  # noqa: S603, S607  words of ours
    assert ended.stdout == "True {} []\n"
    assert ended.stderr.count("Log records cannot be kept on disk (No space left on device)") == 1
