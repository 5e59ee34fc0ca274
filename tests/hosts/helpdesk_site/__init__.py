"""A site around an unmodified django-helpdesk; not one line about telemetry."""
