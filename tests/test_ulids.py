"""ULIDs: they sort by their time and within a millisecond by their making, and no two are the same."""

import itertools
import os
import threading
from typing import Final

import pytest

from otel_incident.ulids import new_ulid
from tests.policy_oracle import is_ulid

AT: Final = 1_600_000_000_000_000_000

FORKS: Final = pytest.mark.filterwarnings(
    "ignore:This process:DeprecationWarning"
)  # beside threads of others


def test_ulids_sort_by_their_time() -> None:
    """A ULID holds the milliseconds in its first ten characters, as its specification spells them."""
    moments = [0, 1_000_000, 1_469_918_176_385_000_000, AT, AT + 1_000_000, (2**48 - 1) * 1_000_000]
    for first, second in itertools.pairwise(moments):
        assert new_ulid(first) < new_ulid(second)
    assert new_ulid(0)[:10] == "0000000000"
    assert new_ulid(1_469_918_176_385_000_000)[:10] == "01ARYZ6S41"  # the specification's own example
    assert new_ulid((2**48 - 1) * 1_000_000)[:10] == "7ZZZZZZZZZ"


def test_those_of_a_millisecond_sort_as_they_were_made() -> None:
    """Events of one millisecond keep their order where a backend sorts by the uid."""
    made = [new_ulid(AT + number % 1000) for number in range(5000)]
    assert all(is_ulid(uid) for uid in made)
    assert made == sorted(made)
    assert len(set(made)) == 5000


def test_threads_get_no_uid_twice() -> None:
    """Each thread's own are in order, and all are different."""
    made: list[list[str]] = [[] for _ in range(4)]
    start = threading.Barrier(4)

    def make(mine: list[str]) -> None:
        start.wait(30)
        mine.extend(new_ulid(AT) for _ in range(5000))

    threads = [threading.Thread(target=make, args=(each,)) for each in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all(each == sorted(each) for each in made)
    assert len({uid for each in made for uid in each}) == 20_000


@FORKS
def test_a_fork_repeats_none() -> None:
    """A child draws for itself: what it makes is not what its parent goes on with."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, " ".join(new_ulid(AT) for _ in range(100)).encode())
        os._exit(0)
    mine = [new_ulid(AT) for _ in range(100)]
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        other = pipe.read().decode().split(" ")
    assert os.waitpid(child, 0)[1] == 0
    assert len(other) == 100
    # ten characters of 32 are the draw, and no two processes share it
    assert {uid[:10] for uid in other} == {uid[:10] for uid in mine}
    assert {uid[10:20] for uid in other}.isdisjoint(uid[10:20] for uid in mine)
