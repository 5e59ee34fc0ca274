"""Tests; a package, so that they can share modules and mypy names each once."""
