"""What `opentelemetry-instrument` reads of ours before it starts the host: variables, and who comes first.

What packages have run before the instrumentors (`pre_instrument`) comes in no certain order, and the first of
them that raises keeps the others from it: ours might never have its turn. A distro has it before all of them.
So where strict is asked for and no distro is named, ours is, which gives way to the one that would be taken.
"""

from __future__ import annotations

import os

from otel_incident.environment_variables import *  # noqa: F403  each of them becomes an option of the command
from otel_incident.pre_instrument import DISTRO, NAME, is_disabled, may_be_strict


def name_distro() -> None:
    """Name our distro in the environment of the host that is going to be started, if strict is asked for."""
    if may_be_strict() and not is_disabled():
        # TID251: config.py reads our settings; this one is upstream's, and is written
        os.environ.setdefault(DISTRO, NAME)  # noqa: TID251


name_distro()
