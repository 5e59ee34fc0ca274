"""A small incident desk on Django, SQLite and requests; not one line about telemetry."""
