#!/usr/bin/env python3
"""Runs the desk by hand: `manage.py migrate`, `manage.py seed`, `manage.py runserver`."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    # TID251: Django itself takes the name of its settings from there
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "desk.settings")  # noqa: TID251
    execute_from_command_line(sys.argv)
