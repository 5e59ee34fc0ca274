"""A mail server that refuses: in turn by an answer, which the helpdesk logs, and by breaking the request."""

import itertools
from smtplib import SMTPDataError
from typing import Any

from django.core.mail.backends.base import BaseEmailBackend

_turns = itertools.count()


class Refusing(BaseEmailBackend):  # type: ignore[misc]  # Django ships no types
    """Quotes what it refuses."""

    def send_messages(self, email_messages: Any) -> int:
        """Refuse."""
        quoted = " ".join(message.message().as_string() for message in email_messages)
        if next(_turns) % 2:
            raise OSError(f"broken pipe while sending {quoted}")
        raise SMTPDataError(554, f"refused: {quoted}".encode())
