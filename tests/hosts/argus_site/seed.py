"""Set an installation up, by its own commands where it has some; print users' ids and tokens as JSON."""

import json
import sys

import django
from django.core.management import call_command


def main() -> None:
    """Make the tables, a source of incidents, an administrator and somebody who is none."""
    django.setup()
    said, sys.stdout = sys.stdout, sys.stderr
    call_command("migrate", verbosity=0)
    call_command("initial_setup", username="morgan", email="morgan@acme.test")
    call_command("create_source", "grafana1", source_type="grafana")
    # PLC0415, twice: models can be imported once Django is set up
    from django.contrib.auth import get_user_model  # noqa: PLC0415  needs the settings first
    from rest_framework.authtoken.models import Token  # noqa: PLC0415  needs the settings first

    users = get_user_model().objects
    users.create_user(username="alex", email="alex@acme.test")
    made = {}
    for name in ("grafana1", "morgan", "alex"):
        user = users.get(username=name)
        made[name] = {"id": str(user.pk), "token": Token.objects.create(user=user).key}
    said.write(json.dumps(made))


if __name__ == "__main__":
    main()
