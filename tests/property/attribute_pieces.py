"""Both ways of making pieces of the attribute index and filters of them, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge.model.batch import SpanBatch
from tidegauge.storage.postgres import attribute_pairs
from tidegauge.storage.postgres.attribute_hashes import finalised, parts, unpacked
from tidegauge.storage.postgres.attribute_pairs import Piece

MOST_KEYS = 512
"""Of a piece: so many the compiled part tells."""


def compared(found: SpanBatch, applications: Sequence[int]) -> list[Piece]:
    """The pieces, of which both ways say the same."""
    ways = [attribute_pairs.pieces(found, applications, compiled=compiled) for compiled in (True, False)]
    told, expected = ({_place(piece): piece for piece in pieces} for pieces in ways)
    assert told.keys() == expected.keys(), "other pieces"
    for place, piece in told.items():
        other = expected[place]
        assert piece.keys is not None
        assert other.keys is not None
        if len(other.keys) > MOST_KEYS:
            assert len(set(piece.keys)) >= MOST_KEYS, "too few keys"
            assert set(piece.keys) <= set(other.keys), "other keys"
        else:
            assert (piece.signature, piece.keys) == (other.signature, other.keys), "other keys"
        assert _set(piece) == _set(other), "other hashes"
    return list(ways[0])


def _place(piece: Piece) -> tuple[int, int, int, int]:
    return piece.application_id, piece.start_ns, piece.end_ns, piece.span_count


def _set(piece: Piece) -> set[int] | None:
    if piece.hashes is None:
        return None
    found = set(unpacked(piece.hashes))
    assert 4 * len(found) == len(piece.hashes), "a hash twice"
    return found


def holds(seed: int, made: bytes, number: int) -> bool:
    """What PostgreSQL's function asks of a filter."""
    third = len(made) // 3
    *slots, result = parts(finalised(number, seed))
    first, second, last = (made[part * third + (slot * third >> 32)] for part, slot in enumerate(slots))
    return first ^ second ^ last == result
