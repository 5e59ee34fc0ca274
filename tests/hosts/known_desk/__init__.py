"""An incident desk that knows its users, on several frameworks; not one line about telemetry."""
