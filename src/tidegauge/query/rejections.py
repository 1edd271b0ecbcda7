"""Use cases: the search for what was rejected, and its counts."""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge.errors import InvalidArgument
from tidegauge.model.batch import Signal
from tidegauge.model.query import Cursor, RejectionFilter
from tidegauge.model.records import RejectionCount, StoredRejection
from tidegauge.query.paging import Listing, encode_cursor
from tidegauge.query.traces import Found
from tidegauge.storage.interface import RejectionStore


async def find_rejections(
    store: RejectionStore, tenant_id: int, wanted: RejectionFilter, limit: int, after: Cursor | None
) -> Found[StoredRejection]:
    """A page of rejections, newest first."""
    page = await store.find_rejections(tenant_id, wanted, limit, after)
    return Found(tuple(page.rows), encode_cursor(Listing.REJECTIONS, wanted.time, page.next) if page.next else None)


async def count_rejections(store: RejectionStore, tenant_id: int, wanted: RejectionFilter) -> Sequence[RejectionCount]:
    """Items by signal and reason, most first."""
    return await store.count_rejections(tenant_id, wanted)


def parse_signal(text: str) -> Signal:
    """``traces``, ``metrics`` or ``logs``.

    Raises:
        InvalidArgument: anything else.

    """
    try:
        return Signal[text.strip().upper()]
    except KeyError:
        names = ", ".join(signal.name.lower() for signal in Signal)
        raise InvalidArgument(f"signal={text!r} is not known", hint=f"expected one of {names}", parameter="signal") from None
