"""What a client library asks of a server, as hook files say it: its choke points, and what a request means.

`[[client]]` says once where a choke point has the method, the URL, the body, the status and the reply; a
hook of kind `http` says which request is which action. Both only look values up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final
from urllib.parse import unquote, urlsplit

from otel_incident.hooks.paths import present

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_incident.hooks.paths import Path
    from otel_incident.hooks.tables import Plain


@final
@dataclass(frozen=True, slots=True)
class Route:
    """A method and the template of a path.

    Attributes:
        method: In capitals.
        segments: Of the path; a capture is its name in braces.
    """

    method: str
    segments: tuple[str, ...]

    @property
    def captures(self) -> set[str]:
        """The names of its captures."""
        return {segment[1:-1] for segment in self.segments if segment.startswith("{")}

    @property
    def literal(self) -> int:
        """How many segments are no captures: where several routes match, the most literal one is meant."""
        return sum(not segment.startswith("{") for segment in self.segments)

    @property
    def text(self) -> str:
        """As it stands in the file."""
        return f"{self.method} /{'/'.join(self.segments)}"

    @property
    def shape(self) -> str:
        """The route without the names of its captures."""
        path = "/".join("{}" if segment.startswith("{") else segment for segment in self.segments)
        return f"{self.method} /{path}"

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """What the captures hold, if these are the segments of a path of this route."""
        if len(segments) != len(self.segments):
            return None
        captured = {}
        for own, given in zip(self.segments, segments, strict=True):
            if own.startswith("{"):
                captured[own[1:-1]] = unquote(given)
            elif own != given:
                return None
        return captured


@final
@dataclass(frozen=True, slots=True)
class Among:
    """What stands under a name in the items of a list.

    Attributes:
        items: The list.
        name: The name in each of its items.
    """

    items: Path
    name: str

    def resolve(self, roots: Mapping[str, object]) -> list[object]:
        """All of it that is text or a number."""
        items = self.items.resolve(roots)
        found = [item.get(self.name) for item in items if type(item) is dict] if type(items) is list else []
        return [value for value in found if type(value) in (str, int)]


@final
@dataclass(frozen=True, slots=True)
class Request:
    """Which requests a hook is about.

    Attributes:
        route: Its method and path.
        each: The list of what one request touches, an event for each item; None where it touches one.
        when: Paths, and which values each may lead to.
        given: Paths that must lead to something.
        among: Paths, and a list and a name in its items: what the path leads to stands there in one of them.
        once: What tells requests apart that mean the same action; None where each is one of its own.
    """

    route: Route
    each: Path | None = None
    when: tuple[tuple[Path, tuple[Plain, ...]], ...] = ()
    given: tuple[Path, ...] = ()
    among: tuple[tuple[Path, Among], ...] = ()
    once: Path | None = None

    @property
    def condition(self) -> tuple[object, ...]:
        """What it asks of a request besides its route."""
        return self.each, self.when, self.given, self.among

    def holds(self, roots: Mapping[str, object]) -> bool:
        """Whether what a request holds is what the hook asks for."""
        if any(present(path.resolve(roots)) is None for path in self.given):
            return False
        return all(_is_one_of(path.resolve(roots), values) for path, values in self.when) and all(
            _is_one_of(path.resolve(roots), others.resolve(roots)) for path, others in self.among
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The choke points of a client library, alike in where they have what.

    Attributes:
        targets: `module:qualname` of the callables.
        method, url: Where a call has them.
        base: Where it has the URL that all others begin with; None where there is none.
        body: Where it has what is sent, as JSON text or as what becomes that.
        status: Where the HTTP status is; None where whatever returns has succeeded.
        reply: Where what was answered is.
    """

    targets: tuple[str, ...]
    method: Path
    url: Path
    base: Path | None = None
    body: Path | None = None
    status: Path | None = None
    reply: Path | None = None

    @property
    def library(self) -> str:
        """The top module: what two files can both be about."""
        return self.targets[0].partition(":")[0].partition(".")[0]

    def segments(self, roots: Mapping[str, object]) -> list[str] | None:
        """The segments of a request's path below the base; None where there is no URL."""
        url = self.url.resolve(roots)
        if not isinstance(url, str):
            return None
        path = _path(url)
        base = self.base.resolve(roots) if self.base is not None else None
        if isinstance(base, str):
            prefix = _path(base)
            if prefix and path[: len(prefix)] == prefix:
                path = path[len(prefix) :]
        return path


def _is_one_of(value: object, values: Sequence[object]) -> bool:
    return any(type(known) is type(value) and known == value for known in values)


def _path(url: str) -> list[str]:
    try:
        path = urlsplit(url).path
    except ValueError:  # no URL
        return []
    return [segment for segment in path.split("/") if segment]
