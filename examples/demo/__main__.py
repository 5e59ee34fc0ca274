"""The order of the demonstration: set up, play, stop the host, show what arrived. `scripts/demo` runs it."""

import json
import shutil
import signal
import socket
import sys
import tempfile
import textwrap
import time
import uuid
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final
from urllib.parse import urlsplit

from examples.demo.backstage import HOOKS, PEOPLE, Host, built_collector
from examples.demo.display import Screen, show_events, show_incidents, show_resource
from examples.demo.inventory import SHORTEST, take_inventory
from examples.demo.options import Options, parse
from examples.demo.play import Play, PlayError
from examples.demo.search import GUISES, RUN, Haystack
from examples.demo.verdict import (
    SCOPE,
    collector_problems,
    content_problems,
    control_problems,
    event_problems,
    trace_problems,
)
from tests.collector import Collector
from tests.otlp_receiver import OtlpReceiver, Received
from tests.telemetry import LogEvent

_ARRIVAL_SECONDS: Final = 15.0
_CONNECT_SECONDS: Final = 5.0


@final
@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that runs, while it runs."""

    receiver: OtlpReceiver
    collector: Collector | None
    host: Host
    directory: Path
    canary: str


def main() -> int:
    """Run the demonstration; returns the exit status."""
    options = parse(sys.argv[1:])
    # A shell's background job ignores SIGINT, and so would the host; SIGTERM must end the children, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    screen = Screen()
    directory = Path(tempfile.mkdtemp(prefix="otel-incident-demo-"))
    status = 0
    try:
        with ExitStack() as running:
            scene = _set_up(screen, options, directory, running)
            status = _perform(screen, options, scene)
    except (PlayError, TimeoutError, RuntimeError) as error:  # the last two: a process that did not start
        screen.verdict(f"\nThe demonstration failed: {error}", good=False)
        status = 1
    except KeyboardInterrupt:
        screen.say("Interrupted.")
        status = 128 + signal.SIGINT
    finally:
        if (options.keep or status == 1) and any(directory.iterdir()):
            screen.say(f"Everything that arrived, and the host's database and log, are in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return status


def _set_up(screen: Screen, options: Options, directory: Path, running: ExitStack) -> Scene:
    screen.heading("Setting up")
    made = f"made in {options.made_in:.0f} s: " if options.made_in else ""
    screen.fact("environment", f"{made}{sys.prefix}")
    collector = None
    if options.endpoint:
        _require_connection(options.endpoint)
    binary = None if options.endpoint else built_collector()
    if binary is not None:
        collector = running.enter_context(Collector(binary, directory / "collector"))
    behind = options.endpoint or (collector.http_endpoint if collector else "")
    receiver = running.enter_context(OtlpReceiver(forward_http=behind or None, record=directory / "received"))
    screen.fact("receiver", f"{receiver.http_endpoint}, keeps every byte")
    if options.endpoint:
        screen.fact("collector", f"yours: {options.endpoint}; the receiver passes everything on to it")
    elif collector:
        screen.fact(
            "collector", f"the real one: {collector.http_endpoint}; the receiver passes everything on"
        )
    else:
        screen.fact("collector", "not built (scripts/collector build): the receiver is the end of the line")
    canary = str(uuid.uuid4())
    telemetry = {
        "OTEL_SERVICE_NAME": "acme-desk",
        "OTEL_RESOURCE_ATTRIBUTES": f"service.version=2.7.1,service.instance.id={canary}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_INCIDENT_HOOKS": str(HOOKS),
        "OTEL_INCIDENT_STATE_DIR": str(directory / "state"),
    }
    host = running.enter_context(Host(directory / "host", telemetry))
    screen.fact("host", f"{host.url}, Django, under opentelemetry-instrument, and all it was told is")
    for name, value in telemetry.items():
        screen.say(f"                {name}={value}")
    return Scene(receiver, collector, host, directory, canary)


def _require_connection(endpoint: str) -> None:
    """Say at once that nobody listens there, rather than after all retries."""
    url = urlsplit(endpoint)
    try:
        socket.create_connection((url.hostname or "", url.port or 80), _CONNECT_SECONDS).close()
    except OSError as error:
        raise PlayError(f"nothing answers at {endpoint} ({error}): is your collector running?") from error


def _perform(screen: Screen, options: Options, scene: Scene) -> int:
    screen.heading("Playing incidents over the host's API")
    people = json.loads(PEOPLE.read_text(encoding="utf-8"))
    play = Play(scene.host.url, people)
    began = time.monotonic()
    try:
        play.run(screen.progress)
    except PlayError as error:
        raise PlayError(f"{error}\nthe host's last words:\n{scene.host.last_words()}") from error
    screen.say(f"  played in {time.monotonic() - began:.1f} s; {len(play.expected)} lifecycle events are due")
    show_incidents(screen, play.titles, (each.incident for each in play.expected))
    if options.keep:
        _await_events(scene, len(play.expected))
    else:
        seconds = scene.host.stop()
        screen.say(f"  The host got Ctrl-C, and ended {seconds:.1f} s later.")
    problems = _show_evidence(screen, options, scene, play)
    if options.keep:
        _stay(screen, scene, people)
        problems += _show_rest(screen, scene, play)
    return 1 if problems else 0


def _show_evidence(screen: Screen, options: Options, scene: Scene, play: Play) -> list[str]:
    """Everything that arrived, and what is wrong with it."""
    telemetry = scene.receiver.telemetry()
    events = _ours(telemetry.events)
    screen.heading("What arrived, and all that did")
    show_events(screen, events)
    problems = event_problems(play.expected, events) + trace_problems(events, telemetry.spans)
    if events:
        screen.say()
        screen.say("  Who was speaking (the resource, with every batch):")
        show_resource(screen, events[0])
    screen.heading("Where it went")
    accepted = Counter(request.signal for request in scene.receiver.accepted)
    of = ", ".join(f"{count} of {signal}" for signal, count in sorted(accepted.items()))
    refused = len(scene.receiver.requests) - len(scene.receiver.accepted)
    screen.fact("receiver", f"{accepted.total()} requests ({of or 'none'})")
    if options.endpoint:
        took = "took them all" if not refused else f"did not take {refused} requests"
        screen.fact("collector", f"yours, at {urlsplit(options.endpoint).netloc}, {took}")
    if refused:
        problems.append(f"{refused} requests were refused by the collector behind the receiver")
    if scene.collector is not None:
        written = _ours(scene.collector.telemetry().events)
        problems += collector_problems(events, written)
        screen.fact("collector", f"the real one wrote {len(written)} events")
    signals = f"{len(telemetry.spans)} spans, {len(telemetry.metrics)} data points of metrics"
    screen.fact("beside them", f"the host's own telemetry: {signals}")
    problems += _show_search(screen, scene, play)
    screen.heading("Verdict")
    for problem in problems:
        screen.say(f"  {problem}")
    arrived = f"{len(events)} of {len(play.expected)} events arrived"
    if problems:
        screen.verdict(f"  {arrived}; not as they should have: see above.", good=False)
    else:
        screen.verdict(f"  {arrived}, each exactly once, and nothing of what they were about did.", good=True)
    return problems


def _show_search(screen: Screen, scene: Scene, play: Play) -> list[str]:
    """The line that matters, and why it means something."""
    screen.heading("What did not arrive")
    inventory = take_inventory(scene.host.database, play.spoken)
    haystack = Haystack(_received_bytes(scene))
    found = haystack.find(inventory.strings)
    held, requests = len(inventory.strings), len(scene.receiver.requests)
    for place, count in sorted(inventory.by_place().items()):
        screen.say(f"  {count:>5}  {place}")
    screen.say(f"  left out: {inventory.too_short} strings of fewer than {SHORTEST} characters")
    also = ", and what the collector wrote" if scene.collector is not None else ""
    screen.say(f"  searched: {haystack.size:,} bytes: {requests} requests (headers and bodies){also}")
    screen.say(
        f"  found is: the whole string, or any {RUN} characters of it in a row, in each of these guises:"
    )
    for line in textwrap.wrap(", ".join(GUISES), 90):
        screen.say(f"            {line}")
    carrier = next((request.payload for request in scene.receiver.accepted), b"")
    problems, planted = control_problems(inventory, haystack, carrier, scene.canary)
    canary = "found" if haystack.find([scene.canary]) else "not found"
    screen.say(
        f"  control:  the service.instance.id, which was sent on purpose, is {canary}; of the {held} strings,"
    )
    screen.say(f"            planted in a copy in {len(GUISES)} guises each, {planted:,} are found")
    screen.say()
    screen.verdict(
        f"  strings of content that the host held: {held}; of these anywhere in what arrived: {len(found)}",
        good=not found,
    )
    return problems + content_problems(inventory, found)


def _await_events(scene: Scene, count: int) -> None:
    """The host goes on running: wait for its pipeline to deliver by itself."""

    def complete(receiver: OtlpReceiver) -> bool:
        telemetry = receiver.telemetry()
        events = _ours(telemetry.events)
        return len(events) >= count and not trace_problems(events, telemetry.spans)

    try:
        scene.receiver.wait_for(complete, _ARRIVAL_SECONDS)
    except TimeoutError:
        return  # the verdict says what is missing


def _stay(screen: Screen, scene: Scene, people: list[dict[str, object]]) -> None:
    """Let whoever asked look around until Ctrl-C."""
    screen.heading("Look around; Ctrl-C ends everything")
    screen.fact("host", f"{scene.host.url}/ in a browser, logged in as one of")
    for described in people:
        role = " (superuser)" if described.get("is_superuser") else ""
        screen.say(f"                {described['username']}  {described['password']}{role}")
    screen.fact("its log", str(scene.host.log))
    screen.fact("its data", str(scene.host.database))
    screen.fact(
        "receiver", f"{scene.receiver.http_endpoint} (OTLP/HTTP), {scene.receiver.grpc_endpoint} (gRPC)"
    )
    screen.fact("raw bytes", str(scene.directory / "received"))
    if scene.collector is not None:
        screen.fact("collector", str(scene.collector.file))
    try:
        signal.pause()
    except KeyboardInterrupt:
        screen.say()


def _show_rest(screen: Screen, scene: Scene, play: Play) -> list[str]:
    """Stop the host, and search once more with all that has come since."""
    scene.host.stop()
    inventory = take_inventory(scene.host.database, play.spoken)
    found = Haystack(_received_bytes(scene)).find(inventory.strings)
    since = len(_ours(scene.receiver.telemetry().events)) - len(play.expected)
    screen.verdict(
        f"  {since} more events since; strings of content that the host held: {len(inventory.strings)}; "
        f"of these anywhere in what arrived: {len(found)}",
        good=not found,
    )
    return content_problems(inventory, found)


def _ours(events: tuple[LogEvent, ...]) -> list[LogEvent]:
    return [event for event in events if event.scope_name == SCOPE]


def _received_bytes(scene: Scene) -> list[bytes]:
    """All that came over the wire, and what the real collector made of it."""
    parts = [part for request in scene.receiver.requests for part in _bytes_of(request)]
    return parts if scene.collector is None else [*parts, scene.collector.raw_bytes()]


def _bytes_of(request: Received) -> list[bytes]:
    headers = [f"{key}: {value}".encode("latin-1", "replace") for key, value in request.headers.items()]
    return [*headers, request.raw, request.payload]


def _end(*_: object) -> None:
    """End by way of every `finally`, so that no child is left."""
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
