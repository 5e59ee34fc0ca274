"""What the gate leaves is of use: traces keep their tree, times, kinds, status codes, routes and operations.

A Flask and a Django application with OpenTelemetry's own instrumentations send the same spans ungated, and
gated in each mode. What came of it stands in `tests/golden/`, for people to read; after a wanted change,

    OTEL_INCIDENT_TEST_GOLDEN=write .venv/bin/python -m pytest tests/test_gate_utility.py

writes the files anew, and the difference is to be reviewed.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.desk_hosts import PARENT, TRACE_ID, DeskHost, as_json, pager, traced
from tests.host_environment import HostEnvironment, host_environment
from tests.otlp_receiver import OtlpReceiver
from tests.telemetry import SpanData

WRITE: Final = os.environ.get("OTEL_INCIDENT_TEST_GOLDEN") == "write"  # noqa: TID251  about the tests, not the package's configuration. Before a fixture takes such settings away
GOLDEN: Final = Path(__file__).parent / "golden"
MODES: Final = ("off", "standard", "strict")
CONVENTIONS: Final = {"flask": "", "django": "http,database"}
"""What `OTEL_SEMCONV_STABILITY_OPT_IN` says: both the conventions of today and the older ones are in use."""

TITLE: Final = "Payments are down"
FORM: Final = {"title": TITLE, "reporter": "jane@acme.test"}
VOLATILE: Final = {
    "exception.stacktrace": "<stack trace>",
    "http.server_name": "<host>",
    "net.peer.ip": "<address>",
}
"""Attributes whose values depend on the machine, and what stands in the files in their place."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The spans of one application by mode, by id, and what in them is another each time."""

    spans: Mapping[str, list[SpanData]]
    places: Mapping[str, str]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where the frameworks and the instrumentations are installed, with this package's wheel."""
    return host_environment("instrumented", tmp_path_factory.mktemp("instrumented"))


@pytest.fixture(scope="module", params=sorted(CONVENTIONS))
def sent(
    request: pytest.FixtureRequest,
    environment: HostEnvironment,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, Sent]]:
    """What an application sends of three requests; its name, and the spans."""
    app: str = request.param
    directory = tmp_path_factory.mktemp(app) / "desk"
    with ExitStack() as stack:
        receivers = {mode: stack.enter_context(OtlpReceiver()) for mode in MODES}
        pages = stack.enter_context(pager())
        variables = {
            "DESK": app,
            "DESK_PAGER": pages,
            "DESK_ENDPOINTS": json.dumps({mode: each.http_endpoint for mode, each in receivers.items()}),
            "DJANGO_SETTINGS_MODULE": "django_desk.settings",
            "OTEL_SEMCONV_STABILITY_OPT_IN": CONVENTIONS[app],
        }
        command = ["python", "-m", "serve", "gated_desks:application"]
        desk = stack.enter_context(DeskHost(environment, directory, command, variables))
        assert desk.request("POST", "/incidents/night", FORM, traced())[0] == 201
        assert desk.request("GET", "/incidents?title=Payments%20are%20down", headers=traced())[0] == 200
        assert desk.request("POST", "/incidents/7/escalate", FORM, traced())[0] == 500
        desk.stop()
        spans = {
            mode: sorted(each.spans(), key=lambda span: span.span_id) for mode, each in receivers.items()
        }
        places = {
            str(directory / "desk.sqlite3"): "<database>",
            str(desk.port): "<port>",
            pages.rpartition(":")[2]: "<pager's port>",
        }
        yield app, Sent(spans, places)


@pytest.mark.parametrize("mode", MODES)
def test_what_leaves_is_the_golden_file(mode: str, sent: tuple[str, Sent]) -> None:
    """Exactly these spans with exactly these parts; in strict not a word of content, without a gate all."""
    app, told = sent
    tree = as_json(children(told, mode, PARENT))
    golden = GOLDEN / f"{app}-{mode}.json"
    if WRITE:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(tree, encoding="utf-8")
    assert tree == golden.read_text(encoding="utf-8")
    words = {
        word for word in ("Payments", "jane@acme", "nobody is on call", "select ", "/page/") if word in tree
    }
    if mode == "strict":
        assert words == set()
    if mode == "off":
        assert words == {"Payments", "nobody is on call", "select ", "/page/"}


@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_structure_and_times_are_what_they_were(mode: str, sent: tuple[str, Sent]) -> None:
    """Ids, parents, kinds, times and status codes of every span and its events are the same as ungated."""
    _, told = sent
    assert len(told.spans["off"]) >= 6
    assert [structure(span) for span in told.spans[mode]] == [structure(span) for span in told.spans["off"]]
    assert {span.trace_id for span in told.spans[mode]} == {TRACE_ID}


def test_standard_leaves_everything_but_what_is_forbidden(sent: tuple[str, Sent]) -> None:
    """Names, attributes, events and status messages are the same, less the attributes that were forbidden."""
    _, told = sent
    for gated, span in zip(told.spans["standard"], told.spans["off"], strict=True):
        assert gated.attributes == allowed(span.attributes)
        assert [event.attributes for event in gated.events] == [
            allowed(event.attributes) for event in span.events
        ]
        assert (gated.name, gated.status_message, gated.scope_name, gated.scope_version, gated.resource) == (
            span.name,
            span.status_message,
            span.scope_name,
            span.scope_version,
            span.resource,
        )
        assert gated.dropped_attributes_count == len(span.attributes) - len(gated.attributes)


def test_strict_keeps_what_operators_look_for(sent: tuple[str, Sent]) -> None:
    """Methods, routes, status codes, operations and error types have the values that they had."""
    _, told = sent
    kept: dict[str, set[object]] = {}
    for gated, span in zip(told.spans["strict"], told.spans["off"], strict=True):
        assert gated.attributes.items() <= span.attributes.items()
        for key, value in gated.attributes.items():
            kept.setdefault(key.replace("http.request.method", "http.method"), set()).add(value)
    assert kept["http.method"] == {"GET", "POST"}
    assert {str(route).lstrip("/") for route in kept["http.route"]} == {
        "incidents",
        "incidents/<team>" if "/incidents" in kept["http.route"] else "incidents/<str:team>",
        "incidents/<int:number>/escalate",
    }
    assert {200, 201, 204, 500} <= {
        *kept.get("http.status_code", ()),
        *kept.get("http.response.status_code", ()),
    }
    assert {span.name for span in told.spans["strict"] if "sqlite3" in span.scope_name} == {
        "create",
        "insert",
        "select",
    }


def allowed(attributes: Mapping[str, object]) -> dict[str, object]:
    """The attributes that the hosts do not forbid."""
    return {
        key: value
        for key, value in attributes.items()
        if key not in {"db.statement", "db.query.text"} and not key.startswith("exception.")
    }


def structure(span: SpanData) -> tuple[object, ...]:
    """What of a span no mode changes."""
    return (
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        span.kind,
        span.start,
        span.end,
        span.status_code,
        span.flags,
        span.scope_name,
        [(event.name, event.timestamp) for event in span.events],
    )


def children(sent: Sent, mode: str, parent: str) -> list[dict[str, Any]]:
    """The spans below a parent, in the order in which they began, without ids and times."""
    found = sorted(
        (each for each in sent.spans[mode] if each.parent_span_id == parent), key=lambda each: each.start
    )
    return [
        {
            "name": settled(span.name, sent.places),
            "kind": span.kind,
            "scope": span.scope_name,
            "status": span.status_code,
            **({"status message": span.status_message} if span.status_message else {}),
            "attributes": shown(span.attributes, sent.places),
            **(
                {
                    "events": [
                        {"name": each.name, **shown(each.attributes, sent.places)} for each in span.events
                    ]
                }
                if span.events
                else {}
            ),
            **({"spans": below} if (below := children(sent, mode, span.span_id)) else {}),
        }
        for span in found
    ]


def shown(attributes: Mapping[str, object], places: Mapping[str, str]) -> dict[str, object]:
    """Attributes in the order of their keys, without what is another each time or on each machine."""
    return {key: VOLATILE.get(key) or settled(attributes[key], places) for key in sorted(attributes)}


def settled(value: Any, places: Mapping[str, str]) -> Any:
    """A value without ports and directories."""
    if isinstance(value, int) and not isinstance(value, bool):
        return places.get(str(value), value)
    for place, name in places.items():
        value = value.replace(place, name) if isinstance(value, str) else value
    return value
