"""What the policy took out is counted by signal, reason and rule, said once, and never quoted."""

import threading
from typing import Any, Final, get_args

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_incident.drops import Drops
from otel_incident.errors import IncidentTelemetryError, PolicyViolation
from otel_incident.policy import Drop
from otel_incident.spool.retention import Reason as spool_reasons  # noqa: N813  a type of several
from otel_incident.vocabulary import ATTRIBUTES, REASONS
from tests.processes import succeed

HASHED = Drop("user.id", "hashed", "id")
TYPE = Drop("incident.public", "wrong_type", "flag")
UNKNOWN = Drop("", "unknown_key", "none")

SENTENCES = {
    HASHED: "user.id is no id that a machine made and was replaced by its keyed hash.",
    TYPE: "incident.public is not of the type that its rule (flag) asks for and was left out.",
    UNKNOWN: "An attribute that is not registered does not belong to its event and was left out.",
    Drop("incident.created_at", "bad_value", "timestamp"): (
        "incident.created_at does not keep its rule (timestamp, from 1970 to 9999) and was left out."
    ),
    Drop("user.roles", "bad_value", "enum_list"): (
        "user.roles does not keep its rule (enum_list of end_user, system_admin) and was left out."
    ),
    Drop("incident.id", "missing_required", "id"): (
        "An event lacks incident.id, which is required, and was dropped."
    ),
    Drop("incident.duration", "unknown_key", "none"): (
        "incident.duration does not belong to its event and was left out."
    ),
    Drop("incident.post.id", "internal_error", "id"): (
        "The policy failed on incident.post.id and left it out."
    ),
}
ONCE = " This is said once; the metric otel_incident.policy.dropped counts on."


def points(reader: InMemoryMetricReader) -> list[Any]:
    """The metric's points."""
    data: Any = reader.get_metrics_data()
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert (metric.name, metric.unit) == ("otel_incident.policy.dropped", "{drop}")
    assert metric.data.is_monotonic
    return list(metric.data.data_points)


def test_counts_by_signal_reason_and_rule() -> None:
    """Each drop counts once under its signal, reason and rule; the attribute's name is not counted by."""
    drops = Drops()
    drops.record("logs", [HASHED, Drop("incident.id", "hashed", "id"), TYPE])
    drops.record("spans", [HASHED])
    drops.record("logs", [])
    assert drops.counts() == {
        ("logs", "hashed", "id"): 2,
        ("logs", "wrong_type", "flag"): 1,
        ("spans", "hashed", "id"): 1,
    }


def test_the_metric_has_three_attributes_from_closed_sets() -> None:
    """`otel_incident.policy.dropped` carries signal, reason and rule, and nothing else."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    drops = Drops(provider)
    drops.record("logs", [HASHED, HASHED, UNKNOWN])
    found = {tuple(sorted(point.attributes.items())): point.value for point in points(reader)}
    assert found == {
        (
            ("otel_incident.reason", "hashed"),
            ("otel_incident.rule", "id"),
            ("otel_incident.signal", "logs"),
        ): 2,
        (
            ("otel_incident.reason", "unknown_key"),
            ("otel_incident.rule", "none"),
            ("otel_incident.signal", "logs"),
        ): 1,
    }
    provider.shutdown()


@pytest.mark.parametrize("drop", SENTENCES)
def test_each_kind_is_said_once(drop: Drop, caplog: pytest.LogCaptureFixture) -> None:
    """One warning for each attribute, reason and rule, however often it happens."""
    drops = Drops()
    for _ in range(3):
        drops.record("logs", [drop])
    assert [record.getMessage() for record in caplog.records] == [SENTENCES[drop] + ONCE]
    assert [(record.name, record.levelname) for record in caplog.records] == [("otel_incident", "WARNING")]


def test_every_reason_has_its_sentence() -> None:
    """The sentences try each reason that an event can have; the others are the gate's and the spool's."""
    others = {"forbidden", "text_field", "unknown_metric", "not_mergeable", *get_args(spool_reasons)}
    assert {drop.reason for drop in SENTENCES} == set(REASONS) - others
    assert set(get_args(spool_reasons)) <= set(REASONS)
    assert all(drop.attribute == "" or drop.attribute in ATTRIBUTES for drop in SENTENCES)


def test_what_is_not_announced_is_counted_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    """`announce=False` says nothing and counts everything."""
    drops = Drops(announce=False)
    drops.record("logs", [HASHED])
    assert caplog.records == []
    assert drops.counts() == {("logs", "hashed", "id"): 1}


@pytest.mark.parametrize("drop", [each for each in SENTENCES if each != HASHED])
def test_strict_raises_without_the_value(drop: Drop, caplog: pytest.LogCaptureFixture) -> None:
    """In strict mode a drop is a PolicyViolation that names attribute and rule; it is counted, not said."""
    drops = Drops(strict=True)
    for _ in range(2):
        with pytest.raises(PolicyViolation) as raised:
            drops.record("logs", [drop])
        assert str(raised.value) == SENTENCES[drop]
        assert isinstance(raised.value, IncidentTelemetryError)
    assert caplog.records == []
    assert drops.counts() == {("logs", drop.reason, drop.rule): 2}


def test_strict_raises_nothing_where_nothing_was_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """An event that keeps every rule raises nothing, nor does an id that is hashed: that is said."""
    drops = Drops(strict=True)
    drops.record("logs", [])
    drops.record("logs", [HASHED])
    assert [line.partition(" This is said once")[0] for line in caplog.messages] == [SENTENCES[HASHED]]


def test_counts_are_exact_over_threads() -> None:
    """Threads that drop at once lose no count, and say a kind once between them."""
    drops = Drops(announce=False)
    start = threading.Barrier(8)

    def run() -> None:
        start.wait(10)
        for _ in range(500):
            drops.record("logs", [HASHED])

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drops.counts() == {("logs", "hashed", "id"): 4000}


LATE: Final = """
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from otel_incident.drops import Drops
    from otel_incident.policy import Drop

    drop = Drop("user.id", "hashed", "id")
    early = Drops(announce=False)
    early.record("logs", [drop])
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    metrics.set_meter_provider(provider)
    for late in (Drops(announce=False), Drops(provider, announce=False)):
        late.record("logs", [drop])
    early.record("logs", [drop])
    (metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    print(metric.name, [point.value for point in metric.data.data_points])
"""


def test_a_global_provider_that_comes_later_has_all_counts() -> None:
    """What was counted while the global provider was a placeholder, and what is counted then, is one sum."""
    assert succeed(LATE).stdout == "otel_incident.policy.dropped [4]\n"


FORKED: Final = """
    import os
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from otel_incident.drops import Drops
    from otel_incident.policy import Drop

    drop = Drop("user.id", "hashed", "id")
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    metrics.set_meter_provider(provider)
    drops = Drops(announce=False)

    def count(*given):
        drops.record("logs", given)
        (metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
        print(os.getpid() == parent, [point.value for point in metric.data.data_points], flush=True)

    parent = os.getpid()
    count(drop)
    drops.record("logs", [drop, drop])  # noted, and not added up yet
    if os.fork() == 0:
        count(drop)
        os._exit(0)
    os.wait()
    count(drop)
"""


def test_a_forked_child_counts_from_zero() -> None:
    """What its parent has counted or noted before the fork the parent reports, and the child does not."""
    assert succeed(FORKED).stdout.splitlines() == ["True [1]", "False [1]", "True [4]"]
