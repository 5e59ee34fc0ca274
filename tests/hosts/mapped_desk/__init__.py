"""A small incident desk on FastAPI that keeps its incidents by SQLAlchemy, and knows nothing of telemetry."""
