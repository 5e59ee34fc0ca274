"""Settings as its documentation has them: the production ones, and what they ask for."""
# mypy: disable-error-code="import-not-found"
# Argus is in an environment of its own.

import os

from argus.site.settings.prod import *  # noqa: F403  as its documentation says
from argus.site.settings.prod import DATABASES

ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES["default"]["ATOMIC_REQUESTS"] = bool(os.environ.get("ARGUS_ATOMIC_REQUESTS"))  # noqa: TID251  a host of the tests
