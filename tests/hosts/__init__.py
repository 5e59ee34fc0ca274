"""Hosts that tests watch; not one of them knows of telemetry."""
