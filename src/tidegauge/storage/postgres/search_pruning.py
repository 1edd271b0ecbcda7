"""What a span search need not read: hours and minutes in which the rollups have no span that could match.

A rollup tells of the time before its watermark, but for what is pending (late data) and what retention dropped. All other time is
unknown, and searched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import AsyncConnection

from tidegauge.model.tiers import Family, Level, TierState
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.reading import rows, timestamp
from tidegauge.storage.postgres.search_windows import HOUR_US, MINUTE_US, Piece, gaps, merged
from tidegauge.storage.postgres.tiers import read_states

_WIDTH_US = {Level.HOURLY: HOUR_US, Level.MINUTELY: MINUTE_US}
# A minute of the rollup has as many rows as an hour: reading it for a long time costs what it saves.
_MOST_MINUTELY_US = 12 * HOUR_US
_MOST_RANGES = 1000


async def candidates(
    connection: AsyncConnection, parameters: Mapping[str, object], application_ids: Sequence[int], start_us: int, end_us: int
) -> list[Piece]:
    """Pieces of [start, end) that may hold spans that match, which do not overlap; outside of them there are none.

    ``parameters`` are the search's: operation, kind, status_code, min_duration_ns, max_duration_ns and tenant_id.
    """
    states = {state.level: state for state in await read_states(connection, Family.SPANS)}
    unknown = [(start_us, end_us)]
    found: list[Piece] = []
    for level in (Level.HOURLY, Level.MINUTELY):
        if (state := states.get(level)) is None:
            continue
        known, unknown = _known(state, _WIDTH_US[level], unknown)
        if level is Level.MINUTELY and sum(high - low for low, high in known) > _MOST_MINUTELY_US:
            unknown = merged([*known, *unknown], 1, start_us, end_us)
        elif known:
            found += await _read(connection, level, parameters, application_ids, known)
    return found + [Piece(one, low, high) for low, high in unknown for one in application_ids]


async def minutes(
    connection: AsyncConnection, parameters: Mapping[str, object], application_ids: Sequence[int], hours: Sequence[tuple[int, int]]
) -> list[Piece]:
    """The same of stretches of time that the hourly rollup knows, by the minute."""
    return await _read(connection, Level.MINUTELY, parameters, application_ids, hours)


def _known(state: TierState, width: int, ranges: Sequence[tuple[int, int]]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Which parts of the ranges a tier tells of, and which it does not."""
    start, end = ranges[0][0] if ranges else 0, ranges[-1][1] if ranges else 0
    beyond = (state.watermark_ns // 1000, max(end, state.watermark_ns // 1000))
    unknown = merged(
        [(one.start_ns // 1000, -(-one.end_ns // 1000)) for one in state.pending] + [beyond, (0, state.dropped_through_ns // 1000)],
        width,
        start,
        end,
    )
    known = [
        (max(low, first), min(high, last))
        for low, high in gaps(unknown, start, end)
        for first, last in ranges
        if max(low, first) < min(high, last)
    ]
    if len(known) > _MOST_RANGES:
        return [], list(ranges)
    return known, _less(ranges, known)


def _less(ranges: Sequence[tuple[int, int]], known: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [
        (low, high)
        for start, end in ranges
        for low, high in gaps([(max(first, start), min(last, end)) for first, last in known if first < end and last > start], start, end)
    ]


async def _read(
    connection: AsyncConnection,
    level: Level,
    parameters: Mapping[str, object],
    application_ids: Sequence[int],
    known: Sequence[tuple[int, int]],
) -> list[Piece]:
    width = _WIDTH_US[level]
    # A bucket that a range begins or ends in is read whole, and cut.
    starts = [low // width * width for low, _ in known]
    wanted = dict(parameters) | {
        "application_ids": list(application_ids),
        "starts": [timestamp(low * 1000) for low in starts],
        "ends": [timestamp(high * 1000) for _, high in known],
        "start": timestamp(min(starts) * 1000),
        "end": timestamp(max(high for _, high in known) * 1000),
    }
    found = await rows(connection, sqlfiles.queries("traces")[f"{level.value}_candidates"], wanted)
    pieces = [Piece(row["application_id"], row["bucket_us"], row["bucket_us"] + width, row["slowest_ns"], row["count"]) for row in found]
    return _cut(pieces, known)


def _cut(pieces: Sequence[Piece], known: Sequence[tuple[int, int]]) -> list[Piece]:
    """The parts of buckets within the ranges; a bucket stands once for each range that it was read for."""
    whole = {(one.application_id, one.start_us): one for one in pieces}
    if len(known) == 1:
        low, high = known[0]
        return [one.within(low, high) for one in whole.values()]
    return [one.within(low, high) for one in whole.values() for low, high in known if one.start_us < high and one.end_us > low]
