"""The recording receiver where a demo uses it: in front of a collector, and as a process."""

import gzip
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector import ROOT
from tests.otlp_client import call, post
from tests.otlp_receiver import OtlpReceiver, PartialSuccess, Status
from tests.otlp_recording import read_recording

REQUEST = b"\x0a\x00"


@pytest.fixture
def front(receiver: OtlpReceiver) -> Iterator[OtlpReceiver]:
    """A receiver that passes on to the other one."""
    with OtlpReceiver(forward_http=receiver.http_endpoint) as running:
        yield running


def test_forwarding_passes_on_the_bytes_and_brings_back_the_answer(
    front: OtlpReceiver, receiver: OtlpReceiver
) -> None:
    """HTTP and gRPC requests arrive behind as they came, compressed or not, each with its signal."""
    sent = gzip.compress(REQUEST)

    assert post(front.http_endpoint, sent, headers={"content-encoding": "gzip"}).status == 200
    assert call(front.grpc_endpoint, REQUEST, signal="metrics").code == "OK"

    behind = [(request.signal, request.raw, request.payload) for request in receiver.accepted]
    assert behind == [("logs", sent, REQUEST), ("metrics", REQUEST, REQUEST)]
    assert len(front.accepted) == 2


def test_what_the_collector_behind_refuses_is_refused(front: OtlpReceiver, receiver: OtlpReceiver) -> None:
    """Its status, its Retry-After and its body come back; nothing counts as accepted."""
    receiver.answer_with(Status(429, retry_after=3, message="behind"))

    by_http = post(front.http_endpoint, REQUEST)
    by_grpc = call(front.grpc_endpoint, REQUEST)

    assert (by_http.status, by_http.headers["retry-after"]) == (429, "3")
    assert b"behind" in by_http.body
    assert (by_grpc.code, "grpc-status-details-bin" in by_grpc.trailers) == ("RESOURCE_EXHAUSTED", True)
    assert front.accepted == ()


def test_a_partial_success_from_behind_comes_back(front: OtlpReceiver, receiver: OtlpReceiver) -> None:
    """The message is passed through, over gRPC too."""
    receiver.answer_with(PartialSuccess(1, "one too old"))

    assert b"one too old" in post(front.http_endpoint, REQUEST).body
    assert b"one too old" in call(front.grpc_endpoint, REQUEST).body


def test_without_a_collector_behind_a_retryable_refusal_is_given() -> None:
    """A sender must come back: 502 over HTTP, UNAVAILABLE over gRPC."""
    with OtlpReceiver() as gone:
        pass
    with OtlpReceiver(forward_http=gone.http_endpoint) as front:
        assert post(front.http_endpoint, REQUEST).status == 502
        assert call(front.grpc_endpoint, REQUEST).code == "UNAVAILABLE"
        assert front.accepted == ()


def test_own_answers_go_before_forwarding(front: OtlpReceiver, receiver: OtlpReceiver) -> None:
    """A scripted failure is the front's: nothing reaches the collector behind."""
    front.answer_with(Status(503))

    assert post(front.http_endpoint, REQUEST).status == 503
    assert receiver.requests == ()


def test_the_process_records_obeys_and_ends(tmp_path: Path) -> None:
    """It prints its endpoints, keeps requests as files, takes answers on stdin, and ends by SIGTERM."""
    recording, port_file = tmp_path / "recording", tmp_path / "ports.json"
    command = [sys.executable, str(ROOT / "tests" / "otlp_receiver.py")]
    command += ["--record", str(recording), "--port-file", str(port_file)]
    with subprocess.Popen(  # noqa: S603 -- the words are ours
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            endpoints = json.loads(process.stdout.readline())
            assert json.loads(port_file.read_text()) == endpoints

            sent = gzip.compress(REQUEST)
            headers = {"content-encoding": "gzip"}
            assert post(endpoints["http"], sent, headers=headers).status == 200
            process.stdin.write("status 503 5\nnonsense\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline()) == {"answer": "status 503 5"}
            assert list(json.loads(process.stdout.readline())) == ["error"]
            assert call(endpoints["grpc"], REQUEST, signal="traces").code == "UNAVAILABLE"

            # A second signal while it closes, as `timeout` and a terminal send them, changes nothing.
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()

    first, second = read_recording(recording)
    assert (first.signal, first.transport, first.raw, first.payload) == ("logs", "http", sent, REQUEST)
    assert first.headers["content-encoding"] == "gzip"
    assert (second.signal, second.transport, second.raw) == ("traces", "grpc", REQUEST)
