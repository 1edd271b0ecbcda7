"""Pages: opaque cursors that carry the search's time range and the last row, and how long a page may be."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from enum import Enum

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import Cursor, TimeRange

DEFAULT_LIMIT = 100
_VERSION = 1
_HEAD = struct.Struct(">BBqqq")


class Listing(Enum):
    """What is paged; a cursor of one listing is refused by another."""

    SPANS = 1
    TRACES = 2
    LOGS = 3
    REJECTIONS = 4
    SLOWEST_SPANS = 5
    SLOWEST_TRACES = 6


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: behind ``after``, in a range that ``now-1h`` meant when the first page was read."""

    time: TimeRange
    after: Cursor | None


def encode_cursor(listing: Listing, time: TimeRange, after: Cursor) -> str:
    """Text for a URL."""
    head = _HEAD.pack(_VERSION, listing.value, time.start_ns, time.end_ns, after.time_ns)
    return urlsafe_b64encode(head + after.tie).rstrip(b"=").decode()


def decode_cursor(listing: Listing, text: str) -> Place:
    """The place that :func:`encode_cursor` wrote down.

    Raises:
        InvalidArgument: the text is not a cursor of this listing.

    """
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        version, kind, start, end, time_ns = _HEAD.unpack_from(raw)
        if (version, kind) != (_VERSION, listing.value):
            raise ValueError("another version or listing")
        return Place(TimeRange(start, end), Cursor(time_ns, raw[_HEAD.size :]))
    except (ValueError, struct.error, Base64Error) as error:
        raise InvalidArgument(
            f"cursor={text!r} is not a cursor of this listing", hint="use `next_cursor` of the page before, unchanged", parameter="cursor"
        ) from error


def page_size(limit: int | None, maximum: int) -> int:
    """The limit itself; without one :data:`DEFAULT_LIMIT`, where that is allowed.

    Raises:
        InvalidArgument: it is not between 1 and ``maximum``.

    """
    if limit is None:
        return min(DEFAULT_LIMIT, maximum)
    if not 1 <= limit <= maximum:
        raise InvalidArgument(f"limit={limit} is not allowed", hint=f"expected 1 to {maximum}", parameter="limit")
    return limit
