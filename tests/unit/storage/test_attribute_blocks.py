"""Pieces become blocks of about the right size, and none of their spans is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tidegauge.storage.postgres.attribute_blocks import StoredPiece, compacted
from tidegauge.storage.postgres.attribute_hashes import packed, unpacked

DAY = datetime(2026, 5, 1, tzinfo=UTC)
ENOUGH = 2048


def piece(second: int, spans: int, *, application: int = 1, closed: bool = False, hashes: bytes | None = b"") -> StoredPiece:
    start = DAY + timedelta(seconds=second)
    own = packed({1000 * application + second + 1}) if hashes == b"" else hashes
    return StoredPiece(0, application, DAY, start, start + timedelta(seconds=5), DAY + timedelta(hours=1), spans, own, closed)


def test_what_is_enough_becomes_blocks_in_the_order_of_time_and_the_rest_one_piece() -> None:
    pieces = [piece(second, 512) for second in (40, 10, 30, 0, 20, 50)]
    ((first,), (rest,)) = compacted(pieces, ENOUGH)
    assert (first.span_count, first.start_time, first.end_time) == (ENOUGH, DAY, DAY + timedelta(seconds=35))
    assert (rest.span_count, rest.start_time) == (1024, DAY + timedelta(seconds=40))
    assert rest.hashes is not None
    assert set(unpacked(rest.hashes)) == {1041, 1051}


def test_a_day_that_is_over_leaves_no_piece_and_no_small_block() -> None:
    pieces = [piece(second, 100, closed=True) for second in range(31)]
    blocks, rest = compacted(pieces, ENOUGH)
    assert rest == []
    assert sorted(block.span_count for block in blocks) == [1500, 1600]
    (block,), rest = compacted([piece(0, 3, closed=True)], ENOUGH)
    assert (block.span_count, rest) == (3, [])


def test_applications_are_kept_apart() -> None:
    blocks, rest = compacted([piece(0, 2048), piece(1, 2048, application=2), piece(2, 1, application=3)], ENOUGH)
    assert [(block.application_id, block.span_count) for block in blocks] == [(1, 2048), (2, 2048)]
    assert [(one.application_id, one.span_count) for one in rest] == [(3, 1)]


def test_where_nothing_is_known_of_one_piece_nothing_is_of_its_block() -> None:
    (known, unknown), rest = compacted([piece(0, 2048), piece(1, 2000), piece(2, 100, hashes=None)], ENOUGH)
    assert rest == []
    assert unknown.hashes is None
    assert known.hashes is not None
    assert unpacked(known.hashes) == (1001,)
