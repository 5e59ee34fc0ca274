"""Reads the profiles: what known instrumentations may say where the gate is strict, each with its reason.

A profile that breaks a rule is refused with the file and the place: what is generated from it decides what
leaves other people's processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RULES: Final = frozenset(
    {
        "one_of",
        "route",
        "route_template",
        "status_code",
        "port",
        "count",
        "error_type",
        "sql_state",
        "dotted_name",
        "rpc_name",
        "task_name",
    }
)
"""The grammars of `otel_incident.gate.grammars`, by name."""

_EXTENDING_KEYS: Final = frozenset({"profile", "extends", "scopes", "attributes"})
_PROFILE_KEYS: Final = frozenset({"profile", "scopes", "span_name", "attributes", "events", "metrics"})


class ProfileError(Exception):
    """A profile cannot be used; the message says which, where and why."""


class Attribute(NamedTuple):
    """Keys that share a rule, and why they are safe."""

    keys: list[str]
    rule: str
    values: list[str]
    why: str


class Metric(NamedTuple):
    """A metric whose name, unit and existence say nothing."""

    name: str
    unit: str
    why: str
    other_units: Sequence[str] = ()

    @property
    def units(self) -> list[str]:
        """The unit of the conventions, and those that instrumentations also write."""
        return [self.unit, *self.other_units]


class Profile(NamedTuple):
    """What the instrumentations of one kind may say."""

    name: str
    scopes: list[str]
    span_name: list[list[str]]
    attributes: list[Attribute]
    events: dict[str, list[Attribute]]
    metrics: list[Metric]


def load(directory: Path) -> list[Profile]:
    """Read every profile of a directory, by file name.

    Raises:
        ProfileError: One of them breaks a rule.
    """
    read = {path: _read(path) for path in sorted(directory.glob("*.yaml"))}
    plain = {profile.name: profile for profile in (_profile(path, data) for path, data in read.items())}
    profiles = [_extended(plain[data["profile"]], data, plain, path) for path, data in read.items()]
    seen: dict[str, str] = {}
    for profile in profiles:
        for scope in profile.scopes:
            if scope in seen:
                raise ProfileError(f"{scope} stands in the profiles {seen[scope]} and {profile.name}")
            seen[scope] = profile.name
    return profiles


def _read(path: Path) -> dict[str, Any]:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    keys = _EXTENDING_KEYS if isinstance(data, dict) and "extends" in data else _PROFILE_KEYS
    if not isinstance(data, dict) or set(data) != keys:
        raise ProfileError(f"{path.name}: the keys must be {', '.join(sorted(keys))}")
    if "extends" in data:
        data |= {"span_name": [], "events": [], "metrics": []}
    return data


def _extended(profile: Profile, data: dict[str, Any], plain: dict[str, Profile], path: Path) -> Profile:
    """A profile with what it takes from another; a key that both have is its own."""
    if "extends" not in data:
        return profile
    other = plain.get(data["extends"])
    if other is None:
        raise ProfileError(f"{path.name}: it extends {data['extends']}, which is no profile")
    own = {key for attribute in profile.attributes for key in attribute.keys}
    taken = [
        attribute._replace(keys=[key for key in attribute.keys if key not in own])
        for attribute in other.attributes
    ]
    return other._replace(
        name=profile.name,
        scopes=profile.scopes,
        attributes=[*(attribute for attribute in taken if attribute.keys), *profile.attributes],
    )


def _profile(path: Path, data: dict[str, Any]) -> Profile:
    attributes = [_attribute(path, entry) for entry in data["attributes"]]
    known = {key for attribute in attributes for key in attribute.keys}
    for keys in data["span_name"]:
        if not known.issuperset(keys):
            raise ProfileError(f"{path.name}: span_name is made of {keys}, which are no attributes of it")
    return Profile(
        name=data["profile"],
        scopes=data["scopes"],
        span_name=data["span_name"],
        attributes=attributes,
        events={
            event["name"]: [_attribute(path, entry) for entry in event["attributes"]]
            for event in data["events"]
        },
        metrics=[Metric(**metric) for metric in data["metrics"]],
    )


def _attribute(path: Path, entry: dict[str, Any]) -> Attribute:
    attribute = Attribute(entry["keys"], entry["rule"], entry.get("values", []), entry.get("why", ""))
    place = f"{path.name}: {', '.join(attribute.keys)}"
    if attribute.rule not in RULES:
        raise ProfileError(f"{place}: the rule {attribute.rule} is none of {', '.join(sorted(RULES))}")
    if (attribute.rule == "one_of") != bool(attribute.values):
        raise ProfileError(f"{place}: values stand with the rule one_of, and with no other")
    if not all(type(value) is str for value in attribute.values):
        raise ProfileError(f"{place}: values are strings; quote those that are not")
    if not attribute.why:
        raise ProfileError(f"{place}: says no reason why it is safe")
    return attribute
