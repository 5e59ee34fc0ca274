"""Copies of metrics from which everything that may not leave is missing.

Attributes that go may leave several points with one identity: they become one (merging.py), or are dropped.
Strict also calls several scopes by one name, so it gathers by scope and metric before it merges.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar, final

from opentelemetry.sdk.metrics.export import (
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)

from otel_incident.gate.checks import UNKNOWN
from otel_incident.gate.fields import mapping
from otel_incident.gate.measurements import bare_exemplar, measured
from otel_incident.gate.merging import POINTS, Merge, Point, Shape, identity, shape_of
from otel_incident.gate.parts import Resources, Scopes
from otel_incident.gate.rules import FAILED, FIELD
from otel_incident.guard import swallow
from otel_incident.policy import Drop, keep_registered
from otel_incident.vocabulary import METRICS, SCOPE_NAME

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from opentelemetry.sdk.metrics import Exemplar
    from opentelemetry.sdk.metrics.export import DataPointT, DataT
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from otel_incident.gate.checks import Checks
    from otel_incident.gate.rules import GateRules, ScopeRules

T = TypeVar("T")

_UNKNOWN_METRIC: Final = Drop("", "unknown_metric", "none")
_NOT_MERGEABLE: Final = Drop("", "not_mergeable", "none")
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
        self._standard = _Standard(rules)

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
        source = _scope_source(came.scope)
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
            drops.append(_NOT_MERGEABLE)
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
                drops.extend([_NOT_MERGEABLE] * fell)
                if points:
                    metrics.append(Metric(name, stream.named.description, unit, shape.holding(points)))
            if metrics:
                schema_url = (scope.schema_url if scope is not None else None) or ""
                passed.append(ScopeMetrics(scope, metrics, schema_url))  # type: ignore[arg-type]  # None as it came
        return passed


@final
class _Standard:
    """Pass by default."""

    def __init__(self, rules: GateRules) -> None:
        self._rules = rules.standard
        self._merge = Merge()

    def __call__(self, data: MetricsData, drops: list[Drop]) -> MetricsData | None:
        made = [self._of_resource(of_resource, drops) for of_resource in data.resource_metrics]
        kept = _unless_same(data.resource_metrics, made)
        return data if kept is None else MetricsData(kept) if kept else None

    def _of_resource(self, came: ResourceMetrics, drops: list[Drop]) -> ResourceMetrics | None:
        made = [self._of_scope(came.resource, of_scope, drops) for of_scope in came.scope_metrics]
        kept = _unless_same(came.scope_metrics, made)
        return came if kept is None else replace(came, scope_metrics=kept) if kept else None

    def _of_scope(self, resource: Resource, came: ScopeMetrics, drops: list[Drop]) -> ScopeMetrics | None:
        made: list[Metric | None] = []
        for metric in came.metrics:
            noted: list[Drop] = []
            try:
                made.append(self._metric(metric, resource, came, noted))
            except Exception as error:  # noqa: BLE001  as above
                made.append(None)
                noted.clear()
                _failed(error, noted)
            drops.extend(noted)
        kept = _unless_same(came.metrics, made)
        return came if kept is None else replace(came, metrics=kept) if kept else None

    def _metric(
        self, metric: Metric, resource: Resource, among: ScopeMetrics, drops: list[Drop]
    ) -> Metric | None:
        came: Sequence[DataPointT] = getattr(metric.data, "data_points", ())
        made = [self._point(point, drops) for point in came]
        untouched = all(one is point for one, point in zip(made, came, strict=True))
        lost = any(one.attributes is not point.attributes for one, point in zip(made, came, strict=True))

        def place() -> Hashable:
            of_resource = identity(mapping(resource.attributes))
            return (of_resource, _scope_source(among.scope), _called(metric))

        regroup = lost or self._merge.remembers(place)
        if untouched and not regroup:
            return metric
        shape = shape_of(metric.data)
        kinds = [type(other.data) for other in among.metrics if _called(other) == _called(metric)]
        if shape is None or (regroup and kinds.count(shape.kind) > 1):
            drops.append(_NOT_MERGEABLE)  # cannot be made anew, or may have become another's twin
            return None
        if not regroup:
            return replace(metric, data=shape.holding(made))
        points: dict[Hashable, list[Point]] = {}
        for one, before in zip(made, came, strict=True):
            source = identity(mapping(before.attributes))
            points.setdefault(identity(mapping(one.attributes)), []).append(Point(one, source))
        kept, fell = self._merge(place(), shape, points)
        drops.extend([_NOT_MERGEABLE] * fell)
        return replace(metric, data=shape.holding(kept)) if kept else None

    def _point(self, point: DataPointT, drops: list[Drop]) -> DataPointT:
        attributes = mapping(point.attributes)
        kept = self._kept(attributes, drops)
        if kept is not attributes:
            point = replace(point, attributes=kept)
        exemplars = [self._exemplar(exemplar, drops) for exemplar in point.exemplars]
        if all(one is came for one, came in zip(exemplars, point.exemplars, strict=True)):
            return point
        return replace(point, exemplars=exemplars)

    def _exemplar(self, exemplar: Exemplar, drops: list[Drop]) -> Exemplar:
        attributes = mapping(exemplar.filtered_attributes)
        kept = self._kept(attributes, drops)
        return exemplar if kept is attributes else replace(exemplar, filtered_attributes=kept)

    def _kept(self, attributes: Mapping[str, Any], drops: list[Drop]) -> Mapping[str, Any]:
        """The attributes themselves where nothing has to go."""
        keyed = attributes
        if not all(type(key) is str for key in attributes):
            # Judged by what will be written: a key that is no text never is.
            keyed = {str.__str__(k): v for k, v in attributes.items() if issubclass(type(k), str)}
        drops.extend([UNKNOWN] * (len(attributes) - len(keyed)))
        filtered = self._rules.filter(keyed)
        if filtered is None:
            return attributes if len(keyed) == len(attributes) else keyed
        drops.extend(filtered.drops)
        return filtered.attributes


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


def _called(metric: Metric) -> Hashable:
    """What tells a metric from others of its kind, whatever it is called."""
    return identity({"name": metric.name, "unit": metric.unit})


def _scope_source(scope: InstrumentationScope | None) -> Hashable:
    """What tells a scope from others, whatever it is called."""
    if scope is None:
        return None
    fields = {"name": scope.name, "version": scope.version, "attributes": dict(scope.attributes or {})}
    return identity(fields)


def _unless_same(came: Sequence[T], made: Sequence[T | None]) -> list[T] | None:
    """What was made, without what was not; None where all of it is what came."""
    if all(one is before for one, before in zip(made, came, strict=True)):
        return None
    return [one for one in made if one is not None]


def _failed(error: Exception, drops: list[Drop]) -> None:
    drops.append(FAILED)
    swallow("gate", error)
