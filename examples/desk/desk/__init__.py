"""An incident desk: people report what is broken, a team takes it through its stages, one commands."""
