"""The README's exporter blocks and queries, as they stand there, on the backends that they are about.

A host reports a day of incidents, once straight to the backends and once by way of the collector.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tests.backend import everything_required
from tests.backend_programs import PROGRAMS, NotBuiltError, find
from tests.backend_servers import OTLP_OF_OLD_JAEGERS, OTLP_RECEIVER, Servers, all_servers, prometheus
from tests.collector import LOCAL_CONFIG, ROOT, Collector
from tests.processes import succeed
from tests.waiting import wait_until

SECTION: Final = (
    (ROOT / "README.md").read_text(encoding="utf-8").split("## See it in your backend\n")[1].split("\n## ")[0]
)

WITHIN: Final = 20.0  # VictoriaLogs shows what it took after a second
MINUTE: Final = 60 * 1_000_000_000

HOST: Final = """
    from opentelemetry.instrumentation.auto_instrumentation import initialize
    initialize()

    import json, os
    from opentelemetry import trace
    from otel_incident import Actor, Incident, IncidentEmitter, IncidentEvent

    emitter, tracer, traces = IncidentEmitter(), trace.get_tracer("desk"), {}
    for action, number, created, happened, commander, user in json.loads(os.environ["DAY"]):
        with tracer.start_as_current_span(f"POST /{action}") as span:
            incident = Incident(id=number, commander_id=commander, created_at=created // 1_000_000)
            emitter.emit(
                IncidentEvent(action=action, incident=incident, actor=Actor(id=user), timestamp=happened)
            )
            traces[f"{action} {number}"] = f"{span.get_span_context().trace_id:032x}"
    print(json.dumps(traces))
"""
"""Traces, metrics and events leave by the exporters that the environment names."""


@dataclass(frozen=True, slots=True)
class Day:
    """What the host reported, and where it is now.

    Attributes:
        servers: They have all of it.
        began: When the first incident was created, ns since the epoch.
        traces: Ids of the host's traces by action and incident.
    """

    servers: Servers
    began: int
    traces: Mapping[str, str]

    def at(self, minutes: int) -> int:
        """That many minutes after its beginning, ns since the epoch."""
        return self.began + minutes * MINUTE

    def rows(self, question: str) -> list[dict[str, str]]:
        """The rows that answer one of the README's questions to VictoriaLogs."""
        return self.servers.ask_victorialogs(questions("logsql")[question])

    def values(self, question: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The values that answer one of the README's questions to Prometheus."""
        return self.servers.ask_prometheus(questions("promql")[question])


def blocks(language: str) -> list[str]:
    """The section's fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)


def questions(language: str) -> dict[str, str]:
    """The queries of the one block of a language, by the comment above each."""
    (block,) = blocks(language)
    pairs = (paragraph.split("\n", 1) for paragraph in block.strip().split("\n\n"))
    return {comment.removeprefix("# "): query for comment, query in pairs}


def time_of(row: str) -> int:
    """VictoriaLogs' time in ns since the epoch; these have whole milliseconds."""
    return int(datetime.fromisoformat(row).timestamp() * 1000) * 1_000_000


def iso(nanoseconds: int) -> str:
    """As an attribute has it."""
    moment = datetime.fromtimestamp(nanoseconds // 1_000_000 / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture(scope="module")
def binaries() -> dict[str, Path]:
    """The backends. Without them the tests are skipped, or fail if everything is required."""
    try:
        return {program.name: find(program, build=everything_required()) for program in PROGRAMS}
    except NotBuiltError as error:
        reason = str(error)
    if everything_required():
        pytest.fail(f"the README's backends are required; {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module", params=["direct", "collector"])
def day(
    request: pytest.FixtureRequest, binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Day]:
    """Three incidents: 101 is handed over and ends, 102 ends, 103 is open."""
    directory = tmp_path_factory.mktemp(request.param)
    now = int(datetime.now(UTC).timestamp() * 1000) * 1_000_000
    began = now - 180 * MINUTE
    reported = [
        ("create", 101, 0, 0, 7, 3),
        ("change_commander", 101, 0, 30, 9, 3),
        ("create", 102, 60, 60, 7, 3),
        ("end", 101, 0, 90, 9, 9),
        ("end", 102, 60, 90, 7, 7),
        ("create", 103, 150, 150, 7, 3),
    ]
    moments = [
        (action, number, began + created * MINUTE, began + happened * MINUTE, commander, user)
        for action, number, created, happened, commander, user in reported
    ]
    with all_servers(binaries, directory) as servers:
        if request.param == "direct":
            (exports,) = blocks("console")
            said = dict(re.findall(r"^export (\w+)=(\S+)$", servers.placed(exports), re.MULTILINE))
            traces = report(said, moments, directory)
        else:
            collector_path = request.getfixturevalue("collector_path")
            with Collector(collector_path, directory, config=merged(servers, directory)) as collector:
                said = {
                    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_endpoint,
                }
                traces = report(said, moments, directory)
        wait_until(lambda: arrived(servers) == (6, 6, 6), WITHIN, "all events, traces and counts")
        yield Day(servers, began, traces)


def report(endpoints: Mapping[str, str], moments: list[tuple[Any, ...]], directory: Path) -> dict[str, str]:
    """Run the host to its end; the ids of its traces."""
    variables = {
        **endpoints,
        "DAY": json.dumps(moments),
        "OTEL_SERVICE_NAME": "desk",
        "OTEL_INCIDENT_SERVER_VERSION": "1",
        "OTEL_INCIDENT_SPAN_EVENTS": "true",
        "OTEL_INCIDENT_STATE_DIR": str(directory / "state"),
    }
    ended = succeed(HOST, variables)
    assert ended.stderr == ""
    return cast("dict[str, str]", json.loads(ended.stdout))


def arrived(servers: Servers) -> tuple[int, int, float]:
    """How many events, traces and counted events the backends show."""
    events = servers.ask_victorialogs("incident.action:*")
    traces = servers.ask_jaeger(servers.placed("http://jaeger:16686/api/traces?service=desk"))
    counts = servers.ask_prometheus("sum(incident_events_total)")
    return len(events), len(traces), counts.get((), 0.0)


def merged(servers: Servers, directory: Path) -> Path:
    """The collector's configuration with the README's blocks, merged as the collector merges its files."""
    configuration = yaml.safe_load(LOCAL_CONFIG.read_text())
    for block in blocks("yaml"):
        merge(configuration, yaml.safe_load(servers.placed(block)))
    path = directory / "collector.yaml"
    path.write_text(yaml.safe_dump(configuration))
    return path


def merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    """Maps are joined, anything else is replaced."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def test_ended_incidents_and_their_durations(day: Day) -> None:
    """Two incidents ended, after 90 and 30 minutes."""
    rows = day.rows("incidents that ended in the last 24 hours, and how many minutes each lasted")
    assert sorted((time_of(row.pop("_time")), row.pop("incident.id"), row) for row in rows) == [
        (day.at(90), "101", {"minutes": "90"}),
        (day.at(90), "102", {"minutes": "30"}),
    ]


def test_who_took_over(day: Day) -> None:
    """Incident 101 was given to 9 by 3."""
    rows = day.rows("who took over incident 101, and who changed that")
    assert [(time_of(row.pop("_time")), row) for row in rows] == [
        (day.at(30), {"incident.commander.id": "9", "user.id": "3"})
    ]


def test_open_incidents(day: Day) -> None:
    """Only 103 was not ended."""
    assert day.rows("incidents that are open") == [
        {"incident.id": "103", "incident.created_at": iso(day.at(150))}
    ]


def test_actions_by_week_in_the_logs(day: Day) -> None:
    """Three were created, two ended, one handed over, each in the week in which it happened."""
    expected: dict[tuple[str, str], int] = {}
    happened = [
        ("create", 0), ("create", 60), ("create", 150), ("change_commander", 30), ("end", 90), ("end", 90),
    ]  # fmt: skip
    for action, minutes in happened:
        moment = datetime.fromtimestamp(day.at(minutes) / 1_000_000_000, UTC)
        monday = f"{moment.date() - timedelta(days=moment.weekday())}T00:00:00Z"
        expected[monday, action] = expected.get((monday, action), 0) + 1

    assert day.rows("what was done with incidents, by week") == [
        {"_time": monday, "incident.action": action, "events": str(count)}
        for (monday, action), count in sorted(expected.items())
    ]


def test_the_trace_in_which_an_incident_was_created(day: Day) -> None:
    """The event names the host's trace, and the host's trace holds the event."""
    rows = day.rows("the trace in which incident 101 was created")
    assert rows == [{"trace_id": day.traces["create 101"]}]

    (block,) = blocks("http")
    (trace,) = day.servers.ask_jaeger(day.servers.placed(block.strip()))
    (span,) = trace["spans"]
    (log,) = span["logs"]
    fields = {field["key"]: field["value"] for field in log["fields"]}
    assert (trace["traceID"], span["operationName"]) == (day.traces["create 101"], "POST /create")
    assert log["timestamp"] == day.at(0) // 1000
    assert len(fields.pop("log.record.uid")) == 26
    assert fields == {
        "event": "incident.create",
        "incident.action": "create",
        "incident.active": True,
        "incident.checklist.item.count": 0,
        "incident.commander.id": "7",
        "incident.created_at": iso(day.at(0)),
        "incident.id": "101",
        "user.id": "3",
    }


def test_actions_in_the_metrics(day: Day) -> None:
    """The counts of the week, from the first event of the process on."""
    assert day.values("what was done with incidents in the last week") == {
        (("incident_action", "create"),): 3.0,
        (("incident_action", "change_commander"),): 1.0,
        (("incident_action", "end"),): 2.0,
    }


def test_increase_would_leave_the_first_event_out(day: Day) -> None:
    """The usual function sees no event of a process that reported once: that is why the query is another."""
    assert day.servers.ask_prometheus("sum(increase(incident_events_total[1w]))") == {}


def test_the_median_duration(day: Day) -> None:
    """Of 30 and 90 minutes it is 30, which is a bound of the histogram."""
    question = "the median duration of incidents in seconds, since the processes of the last week began"
    assert day.values(question) == {(): 1800.0}


def test_every_query_is_asked() -> None:
    """A query that is added to the section needs a test here."""
    source = Path(__file__).read_text(encoding="utf-8")
    for question in (*questions("logsql"), *questions("promql")):
        assert f'"{question}"' in source


def test_a_process_that_is_older_than_the_week_counts_with_what_it_added(
    binaries: dict[str, Path], tmp_path: Path
) -> None:
    """Of 7 events, 5 are older than a week: 2 are counted."""
    now = int(datetime.now(UTC).timestamp()) * 1_000_000_000
    with prometheus(binaries["Prometheus"], tmp_path) as servers:
        (endpoint,) = re.findall(r"METRICS_ENDPOINT=(\S+)", SECTION)
        for moment, count in ((now - 7 * 24 * 60 * MINUTE - MINUTE, 5), (now, 7)):
            assert export(servers.placed(endpoint), moment, count) is MetricExportResult.SUCCESS

        query = questions("promql")["what was done with incidents in the last week"]
        assert servers.ask_prometheus(query) == {(("incident_action", "create"),): 2.0}


def export(endpoint: str, moment: int, count: int) -> MetricExportResult:
    """Send the counter of a process that has run for long."""
    point = NumberDataPoint({"incident.action": "create"}, moment - 60 * 24 * 60 * MINUTE, moment, count)
    counter = Sum([point], AggregationTemporality.CUMULATIVE, is_monotonic=True)
    metric = Metric("incident.events", "", "{event}", counter)
    scope = ScopeMetrics(InstrumentationScope("otel_incident"), [metric], "")
    resource = Resource({"service.name": "desk", "service.instance.id": "1"})
    exporter = OTLPMetricExporter(endpoint=endpoint)
    try:
        return exporter.export(MetricsData([ResourceMetrics(resource, [scope], "")]))
    finally:
        exporter.shutdown()


def test_the_collector_takes_each_block_as_a_file_of_its_own(collector_path: Path, tmp_path: Path) -> None:
    """Beside a configuration with receivers, all three at once: `validate` finds no fault."""
    files = [LOCAL_CONFIG]
    for number, block in enumerate(blocks("yaml")):
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(block)
    options = [f"--config={file}" for file in files]

    done = subprocess.run(  # noqa: S603  the words are the tests' own
        [str(collector_path), "validate", *options], capture_output=True, text=True, timeout=60, check=False
    )

    assert (len(files), done.returncode, done.stdout) == (4, 0, ""), done.stderr


def test_the_section_says_how_the_backends_are_started() -> None:
    """Without this flag and this variable Prometheus and old versions of Jaeger take no OTLP."""
    assert f"`{OTLP_RECEIVER}`" in SECTION
    assert f"`{OTLP_OF_OLD_JAEGERS}`" in SECTION


def test_the_section_says_which_versions_it_is_about() -> None:
    """The versions that are built here are the ones that it names."""
    assert [program.modules[0].split()[1] for program in PROGRAMS] == [
        "v1.51.1-0.20260624061259-dc94972a8708",
        "v1.42.0",
        "v0.316.0",
    ]
    assert "VictoriaLogs (a commit of June 2026), Jaeger 1.42 and Prometheus 3.16" in SECTION
