"""The list of guards that `scripts/mutate_gate.py` takes out is about the gate as it is now."""

import ast

import pytest

from scripts.mutate_gate import Mutation, mutations, share_of, source_of

MUTATIONS = mutations()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.file}: {mutation.guard}")
def test_every_mutation_still_applies(mutation: Mutation) -> None:
    """Each guard stands exactly once in the source, and what is left without it is Python."""
    source = source_of(mutation).read_text(encoding="utf-8")
    assert source.count(mutation.old) == 1
    changed = source.replace(mutation.old, mutation.new)
    assert changed != source
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))


def test_no_mutation_is_there_twice() -> None:
    """Each change is another one."""
    assert len({(each.file, each.old, each.new) for each in MUTATIONS}) == len(MUTATIONS)


def test_shares_make_up_the_whole() -> None:
    """The shares of eight days in a row are the list, each mutation once."""
    days = [share_of(MUTATIONS, "1/8", day) for day in range(200, 208)]
    assert sorted(each for share in days for each in share) == sorted(MUTATIONS)
    assert share_of(MUTATIONS, "1/1", 7) == MUTATIONS


@pytest.mark.parametrize("share", ["", "8", "2/8", "1/0", "1/8 ", "1/x"])
def test_a_share_that_is_none_is_refused(share: str) -> None:
    """Anything but one in n is an error."""
    with pytest.raises(ValueError, match="a share is 1/n"):
        share_of(MUTATIONS, share, 1)
