"""The version of this package: the `incident.plugin.version` attribute and the version of our scope."""

__version__ = "0.1.0"
