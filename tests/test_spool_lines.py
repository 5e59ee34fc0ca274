"""Lines of a segment: whatever the Logs API can hold comes back as it was, and a collector reads them."""

import enum
import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otel_incident.spool.line_reader import LineError, LineReader
from otel_incident.spool.lines import EventLines, LineWriter
from tests.collector import Collector
from tests.otlp_decoding import decode_json, decode_protobuf
from tests.spool_records import RESOURCE, SCOPE, line, numbered, records

# What is dropped for a limit is warned of; that is the SDK's business.
pytestmark = pytest.mark.filterwarnings("ignore:Log record attributes were dropped")

READER_CONFIG: Final = """
receivers:
  otlp_json_file/spool:
    include: [{pattern}]
    start_at: beginning
    include_file_name: false
    poll_interval: 50ms
service:
  pipelines:
    logs:
      receivers: [otlp, otlp_json_file/spool]
"""


def encoded(*given: ReadableLogRecord) -> bytes:
    """What an exporter sends."""
    return bytes(encode_logs(given).SerializeToString())


def returned(record: ReadableLogRecord) -> ReadableLogRecord:
    """A record that was written and read."""
    return LineReader().record(LineWriter().line(record))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records())
def test_what_is_read_is_encoded_as_what_was_written(record: ReadableLogRecord) -> None:
    """Any record leaves a segment as exactly the protobuf that it would have left the process as."""
    assert encoded(returned(record)) == encoded(record)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records(), min_size=2, max_size=4))
def test_writer_and_reader_remember_where_records_come_from(given: list[ReadableLogRecord]) -> None:
    """Records of several resources and scopes keep their own through one writer and one reader."""
    writer, reader = LineWriter(), LineReader()
    lines = [writer.line(record) for record in [*given, *given]]
    assert [encoded(reader.record(each)) for each in lines] == [
        encoded(record) for record in [*given, *given]
    ]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records())
def test_a_line_is_one_line_of_ascii_and_of_otlp_json(record: ReadableLogRecord) -> None:
    """However odd its texts, a record is one line, which OTLP's own JSON reads as the same record."""
    written = LineWriter().line(record)
    assert written.isascii()
    assert written.endswith(b"]}]}]}\n")
    assert written.count(b"\n") == 1
    assert repr(decode_json(written)) == repr(decode_protobuf("logs", encoded(record)))


class Text(enum.StrEnum):
    """A string that is not one exactly."""

    A = "a"


class Number(enum.IntEnum):
    """An integer that is not one exactly."""

    ONE = 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (Text.A, "a"),
        (Number.ONE, 1),
        (True, True),
        ((1, [2.5, None]), (1, (2.5, None))),
        (bytearray(b"\x01"), (1,)),  # a sequence of integers to the SDK's encoder
        ({1: "a"}, {"1": "a"}),
        (2**63, "9223372036854775808"),  # the specification: an integer without room is its decimal text
        (-(2**63) - 1, "-9223372036854775809"),
        ("\ud800", "\ufffd"),
        ("a\udfff\\ud800", "a\ufffd\\ud800"),
        ("\U0001f600", "\U0001f600"),
        ("\ud83d\ude00", "\U0001f600"),
        (RuntimeError("x"), "x"),
    ],
)
def test_values_that_protobuf_has_no_room_for(body: Any, expected: Any) -> None:
    """A value that would make the exporter refuse its whole batch becomes one that it takes."""
    record = returned(numbered(1, body))
    assert record.log_record.body == expected
    assert type(record.log_record.body) is type(expected)
    assert encoded(record)


def test_an_integer_too_long_for_python() -> None:
    """Digits that Python refuses to convert are written in hexadecimal."""
    assert returned(numbered(1, 10**5000)).log_record.body == f"{10**5000:#x}"


@pytest.mark.parametrize(("time", "expected"), [(-1, 0), (2**64, 0), (1.9, 1), ("1", 0), (1e300, 0)])
def test_times_that_are_none(time: Any, expected: int) -> None:
    """A time out of range, which would hold up its batch for ever, is left out."""
    record = ReadableLogRecord(LogRecord(timestamp=time, observed_timestamp=time), RESOURCE, SCOPE)
    back = returned(record).log_record
    assert (back.timestamp, back.observed_timestamp) == (expected, expected)


def test_the_current_span_of_the_reader_is_not_taken() -> None:
    """A record without a span comes back without one and without a context."""
    back = returned(numbered(1)).log_record
    assert (back.trace_id, back.span_id, back.trace_flags, back.context) == (0, 0, 0, {})


def test_what_repeats_is_one_object() -> None:
    """Resources and scopes of one reader are shared, so that an encoder groups by identity."""
    reader = LineReader()
    nested: Any = {"a": {"b": {"c": 1, "d": 2}, "e": 3}}  # its pieces look like attributes of the record
    more = ReadableLogRecord(LogRecord(timestamp=3, attributes=nested), RESOURCE, SCOPE)
    first, *others = map(reader.record, [line(1), line(2), line(2, "\u00e4"), LineWriter().line(more)])
    for other in others:
        assert first.resource is other.resource
        assert first.instrumentation_scope is other.instrumentation_scope


WHOLE: Final = json.loads(line(1))


def changed(**fields: Any) -> bytes:
    """The line with other fields in its record."""
    data = json.loads(json.dumps(WHOLE))
    data["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0].update(fields)
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    "damaged",
    [
        b"\n",
        b"{}\n",
        b"[]\n",
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"resourceLogs":[]}\n',
        line(1)[:-2] + b"\n",
        line(1).replace(b'"logRecords":[{', b'"logRecords":[{},{'),
        changed(timeUnixNano=float("inf")),
        changed(timeUnixNano="-1"),
        changed(timeUnixNano=str(2**64)),
        changed(traceId="g"),
        changed(traceId="1" * 33),
        changed(spanId="1" * 17),
        changed(severityNumber=99),
        changed(severityText=5),
        changed(eventName=["x"]),
        changed(flags=-1),
        changed(droppedAttributesCount=2**32),
        changed(body={"stringValue": "\ud800"}),
        changed(body={"stringValue": 1}),
        changed(body={"boolValue": "true"}),
        changed(body={"intValue": str(2**63)}),
        changed(body={"bytesValue": "?"}),
        changed(body={"anything": 1}),
        changed(body=[]),
        changed(attributes=[{"key": 1, "value": {}}]),
        changed(attributes=[{"key": "a"}]),
    ],
)
def test_damaged_lines(damaged: bytes) -> None:
    """What is no record, or one that no protobuf could hold, is an error of one kind that quotes nothing."""
    reader = LineReader()
    reader.record(line(1))  # knows the prefix
    with pytest.raises(LineError, match=r"^it is no log record in OTLP JSON \(\w+\)$"):
        reader.record(damaged)


@settings(deadline=None)
@given(st.data())
def test_a_flipped_byte_never_makes_an_error_of_another_kind(data: st.DataObject) -> None:
    """Whatever byte of a line is another one, it is a record that can be encoded or a `LineError`."""
    damaged = bytearray(line(1, {"a": [1, "ä"]}))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        record = LineReader().record(bytes(damaged))
    except LineError:
        return
    assert encoded(record)


FIELDS: Final[dict[str, Any]] = {
    "text": "ok",
    "empty": "",
    "yes": True,
    "one": 1,
    "half": 0.5,
    "none": None,
    "list": ("a", "b"),
    "map": {"a": {"b": 1}},
    "bytes": b"x",
    "last": ("z",),
}


def with_fields(number: int) -> ReadableLogRecord:
    """A record with one attribute of each kind."""
    return ReadableLogRecord(
        LogRecord(timestamp=number, observed_timestamp=number, attributes=FIELDS), RESOURCE, SCOPE
    )


def test_a_reader_that_knows_a_line_reads_it_alike() -> None:
    """With the resource known and the values seen before, a record is the one that a new reader makes."""
    reader, written = LineReader(), LineWriter().line(with_fields(1))
    maps = []
    for _ in range(3):
        found = reader.record(written)
        assert found.log_record.attributes is not None
        maps.append(found.log_record.attributes["map"])
        assert found.log_record.attributes == FIELDS
        assert [type(value) for value in found.log_record.attributes.values()] == [
            type(value) for value in FIELDS.values()
        ]
        assert vars(found.log_record) == vars(LineReader().record(written).log_record)
    assert maps[0] is not maps[1] is not maps[2]  # who changes one changes no other


def outcome(reader: LineReader, line: bytes) -> object:
    """What a reader makes of a line."""
    try:
        return encoded(reader.record(line))
    except LineError as error:
        return str(error)


def test_a_damaged_byte_means_the_same_to_a_reader_that_knows_the_line() -> None:
    """The short way to a record never accepts, refuses or changes what the whole line's JSON does not."""
    written = LineWriter().line(with_fields(1))
    reader = LineReader()
    reader.record(written)
    for place in range(written.index(b'"logRecords":['), len(written)):
        for byte in (b'"', b"\\", b"{", b"}", b"]", b",", b"\0", b"\xff", b""):
            damaged = written[:place] + byte + written[place + 1 :]
            assert outcome(reader, damaged) == outcome(LineReader(), damaged), damaged


@pytest.mark.parametrize(
    "attributes",
    [
        [
            {
                "key": "a",
                "value": {"kvlistValue": {"attributes": [{"key": "b", "value": {"stringValue": "c"}}]}},
            }
        ],
        [{"key": "a", "value": {"stringValue": "b"}, "more": [{"x": {}}]}],
        [{"key": "a", "value": {"stringValue": "b"}}, {"value": {"stringValue": "c"}, "key": "d"}],
        [{"key": "a", "value": {"stringValue": "}},{"}}],
        [],
    ],
)
def test_attributes_as_others_write_them(attributes: list[dict[str, Any]]) -> None:
    """A line whose attributes are not laid out as ours means to a reader that knows its head what it says."""
    reader = LineReader()
    reader.record(line(1))
    written = changed(attributes=attributes)
    assert encoded(reader.record(written)) == encoded(LineReader().record(written))


def test_attributes_in_another_place() -> None:
    """What looks like a record's attributes but stands in its body is not taken for them."""
    reader = LineReader()
    reader.record(line(1))
    body = {"kvlistValue": {"attributes": [{"key": "b", "value": {"stringValue": "c"}}]}}
    record = json.loads(line(1))["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    del record["attributes"]
    head = line(1)[: line(1).index(b'"logRecords":[') + len(b'"logRecords":[')]
    text = json.dumps({"body": body, **record}, separators=(",", ":")).encode()
    assert reader.record(head + text + b"]}]}]}\n").log_record.attributes == {}


def test_records_that_differ_in_what_is_kept() -> None:
    """Resource, scope, severity, its text and the name are the record's own, though all else is the same."""
    writer, reader = LineWriter(), LineReader()
    seen = set()
    for resource in (RESOURCE, Resource({"service.name": "other"})):
        for scope in (SCOPE, InstrumentationScope("other"), None):
            for severity in (SeverityNumber.INFO, SeverityNumber.WARN, None):
                for text in ("INFO", "", None):
                    for name in ("n", "m", None):
                        record = LogRecord(
                            timestamp=1,
                            observed_timestamp=1,
                            severity_number=severity,
                            severity_text=text,
                            event_name=name,
                        )
                        given = ReadableLogRecord(record, resource, scope)
                        assert encoded(reader.record(writer.line(given))) == encoded(given)
                        seen.add(encoded(given))
    assert len(seen) == 2 * 3 * 3 * 2 * 3  # protobuf has no empty text


def test_keys_that_are_equal_but_not_the_same() -> None:
    """1 and True are one key to a dictionary; records with either keep their own through one writer."""
    writer, reader = LineWriter(), LineReader()
    for key, text in ((1, "1"), (True, "True"), ("1", "1"), (Text.A, "a"), ("a", "a")):
        attributes: Any = {key: "x"}
        given = ReadableLogRecord(LogRecord(timestamp=1, attributes=attributes), RESOURCE, SCOPE)
        assert reader.record(writer.line(given)).log_record.attributes == {text: "x"}


def test_what_a_writer_keeps_is_bounded() -> None:
    """Records of ever other keys, or of huge ones, leave no more behind than some hundred shapes."""
    writer = LineWriter()
    for number in range(1000):
        attributes: Any = {f"k{number}": number}
        record = LogRecord(timestamp=1, attributes=attributes)
        writer.line(ReadableLogRecord(record, RESOURCE, SCOPE))
    kept = len(writer._shapes)  # noqa: SLF001  nobody else sees it
    assert 0 < kept <= 128
    huge: Any = {"k" * 100_000: 1}
    writer.line(ReadableLogRecord(LogRecord(timestamp=1, attributes=huge), RESOURCE, SCOPE))
    assert len(writer._shapes) == kept  # noqa: SLF001  the same


def test_what_a_reader_keeps_is_bounded() -> None:
    """Values that never come again leave no more behind than some dozens of them."""
    writer, reader = LineWriter(), LineReader()
    for number in range(1000):
        reader.record(writer.line(numbered(number)))
    assert 0 < len(reader._values) <= 64  # noqa: SLF001  nobody else sees it


def test_the_real_collector_ships_a_segment(collector_path: Path, tmp_path: Path) -> None:
    """A file of our lines, read by the collector's `otlp_json_file`, gives the exact records."""
    given = [
        ReadableLogRecord(
            LogRecord(
                timestamp=number,
                observed_timestamp=number + 1,
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                body=["a", {"b": b"\x00"}],
                attributes={"n": number, "t": "ä\n", "f": 1.5, "b": True, "l": [1, 2], "none": None},
                event_name="incident.create",
            ),
            Resource({"service.name": "desk"}, "https://example.org/schema"),
            SCOPE,
        )
        for number in range(1, 4)
    ]
    writer = LineWriter()
    (tmp_path / "1.jsonl").write_bytes(b"".join(map(writer.line, given)))
    config = tmp_path / "reader.yaml"
    config.write_text(READER_CONFIG.format(pattern=tmp_path / "*.jsonl"))
    with Collector(collector_path, tmp_path / "collector", also=[config]) as collector:
        events = collector.wait_for_events(3)
    assert events == list(decode_protobuf("logs", encoded(*given)).events)


_EVENTS_OWN: Final = st.dictionaries(
    st.sampled_from(["incident.id", "user.roles", "\u00e4 \ud800", 'a"b']),
    st.one_of(
        st.text(max_size=12),
        st.just("\ud800\\ud800"),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.lists(st.text(max_size=4), max_size=3).map(tuple),
    ),
    min_size=1,
)


@settings(deadline=None)
@given(
    st.lists(_EVENTS_OWN, min_size=2, max_size=2),
    st.sampled_from(["incident.end", "\u00e4\n"]),
    st.integers(-1, 2**64),
    st.integers(-1, 2**64),
    st.builds(
        SpanContext,
        st.integers(0, 2**128 - 1),
        st.integers(0, 2**64 - 1),
        st.just(value=False),
        st.integers(0, 3).map(TraceFlags),
    ),
    st.sampled_from([RESOURCE, Resource({"service.name": "\ud800\u00e4"}, "https://schemas.invalid/1")]),
)
def test_an_event_s_line_is_that_of_its_record(
    events: list[dict[str, Any]], name: str, time: int, observed: int, span: SpanContext, resource: Resource
) -> None:
    """The short way from an event's parts ends in the bytes that the way over a record ends in."""
    scope = InstrumentationScope("tests", "1", "https://schemas.invalid/2")
    lines = EventLines(resource, scope, SeverityNumber.INFO, "INFO")
    for attributes in events:
        record = LogRecord(
            timestamp=time,
            observed_timestamp=observed,
            context=set_span_in_context(NonRecordingSpan(span)),
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            attributes=attributes,
            event_name=name,
        )
        expected = LineWriter().line(ReadableLogRecord(record, resource, scope))
        assert lines.line(name, attributes, time, observed, span) == expected
