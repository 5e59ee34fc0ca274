"""Set an installation up, by its own commands where it has some; print users' ids and tokens as JSON."""

import json
import sys
from importlib import metadata

import django
from django.core.management import call_command


def main() -> None:
    """Make the tables, what the application brings to fill them with, and three people."""
    django.setup()
    said, sys.stdout = sys.stdout, sys.stderr
    call_command("migrate", verbosity=0)
    packaged = metadata.files("firefighter-incident") or []
    fixtures = [str(file.locate()) for file in packaged if file.match("firefighter_fixtures/**/*.json")]
    call_command("loaddata", *fixtures, verbosity=0)
    # PLC0415, three times: models can be imported once Django is set up
    from django.contrib.auth import get_user_model  # noqa: PLC0415  needs the settings first
    from django.contrib.auth.models import Permission  # noqa: PLC0415  needs the settings first
    from rest_framework.authtoken.models import Token  # noqa: PLC0415  needs the settings first

    made = {}
    for name in ("morgan", "alex", "robin"):
        user = get_user_model().objects.create(username=name, name=name.title(), email=f"{name}@acme.test")
        user.user_permissions.add(Permission.objects.get(codename="add_incident"))
        made[name] = {"id": str(user.pk), "token": Token.objects.create(user=user).key}
    said.write(json.dumps(made))


if __name__ == "__main__":
    main()
