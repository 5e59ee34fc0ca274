"""The search that the proofs of the gate rest on is the one that hosts get, and so has one implementation."""

from otel_incident.testing.search import ENCODINGS, GRAM, LENGTH, canary, found, grams

__all__ = ["ENCODINGS", "GRAM", "LENGTH", "canary", "found", "grams"]
