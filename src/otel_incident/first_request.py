"""What a first request of `requests` imports, imported where no fork can come into the midst of it.

`requests` looks for credentials in a `.netrc` file with its first request, and imports a module for that only
then. A child that is forked meanwhile has half of that module for ever, and waits for ever with its own first
request.
"""

from __future__ import annotations

import contextlib
import sys


def import_for_first_request() -> None:
    """Import it, if an exporter has brought `requests`; to be called within `no_fork_while_importing`."""
    if "requests" in sys.modules:
        with contextlib.suppress(Exception):  # a stripped Python lacks it, and `requests` does without
            import netrc  # noqa: F401, PLC0415  not needed over gRPC
