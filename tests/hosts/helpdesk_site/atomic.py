"""Settings where a request is one transaction, waits for nobody's lock, and breaks with its mail."""

from .refusing import *  # noqa: F403  as Django projects derive their settings
from .settings import DATABASES

DATABASES["default"] |= {"ATOMIC_REQUESTS": True, "OPTIONS": {"timeout": 0}}
