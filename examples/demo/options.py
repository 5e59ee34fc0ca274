"""The demonstration's command line; standard library only, so that `--help` needs no environment."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final
from urllib.parse import urlsplit


@final
@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    Attributes:
        endpoint: Base URL of the user's own collector, "" for none.
        keep: Whether everything goes on running afterwards.
        made_in: How long making the environment took, in s; 0.0 if it was there.
    """

    endpoint: str
    keep: bool
    made_in: float


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; ends the program on `--help` and on mistakes."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Runs a Django incident desk full of names, descriptions and messages under "
        "opentelemetry-instrument, plays incidents over its API, and shows which events reached a collector "
        "and that none of the desk's content did. Everything stays on this machine unless --endpoint "
        "says otherwise.",
        epilog="Exit status 0 only if every event arrived exactly once and no content did. The environment "
        "it runs in is kept below OTEL_INCIDENT_CACHE_DIR (default: ~/.cache/otel-incident).",
    )
    parser.add_argument(
        "--endpoint",
        type=_base_url,
        metavar="URL",
        help="pass everything on to your own collector: the base URL of its OTLP/HTTP receiver, "
        "like http://127.0.0.1:4318 (default: the collector that scripts/collector has built, if it has)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave everything running to look around, until Ctrl-C"
    )
    parser.add_argument("--made-in", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    return Options(options.endpoint or "", options.keep, options.made_in)


def _base_url(text: str) -> str:
    try:
        url = urlsplit(text)
        host = (url.hostname or "").encode("idna")  # as it is looked up
        usable = url.scheme == "http" and host and url.port != 0 and "@" not in url.netloc
    except ValueError:  # no port, no address, or no name of a host
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(
            "expected a URL like http://127.0.0.1:4318; for a collector that wants https or credentials, "
            "start a local one that passes on to it"
        )
    return text.rstrip("/")
