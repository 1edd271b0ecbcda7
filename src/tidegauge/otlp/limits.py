"""What the columns can hold, and ids that mean nothing."""

from __future__ import annotations

TIME_END = 2**63
"""Times are below this many nanoseconds (April 2262), so that differences of two fit a bigint."""
INT64_MAX = 2**63 - 1
INT32_MAX = 2**31 - 1
INT16_MAX = 2**15 - 1
METRIC_NAME_LENGTH = 600
"""Characters; with the unit it stays below the 2704 bytes that a B-tree's entry can have. The specification says 255."""
UNIT_LENGTH = 63
"""Characters, as the specification says (metrics API, "Instrument unit")."""
APPLICATION_NAME_LENGTH = 200
"""Characters of each of an application's three names that are kept, for the same reason; the resource's attributes have them whole."""
ZERO_TRACE_ID = bytes(16)
ZERO_SPAN_ID = bytes(8)


def valid_trace_id(value: bytes) -> bool:
    """16 bytes that are not all zero (trace.proto)."""
    return len(value) == 16 and value != ZERO_TRACE_ID


def valid_span_id(value: bytes) -> bool:
    """8 bytes that are not all zero (trace.proto)."""
    return len(value) == 8 and value != ZERO_SPAN_ID
