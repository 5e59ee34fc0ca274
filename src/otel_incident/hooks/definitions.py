"""What a hook file says, as frozen values: the file, its hooks, and how a stage becomes an index.

`spec` reads them; everything that watches a host is given them, and needs nothing that reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, final

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from otel_incident.hooks.callee import Callee
    from otel_incident.hooks.paths import Path
    from otel_incident.hooks.requests import Client, Request
    from otel_incident.hooks.rows import Condition, Row
    from otel_incident.hooks.tables import Plain
    from otel_incident.vocabulary import Action

Kind = Literal["call", "model", "http"]

# What is said of which key where two hooks are about one thing.
_SUBJECT: Final[Mapping[Kind, str]] = {"call": "target", "model": "model", "http": "route"}


@final
@dataclass(frozen=True, slots=True)
class Stage:
    """How a host's stage becomes an index: its own integer plus an offset, or a position in a list."""

    source: Path | str
    offset: int = 0
    order: tuple[Plain, ...] = ()

    def index(self, value: object) -> int | None:
        """The 0-based index of a stage, or None where the value has none."""
        if self.order:
            for position, known in enumerate(self.order):
                if type(known) is type(value) and known == value:
                    return position
            return None
        return value + self.offset if type(value) is int else None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One hook.

    Attributes:
        name: How messages call it.
        kind: Whether it watches a callable, a model or a client library's requests.
        target: `module:qualname` of the callable or of SQLAlchemy's class, Django's `app_label.Model`, or the
            library and the route.
        action: What a call or a request means; None for models, whose transitions decide.
        incident: Where the incident's values are found, by the parameter of `Incident`.
        actor_id, system_admin: Where who did it is found; by default the request's user.
        actor_callable: Who is asked for the user, in place of the request.
        public: Where `incident.public` is found, or the value itself.
        stage: The stage: of a model the field that is watched, of a call a path.
        lifecycle_field, closed: The field whose values in `closed` mean that an incident has ended.
        unknown_is_closed: For what a row is taken whose field was not known before; None says nothing of it.
        commander_field: The field whose change is a change of commander.
        id_shapes: What this host uses as ids, by attribute name.
        request: Which requests it is about; None for other kinds.
        row: What a row means that is no incident but belongs to one; None where the rows are the incidents.
        conditions: What a model's row must hold to be reported.
    """

    name: str
    kind: Kind
    target: str
    action: Action | None = None
    incident: Mapping[str, Path] = field(default_factory=dict)
    actor_id: Path | None = None
    system_admin: Path | None = None
    actor_callable: Callee | None = None
    public: Path | bool | None = None
    stage: Stage | None = None
    lifecycle_field: str = ""
    closed: tuple[Plain, ...] = ()
    unknown_is_closed: bool | None = None
    commander_field: str = ""
    id_shapes: Mapping[str, re.Pattern[str]] | None = None
    request: Request | None = None
    row: Row | None = None
    conditions: tuple[Condition, ...] = ()

    @property
    def subject(self) -> str:
        """The key that says what it watches."""
        return _SUBJECT[self.kind]

    @property
    def watched(self) -> tuple[Kind, str]:
        """What it watches; Django does not tell models by the case of their names."""
        django = self.kind == "model" and not self.is_mapped_class
        return self.kind, self.target.lower() if django else self.target

    @property
    def is_mapped_class(self) -> bool:
        """Whether it is about a class that SQLAlchemy maps."""
        return self.kind == "model" and ":" in self.target

    @property
    def meaning(self) -> tuple[Kind, str, Action | None, tuple[object, ...]]:
        """What it watches, for what: two hooks that share this report everything twice."""
        condition = self.request.condition if self.request is not None else self.conditions
        return *self.watched, self.action, condition


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HookFile:
    """One file of hooks, for one host.

    Attributes:
        source: The file's path, or the preset's name.
        host: How messages call the host.
        module: The module whose import switches a preset on; "" is always on.
        distribution: The distribution whose version is the host's.
        content: Names of the host's fields that hold content.
        clients: The choke points of the client library that hooks of kind `http` are about.
        hooks: The hooks.
        preset: Whether it ships with the package: then a target that is absent is no mistake.
    """

    source: str
    host: str
    module: str = ""
    distribution: str = ""
    content: tuple[str, ...] = ()
    clients: tuple[Client, ...] = ()
    hooks: tuple[Hook, ...] = ()
    preset: bool = False

    @property
    def host_distribution(self) -> str:
        """The distribution whose version is the host's; a client library that a preset is about is none."""
        return "" if self.preset and self.clients else self.distribution
