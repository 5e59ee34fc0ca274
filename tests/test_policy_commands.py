"""`otel-incident policy`: what the gate does, in words; and what it would take out of a payload."""

import io
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident.cli import main
from otel_incident.gate.grammars import GRAMMARS
from otel_incident.policy_cli.collector import collector_config
from otel_incident.policy_cli.explain import MODES
from otel_incident.profiles import PROFILES
from scripts import profiles
from tests.collector import ROOT

CONTENT: Final = "Payments down at ACME"
SPAN: Final[dict[str, Any]] = {
    "traceId": "0a" * 16,
    "spanId": "0b" * 8,
    "name": f"GET /{CONTENT}",
    "kind": 2,
    "startTimeUnixNano": "1",
    "endTimeUnixNano": "2",
    "status": {"code": 2, "message": CONTENT},
    "traceState": "vendor=x",
    "attributes": [
        {"key": "http.request.method", "value": {"stringValue": "GET"}},
        {"key": "http.target", "value": {"stringValue": CONTENT}},
        {"key": "incident.title", "value": {"stringValue": CONTENT}},
    ],
    "events": [
        {"name": CONTENT, "timeUnixNano": "1", "attributes": [{"key": "a", "value": {"bytesValue": "AAAA"}}]}
    ],
    "links": [
        {"traceId": "0a" * 16, "spanId": "0c" * 8, "attributes": [{"key": "b", "value": {"intValue": "1"}}]}
    ],
}
LOG: Final[dict[str, Any]] = {
    "timeUnixNano": "1",
    "body": {"stringValue": CONTENT},
    "severityText": "WARN",
    "severityNumber": 13,
    "eventName": CONTENT,
    "attributes": [{"key": "incident.secret", "value": {"kvlistValue": {"values": []}}}],
}
SUM: Final[dict[str, Any]] = {
    "name": "http.server.active_requests",
    "description": CONTENT,
    "unit": "{request}",
    "sum": {
        "aggregationTemporality": 2,
        "dataPoints": [
            {"timeUnixNano": "5", "asInt": "1", "attributes": [{"key": key, "value": {"stringValue": value}}]}
            for key, value in (("http.method", "GET"), ("incident.host", CONTENT))
        ],
    },
}
HOST: Final = {"attributes": [{"key": "host.name", "value": {"stringValue": CONTENT}}]}
SCOPE: Final = {"name": "opentelemetry.instrumentation.wsgi"}


def traces(*spans: dict[str, Any]) -> dict[str, Any]:
    """A trace request."""
    return {"resourceSpans": [{"resource": HOST, "scopeSpans": [{"scope": SCOPE, "spans": list(spans)}]}]}


def logs(*records: dict[str, Any]) -> dict[str, Any]:
    """A logs request."""
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [{"scope": SCOPE, "logRecords": list(records)}]}]}


def metrics(*each: dict[str, Any]) -> dict[str, Any]:
    """A metrics request."""
    return {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"scope": SCOPE, "metrics": list(each)}]}]}


def checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], payload: dict[str, Any], *options: str
) -> tuple[int, list[tuple[int, str, str, str]]]:
    """The exit status and what would be removed, by line, place, field and key."""
    file = tmp_path / "payload.json"
    file.write_text(json.dumps(payload))
    status = main(["policy", "check", str(file), "--json", *options])
    printed = capsys.readouterr()
    assert CONTENT not in printed.out
    assert printed.err == ""
    answer = json.loads(printed.out)
    return status, [(each["line"], each["place"], each["field"], each["key"]) for each in answer["removed"]]


def test_strict_names_all_that_goes_of_a_span(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fields and keys of span, resource, event and link are named with their place, and no value."""
    place = "resourceSpans[0].scopeSpans[0].spans[0]"

    assert checked(tmp_path, capsys, traces(SPAN), "--mode", "strict") == (
        1,
        [
            (1, "resourceSpans[0]", "resource.attributes", "host.name"),
            (1, place, "traceState", ""),
            (1, place, "name", ""),
            (1, place, "attributes", "http.target"),
            (1, place, "attributes", "incident.title"),
            (1, place, "events[0].name", ""),
            (1, place, "events[0].attributes", "a"),
            (1, place, "links[0].attributes", "b"),
            (1, place, "status.message", ""),
        ],
    )


def test_strict_names_what_no_python_sdk_would_have_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another SDK's payload is compared as it came: what rebuilding it loses would not leave either."""
    status = {"code": 1, "message": CONTENT}
    span = {**SPAN, "name": "GET", "status": status, "traceState": CONTENT, "attributes": [], "links": []}
    request = traces({**span, "events": []})
    entities = {"entityRefs": [{"type": CONTENT, "idKeys": [CONTENT]}]}
    request["resourceSpans"][0] |= {"resource": entities, "schemaUrl": CONTENT}

    status_code, taken = checked(tmp_path, capsys, request, "--mode", "strict")

    assert status_code == 1
    assert [field for _, _, field, _ in taken] == [
        "resource.entityRefs[0]",
        "schemaUrl",
        "traceState",
        "status.message",
    ]


def test_standard_names_what_is_forbidden_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The default mode takes the unregistered key of ours out of a span, and passes another as it is."""
    clean = {**SPAN, "attributes": []}

    assert checked(tmp_path, capsys, traces(clean, SPAN)) == (
        1,
        [(1, "resourceSpans[0].scopeSpans[0].spans[1]", "attributes", "incident.title")],
    )
    assert checked(tmp_path, capsys, traces(clean)) == (0, [])


@pytest.mark.parametrize(
    ("mode", "fields"),
    [
        ("strict", ["severityText", "body", "attributes incident.secret", "eventName"]),
        ("standard", ["attributes incident.secret"]),
    ],
)
def test_logs_are_checked(
    mode: str, fields: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record's body, severity text and name go in strict, a key of ours in both modes."""
    status, taken = checked(tmp_path, capsys, logs(LOG), "--mode", mode)

    assert status == 1
    assert [f"{field} {key}".strip() for _, _, field, key in taken] == fields


@pytest.mark.parametrize(
    ("mode", "fields"),
    [
        ("strict", [("description", ""), ("sum.dataPoints[1].attributes", "incident.host")]),
        ("standard", [("sum.dataPoints[1].attributes", "incident.host")]),
    ],
)
def test_metrics_are_checked(
    mode: str, fields: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A metric's description goes in strict; of its points each is named by its own number."""
    status, taken = checked(tmp_path, capsys, metrics(SUM), "--mode", mode)

    assert status == 1
    assert [(field, key) for _, _, field, key in taken] == fields


def test_a_metric_that_no_profile_lists_goes_as_a_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Strict says so once, not for each of its points."""
    assert checked(tmp_path, capsys, metrics({**SUM, "name": "people"}), "--mode", "strict") == (
        1,
        [(1, "resourceMetrics[0].scopeMetrics[0].metrics[0]", "(the whole record)", "")],
    )


def test_twins_that_cannot_be_told_apart_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What goes only because of another metric beside it is no secret either."""
    clean = {**SUM, "description": "", "sum": {**SUM["sum"], "dataPoints": SUM["sum"]["dataPoints"][:1]}}

    assert checked(tmp_path, capsys, metrics(clean), "--mode", "strict") == (0, [])
    assert checked(tmp_path, capsys, metrics(clean, clean), "--mode", "strict") == (
        1,
        [(1, "resourceMetrics", "points that could not be told apart any more", "")],
    )


@pytest.mark.parametrize("mode", ["strict", "standard"])
def test_twins_are_found_beside_what_else_goes(
    mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That metrics go only because of one another is said, too, where an attribute of theirs goes anyway."""
    twin = {**SUM, "description": ""}
    point = "resourceMetrics[0].scopeMetrics[0].metrics[{}]"
    goes = ("sum.dataPoints[1].attributes", "incident.host")
    alone = [(1, point.format(0), *goes)]

    assert checked(tmp_path, capsys, metrics(twin), "--mode", mode) == (1, alone)
    assert checked(tmp_path, capsys, metrics(twin, twin), "--mode", mode) == (
        1,
        [
            *alone,
            (1, point.format(1), *goes),
            (1, "resourceMetrics", "points that could not be told apart any more", ""),
        ],
    )


@pytest.mark.parametrize("refused", [False, True])
def test_what_the_installation_has_set_holds(
    refused: object,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mode, allowed and forbidden keys and the content of hook files, refused or not, are the gate's own."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text('[host]\nname = "desk"\ncontent = ["target"]\n' + "kind = 1\n" * bool(refused))
    monkeypatch.setenv("OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES", "*.method")
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", str(hooks))
    place = "resourceSpans[0].scopeSpans[0].spans[0]"

    assert checked(tmp_path, capsys, traces(SPAN))[1] == [
        (1, place, "attributes", key) for key in ("http.request.method", "http.target", "incident.title")
    ]
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    monkeypatch.setenv("OTEL_INCIDENT_ALLOWED_ATTRIBUTES", "http.*")
    kept = [key for _, _, field, key in checked(tmp_path, capsys, traces(SPAN))[1] if field == "attributes"]
    assert kept == ["http.request.method", "http.target", "incident.title"]
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "off")
    assert checked(tmp_path, capsys, traces(SPAN)) == (0, [])


def test_a_person_can_read_the_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several requests, one a line from standard input: by place, keys together, and the count at the end."""
    hidden = {"key": "incident.\x1b[2J", "value": {"intValue": "1"}}
    lines = [json.dumps(logs({**LOG, "attributes": [hidden, *LOG["attributes"]]})), "", json.dumps(traces())]
    stream = io.TextIOWrapper(io.BytesIO("\n".join(lines).encode()))
    monkeypatch.setattr("sys.stdin", stream)

    assert main(["policy", "check", "-"]) == 1
    assert capsys.readouterr().out == (
        "line 1: resourceLogs[0].scopeLogs[0].logRecords[0]\n"
        '    attributes: "incident.\\u001b[2J", incident.secret\n'
        "\n"
        "standard input, mode standard: 1 record; 2 things would be removed, the rest would leave.\n"
    )


def test_audit_removes_what_standard_does_and_names_what_strict_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In audit `removed` is that of standard, and `removed_in_strict` that of strict, entry by entry."""
    file = tmp_path / "payload.json"
    file.write_text(json.dumps(traces(SPAN)))
    answers: dict[str, Any] = {}
    for mode in ("standard", "strict", "audit"):
        assert main(["policy", "check", str(file), "--json", "--mode", mode]) == 1
        answers[mode] = json.loads(capsys.readouterr().out)
    assert answers["audit"] == {
        "mode": "audit",
        "records": 1,
        "removed": answers["standard"]["removed"],
        "removed_in_strict": answers["strict"]["removed"],
    }
    assert (len(answers["standard"]["removed"]), len(answers["strict"]["removed"])) == (1, 9)
    assert [set(answers[mode]) for mode in ("standard", "strict")] == [{"mode", "records", "removed"}] * 2


@pytest.mark.parametrize("said", ["by an option", "by the installation"])
def test_audit_as_a_person_reads_it(
    said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only strict would remove stands under a heading, and the status is that of standard: 0."""
    file = tmp_path / "payload.json"
    file.write_text(json.dumps(traces({**SPAN, "attributes": [], "events": [], "links": []})))
    if said == "by the installation":
        monkeypatch.setenv("OTEL_INCIDENT_GATE", "audit")
    options = ["--mode", "audit"] if said == "by an option" else []
    assert main(["policy", "check", str(file), *options]) == 0
    assert capsys.readouterr().out == (
        "What strict would remove:\n"
        "line 1: resourceSpans[0]\n"
        "    resource.attributes: host.name\n"
        "line 1: resourceSpans[0].scopeSpans[0].spans[0]\n"
        "    traceState\n"
        "    name\n"
        "    status.message\n"
        "\n"
        f"{file}, mode audit: 1 record, nothing would be removed; in strict 4 things would be removed.\n"
    )


def test_audit_of_what_both_modes_remove(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is removed stands first, then what strict would, and the last line counts both."""
    file = tmp_path / "payload.json"
    file.write_text(json.dumps(logs({"attributes": LOG["attributes"]})))
    assert main(["policy", "check", str(file), "--mode", "audit"]) == 1
    place = "line 1: resourceLogs[0].scopeLogs[0].logRecords[0]\n"
    lines = f"{place}    attributes: incident.secret\n"
    assert capsys.readouterr().out == (
        f"{lines}\nWhat strict would remove:\n{lines}\n"
        f"{file}, mode audit: 1 record; 1 thing would be removed, the rest would leave; "
        "in strict 1 thing would be removed.\n"
    )


@pytest.mark.parametrize(
    ("mode", "end"),
    [
        ("audit", "nothing would be removed; in strict nothing would be removed."),
        ("off", "nothing would be removed."),
    ],
)
def test_nothing_goes(mode: str, end: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record without content is clean in audit; anything is where the gate is off."""
    file = tmp_path / "payload.json"
    file.write_text(json.dumps(logs(LOG if mode == "off" else {})))
    assert main(["policy", "check", str(file), "--mode", mode]) == 0
    assert capsys.readouterr().out == f"{file}, mode {mode}: 1 record, {end}\n"


POINT: Final[dict[str, Any]] = {
    "timeUnixNano": "5",
    "startTimeUnixNano": "1",
    "attributes": [{"key": "incident.host", "value": {"stringValue": CONTENT}}],
    "exemplars": [
        {
            "timeUnixNano": "5",
            "asDouble": 1.5,
            "traceId": "0a" * 16,
            "spanId": "0b" * 8,
            "filteredAttributes": [{"key": "incident.who", "value": {"stringValue": CONTENT}}],
        }
    ],
}
KINDS: Final[dict[str, dict[str, Any]]] = {
    "gauge": {"dataPoints": [{**POINT, "asDouble": 2.5}]},
    "sum": {"dataPoints": [{**POINT, "asInt": "2"}], "aggregationTemporality": 1},
    "histogram": {
        "dataPoints": [
            {**POINT, "count": "1", "sum": 1.5, "bucketCounts": ["1", "0"], "explicitBounds": [2.0]}
        ],
        "aggregationTemporality": 2,
    },
    "exponentialHistogram": {
        "dataPoints": [{**POINT, "count": "1", "sum": 1.5, "scale": 1, "positive": {"bucketCounts": ["1"]}}],
        "aggregationTemporality": 2,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_metric_is_rebuilt(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a point and of its exemplar the key of ours goes, whatever the point's kind; all else stays."""
    metric = {"name": "http.server.duration", "unit": "ms", kind: KINDS[kind]}

    for mode in ("standard", "strict"):
        status, taken = checked(tmp_path, capsys, metrics(metric), "--mode", mode)

        assert status == 1
        assert sorted((field, key) for _, _, field, key in taken) == [
            (f"{kind}.dataPoints[0].attributes", "incident.host"),
            (f"{kind}.dataPoints[0].exemplars[0].filteredAttributes", "incident.who"),
        ]


EXPECTED: Final = "give an OTLP/JSON request: an object with resourceSpans, resourceLogs or resourceMetrics"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"is empty; {EXPECTED}."),
        ("[" * 100_000, "values are nested too deeply; leave that record out."),
        (f"secret\n{json.dumps(logs())}", f"line 1: is not JSON (column 1); {EXPECTED}."),
        ("secret", f"line 1: is not JSON (column 1); {EXPECTED}."),
        ('{"resourceLogs": []}\n{"resour', "line 2: is not JSON (column 2); give one whole request a line."),
        ("[]", f"line 1: is no export request; {EXPECTED}, and nothing else."),
        ('{"secret": 1}', f"line 1: is no export request; {EXPECTED}, and nothing else."),
        (
            json.dumps(traces({**SPAN, "startTimeUnixNano": CONTENT})),
            (
                "line 1: resourceSpans.scopeSpans.spans.startTimeUnixNano is not of the type OTLP asks for; "
                "correct it, or export it anew."
            ),
        ),
        (
            json.dumps(logs({**LOG, "extra": CONTENT})),
            (
                "line 1: resourceLogs.scopeLogs.logRecords has a field that OTLP does not (extra); "
                "correct it, or export it anew."
            ),
        ),
        (
            json.dumps(traces({**SPAN, "spanId": CONTENT})),
            "line 1: spanId is not 8 bytes in hex; correct it.",
        ),
        (
            json.dumps(traces({**SPAN, "kind": 77})),
            (
                "line 1: resourceSpans[0].scopeSpans[0].spans[0] kind is no number that OTLP gives a "
                "meaning; correct it."
            ),
        ),
        (
            json.dumps(metrics({"name": "a", "summary": {}})),
            (
                "line 1: resourceMetrics[0].scopeMetrics[0].metrics[0] is a summary, which no Python SDK "
                "sends, so no gate sees it; leave it out."
            ),
        ),
    ],
)
def test_what_cannot_be_read_is_said_without_its_values(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, and one line with the file, the line, the field and what to do."""
    file = tmp_path / "payload.json"
    file.write_text(text)

    assert main(["policy", "check", str(file)]) == 2
    printed = capsys.readouterr()
    separator = ", " if message.startswith("line ") else ": "
    assert (printed.out, printed.err) == ("", f"otel-incident: {file}{separator}{message}\n")


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        (
            "missing.json",
            None,
            "cannot be read (No such file or directory); check the path and its permissions.",
        ),
        ("latin.json", b"\xff", "is not UTF-8; export it as OTLP/JSON."),
        ("", None, "cannot be read (Is a directory); check the path and its permissions."),
    ],
)
def test_a_file_that_cannot_be_read_is_said(
    name: str, raw: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, with the path and the reason."""
    file = tmp_path / name
    if raw is not None:
        file.write_bytes(raw)

    assert main(["policy", "check", str(file)]) == 2
    assert capsys.readouterr().err == f"otel-incident: {file}: {message}\n"


def test_explain_says_every_key_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """Each key, metric and scope of the profiles is there, with the reason of its file."""
    assert main(["policy", "explain", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)

    found = {profile["name"]: profile for profile in told["strict"]["profiles"]}
    for profile in profiles.load(ROOT / "profiles"):
        explained = found.pop(profile.name)
        assert explained["scopes"] == profile.scopes
        assert explained["span_name"] == profile.span_name
        assert [(each["name"], each["why"]) for each in explained["attributes"]] == [
            (key, attribute.why) for attribute in profile.attributes for key in attribute.keys
        ]
        assert {
            event: [(each["name"], each["why"]) for each in attributes]
            for event, attributes in explained["events"].items()
        } == {
            event: [(key, attribute.why) for attribute in attributes for key in attribute.keys]
            for event, attributes in profile.events.items()
        }
        assert explained["metrics"] == [
            {**metric._asdict(), "other_units": list(metric.other_units)} for metric in profile.metrics
        ]
    assert found == {}


def test_explain_says_what_is_set_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mode, lists, content names and id modes of this installation, and no key of its hashes."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text('[host]\nname = "desk"\ncontent = ["title"]\n')
    for name, value in {
        "GATE": "audit",
        "ALLOWED_ATTRIBUTES": "desk.queue, desk.size",
        "FORBIDDEN_ATTRIBUTES": "*.title",
        "HOOKS": str(hooks),
        "ID_MODE": "hmac,user.id=drop",
    }.items():
        monkeypatch.setenv(f"OTEL_INCIDENT_{name}", value)

    assert main(["policy", "explain", "--json"]) == 0
    here = json.loads(capsys.readouterr().out)["installation"]
    assert here.pop("content")[str(hooks)] == ["title"]
    assert here == {
        "mode": "audit",
        "mode_is_set": True,
        "telemetry_off": "",
        "gate_alone": False,
        "no_gate": "",
        "allowed_attributes": ["desk.queue", "desk.size"],
        "forbidden_attributes": ["*.title"],
        "id_modes": {"all": "hmac", "user.id": "drop"},
    }


def test_explain_says_that_a_gate_holds_although_telemetry_is_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A switch that cannot be read turns events off, and not the gate that was asked for."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    monkeypatch.setenv("OTEL_INCIDENT_ENABLED", "flase")
    assert main(["policy", "explain"]) == 0
    assert capsys.readouterr().out.splitlines()[1:4] == [
        "  Mode: strict.",
        "  Incident telemetry is off: OTEL_INCIDENT_ENABLED is not true.",
        "  The gate holds all the same: nobody has said in words that can be read that it may go.",
    ]


AS_THEY_ARE = "the host's own spans, logs and metrics leave as they are"
NO_GATE: Final = {
    "DO_NOT_TRACK": ("DO_NOT_TRACK is set", AS_THEY_ARE),
    "OTEL_SDK_DISABLED": (
        "OTEL_SDK_DISABLED=true",
        "the SDK makes no spans, logs or metrics, so nothing of the host's leaves either",
    ),
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": (
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names *: opentelemetry-instrument does not load this package",
        AS_THEY_ARE,
    ),
}


@pytest.mark.parametrize("mode", ["strict", "off"])
@pytest.mark.parametrize("variable", NO_GATE)
def test_explain_says_that_there_is_no_gate(
    variable: str, mode: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever keeps the gate out is said with what leaves then, in the doctor's words, by what is set."""
    why, leaves = NO_GATE[variable]
    monkeypatch.setenv("OTEL_INCIDENT_GATE", mode)
    monkeypatch.setenv(variable, "*" if "INSTRUMENTATIONS" in variable else "true")
    state = f"off: {leaves}" if mode == "off" else f"{mode} is not in place ({why}): {leaves}"

    assert main(["policy", "explain", "--json"]) == 0
    here = json.loads(capsys.readouterr().out)["installation"]
    assert (here["mode"], here["mode_is_set"], here["no_gate"]) == (mode, True, why)
    off = "" if "INSTRUMENTATIONS" in variable else why
    assert here["telemetry_off"] == off
    assert main(["policy", "explain"]) == 0
    said = f" Incident telemetry is off: {off}." if off else ""
    expected = f" Mode: {mode}.{said} The gate: {state}. Allowed beyond"
    assert expected in " ".join(capsys.readouterr().out.split())
    main(["doctor", "--offline"])
    assert f" {state}" in capsys.readouterr().out


def test_check_filters_by_what_is_set_though_the_sdk_is_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the SDK is off here, the mode that is asked about is still the one that is set."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", "strict")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps(logs()))
    main(["policy", "check", str(payload), "--json"])
    assert json.loads(capsys.readouterr().out)["mode"] == "strict"


@pytest.mark.parametrize(("mode", "options"), [("strict", []), ("off", []), ("strict", ["--mode", "strict"])])
def test_check_says_where_there_is_no_gate(
    mode: str,
    options: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever asks what this installation would remove learns that here it removes nothing."""
    monkeypatch.setenv("OTEL_INCIDENT_GATE", mode)
    monkeypatch.setenv("OTEL_INCIDENT_ENABLED", "false")
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps(logs()))
    main(["policy", "check", str(payload), *options])
    line = (
        "otel-incident: The gate: strict is not in place (OTEL_INCIDENT_ENABLED is not true): the host's own "
        "spans, logs and metrics leave as they are.\n"
    )
    assert capsys.readouterr().err == (line if mode == "strict" and not options else "")


@pytest.mark.parametrize("allowed", ["", "http.route"])
def test_explain_says_what_a_wider_list_widens(
    allowed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is named passes a profile's rule, and a glob does not, said where something is allowed."""
    monkeypatch.setenv("OTEL_INCIDENT_ALLOWED_ATTRIBUTES", allowed)
    assert main(["policy", "explain"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    said = (
        "What is named without a wildcard passes whatever a profile asks of it; a glob changes no such rule. "
        "Keys of ours keep their own, and what is forbidden or a host's content goes. "
    )
    beginning = f"Allowed beyond the profiles: {allowed or 'nothing'}. "
    assert f"{beginning}{said if allowed else ''}Forbidden besides: nothing." in text


@pytest.mark.parametrize(
    ("allowed", "forbidden", "taken"),
    [
        ("", "", ["http.route"]),
        ("http.*", "", ["http.route"]),
        ("http.route", "", []),
        ("http.route", "*.route", ["http.route"]),
        ("", "http.request.method", ["http.request.method", "http.route"]),
    ],
)
def test_check_knows_what_the_operator_names(
    allowed: str,
    forbidden: str,
    taken: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command says of an allowed and a forbidden key what the gate does with it."""
    monkeypatch.setenv("OTEL_INCIDENT_ALLOWED_ATTRIBUTES", allowed)
    monkeypatch.setenv("OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES", forbidden)
    attributes = [
        {"key": "http.request.method", "value": {"stringValue": "GET"}},
        {"key": "http.route", "value": {"stringValue": "a route with blanks"}},
    ]
    span = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "GET", "kind": 2, "attributes": attributes}
    scoped = {"scope": {"name": "opentelemetry.instrumentation.django"}, "spans": [span]}
    request = {"resourceSpans": [{"scopeSpans": [scoped]}]}
    _, removed = checked(tmp_path, capsys, request, "--mode", "strict")
    assert [key for _, _, field, key in removed if field == "attributes"] == taken


@pytest.mark.parametrize(("mode", "allowed"), [("standard", ""), ("strict", ""), ("strict", "http.route")])
def test_check_knows_what_a_hook_file_calls_content(
    mode: str,
    allowed: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In either mode it goes from keys that a profile knows, too, and audit says so of both."""
    hooks = tmp_path / "hooks.toml"
    hooks.write_text('[host]\nname = "desk"\ncontent = ["route"]\n')
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", str(hooks))
    monkeypatch.setenv("OTEL_INCIDENT_ALLOWED_ATTRIBUTES", allowed)
    attributes = [{"key": "http.route", "value": {"stringValue": "/desk/{id}"}}]
    span = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "server", "kind": 2, "attributes": attributes}
    scoped = {"scope": {"name": "opentelemetry.instrumentation.flask"}, "spans": [span]}
    request = {"resourceSpans": [{"scopeSpans": [scoped]}]}
    _, removed = checked(tmp_path, capsys, request, "--mode", mode)
    assert [key for *_, key in removed] == ["http.route"]
    assert main(["policy", "check", str(tmp_path / "payload.json"), "--mode", "audit"]) == 1
    said = capsys.readouterr().out
    end = "1 record; 1 thing would be removed, the rest would leave; in strict 1 thing would be removed.\n"
    assert said.endswith(end)


def test_explain_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """Every mode, scope and key stands in the text, in lines that fit."""
    assert main(["policy", "explain"]) == 0
    text = capsys.readouterr().out
    words = set(re.findall(r"[^\s,:{}]+", text))
    for profile in PROFILES:
        assert words >= set(profile.scopes)
        assert words >= set(profile.attributes)
        assert words >= set(profile.metrics)
    assert set(MODES) <= words
    assert "become one are added up, and dropped where they have no sum." in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100


def test_what_a_hook_file_calls_content_comes_before_the_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    """Explain says so of strict, and the collector's half that it knows nothing of it."""
    assert main(["policy", "explain"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "and what a hook file names as content, goes even if it is listed or allowed." in said
    printed = " ".join(collector_config().replace("#", "").split())
    assert "nor what a hook file names as `content`: a key that a profile lists stays." in printed


def test_the_collectors_half_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The output is the configuration and nothing else."""
    assert main(["policy", "collector"]) == 0
    assert capsys.readouterr().out == collector_config()


def test_the_collector_checks_by_the_grammars_of_the_gate() -> None:
    """Each grammar of the profiles stands in the configuration as it is, anchored at both ends."""
    printed = collector_config()
    for grammar in GRAMMARS.values():
        assert json.dumps(f"^(?:{grammar.pattern})$") in printed


def test_the_commands_of_the_readme_are_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each `otel-incident policy` line of the page runs as it stands there."""
    monkeypatch.chdir(tmp_path)
    Path("payload.json").write_text(json.dumps(logs()))
    shown = re.findall(r"^otel-incident (policy [^#>\n]+)", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert [line.split()[1] for line in shown] == ["explain", "check", "collector"]
    assert [main(line.split()) for line in shown] == [0, 0, 0]
    assert capsys.readouterr().err == ""
