"""Which filters a block of the attribute index has: all of its own, or a base and what the base does not hold. No I/O.

Services send much the same from day to day. A base is a filter that blocks point to, of the attributes that they have in common; the filter
that is a block's own has the others. A base has no base itself, and may be another application's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from tidegauge.storage.postgres.attribute_hashes import filter_of, split

FEW_HASHES, _MANY_HASHES = 1024, 32_768
"""What has fewer costs little by itself; of an application's first block so many are a base, for whom it may concern."""
_WORTH = 4
"""A base is worth its while where one in so many hashes need not be stored again."""
_IN_VAIN, _UNPROVEN_IN_VAIN = 4096, 512
"""So many spans of a block may be read in vain, on an average, for a value that its base has; and where that may never come again."""


@dataclass(frozen=True, slots=True)
class Kindred:
    """A stored filter that may be much like a block's: a base, or (``base_id`` None) the own filter of the application's block before.

    Attributes:
        hash_count: of a base, how many hashes it was made of.
        is_proven: of a base, whether two blocks at least have what it holds; that of a first block may hold what never comes again.
        is_previous: whether the block before has it, as its own or as its base.

    """

    base_id: int | None
    hash_count: int
    seed: int
    filter: bytes
    is_proven: bool
    is_previous: bool


@dataclass(frozen=True, slots=True)
class NewBase:
    """A base to be stored."""

    hash_count: int
    seed: int
    filter: bytes
    is_proven: bool


@dataclass(frozen=True, slots=True)
class Filters:
    """Of a block: ``base`` is None, the id of one, or one to be stored first. ``filter`` is its own; None: nothing is known of it."""

    base: NewBase | int | None
    seed: int
    filter: bytes | None


def filters_of(hashes: bytes, span_count: int, kindred: Sequence[Kindred]) -> Filters:
    """Of a block with these packed hashes, each of which stands there once."""
    if len(hashes) < 4 * FEW_HASHES:
        return Filters(None, *filter_of(hashes))
    bases = [(len(split(hashes, one.filter, one.seed)[0]), one) for one in kindred if one.base_id is not None]
    serving = [(held, one) for held, one in bases if _serves(one, held, len(hashes), span_count)]
    saved, best = max(serving, key=itemgetter(0), default=(0, None))
    previous = [one for one in kindred if one.is_previous]
    # What two blocks have in common will be in the next; of the first block nobody knows.
    is_first = best is None and not previous
    common = hashes if is_first else _common(hashes, previous)
    enough = 4 * (_MANY_HASHES if is_first else FEW_HASHES)
    if _WORTH * (len(common) - saved) >= len(hashes) and len(common) >= enough:
        seed, made = filter_of(common)
        if made is not None:
            return Filters(NewBase(len(common) // 4, seed, made, not is_first), *_own(hashes, made, seed))
    if best is None:
        return Filters(None, *filter_of(hashes))
    return Filters(best.base_id, *_own(hashes, best.filter, best.seed))


def _serves(base: Kindred, held_bytes: int, bytes_wanted: int, span_count: int) -> bool:
    """Whether it saves enough, and few spans are read in vain for what it has and the block has not."""
    surplus = max(base.hash_count - held_bytes // 4, 0)
    in_vain = _IN_VAIN if base.is_proven else _UNPROVEN_IN_VAIN
    return _WORTH * held_bytes >= bytes_wanted and span_count * surplus <= in_vain * base.hash_count


def _common(hashes: bytes, previous: Sequence[Kindred]) -> bytes:
    common: list[bytes] = []
    for one in previous:
        held, hashes = split(hashes, one.filter, one.seed)
        common.append(held)
    return b"".join(common)


def _own(hashes: bytes, base: bytes, seed: int) -> tuple[int, bytes | None]:
    """What is in no base; that may be nothing."""
    _, others = split(hashes, base, seed)
    return filter_of(others) if others else (0, b"")
