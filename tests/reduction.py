"""How much smaller a long test is here than at its full size, which one variable asks for."""

import os
from typing import Final

VARIABLE: Final = "OTEL_INCIDENT_TEST_FACTOR"

FACTOR: Final = int(os.environ.get(VARIABLE, "25"))  # noqa: TID251  about the size of tests, not the package's configuration
"""By this long tests are reduced; 1 is the full size."""


def reduced(full: int, what: str) -> int:
    """How many of something there are here; prints it, and how to have all."""
    here = max(1, full // FACTOR)
    print(f"\n{here} {what}, the full {full} divided by {FACTOR}; all of them with {VARIABLE}=1")  # noqa: T201  for a person
    return here
