"""What a command overhears of the log is kept from it, and nobody who says something is hurt."""

import logging

import pytest

from otel_incident.overhearing import overhearing


def test_what_is_said_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """Lines come as they would be written, and none goes on to the host's handlers."""
    logger = logging.getLogger("otel_incident.overheard")
    with overhearing() as lines:
        logger.warning("%d of %s", 1, "two")
    logger.warning("afterwards")
    assert lines == ["1 of two"]
    assert caplog.messages == ["afterwards"]


def test_a_line_that_cannot_be_written() -> None:
    """A library whose line does not go with its arguments gets no exception for it."""
    with overhearing() as lines:
        logging.getLogger("otel_incident.overheard").warning("%d of", "two")
    assert lines == []
