"""Tells Django what this app is called."""

from django.apps import AppConfig


class DeskConfig(AppConfig):
    """The desk, under the short label `desk`."""

    name = "desk"
    verbose_name = "Incident desk"
