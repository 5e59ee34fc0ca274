"""What a caller chooses does not leave strict as a name in code: gRPC's methods, Celery's tasks."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind

from otel_incident.gate import GateRules, beside
from otel_incident.gate.spans import SpanFilter
from tests.host_environment import HostEnvironment, host_environment
from tests.host_packages import HOSTS

GRPC: Final = "opentelemetry.instrumentation.grpc"
CELERY: Final = "opentelemetry.instrumentation.celery"
OTHER_SERVICE: Final[str] = logs_service_pb2.DESCRIPTOR.services_by_name["LogsService"].full_name
SERVICE: Final[str] = trace_service_pb2.DESCRIPTOR.services_by_name["TraceService"].full_name
KNOWN: Final = {"rpc.service": SERVICE, "rpc.method": "Export"}
SAID: Final = ("Payments_are_down", "for_jane_at_acme")
ASKED: Final = dict(zip(("rpc.service", "rpc.method"), SAID, strict=True))
RUN: Final = {"celery.action": "run", "celery.task_name": "desk.close"}


class Sly(str):
    """A text of a class of the host's."""

    __slots__ = ()


def passed(
    scope: str,
    attributes: Mapping[str, Any],
    rules: GateRules | None = None,
    kind: SpanKind = SpanKind.SERVER,
) -> ReadableSpan:
    """A span as strict lets it pass."""
    span = ReadableSpan(
        "a name", attributes=attributes, kind=kind, instrumentation_scope=InstrumentationScope(scope)
    )
    return SpanFilter(rules or GateRules())(span)


@pytest.mark.parametrize("kind", [SpanKind.SERVER, SpanKind.CLIENT])
def test_a_method_of_a_known_interface_stays(kind: SpanKind) -> None:
    """What protobuf's descriptors in the process have is code: the names stay, and make the span's."""
    span = passed(GRPC, {"rpc.system": "grpc", **KNOWN}, kind=kind)
    assert (span.name, span.attributes) == (f"{SERVICE} Export", {"rpc.system": "grpc", **KNOWN})
    assert passed(GRPC, dict(reversed(KNOWN.items())), kind=kind).name == f"{SERVICE} Export"


@pytest.mark.parametrize("kind", [SpanKind.SERVER, SpanKind.CLIENT])
@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        {**KNOWN, "rpc.method": SAID[1]},
        {**KNOWN, "rpc.method": "export"},
        {**KNOWN, "rpc.service": SAID[0]},
        {**KNOWN, "rpc.service": "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"},
        {**KNOWN, "rpc.service": "\ud800"},
        {**KNOWN, "rpc.method": "\ud800"},
        {**KNOWN, "rpc.service": Sly(SERVICE)},
        {**KNOWN, "rpc.method": Sly("Export")},
        {**KNOWN, "rpc.method": ("Export",)},
        {**KNOWN, "rpc.service": f"{SERVICE}\0{SAID[0]}"},
        {**KNOWN, "rpc.method": f"Export\0{SAID[1]}"},
        {"rpc.service": SERVICE},
        {"rpc.method": "Export"},
        {"rpc.method": f"{SERVICE}/Export"},
        {"rpc.method": "/".join(SAID)},
    ],
)
def test_a_method_that_a_caller_made_up_goes(asked: dict[str, Any], kind: SpanKind) -> None:
    """Unless both are known both go, of clients too, and the span is called by its kind."""
    rules = GateRules()
    assert passed(GRPC, KNOWN, rules).name == f"{SERVICE} Export"  # once known is not always known
    for attributes in (asked, dict(reversed(asked.items()))):
        span = passed(GRPC, {**attributes, "rpc.grpc.status_code": 0}, rules, kind)
        assert (span.name, span.attributes) == (kind.name.lower(), {"rpc.grpc.status_code": 0})
        assert span.dropped_attributes == len(asked)


@pytest.mark.parametrize("there", [True, False])
def test_without_descriptors_no_method_is_known(
    there: bool,  # noqa: FBT001  a table's column
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the host has not loaded protobuf, or somebody keeps it out, the names go; it is not imported."""
    name = "google.protobuf.descriptor_pool"
    monkeypatch.setattr(beside, "_known", set())
    if there:
        monkeypatch.setitem(sys.modules, name, None)  # as who keeps a module out does
    else:
        monkeypatch.delitem(sys.modules, name)
    assert passed(GRPC, KNOWN).attributes == {}
    assert sys.modules.get(name) is None


def test_the_memory_of_known_methods_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few that are known are remembered, none that is not, and all are decided."""
    known: set[tuple[str, str]] = set()
    monkeypatch.setattr(beside, "_known", known)
    monkeypatch.setattr(beside, "_KNOWN_METHODS", 1)
    assert passed(GRPC, ASKED).attributes == {}
    assert known == set()
    others = {**KNOWN, "rpc.service": OTHER_SERVICE}
    for attributes in (KNOWN, others, KNOWN):
        assert passed(GRPC, attributes).attributes == attributes
    assert known == {(SERVICE, "Export")}


def test_a_method_is_judged_alike_whatever_the_operator_says_of_its_service() -> None:
    """A forbidden service still tells that the method is known; one that is allowed makes no method known."""
    for attributes in (KNOWN, dict(reversed(KNOWN.items()))):
        forbidding = passed(GRPC, attributes, GateRules(forbidden=["rpc.service"]))
        assert (forbidding.name, forbidding.attributes) == ("server", {"rpc.method": "Export"})
    allowing = passed(GRPC, ASKED, GateRules(allowed=["rpc.service"]))
    assert allowing.attributes == {"rpc.service": SAID[0]}


@pytest.mark.parametrize(
    ("attributes", "left", "name"),
    [
        (RUN, RUN, "run desk.close"),
        ({**RUN, "celery.action": "apply_async"}, {"celery.action": "apply_async"}, "apply_async"),
        ({**RUN, "celery.action": SAID[0]}, {}, "consumer"),
        ({**RUN, "celery.action": Sly("run")}, {}, "consumer"),
        ({"celery.task_name": "desk.close"}, {}, "consumer"),
        ({**RUN, "celery.task_name": "payments are down"}, {"celery.action": "run"}, "run"),
    ],
)
def test_the_name_of_a_task_stays_where_it_is_run(
    attributes: dict[str, Any], left: Mapping[str, Any], name: str
) -> None:
    """A worker runs what is registered; a task is sent by whatever name somebody gave."""
    rules = GateRules()
    for each in (attributes, dict(reversed(attributes.items()))):
        span = passed(CELERY, each, rules, SpanKind.CONSUMER)
        assert (span.name, span.attributes) == (name, left)


def test_the_name_of_a_task_is_judged_alike_whatever_the_operator_says_of_its_action() -> None:
    """An action that is forbidden still tells that the task is run."""
    for attributes in (RUN, dict(reversed(RUN.items()))):
        span = passed(CELERY, attributes, GateRules(forbidden=["celery.action"]))
        assert span.attributes == {"celery.task_name": "desk.close"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where the instrumentations of gRPC and Celery are installed, with this package's wheel."""
    return host_environment("callers", tmp_path_factory.mktemp("callers"))


def spans(environment: HostEnvironment, directory: Path, *asked: str) -> tuple[list[Any], list[Any]]:
    """What a host reports that is asked this: without a gate, and in strict."""
    command = [environment.tool("python"), str(HOSTS / "callers.py"), *asked]
    quiet = {"GRPC_VERBOSITY": "ERROR"}  # it may say that the server goes away
    ended = environment.run(command, quiet, directory)
    assert (ended.status, ended.stderr) == (0, "")
    unfiltered, strict = json.loads(ended.stdout)
    return unfiltered, strict


def test_a_grpc_server_with_a_generic_handler(environment: HostEnvironment, tmp_path: Path) -> None:
    """OTel's own instrumentation reports what a caller asked for as names of code; strict lets none leave."""
    unfiltered, strict = spans(environment, tmp_path, "rpc", *SAID)
    assert [(kind, dict(said).get("rpc.method")) for kind, _, said in unfiltered] == [
        ("CLIENT", SAID[1]),
        ("SERVER", SAID[1]),
    ]
    left = [["rpc.grpc.status_code", 0], ["rpc.system", "grpc"]]
    assert strict == [["CLIENT", "client", left], ["SERVER", "server", left]]


def test_a_grpc_server_of_a_known_interface(environment: HostEnvironment, tmp_path: Path) -> None:
    """The names stay where a module that protoc wrote has been imported."""
    _, strict = spans(environment, tmp_path, "rpc", "desk.Desk", "Close")
    left = [
        *(["rpc.grpc.status_code", 0], ["rpc.method", "Close"], ["rpc.service", "desk.Desk"]),
        ["rpc.system", "grpc"],
    ]
    assert strict == [[kind, "desk.Desk Close", left] for kind in ("CLIENT", "SERVER")]


def test_a_celery_task_that_is_sent_by_name(environment: HostEnvironment, tmp_path: Path) -> None:
    """OTel's own instrumentation reports the name that was given; strict keeps that of one run."""
    unfiltered, strict = spans(environment, tmp_path, "celery", SAID[0])
    assert [(kind, name) for kind, name, _ in unfiltered] == [
        ("CONSUMER", "run/desk.close"),
        ("PRODUCER", f"apply_async/{SAID[0]}"),
    ]
    left = [["celery.action", "run"], ["celery.state", "SUCCESS"], ["celery.task_name", "desk.close"]]
    assert strict == [
        ["CONSUMER", "run desk.close", left],
        ["PRODUCER", "apply_async", [["celery.action", "apply_async"]]],
    ]
