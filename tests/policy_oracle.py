"""The rules once more, written without a regular expression: what the policy's own must agree with."""

import hashlib
import string
import uuid
from datetime import datetime
from typing import Final

from otel_incident.vocabulary import ATTRIBUTES

CROCKFORD: Final = frozenset("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
MATTERMOST: Final = frozenset("ybndrfg8ejkmcpqxot1uwisza345h769")
HEX: Final = frozenset(string.hexdigits)
LOWER_HEX: Final = frozenset("0123456789abcdef")
DIGITS: Final = frozenset(string.digits)
VERSION: Final = frozenset(string.digits + string.ascii_letters + ".+_~:-")


def pseudonym(value: str) -> str:
    """Some keyed hash."""
    return "hmac-" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_hash(value: str) -> bool:
    """`hmac-` and 32 lower-case hex digits."""
    return value[:5] == "hmac-" and len(value) == 5 + 32 and set(value[5:]) <= LOWER_HEX


def is_ulid(value: str) -> bool:
    """26 of Crockford's characters, of which the first holds three bits."""
    return len(value) == 26 and set(value) <= CROCKFORD and value[0] in "01234567"


def is_id(value: str) -> bool:
    """A machine made it."""
    return (
        (1 <= len(value) <= 20 and set(value) <= DIGITS)
        or (12 <= len(value) <= 64 and set(value) <= HEX)
        or (len(value) == 26 and set(value) <= MATTERMOST)
        or _is_uuid(value)
        or is_ulid(value)
        or is_hash(value)
    )


def keeps_rule(name: str, value: object) -> bool:
    """Whether a value of any type keeps the rule of a registered attribute."""
    attribute = ATTRIBUTES[name]
    kind = type(value)
    match attribute.rule:
        case "flag":
            return value is True or value is False
        case "count":
            return kind is int and value in range(2**31)
        case "seconds":
            return kind is float and 0 <= value <= 3.2e9  # type: ignore[operator]  # a float; NaN compares false
        case "enum_list":
            return (
                (kind is tuple or kind is list)
                and len(value) in range(1, len(attribute.members) + 1)  # type: ignore[arg-type]  # either has one
                and all(type(item) is str and item in attribute.members for item in value)  # type: ignore[attr-defined]  # the same
            )
    return kind is str and _keeps_grammar(attribute.rule, attribute.members, str(value))


def _keeps_grammar(rule: str, members: tuple[str, ...], value: str) -> bool:
    match rule:
        case "id":
            return is_id(value)
        case "uid":
            return is_ulid(value)
        case "hash":
            return is_hash(value)
        case "timestamp":
            return _is_timestamp(value)
        case "version":
            return 1 <= len(value) <= 64 and set(value) <= VERSION and value[0].isalnum()
        case _:
            return value in members


def _is_uuid(value: str) -> bool:
    if len(value) != 36 or not set(value) <= HEX | {"-"}:
        return False
    try:
        return str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False


def _is_timestamp(value: str) -> bool:
    """ISO 8601 in UTC with milliseconds, on a day that there is; year 0 is a leap year, as 2000 was."""
    if len(value) != 24 or not value.isascii() or (value[10], value[19], value[23]) != ("T", ".", "Z"):
        return False
    year, rest = value[:4], value[4:]
    try:
        datetime.fromisoformat(f"{'2000' if year == '0000' else year}{rest}")
    except ValueError:
        return False
    return True
