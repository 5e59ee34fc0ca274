"""The version of this package: the `incident.plugin.version` attribute and the version of our scope."""

from typing import Final

__version__: Final = "0.1.0"
