"""A backlog on disk and an endpoint that is scripted, for tests in which no time passes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from opentelemetry.sdk._logs import ReadableLogRecord

from otel_incident.spool.answers import Answer
from otel_incident.spool.backlog import Backlog
from otel_incident.spool.cursors import Cursor
from otel_incident.spool.delivery import Delivery
from otel_incident.spool.memory import Memory
from otel_incident.spool.quarantine import Quarantine
from otel_incident.spool.writer import SegmentWriter
from tests.spool_records import line

DELIVERED: Final = Answer("delivered")
DOWN: Final = Answer("hold", "HTTP 503")
OWN_ERROR: Final = Answer("hold", "HTTP 500", suspect=True)
TOO_LARGE: Final = Answer("split", "HTTP 413")
REFUSED: Final = Answer("refused", "HTTP 400")

Judge = Callable[[list[int]], Answer]


class Endpoint:
    """Answers by a script, then by a judge; remembers what it was given, as the records' numbers."""

    def __init__(self, *answers: Answer, judge: Judge = lambda _: DELIVERED) -> None:
        self.answers = list(answers)
        self.judge = judge
        self.batches: list[list[int]] = []
        self.taken: list[int] = []

    def __call__(self, batch: Sequence[ReadableLogRecord]) -> Answer:
        """One attempt."""
        numbers = [record.log_record.timestamp or 0 for record in batch]
        self.batches.append(numbers)
        answer = self.answers.pop(0) if self.answers else self.judge(numbers)
        if answer.verdict == "delivered":
            self.taken.extend(numbers)
        return answer


class Course:
    """One exporter's way from a directory to an endpoint."""

    def __init__(
        self,
        directory: Path,
        endpoint: Endpoint,
        *,
        batch_size: int = 512,
        jitter: float = 1.0,
        most: int = 100,
        may_keep: Callable[[], bool] = lambda: True,
    ) -> None:
        self.segments = directory / "segments"
        self.segments.mkdir(exist_ok=True)
        self.memory = Memory(["x"], most)
        self.quarantine = Quarantine(directory / "x.quarantine", now=lambda: 1_600_000_000.0)
        self.cursor = Cursor(directory / "x.cursor")
        self.backlog = Backlog(
            "x", self.segments, self.cursor, self.quarantine, self.memory, may_keep=may_keep
        )
        self.delivery = Delivery(self.backlog, endpoint, batch_size=batch_size, jitter=lambda: jitter)
        self.writer = SegmentWriter(self.segments)

    def write(self, *numbers: int) -> None:
        """Records into the writer's segment."""
        for number in numbers:
            self.writer.append(line(number))

    def run(self, limit: int = 10_000) -> list[float]:
        """Steps until nothing waits; the waits that were asked for in between."""
        waits: list[float] = []
        for _ in range(limit):
            wait = self.delivery.step()
            if wait is None:
                return waits
            waits.append(wait)
        raise AssertionError(f"not empty after {limit} steps")
