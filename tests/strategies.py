"""What a host might hand us: ids that machines make, text that people write, and objects that lie or raise.

Shared by the laws: whatever of this goes in, nothing raises and no text comes out.
"""

import enum
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final, NoReturn, final

from hypothesis import strategies as st

CONTENT: Final = "Payments down at ACME, call Jane"
"""Text that must never leave; no value below that holds text holds any other."""

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MATTERMOST: Final = "ybndrfg8ejkmcpqxot1uwisza345h769"
HEX: Final = "0123456789abcdefABCDEF"


class HostileError(Exception):
    """What a host's object raises; its message is content too."""

    def __init__(self) -> None:
        super().__init__(CONTENT)


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise HostileError


_METHODS: Final[dict[str, Any]] = dict.fromkeys(
    (
        *("__str__", "__repr__", "__format__", "__bytes__", "__eq__", "__ne__", "__hash__", "__bool__"),
        *("__lt__", "__le__", "__gt__", "__ge__", "__len__", "__iter__", "__getitem__", "__contains__"),
        *("__int__", "__float__", "__index__", "__add__", "__sub__", "__rsub__", "__floordiv__"),
    ),
    _refuse,
)


class _HostileType(type):
    """A class that cannot even be compared."""

    __eq__ = _refuse
    __hash__ = _refuse


def _hostile(name: str, base: type, **more: Any) -> Any:
    return type(name, (base,), {**_METHODS, **more})


Hostile: Final = _hostile("Hostile", object, __getattribute__=_refuse)
HostileStr: Final = _hostile("HostileStr", str)
HostileInt: Final = _hostile("HostileInt", int)
HostileTuple: Final = _hostile("HostileTuple", tuple)
HostileDatetime: Final = _hostile("HostileDatetime", datetime, utcoffset=_refuse)
Incomparable: Final = _HostileType("Incomparable", (), {})


class TalkativeUuid(uuid.UUID):
    """A UUID that calls itself something else."""

    def __str__(self) -> str:
        """No number."""
        return CONTENT


class Lazy:
    """A proxy like Django's `SimpleLazyObject`: it says it is a string, and is none."""

    @property  # type: ignore[misc]  # read-only, unlike what it hides
    def __class__(self) -> Any:
        """Not its class."""
        return str

    def __str__(self) -> str:
        """What it stands for."""
        return CONTENT


class HostileZone(tzinfo):
    """A time zone whose code fails."""

    utcoffset = dst = tzname = _refuse


class WrongZone(tzinfo):
    """A time zone whose offset is no offset: the datetime raises for it."""

    def utcoffset(self, _: datetime | None) -> Any:
        """No offset."""
        return CONTENT

    dst = tzname = utcoffset


class Suit(enum.IntEnum):
    """An int that is not one exactly."""

    SPADES = 1


class Word(enum.StrEnum):
    """A str that is not one exactly."""

    CREATE = "create"


@final
class Handed:
    """A value in a wrapper: Hypothesis looks at what it hands over, which some objects answer by raising."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        """The value's own, if it has one."""
        try:
            return f"Handed({self.value!r})"
        except HostileError:
            return f"Handed(<{type(self.value).__name__}>)"


MACHINE_IDS: Final[st.SearchStrategy[str]] = st.one_of(
    st.integers(0, 10**20 - 1).map(str),
    st.uuids().map(str),
    st.uuids().map(lambda value: str(value).upper()),
    st.tuples(st.sampled_from("01234567"), st.text(CROCKFORD, min_size=25, max_size=25)).map("".join),
    st.text(MATTERMOST, min_size=26, max_size=26),
    st.text(HEX, min_size=12, max_size=64),
)
"""Ids as machines make them: they pass as they are."""

TEXT: Final[st.SearchStrategy[str]] = st.one_of(
    st.text(max_size=80),
    st.just(CONTENT),
    st.sampled_from(
        (
            "jane.doe",
            "jane@example.org",
            "payments-outage-acme",
            "",
            " ",
            "\n",
            "\uff11\uff12\uff13",
            "\u0663\u0664",
        )
    ),
)

_MAKERS: Final[tuple[Callable[[], Any], ...]] = (
    Hostile,
    Incomparable,
    Lazy,
    object,
    lambda: HostileStr(CONTENT),
    lambda: HostileStr("12345"),
    lambda: HostileInt(5),
    lambda: HostileTuple(("end_user",)),
    lambda: HostileDatetime(2020, 9, 13, tzinfo=UTC),
    lambda: TalkativeUuid(int=5),
    lambda: datetime(2020, 9, 13, tzinfo=HostileZone()),
    lambda: datetime(2020, 9, 13, tzinfo=WrongZone()),
    lambda: datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23))),
    lambda: datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=-23))),
    lambda: Suit.SPADES,
    lambda: Word.CREATE,
    lambda: 10**5000,  # more digits than Python converts to text
    lambda: [CONTENT],
    lambda: {CONTENT: CONTENT},
    lambda: {"end_user"},
    lambda: ["end_user", Hostile()],
    lambda: (Hostile(),),
    lambda: Hostile,
)

HOSTILE: Final[st.SearchStrategy[Handed]] = st.sampled_from(range(len(_MAKERS))).map(
    lambda index: Handed(_MAKERS[index]())
)
"""Objects that raise, lie, or are almost what is asked for."""

_ORDINARY: Final[st.SearchStrategy[Any]] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(max_size=20),
    MACHINE_IDS,
    TEXT,
    st.uuids(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.lists(st.sampled_from(("end_user", "system_admin", CONTENT)), max_size=3),
)

ANYTHING: Final[st.SearchStrategy[Handed]] = st.one_of(_ORDINARY.map(Handed), HOSTILE)
"""Any value at all."""
