"""What a block of the attribute index has is in its base or in its own filter, and a base is one that others have use for."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.storage.postgres.attribute_bases import FEW_HASHES, Filters, Kindred, NewBase, filters_of
from tidegauge.storage.postgres.attribute_hashes import filter_of, packed, split, unpacked

WHOLE = 32_768
CHANCE = random.Random(5)
DAILY = [CHANCE.randrange(1, 1 << 32) for _ in range(8000)]


def unique(count: int) -> list[int]:
    return [CHANCE.randrange(1, 1 << 32) for _ in range(count)]


def base(hashes: Iterable[int], number: int = 1, *, is_previous: bool = False, is_proven: bool = True) -> Kindred:
    seed, made = filter_of(packed(set(hashes)))
    assert made is not None
    return Kindred(number, len(set(hashes)), seed, made, is_proven, is_previous)


def own(hashes: Iterable[int]) -> Kindred:
    """Of the block before."""
    if not (found := packed(set(hashes))):
        return Kindred(None, 0, 0, b"", is_proven=True, is_previous=True)
    seed, made = filter_of(found)
    assert made is not None
    return Kindred(None, 0, seed, made, is_proven=True, is_previous=True)


def chosen(hashes: Iterable[int], kindred: list[Kindred], span_count: int = WHOLE) -> Filters:
    """Checked: nothing is missing."""
    wanted = packed(set(hashes))
    found = filters_of(wanted, span_count, kindred)
    if isinstance(found.base, NewBase):
        _, wanted = split(wanted, found.base.filter, found.base.seed)
    elif found.base is not None:
        (known,) = [one for one in kindred if one.base_id == found.base]
        _, wanted = split(wanted, known.filter, known.seed)
    assert found.filter is not None
    assert split(wanted, found.filter, found.seed) == (wanted, b"")
    return found


def size(found: Filters) -> int:
    return len(found.filter or b"")


def test_the_first_block_is_a_base_that_the_next_has_use_for() -> None:
    """Where it is a large one."""
    many = unique(40_000)
    first = chosen(many, [])
    assert isinstance(first.base, NewBase)
    assert (first.base.hash_count, first.base.is_proven, first.filter) == (40_000, False, b"")
    stored = Kindred(7, first.base.hash_count, first.base.seed, first.base.filter, first.base.is_proven, is_previous=True)
    second = chosen([*many, *unique(300)], [stored, own([])])
    assert second.base == 7
    assert size(second) < 450
    assert chosen(DAILY, []).base is None


def test_another_applications_base_will_do() -> None:
    assert chosen(DAILY, [base(DAILY, 3)]).base == 3


def test_what_two_days_have_in_common_is_a_base_and_what_each_has_alone_is_not() -> None:
    """As of a service half of whose values never come again: of yesterday's no block of later days knows anything."""
    yesterday = unique(8000)
    found = chosen([*DAILY, *unique(8000)], [own([*DAILY, *yesterday])])
    assert isinstance(found.base, NewBase)
    assert found.base.hash_count == pytest.approx(8000, rel=0.02)
    assert found.base.is_proven
    held, _ = split(packed(set(yesterday)), found.base.filter, found.base.seed)
    assert len(held) // 4 < 100
    # The third day has use for it, though the newest base is another.
    third = chosen([*DAILY, *unique(8000)], [base(DAILY, 4), base(unique(8000), 5), own(unique(8000))])
    assert third.base == 4


def test_a_base_that_holds_much_besides_would_have_blocks_read_in_vain() -> None:
    larger = base([*DAILY, *unique(4000)], is_previous=True)
    found = chosen(DAILY, [larger, own([])])
    assert isinstance(found.base, NewBase)
    assert found.base.hash_count == 8000
    assert chosen(DAILY, [larger, own([])], span_count=3000).base == 1, "few spans are read soon"


def test_what_only_the_first_block_had_stays_in_no_base_of_others() -> None:
    """A value that never comes again would have all blocks read; where it did once, little is lost."""
    first = [*DAILY, *unique(500)]
    assert chosen(DAILY, [base(first, is_previous=True), own([])]).base == 1
    found = chosen(DAILY, [base(first, is_previous=True, is_proven=False), own([])])
    assert isinstance(found.base, NewBase)
    assert (found.base.hash_count, found.base.is_proven) == (8000, True)


def test_a_base_that_has_grown_old_is_followed_by_a_better_one() -> None:
    """Half of what is sent has changed; the block before had that already, in a filter of its own."""
    changed = DAILY[:4000] + unique(4000)
    found = chosen(changed, [base(DAILY[:4000], is_previous=True), own(changed[4000:])])
    assert isinstance(found.base, NewBase)
    assert found.base.hash_count == 8000
    assert found.filter == b""


def test_where_nothing_comes_again_a_block_has_a_filter_and_no_base() -> None:
    found = chosen(unique(8000), [base(unique(8000), is_previous=True), own([])])
    assert (found.base, size(found)) == (None, len(filter_of(packed(unique(8000)))[1] or b""))
    few = DAILY[: FEW_HASHES - 1]
    assert chosen(few, [base(DAILY), own(few)]).base is None


numbers = st.integers(1, (1 << 32) - 1)


@given(st.sets(numbers, max_size=80), st.lists(st.tuples(st.sets(numbers, max_size=60), st.booleans()), max_size=4), st.integers(1, 50_000))
def test_no_hash_is_ever_lost(hashes: set[int], others: list[tuple[set[int], bool]], span_count: int) -> None:
    """Each of these numbers stands for some that are spread about it, so that there are enough for bases."""

    def spread(some: set[int]) -> set[int]:
        return {number * 2_654_435_761 * (step + 1) % 0xFFFFFFFB + 1 for number in some for step in range(60)}

    kindred = [base(spread(some), place, is_previous=previous) for place, (some, previous) in enumerate(others)]
    mixed = spread(hashes | {number for some, _ in others[:2] for number in some})
    chosen(mixed, kindred, span_count)
    chosen(mixed, [*kindred, own(spread(hashes))], span_count)


@given(st.sets(numbers, max_size=50), st.sets(numbers, max_size=50), st.binary(max_size=200), st.integers(0, 7))
def test_both_ways_of_asking_a_filter_say_the_same(hashes: set[int], others: set[int], strange: bytes, seed: int) -> None:
    made_seed, made = filter_of(packed(hashes))
    assert made is not None
    asked = packed(hashes | others)
    for content, its_seed in ((made, made_seed), (strange, seed)):
        held, rest = split(asked, content, its_seed)
        assert (held, rest) == split(asked, content, its_seed, compiled=False)
        assert sorted((*unpacked(held), *unpacked(rest))) == sorted(hashes | others)
    assert hashes <= set(unpacked(split(asked, made, made_seed)[0]))
