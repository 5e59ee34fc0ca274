"""Runs `otel-incident doctor` in this process, with secrets in the environment that it must not show."""

import os
from typing import Final

import pytest

from otel_incident.cli import main
from tests.emitting_host import endpoint_of

SECRETS: Final = ("s3cr3t", "jane")
"""In headers, in URLs' users and queries: none of them may be shown."""


def host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with a name and secrets, and nothing of this machine's way to the network."""
    for name in list(os.environ):  # noqa: TID251  about the tests, not the package's configuration
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "desk")
    monkeypatch.setenv("OTEL_INCIDENT_SERVER_VERSION", "5.4.0")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cr3t")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")


def send_to(monkeypatch: pytest.MonkeyPatch, transport: str, url: str) -> None:
    """Configure an endpoint, given without a path."""
    for name, value in endpoint_of(transport, url, url).items():
        monkeypatch.setenv(name, value)


def diagnosis(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    """The doctor's exit status and lines; nothing else is said, and no secret."""
    status = main(["doctor", *options])
    said = capsys.readouterr()
    assert said.err == ""
    assert not any(secret in said.out for secret in SECRETS)
    return status, said.out.splitlines()


def about(topic: str, lines: list[str]) -> list[str]:
    """The lines of a topic, without it."""
    return [
        f"{level}: {text}" for level, of, text in (line.split(maxsplit=2) for line in lines) if of == topic
    ]


def endpoint_line(capsys: pytest.CaptureFixture[str], status: int = 1) -> str:
    """The one line about the endpoint, which decides the exit status."""
    ended, lines = diagnosis(capsys)
    (line,) = about("endpoint", lines)
    assert ended == status
    return line
