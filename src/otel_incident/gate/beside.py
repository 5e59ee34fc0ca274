"""Values that are code or what a caller asked for, whichever: what stands beside them tells.

Some instrumentations write what a client sent where the conventions ask for a name in the host's code: an
ASGI route, a gRPC method, a Celery task. A profile's rule for such a key is judged on the attributes that
stand together, each time anew. Where those go themselves, a second gate behind the first would find nothing
to judge by: so a span's copy remembers the values that its gate has judged, and these very ones stand.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from otel_incident.gate.grammars import ASKED_PATH, ASKED_PATH_KEYS, GRAMMARS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_incident.profiles import ProfileRule

Others: TypeAlias = "Sequence[tuple[str, Any, object, object]]"
"""Keys and values that are not known to be good, with what is asked of them; more may be known of by now."""

RPC_SERVICE: Final = "rpc.service"
RPC_METHOD: Final = "rpc.method"
Judged: TypeAlias = "dict[str, str]"
"""Values, by key, that a gate has found to stand beside what it then took out."""

_POOLS: Final = "google.protobuf.descriptor_pool"
_KNOWN_METHODS: Final = 1024
_known: Final[set[tuple[str, str]]] = set()
"""Services and methods that protobuf has been found to know; what it does not is asked for again."""

TASK_ACTION: Final = "celery.action"
TASK_RUN: Final = "run"
"""What Celery's instrumentation calls a task that a worker runs, which is one of those registered there.

Of one that is sent (`apply_async`) the name is whatever `send_task` was given.
"""


@final
class Beside:
    """In the place of the values that are known to be good: there are none without what stands beside them.

    Args:
        holds: Whether a value may stand beside the attributes that are left, and those that are not known to
            be good, of which some may have gone by now.
        shows: Whether what decides may leave itself, and so shows the same to the next gate.
    """

    __slots__ = ("_holds", "shows")

    def __init__(self, holds: Callable[[Mapping[str, Any], Others], bool], *, shows: bool = True) -> None:
        self._holds = holds
        self.shows = shows

    def holds(
        self, key: str, value: Any, kept: Mapping[str, Any], others: Others, judged: Judged | None
    ) -> bool:
        """Whether a value that is of the right form may stand.

        Args:
            key: Its key.
            value: The value.
            kept: What is left of the attributes that it stands with.
            others: Those of them that are not known to be good.
            judged: What gates before this one have judged, to which this one adds; None where nothing can be
                remembered, and so nothing may stand that the next gate could not judge.
        """
        if self.shows:
            return self._holds(kept, others)
        if judged is None:
            return False
        known = judged.get(key)
        if type(known) is str and known == value:
            return True
        if not self._holds(kept, others):
            return False
        judged[key] = value
        return True

    def __contains__(self, _: object) -> bool:
        """No value is good by itself."""
        return False


def _asked_without_braces(_: Mapping[str, Any], others: Others) -> bool:
    """Whether it is known which path a client asked for, and that no brace came from there."""
    paths = [value for key, value, *_ in others if key in ASKED_PATH_KEYS]
    return bool(paths) and all(type(path) is str and ASKED_PATH.fullmatch(path) for path in paths)


def _is_in_an_interface(kept: Mapping[str, Any], others: Others) -> bool:
    """Whether protobuf, where the host has loaded it, knows the service and the method in it.

    A server with a generic handler answers whatever it is asked, and a gateway passes it on.
    """
    service, method = _value_of(RPC_SERVICE, kept, others), _value_of(RPC_METHOD, kept, others)
    if type(service) is not str or type(method) is not str:
        return False
    asked = service, method
    if asked in _known:
        return True
    if not _has_method(service, method):
        return False
    if len(_known) < _KNOWN_METHODS:
        _known.add(asked)
    return True


def _has_method(service: str, method: str) -> bool:
    """Whether a descriptor has it, which stays when it is there."""
    default = getattr(sys.modules.get(_POOLS), "Default", None)
    is_name = GRAMMARS["rpc_name"].fullmatch
    # first, since of another text protobuf reads the beginning alone, or raises later
    if default is None or not (is_name(service) and is_name(method)):
        return False
    try:
        return method in default().FindServiceByName(service).methods_by_name
    except KeyError:
        return False


def _is_run(kept: Mapping[str, Any], others: Others) -> bool:
    """Whether it is a worker that runs the task."""
    action = _value_of(TASK_ACTION, kept, others)
    return type(action) is str and action == TASK_RUN


def _value_of(key: str, kept: Mapping[str, Any], others: Others) -> Any:
    """A value as it came, whether it may stand or not; None where there is none."""
    for name, value, *_ in others:
        if name == key:
            return value
    return kept.get(key)


BESIDE: Final[Mapping[ProfileRule, Beside]] = {
    "route_template": Beside(_asked_without_braces, shows=False),
    "rpc_name": Beside(_is_in_an_interface),
    "task_name": Beside(_is_run),
}
"""What decides besides the grammar, by the rule that asks for it."""
