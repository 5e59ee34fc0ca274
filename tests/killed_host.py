"""A busy prefork host whose workers are killed: what it has reported, it writes down.

A worker reports incidents without a pause longer than some milliseconds and writes each one's number into a
file once the call has returned. Its master replaces each worker that ends, as gunicorn's does.
"""

import os
import random
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.processes import start
from tests.waiting import wait_until

if TYPE_CHECKING:
    import subprocess

WORKERS: Final = 4
SPAN: Final = 1_000_000
"""A worker's incidents are numbered from its own number times this."""

_MASTER: Final = """
    import os, signal, sys, threading

    {setup}

    def work(number):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        report = make()
        acknowledged = os.open(os.environ["ACKNOWLEDGED"], os.O_WRONLY | os.O_APPEND)
        pause, each = threading.Event(), number * SPAN
        while True:
            each += 1
            report(each)
            os.write(acknowledged, b"%d\\n" % each)
            pause.wait(0.004)

    SPAN, number, ending = 1_000_000, int(os.environ["FIRST"]), False
    workers = set()

    def end(*_):
        global ending
        ending = True
        for worker in workers:
            os.kill(worker, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    while True:
        while len(workers) < 4 and not ending:
            number += 1
            child = os.fork()
            if child == 0:
                workers.clear()
                work(number)
            workers.add(child)
            print(child, flush=True)
        if not workers:
            break
        workers.discard(os.wait()[0])
"""

OURS: Final = """
    from otel_incident import Incident, IncidentEmitter
    emitter = IncidentEmitter()

    def make():
        return lambda number: emitter.create(Incident(id=number))
"""
"""Our events, by way of the spool."""

STOCK: Final = """
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    def make():
        import logging
        logging.disable()
        provider = LoggerProvider()
        provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        logger = provider.get_logger("stock")

        def report(number):
            logger.emit(event_name="incident.create", attributes={"incident.id": str(number)})

        return report
"""
"""The same by way of the SDK's own batch processor."""


class KilledHost:
    """A host that somebody kills, in whole and in parts."""

    def __init__(self, setup: str, directory: Path, variables: dict[str, str], seed: int) -> None:
        """Nothing runs yet.

        Args:
            setup: `OURS` or `STOCK`.
            directory: For what it writes down; must exist.
            variables: Its environment.
            seed: Of the choice of moments and of victims.
        """
        self._code = _MASTER.replace("    {setup}\n", setup)
        self._file = directory / "acknowledged"
        self._file.touch()
        self._variables = {**variables, "ACKNOWLEDGED": str(self._file)}
        self._random = random.Random(seed)  # noqa: S311  it chooses victims
        self._master: subprocess.Popen[str] | None = None
        self._workers: list[int] = []
        self._first = 0

    def start(self) -> None:
        """Start it, and wait until all its workers are there."""
        self._first += 1000
        # a group of its own, which can be killed at once as a container is
        self._master = start(self._code, {**self._variables, "FIRST": str(self._first)}, group=True)
        self._workers = []
        self._see(WORKERS)

    def acknowledged(self) -> list[int]:
        """The numbers whose calls have returned."""
        return [int(line) for line in self._file.read_text().splitlines()]

    def kill_a_worker(self) -> None:
        """Kill one of the workers, a newer one more likely, and wait for the next."""
        assert self._master is not None
        os.kill(self._workers.pop(self._random.randrange(WORKERS)), signal.SIGKILL)
        self._see(1)

    def kill(self) -> None:
        """Kill master and workers at once."""
        assert self._master is not None
        os.killpg(self._master.pid, signal.SIGKILL)
        self._master.communicate()

    def moment(self) -> None:
        """Let it work for a random moment, until some more is written down."""
        before = self._file.stat().st_size
        more = self._random.randrange(1, 600)
        wait_until(lambda: self._file.stat().st_size > before + more, 30, "a host at work")

    def end(self) -> int:
        """End it as an operator would; its status."""
        assert self._master is not None
        self._master.send_signal(signal.SIGTERM)
        self._master.communicate(timeout=60)
        return self._master.returncode

    def _see(self, count: int) -> None:
        assert self._master is not None
        assert self._master.stdout is not None
        for _ in range(count):
            line = self._master.stdout.readline()
            assert line, self._master.communicate()[1]
            self._workers.append(int(line))
