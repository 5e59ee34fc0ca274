"""What the doctor says: one finding a line, with a level and with what to do where something is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Level: TypeAlias = Literal["ok", "warning", "failure"]
Topic: TypeAlias = Literal[
    "on", "packages", "settings", "hooks", "gate", "identity", "service", "exporter", "endpoint", "waiting"
]

_LEVELS: Final[tuple[Level, ...]] = ("ok", "warning", "failure")
_LEVEL_WIDTH: Final = max(map(len, _LEVELS))
_TOPIC_WIDTH: Final = 8


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        level: `failure` where events do not arrive as long as it is so.
        topic: What it is about.
        text: How it is, without a secret.
        to_do: What to do; "" for nothing.
    """

    level: Level
    topic: Topic
    text: str
    to_do: str = ""

    @property
    def line(self) -> str:
        """The finding for a person."""
        to_do = f"; {self.to_do}" if self.to_do else ""
        return f"{self.level:<{_LEVEL_WIDTH}}  {self.topic:<{_TOPIC_WIDTH}}  {printable(self.text + to_do)}"


def ok(topic: Topic, text: str) -> Finding:
    """It is as it should be."""
    return Finding("ok", topic, text)


def warning(topic: Topic, text: str, to_do: str = "") -> Finding:
    """It works, perhaps not as it is meant."""
    return Finding("warning", topic, text, to_do)


def failure(topic: Topic, text: str, to_do: str) -> Finding:
    """Events do not arrive as long as this is so."""
    return Finding("failure", topic, text, to_do)


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level of them."""
    return max((each.level for each in findings), key=_LEVELS.index, default="ok")


def printable(text: str) -> str:
    """A line as a terminal may see it: what could move its cursor or colour it is escaped."""
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)
