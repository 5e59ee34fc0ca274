"""The rules of the gate as conditions of OTTL, the language of the collector's processors.

Each condition is made of the very grammar, range or closed list that the gate checks values by, so that the
two cannot drift apart. Exact types come first and OTTL's `and` stops at the first that fails: a condition is
then never asked to compare what it cannot, and a payload can make no statement fail.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from otel_incident.gate.beside import BESIDE, TASK_ACTION, TASK_RUN
from otel_incident.gate.grammars import ASKED_PATH, ASKED_PATH_KEYS, RANGES
from otel_incident.gate.grammars import GRAMMARS as PROFILE_GRAMMARS
from otel_incident.policy import GRAMMARS, MAX_COUNT, MAX_SECONDS
from otel_incident.vocabulary import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from otel_incident.profiles import ProfileAttribute, ProfileRule


def quoted(text: str) -> str:
    """A string of OTTL; where a configuration would expand `${`, it is written so that it does not."""
    return json.dumps(text).replace("${", "$${")


def any_of(texts: Iterable[str]) -> str:
    """A pattern that matches one of these texts."""
    return "|".join(re.escape(text) for text in texts)


def matches(path: str, pattern: str) -> str:
    """Whether a path that is known to be a string matches in full; RE2 knows no other anchors than these."""
    return f"IsMatch({path}, {quoted(f'^(?:{pattern})$')})"


def is_text(path: str, pattern: str) -> str:
    """Whether a value is a string, and matches in full."""
    return f"IsString({path}) and {matches(path, pattern)}"


def keeps_rule(name: str, path: str) -> str:
    """Whether the value at a path keeps the rule of a registered attribute."""
    attribute = ATTRIBUTES[name]
    if attribute.rule in GRAMMARS:
        return is_text(path, GRAMMARS[attribute.rule].pattern)
    if attribute.rule == "enum":
        return is_text(path, any_of(attribute.members))
    if attribute.rule == "enum_list":
        return _are_members(path, attribute.members)
    return {
        "flag": f"IsBool({path})",
        "count": f"IsInt({path}) and {path} >= 0 and {path} <= {MAX_COUNT}",
        "seconds": f"IsDouble({path}) and {path} >= 0.0 and {path} <= {MAX_SECONDS:.1f}",
    }[attribute.rule]


def keeps_profile_rule(attribute: ProfileAttribute, name: str, at: Callable[[str], str]) -> str:
    """Whether an attribute keeps the rule that a profile has for it.

    Args:
        attribute: The rule.
        name: Of the attribute.
        at: Gives the path of an attribute by its name.
    """
    path = at(name)
    if attribute.rule == "one_of":
        return is_text(path, any_of(attribute.values))
    if attribute.rule in PROFILE_GRAMMARS:
        keeps = is_text(path, PROFILE_GRAMMARS[attribute.rule].pattern)
        beside = _BESIDE.get(attribute.rule)
        return f"{keeps} and {beside(at)}" if beside else keeps
    first, last = RANGES[attribute.rule]
    return f"IsInt({path}) and {path} >= {first} and {path} <= {last}"


def _asked_without_braces(at: Callable[[str], str]) -> str:
    """Whether it is known which path a client asked for, and that no brace came from there."""
    paths = [at(key) for key in ASKED_PATH_KEYS]
    known = " or ".join(f"{path} != nil" for path in paths)
    plain = [f"({path} == nil or ({is_text(path, ASKED_PATH.pattern)}))" for path in paths]
    return " and ".join([f"({known})", *plain])


def _is_run(at: Callable[[str], str]) -> str:
    """Whether it is a worker that runs the task."""
    return is_text(at(TASK_ACTION), TASK_RUN)


_BESIDE: Final[Mapping[ProfileRule, Callable[[Callable[[str], str]], str]]] = {
    "route_template": _asked_without_braces,
    "task_name": _is_run,
}
"""What decides besides the grammar, as in the process."""


def is_within_reach(attribute: ProfileAttribute) -> bool:
    """Whether an attribute's rule can be put in conditions: what a process has loaded none of them knows."""
    return attribute.rule != "rpc_name"


def judged_by_what_stays(attribute: ProfileAttribute) -> bool:
    """Whether an attribute's rule asks for nothing beside it that may not stand itself."""
    return attribute.rule not in BESIDE or BESIDE[attribute.rule].shows


def _are_members(path: str, members: tuple[str, ...]) -> str:
    """A list of one to all of the members: by index, since an index is never beyond the length asked for."""
    lengths = []
    for length in range(1, len(members) + 1):
        items = [
            "(" + " or ".join(f"{path}[{index}] == {quoted(member)}" for member in members) + ")"
            for index in range(length)
        ]
        lengths.append(f"(Len({path}) == {length} and {' and '.join(items)})")
    return f"IsList({path}) and ({' or '.join(lengths)})"


NOTHING: Final = '""'
"""The empty string, which is as near as OTTL comes to taking a text out."""
