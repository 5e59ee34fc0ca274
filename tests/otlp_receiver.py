"""A recording OTLP receiver: keeps what arrives byte for byte, and fails in every way a real backend does.

Promises like "nothing is lost while the collector is down" need a backend that refuses, hangs and comes back
on command, and "no content leaves" needs the bytes themselves. Tests use the class; a demo runs the file:

    python tests/otlp_receiver.py --record recording/ --forward-http http://127.0.0.1:4318

prints its endpoints as one line of JSON, takes answers on stdin (`ok`, `hang`, `status 503 5`,
`partial 2 why`) and runs until SIGTERM or SIGINT.
"""

import argparse
import json
import signal as signals
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

if not __package__:  # run as a file: Python then looks for modules beside it, not in the repository
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

# E402: after the path they are found on.
from tests.otlp_decoding import decode_json, decode_protobuf
from tests.otlp_recording import write_recording
from tests.otlp_servers import LOOPBACK, GrpcServer, HttpServer, Tls
from tests.otlp_wire import (
    JSON,
    Answer,
    Hang,
    Ok,
    PartialSuccess,
    Received,
    Reply,
    Signal,
    Status,
    Transport,
    forward,
    parse_answer,
    reply_to,
)
from tests.telemetry import LogEvent, MetricPoint, SpanData, Telemetry

__all__ = [
    "HANG",
    "OK",
    "Answer",
    "Hang",
    "Ok",
    "OtlpReceiver",
    "PartialSuccess",
    "Received",
    "Signal",
    "Status",
    "Tls",
    "Transport",
]

OK: Final = Ok()
HANG: Final = Hang()

_ENDING: Final = (signals.SIGTERM, signals.SIGINT)


class OtlpReceiver:
    """Listens on loopback over gRPC and HTTP from construction to `close()`; a context manager."""

    name: Final = "receiver"

    def __init__(
        self,
        *,
        tls: Tls | None = None,
        grpc_port: int = 0,
        http_port: int = 0,
        forward_http: str | None = None,
        record: Path | None = None,
        answers: Sequence[Answer] = (OK,),
    ) -> None:
        """Start both listeners.

        Args:
            tls: Certificate for both; None for plain text.
            grpc_port: 0 takes a free one; a fixed one lets a backend come back where it was.
            http_port: The same over HTTP.
            forward_http: Base URL of a collector; requests that would be answered with `OK` are passed on to
                it first and get its answer.
            record: Directory for the requests as files (`otlp_recording.py`).
            answers: As for `answer_with`.
        """
        self._changed = threading.Condition()
        self._requests: list[Received] = []
        self._accepted: list[Received] = []
        self._decoded = 0
        self._telemetry = Telemetry()
        self._answers = list(answers)
        self._script = 0
        self._closed = False
        self._forward_http = forward_http
        self._record = record
        self._grpc = GrpcServer(self._handle, grpc_port, tls)
        self._http = HttpServer(self._handle, http_port, tls)
        scheme = "http" if tls is None else "https"
        self.grpc_endpoint = f"{scheme}://{LOOPBACK}:{self._grpc.port}"
        self.http_endpoint = f"{scheme}://{LOOPBACK}:{self._http.port}"

    def __enter__(self) -> Self:
        """The receiver, already listening."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @property
    def grpc_port(self) -> int:
        """Port of the gRPC listener."""
        return self._grpc.port

    @property
    def http_port(self) -> int:
        """Port of the HTTP listener."""
        return self._http.port

    @property
    def requests(self) -> tuple[Received, ...]:
        """Every request so far, in order of arrival, whatever was answered."""
        with self._changed:
            return tuple(self._requests)

    @property
    def accepted(self) -> tuple[Received, ...]:
        """The requests that were answered with success, partial success included."""
        with self._changed:
            return tuple(self._accepted)

    def answer_with(self, *answers: Answer) -> None:
        """Script the answers from now on: one for each request, the last for all that follow.

        Requests that hang are woken and answered by the new script.
        """
        if not answers:
            raise ValueError("an answer is needed")
        with self._changed:
            self._answers = list(answers)
            self._script += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Stop listening; what hangs is dropped without an answer. What was recorded stays readable."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._grpc.close()
        self._http.close()

    def wait_for(self, predicate: Callable[[Self], bool], timeout: float = 10.0) -> None:
        """Return as soon as `predicate(self)` is true, looked at after each change; `timeout` in seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self), timeout):
                raise TimeoutError(
                    f"not within {timeout} s; {len(self._requests)} requests, {len(self._accepted)} accepted"
                )

    def wait_for_requests(self, n: int, timeout: float = 10.0) -> tuple[Received, ...]:
        """All requests as soon as there are `n`, answered or not."""
        self.wait_for(lambda receiver: len(receiver.requests) >= n, timeout)
        return self.requests

    def wait_for_events(self, n: int, timeout: float = 10.0) -> list[LogEvent]:
        """All accepted log events as soon as there are `n`."""
        self.wait_for(lambda receiver: len(receiver.telemetry().events) >= n, timeout)
        return list(self.telemetry().events)

    def wait_for_distinct_events(self, n: int, timeout: float = 10.0) -> list[LogEvent]:
        """As `wait_for_events`, each once: a process killed after an answer had no time to note it."""

        def distinct() -> list[LogEvent]:
            events = self.telemetry().events
            return list({event.attributes["log.record.uid"]: event for event in events}.values())

        self.wait_for(lambda _: len(distinct()) >= n, timeout)
        return distinct()

    def wait_for_spans(self, n: int, timeout: float = 10.0) -> list[SpanData]:
        """All accepted spans as soon as there are `n`."""
        self.wait_for(lambda receiver: len(receiver.spans()) >= n, timeout)
        return self.spans()

    def wait_for_metrics(self, n: int, timeout: float = 10.0) -> list[MetricPoint]:
        """All accepted data points as soon as there are `n`."""
        self.wait_for(lambda receiver: len(receiver.metrics()) >= n, timeout)
        return self.metrics()

    def spans(self) -> list[SpanData]:
        """The accepted spans so far."""
        return list(self.telemetry().spans)

    def metrics(self) -> list[MetricPoint]:
        """The accepted data points so far."""
        return list(self.telemetry().metrics)

    def telemetry(self) -> Telemetry:
        """Everything accepted so far, decoded."""
        with self._changed:
            for request in self._accepted[self._decoded :]:
                self._telemetry += _decode(request)
            self._decoded = len(self._accepted)
            return self._telemetry

    def raw_bytes(self) -> bytes:
        """Every byte that came, to search: headers, bodies raw and decompressed; refused requests too."""
        parts: list[bytes] = []
        for request in self.requests:
            parts += [f"{key}: {value}".encode() for key, value in request.headers.items()]
            parts += [request.raw, request.payload]
        return b"\n".join(parts)

    def _handle(self, request: Received) -> Reply | None:
        with self._changed:
            self._requests.append(request)
            number = len(self._requests)
            self._changed.notify_all()
        if self._record is not None:
            write_recording(self._record, number, request)
        answer = self._next_answer()
        if answer is None:
            return None
        if isinstance(answer, Ok) and self._forward_http is not None:
            reply = forward(request, self._forward_http)
        else:
            reply = reply_to(request, answer)
        if reply.accepted:
            with self._changed:
                self._accepted.append(request)
                self._changed.notify_all()
        return reply

    def _next_answer(self) -> Ok | Status | PartialSuccess | None:
        """The answer of the script, after hanging as long as it says so; None once closed."""
        with self._changed:
            while not self._closed:
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                if not isinstance(answer, Hang):
                    return answer
                script = self._script
                while self._script == script and not self._closed:
                    self._changed.wait()
            return None


def _decode(request: Received) -> Telemetry:
    if request.content_type == JSON:
        return decode_json(request.payload)
    return decode_protobuf(request.signal, request.payload)


def main() -> None:
    """Run a receiver as a process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--record", type=Path, metavar="DIR", help="write every request there, three files each"
    )
    parser.add_argument(
        "--forward-http", metavar="URL", help="pass requests on to this collector, give its answer"
    )
    parser.add_argument(
        "--port-file", type=Path, metavar="FILE", help="write the line with the endpoints there too"
    )
    parser.add_argument("--grpc-port", type=int, default=0, metavar="PORT", help="(default: a free one)")
    parser.add_argument("--http-port", type=int, default=0, metavar="PORT", help="(default: a free one)")
    options = parser.parse_args()
    for number in _ENDING:
        signals.signal(number, _end)
    with OtlpReceiver(
        grpc_port=options.grpc_port,
        http_port=options.http_port,
        forward_http=options.forward_http,
        record=options.record,
    ) as receiver:
        line = json.dumps({"grpc": receiver.grpc_endpoint, "http": receiver.http_endpoint}) + "\n"
        if options.port_file is not None:
            partial = options.port_file.with_name(f"{options.port_file.name}.partial")
            partial.write_text(line)
            partial.rename(options.port_file)  # whoever waits for the file finds it whole
        _say(line)
        for command in sys.stdin:
            _obey(receiver, command)
        while True:  # stdin has ended, as in the background of a shell: run until a signal
            signals.pause()


def _end(*_: object) -> None:
    """End by the first signal; a second one must not interrupt the closing (`timeout` sends two)."""
    for number in _ENDING:
        signals.signal(number, signals.SIG_IGN)
    raise SystemExit(0)


def _obey(receiver: OtlpReceiver, command: str) -> None:
    """Take one answer from stdin and confirm it, so that whoever drives the process need not guess when."""
    try:
        receiver.answer_with(parse_answer(command))
    except ValueError as error:
        _say(json.dumps({"error": str(error)}) + "\n")
    else:
        _say(json.dumps({"answer": command.strip()}) + "\n")


def _say(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
