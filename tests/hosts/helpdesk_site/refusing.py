"""Settings of an installation whose mail server refuses everything, and says what it was sent."""

from .settings import *  # noqa: F403  as Django projects derive their settings

EMAIL_BACKEND = "helpdesk_site.mail.Refusing"
