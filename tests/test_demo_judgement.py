"""How the demonstration judges: what must not pass does not, and its search finds what is there."""

import dataclasses
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from examples.demo.inventory import SENT, take_inventory
from examples.demo.play import Expected
from examples.demo.search import GUISES, RUN, Haystack, control
from examples.demo.verdict import (
    collector_problems,
    content_problems,
    control_problems,
    event_problems,
    trace_problems,
)
from tests.telemetry import LogEvent, SpanData

# -- the verdict

TRACE: Final = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
CREATE: Final = Expected("incident.create", {"incident.id": "7", "incident.action": "create"})
STAGE: Final = Expected(
    "incident.change_stage",
    {"incident.id": "7", "incident.action": "change_stage", "incident.stage.index": 1},
)
END: Final = Expected("incident.end", {"incident.id": "7", "incident.action": "end"})
OTHER: Final = Expected("incident.create", {"incident.id": "8", "incident.action": "create"})
ALL: Final = (CREATE, OTHER, STAGE, END)


def arrived(expected: Sequence[Expected]) -> list[LogEvent]:
    """Events as they ought to arrive, each with a uid of its own."""
    return [
        LogEvent(
            event_name=each.name,
            attributes={
                **each.attributes,
                "log.record.uid": f"uid-{number}",
                **({"incident.duration": 2.5} if each.name == "incident.end" else {}),
            },
            attribute_types={},
            body=None,
            has_body=False,
            severity_number=9,
            severity_text="INFO",
            timestamp=1,
            observed_timestamp=1,
            trace_id=TRACE[0],
            span_id=TRACE[1],
            flags=1,
            dropped_attributes_count=0,
            scope_name="otel_incident",
            scope_version="",
            scope_attributes={},
            scope_schema_url="",
            resource={},
            resource_types={},
            resource_schema_url="",
        )
        for number, each in enumerate(expected)
    ]


def changed(event: LogEvent, **attributes: object) -> LogEvent:
    """The event with other values; dots are written as double underscores, None leaves an attribute out."""
    said = {**event.attributes, **{name.replace("__", "."): value for name, value in attributes.items()}}
    kept = {name: value for name, value in said.items() if value is not None}
    return dataclasses.replace(event, attributes=kept)


def test_what_is_due_is_no_problem() -> None:
    """Every event once, in the order of its incident, is right."""
    assert event_problems(ALL, arrived(ALL)) == []


@pytest.mark.parametrize(
    ("spoil", "problems"),
    [
        pytest.param(
            lambda events: events[:2] + events[3:],
            ["incident 7: missing is event 2: incident.change_stage"],
            id="lost",
        ),
        pytest.param(
            lambda _: [],
            [
                "incident 7: missing is event 1 to 3: incident.create, incident.change_stage, incident.end",
                "incident 8: missing is event 1: incident.create",
            ],
            id="all lost",
        ),
        pytest.param(
            lambda events: [*events, events[1]], ["the event uid-1 arrived 2 times"], id="delivered twice"
        ),
        pytest.param(
            lambda events: [*events, changed(events[1], log__record__uid="another")],
            ["incident 8: incident.create arrived, and was not due there"],
            id="reported twice",
        ),
        pytest.param(
            lambda events: [events[2], events[0], events[1], events[3]],
            [
                "incident 7: incident.change_stage arrived, and was not due there",
                "incident 7: missing is event 2: incident.change_stage",
            ],
            id="another order",
        ),
        pytest.param(
            lambda events: [*events[:2], changed(events[2], incident__stage__index=2), events[3]],
            ["incident 7, incident.change_stage: incident.stage.index is 2, not 1"],
            id="another value",
        ),
        pytest.param(
            lambda events: [*events[:2], changed(events[2], incident__stage__index=True), events[3]],
            ["incident 7, incident.change_stage: incident.stage.index is True, not 1"],
            id="another type",
        ),
        pytest.param(
            lambda events: [changed(events[0], incident__title="Halle 3 brennt"), *events[1:]],
            ["incident 7, incident.create: incident.title is 'Halle 3 brennt', not None"],
            id="an attribute too many",
        ),
        pytest.param(
            lambda events: [*events[:3], changed(events[3], incident__duration=None)],
            ["incident 7, incident.end: incident.duration is None"],
            id="no duration",
        ),
        pytest.param(
            lambda events: [changed(events[0], log__record__uid=None), *events[1:]],
            ["1 events have no log.record.uid"],
            id="no uid",
        ),
    ],
)
def test_what_arrives_otherwise_is_a_problem(
    spoil: Callable[[list[LogEvent]], list[LogEvent]], problems: list[str]
) -> None:
    """Each way in which an event can be lost, doubled or changed is noticed, in words."""
    assert event_problems(ALL, spoil(arrived(ALL))) == problems


def request_span() -> SpanData:
    """The span of the request that caused the events of `arrived`."""
    return SpanData(
        name="POST incidents",
        kind="server",
        attributes={},
        attribute_types={},
        events=(),
        links=(),
        status_code="unset",
        status_message="",
        trace_id=TRACE[0],
        span_id=TRACE[1],
        parent_span_id="",
        tracestate="",
        flags=1,
        start=1,
        end=2,
        dropped_attributes_count=0,
        scope_name="",
        scope_version="",
        scope_attributes={},
        scope_schema_url="",
        resource={},
        resource_types={},
        resource_schema_url="",
    )


def test_an_event_without_its_request_is_a_problem() -> None:
    """Each event has to name the span of a request that arrived, too."""
    assert trace_problems(arrived(ALL), [request_span()]) == []
    assert trace_problems(arrived(ALL), []) == ["4 events carry no trace id of a request that arrived"]


def test_the_collector_has_to_write_what_it_was_given() -> None:
    """What the receiver passed on and the collector did not write is missed, and the other way round."""
    events = arrived(ALL)
    assert collector_problems(events, list(reversed(events))) == []
    assert collector_problems(events, events[1:]) == ["the collector wrote 3 events, and was given 4"]
    assert collector_problems(events, [*events, events[0]]) == [
        "the collector wrote 5 events, and was given 4"
    ]


# -- the search


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A host's database: content, bookkeeping, numbers."""
    path = tmp_path / "host.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE desk_incident (id integer, title varchar(200), note text, at datetime, n integer);
            INSERT INTO desk_incident VALUES (1, 'Kühlkette ausgefallen', 'ab', '2026-01-01 10:00:00', 4711);
            INSERT INTO desk_incident VALUES (2, 'Kühlkette ausgefallen', NULL, '2026-01-01 10:00:00', 4712);
            INSERT INTO desk_incident VALUES (3, '', '  "Es tropft!"  ', '2026-01-01 10:00:00', 4713);
            CREATE TABLE django_migrations (app varchar(255), name varchar(255));
            INSERT INTO django_migrations VALUES ('desk', '0001_initial');
            """
        )
    return path


def test_the_inventory_is_every_text_of_the_host(database: Path) -> None:
    """All text columns count, and what was sent; bookkeeping, other types and very short strings do not."""
    inventory = take_inventory(database, ["Zimtschnecke", "Kühlkette ausgefallen", "xyz"])
    assert inventory.strings == {
        "Kühlkette ausgefallen": "desk_incident.title",
        '"Es tropft!"': "desk_incident.note",
        "Zimtschnecke": SENT,
    }
    assert inventory.too_short == 2


CONTENT: Final = (
    "Müde",
    'Frau Größler-Öztürk sagt: "Es tropft überall!"\nUnd jetzt?',
    "引き継ぎました。コンプレッサーBのリレーが焼けています。",
    "ines.okonkwo@acme-kuehlkette.example",
    "Yılmaz 🧊 \\ <b>&amp;",  # noqa: RUF001  the dotless i has an upper case that is another letter's
)


@pytest.mark.parametrize("guise", GUISES)
def test_content_is_found_in_every_guise(guise: str) -> None:
    """Whatever it leaves as, each string is found among other bytes, at any offset."""
    for offset in range(4):
        carrier = b"\x0a\xc3\x12incident.create" + b"\xff" * offset
        assert control(carrier, CONTENT)[guise] == len(CONTENT), offset


def test_nothing_is_found_where_nothing_is() -> None:
    """The search makes nothing up."""
    assert Haystack([b"incident.create", bytes(range(256)), b"acme-desk"]).find(CONTENT) == set()


def test_a_part_of_a_long_string_gives_it_away() -> None:
    """Twelve characters in a row are enough, eleven are not."""
    long = CONTENT[1]
    assert Haystack([long[10 : 10 + RUN].encode()]).find(CONTENT) == {long}
    assert Haystack([long[10 : 9 + RUN].encode()]).find(CONTENT) == set()


def test_content_that_arrived_is_a_problem(database: Path) -> None:
    """A leak is named, with the place where the host held it."""
    inventory = take_inventory(database, [])
    found = Haystack([b'{"name": "k\\u00fchlkette ausgefallen"}']).find(inventory.strings)
    assert content_problems(inventory, found) == [
        "content arrived: 'Kühlkette ausgefallen' (desk_incident.title)"
    ]


def test_a_search_that_finds_nothing_sent_on_purpose_proves_nothing(database: Path) -> None:
    """Without the canary the answer 0 is not believed."""
    inventory = take_inventory(database, [])
    planted = len(inventory.strings) * len(GUISES)
    haystack = Haystack([b"service.instance.id\x12\x2477b09edc-2151"])
    assert control_problems(inventory, haystack, b"carrier", "77b09edc-2151") == ([], planted)
    assert control_problems(inventory, haystack, b"carrier", "808308ec-31d3") == (
        ["the search does not find what was sent on purpose"],
        planted,
    )
