"""Fills an empty helpdesk: two users who work on tickets, and a queue. Run without telemetry."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "helpdesk_site.settings")  # noqa: TID251  as manage.py does
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402  needs the apps loaded
from django.core.management import call_command  # noqa: E402  the same
from helpdesk.models import Queue  # type: ignore[import-not-found]  # noqa: E402  the same; not installed here

call_command("migrate", verbosity=0)
User = get_user_model()
User.objects.create_superuser("morgan", "morgan@acme.test", "password-of-morgan")
User.objects.create_user("alex", "alex@acme.test", "password-of-alex", is_staff=True)
Queue.objects.create(title="Payments", slug="payments", email_address="payments@acme.test")
