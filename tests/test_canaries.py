"""The search that the proofs of the gate rest on finds what it is to find, and nothing else."""

import base64
import gzip
import itertools

import pytest

from tests.canaries import ENCODINGS, GRAM, LENGTH, canary, found, grams

TEXT = canary("here")
AROUND = "some text before and \u00e9 after"


def test_canaries_are_fixed_and_share_no_stretch() -> None:
    """The same place has the same canary in every process, and no two places share eight characters."""
    assert (TEXT, len(TEXT)) == (canary("here"), LENGTH)
    several = [canary(str(number)) for number in range(300)] + [canary("1", "salted")]
    stretches = list(itertools.chain.from_iterable(grams(text.casefold()) for text in several))
    assert len(stretches) == len(set(stretches)) == 301 * (LENGTH - GRAM + 1)


@pytest.mark.parametrize("name", ENCODINGS)
def test_each_encoding_is_seen(name: str) -> None:
    """A canary is seen in each encoding, and so is any eight characters of it."""
    for text in (TEXT, *grams(TEXT)):
        assert set(found(b"\x0a\x12" + ENCODINGS[name](text) + b"\x00", [TEXT])) == {TEXT}


@pytest.mark.parametrize("lead", range(6))
def test_base64_is_seen_wherever_it_begins(lead: int) -> None:
    """What is around a canary when it is encoded does not hide it."""
    for trail in range(3):
        encoded = base64.b64encode(b"x" * lead + TEXT.encode() + b"y" * trail)
        assert found(encoded, [TEXT])


@pytest.mark.parametrize(
    "data",
    [
        TEXT.lower().encode(),
        TEXT.upper().encode(),
        TEXT.swapcase()[::-1].encode(),
        TEXT.upper().encode("utf-16-le"),
        TEXT.lower().encode().hex().upper().encode(),
        TEXT[3 : 3 + GRAM].encode(),
    ],
)
def test_case_and_truncation_hide_nothing(data: bytes) -> None:
    """A canary in another case, or eight characters of it, is a find."""
    assert set(found(AROUND.encode() + data, [TEXT])) == {TEXT}


def test_what_is_not_there_is_not_found() -> None:
    """Other text, seven characters of a canary, and a compressed one: payloads are searched decompressed."""
    data = gzip.compress(TEXT.encode() * 3) + AROUND.encode() + TEXT[: GRAM - 1].encode()
    assert found(data, [TEXT, canary("elsewhere")]) == {}
