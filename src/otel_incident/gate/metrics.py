"""Copies of metrics from which everything that may not leave is missing.

Attributes that go may leave several points with one identity: they become one (merging.py), or are dropped.
Strict also calls several scopes by one name, so it gathers by scope and metric before it merges. Standard's
part is standard_metrics.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, final

from opentelemetry.sdk.metrics.export import (
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)

from otel_incident.gate.checks import UNKNOWN
from otel_incident.gate.fields import mapping
from otel_incident.gate.measurements import bare_exemplar, measured
from otel_incident.gate.merging import (
    NOT_MERGEABLE,
    POINTS,
    Merge,
    Point,
    Shape,
    identity,
    scope_source,
    shape_of,
)
from otel_incident.gate.parts import Resources, Scopes
from otel_incident.gate.rules import FAILED, FIELD
from otel_incident.gate.standard_metrics import StandardMetrics
from otel_incident.guard import swallow
from otel_incident.policy import Drop, keep_registered
from otel_incident.vocabulary import METRICS, SCOPE_NAME

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from opentelemetry.sdk.metrics.export import DataT
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from otel_incident.gate.checks import Checks
    from otel_incident.gate.rules import GateRules, ScopeRules

_UNKNOWN_METRIC: Final = Drop("", "unknown_metric", "none")
_BAD_NUMBER: Final = Drop("", "wrong_type", "none")


class _Named(NamedTuple):
    """What a metric may be called, and what its points may say; one of ours has attributes of its own."""

    name: str
    unit: str
    description: str
    checks: Checks
    is_ours: bool

    def keep(self, attributes: Mapping[str, Any], drops: list[Drop]) -> dict[str, Any]:
        """What of a point's attributes may stand; what may not is noted in `drops`."""
        if not self.is_ours:
            return self.checks.keep(attributes, drops)
        kept = keep_registered(attributes, METRICS[self.name].attributes)
        drops.extend(kept.drops)
        return self.checks.without_forbidden(kept.attributes, drops)


class _Stream(NamedTuple):
    """A metric that may leave, with its points by identity."""

    named: _Named
    points: dict[Hashable, list[Point]]


_Name: TypeAlias = "tuple[str, str, Shape]"  # with its unit: two units of one name are two metrics
_Streams: TypeAlias = "dict[_Name, _Stream]"


@final
class MetricFilter:
    """What a gate makes of the metrics of one collection; for one exporter, since it remembers counters.

    Args:
        rules: The gate's.
    """

    def __init__(self, rules: GateRules) -> None:
        self._rules = rules
        self._strict = _Strict(rules)
        self._standard = StandardMetrics(rules)

    def __call__(self, data: MetricsData) -> MetricsData | None:
        """What the next in line may see: the same object if nothing had to go, None if nothing stays."""
        drops: list[Drop] = []
        if self._rules.mode == "strict":
            passed = self._strict(data, drops)
        else:
            if self._rules.mode == "audit":
                would: list[Drop] = []
                self._strict(data, would)
                self._rules.would("metrics", would)
            passed = self._standard(data, drops)
        self._rules.count("metrics", drops)
        return passed


@final
class _Strict:
    """Deny by default."""

    def __init__(self, rules: GateRules) -> None:
        self._scopes = Scopes(rules.strict)
        self._resources = Resources(rules.strict)
        self._merge = Merge()

    def __call__(self, data: MetricsData, drops: list[Drop]) -> MetricsData | None:
        gathered: dict[Resource, dict[InstrumentationScope | None, _Streams]] = {}
        for of_resource in data.resource_metrics:
            try:
                scopes = gathered.setdefault(self._resources.of(of_resource.resource, drops), {})
                for of_scope in of_resource.scope_metrics:
                    self._gather(of_scope, scopes, drops)
            except Exception as error:  # noqa: BLE001  a filter that fails must neither raise nor let through
                _failed(error, drops)
        passed = [
            ResourceMetrics(resource, of_scopes, "")
            for resource, scopes in gathered.items()
            if (of_scopes := self._made(resource, scopes, drops))
        ]
        return MetricsData(passed) if passed else None

    def _gather(
        self,
        came: ScopeMetrics,
        scopes: dict[InstrumentationScope | None, _Streams],
        drops: list[Drop],
    ) -> None:
        _, rules, scope = self._scopes.of(came.scope, drops)
        streams = scopes.setdefault(scope, {})
        source = scope_source(came.scope)
        seen: set[_Name] = set()
        for metric in came.metrics:
            noted: list[Drop] = []
            try:
                self._take(metric, rules, source, streams, seen, noted)
            except Exception as error:  # noqa: BLE001  as above
                noted.clear()
                _failed(error, noted)
            drops.extend(noted)

    def _take(
        self,
        metric: Metric,
        rules: ScopeRules,
        source: Hashable,
        streams: _Streams,
        seen: set[_Name],
        drops: list[Drop],
    ) -> None:
        """Add a metric's points to its stream; a metric that may not leave leaves none there."""
        named, shape = _named(metric, rules), shape_of(metric.data)
        if named is None or shape is None:
            drops.append(_UNKNOWN_METRIC)
            return
        key = (named.name, named.unit, shape)
        if key in seen:  # two views of one instrument: their points add up to twice what was measured
            drops.append(NOT_MERGEABLE)
            return
        points = self._points(metric.data, named, source, drops)
        if points is None:
            drops[:] = [_BAD_NUMBER]
            return
        seen.add(key)
        description = metric.description
        if description is not None and (
            type(description) is not str or description not in {"", named.description}
        ):
            drops.append(FIELD)
        stream = streams.setdefault(key, _Stream(named, {}))
        for point in points:
            stream.points.setdefault(identity(mapping(point.point.attributes)), []).append(point)

    def _points(self, data: DataT, named: _Named, source: Hashable, drops: list[Drop]) -> list[Point] | None:
        points = []
        for point in data.data_points:
            attributes = mapping(point.attributes)
            kept = named.keep(attributes, drops)
            exemplars = []
            for exemplar in point.exemplars:
                drops.extend([UNKNOWN] * len(mapping(exemplar.filtered_attributes)))
                bare = bare_exemplar(exemplar)
                if bare is not None:
                    exemplars.append(bare)
            plain = measured(point, kept, exemplars) if type(point) is POINTS[type(data)] else None
            if plain is None:
                return None
            points.append(Point(plain, (source, identity(attributes))))
        return points

    def _made(
        self,
        resource: Resource,
        scopes: dict[InstrumentationScope | None, _Streams],
        drops: list[Drop],
    ) -> list[ScopeMetrics]:
        passed = []
        place = identity(resource.attributes)
        for scope, streams in scopes.items():
            metrics = []
            for (name, unit, shape), stream in streams.items():
                try:
                    points, fell = self._merge((place, scope, name, unit), shape, stream.points)
                except Exception as error:  # noqa: BLE001  as above
                    _failed(error, drops)
                    continue
                drops.extend([NOT_MERGEABLE] * fell)
                if points:
                    metrics.append(Metric(name, stream.named.description, unit, shape.holding(points)))
            if metrics:
                schema_url = (scope.schema_url if scope is not None else None) or ""
                passed.append(ScopeMetrics(scope, metrics, schema_url))  # type: ignore[arg-type]  # None as it came
        return passed


def _named(metric: Metric, rules: ScopeRules) -> _Named | None:
    """What a metric may be called; None for one that no table names, in that unit."""
    name, unit = metric.name, metric.unit
    if type(name) is not str or type(unit) is not str:
        return None
    if rules.name == SCOPE_NAME:
        own = METRICS.get(name)
        if own is None or unit != own.unit:
            return None
        return _Named(name, unit, own.brief, rules.attributes, is_ours=True)
    if unit not in rules.metrics.get(name, ()):
        return None
    return _Named(name, unit, "", rules.attributes, is_ours=False)


def _failed(error: Exception, drops: list[Drop]) -> None:
    drops.append(FAILED)
    swallow("gate", error)
