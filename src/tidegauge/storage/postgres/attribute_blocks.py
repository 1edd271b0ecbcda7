"""Pieces of the attribute index to blocks: of one application and day, in the order of time, about ``BLOCK_SPANS`` spans each. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from tidegauge.storage.postgres.attribute_hashes import merged

BLOCK_SPANS = 32_768
"""The more spans a block has, the more of them share what they have, and the less a span costs; and the more is read for a rare value."""


@dataclass(frozen=True, slots=True)
class StoredPiece:
    """A row of ``tidegauge.attribute_pieces``; ``day`` (UTC) is its start; ``is_closed``: nothing more is expected of that day."""

    tenant_id: int
    application_id: int
    day: datetime
    start_time: datetime
    end_time: datetime
    stored_at: datetime
    span_count: int
    hashes: bytes | None
    is_closed: bool


def compacted(pieces: Iterable[StoredPiece], block_spans: int = BLOCK_SPANS) -> tuple[list[StoredPiece], list[StoredPiece]]:
    """One piece for each block to be made, and one of each application and day for what is too little for a block as yet."""
    blocks: list[StoredPiece] = []
    rest: list[StoredPiece] = []
    ordered = sorted(pieces, key=lambda each: (each.tenant_id, each.application_id, each.day, each.start_time, each.end_time))
    for _, group in groupby(ordered, key=lambda each: (each.tenant_id, each.application_id, each.day)):
        cuts = _cut(list(group), block_spans)
        for part, is_whole in cuts:
            (blocks if is_whole else rest).append(_joined(part))
    return blocks, rest


def _cut(group: Sequence[StoredPiece], block_spans: int) -> list[tuple[list[StoredPiece], bool]]:
    """The pieces for each block; the last may be too few for one, unless one of them is closed."""
    spans = sum(piece.span_count for piece in group)
    is_closed = any(piece.is_closed for piece in group)
    # The last block of a day that is over is not to be a small one.
    enough = spans / max(1, round(spans / block_spans)) if is_closed else block_spans
    cuts: list[tuple[list[StoredPiece], bool]] = []
    part: list[StoredPiece] = []
    taken = 0
    for piece in group:
        part.append(piece)
        taken += piece.span_count
        if taken >= enough * (len(cuts) + 1) if is_closed else sum(each.span_count for each in part) >= enough:
            cuts.append((part, True))
            part = []
    if part:
        cuts.append((part, is_closed))
    return cuts


def _joined(part: Sequence[StoredPiece]) -> StoredPiece:
    hashes = [piece.hashes for piece in part if piece.hashes is not None]
    return StoredPiece(
        part[0].tenant_id,
        part[0].application_id,
        part[0].day,
        min(piece.start_time for piece in part),
        max(piece.end_time for piece in part),
        min(piece.stored_at for piece in part),
        sum(piece.span_count for piece in part),
        merged(hashes) if len(hashes) == len(part) else None,
        any(piece.is_closed for piece in part),
    )
