"""Standard's copies of metrics: what is not forbidden passes, as the object that it was.

Only where an attribute goes are points added up (merging.py), or dropped.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar, final

from opentelemetry.sdk.metrics.export import Metric, MetricsData, ResourceMetrics, ScopeMetrics

from otel_incident.gate.checks import UNKNOWN
from otel_incident.gate.fields import mapping
from otel_incident.gate.merging import NOT_MERGEABLE, Merge, Point, called, identity, scope_source, shape_of
from otel_incident.gate.rules import FAILED
from otel_incident.guard import swallow

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from opentelemetry.sdk.metrics import Exemplar
    from opentelemetry.sdk.metrics.export import DataPointT
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from otel_incident.gate.rules import GateRules
    from otel_incident.policy import Drop

T = TypeVar("T")


@final
class StandardMetrics:
    """Metrics from which what is forbidden is missing; the same objects where nothing had to go.

    Args:
        rules: The gate's.
    """

    def __init__(self, rules: GateRules) -> None:
        self._rules = rules.standard
        self._merge = Merge()

    def __call__(self, data: MetricsData, drops: list[Drop]) -> MetricsData | None:
        """What the next in line may see; None if nothing stays. What went is noted in `drops`."""
        made = [self._of_resource(of_resource, drops) for of_resource in data.resource_metrics]
        kept = _unless_same(data.resource_metrics, made)
        return data if kept is None else MetricsData(kept) if kept else None

    def _of_resource(self, came: ResourceMetrics, drops: list[Drop]) -> ResourceMetrics | None:
        made = [self._of_scope(came.resource, of_scope, drops) for of_scope in came.scope_metrics]
        kept = _unless_same(came.scope_metrics, made)
        return came if kept is None else replace(came, scope_metrics=kept) if kept else None

    def _of_scope(self, resource: Resource, came: ScopeMetrics, drops: list[Drop]) -> ScopeMetrics | None:
        made: list[Metric | None] = []
        # asked of few, and the same of all: counted once, or many metrics would take very long
        kinds = cache(partial(_kinds, came.metrics))
        for metric in came.metrics:
            noted: list[Drop] = []
            try:
                made.append(self._metric(metric, resource, came.scope, kinds, noted))
            except Exception as error:  # noqa: BLE001  a filter that fails must neither raise nor let through
                made.append(None)
                noted[:] = [FAILED]
                swallow("gate", error)
            drops.extend(noted)
        kept = _unless_same(came.metrics, made)
        return came if kept is None else replace(came, metrics=kept) if kept else None

    def _metric(
        self,
        metric: Metric,
        resource: Resource,
        scope: InstrumentationScope,
        kinds: Callable[[], Counter[tuple[Hashable, type]]],
        drops: list[Drop],
    ) -> Metric | None:
        came: Sequence[DataPointT] = getattr(metric.data, "data_points", ())
        made = [self._point(point, drops) for point in came]
        untouched = all(one is point for one, point in zip(made, came, strict=True))
        lost = any(one.attributes is not point.attributes for one, point in zip(made, came, strict=True))

        def place() -> Hashable:
            of_resource = identity(mapping(resource.attributes))
            return (of_resource, scope_source(scope), called(metric))

        regroup = lost or self._merge.remembers(place)
        if untouched and not regroup:
            return metric
        shape = shape_of(metric.data)
        if shape is None or (regroup and kinds()[called(metric), shape.kind] > 1):
            drops.append(NOT_MERGEABLE)  # cannot be made anew, or may have become another's twin
            return None
        if not regroup:
            return replace(metric, data=shape.holding(made))
        points: dict[Hashable, list[Point]] = {}
        for one, before in zip(made, came, strict=True):
            source = identity(mapping(before.attributes))
            points.setdefault(identity(mapping(one.attributes)), []).append(Point(one, source))
        kept, fell = self._merge(place(), shape, points)
        drops.extend([NOT_MERGEABLE] * fell)
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


def _kinds(metrics: Sequence[Metric]) -> Counter[tuple[Hashable, type]]:
    """How many metrics of one name, unit and kind there are."""
    return Counter((called(metric), type(metric.data)) for metric in metrics)


def _unless_same(came: Sequence[T], made: Sequence[T | None]) -> list[T] | None:
    """What was made, without what was not; None where all of it is what came."""
    if all(one is before for one, before in zip(made, came, strict=True)):
        return None
    return [one for one in made if one is not None]
