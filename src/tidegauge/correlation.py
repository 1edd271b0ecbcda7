"""What ties together all that one request causes: the ids of its trace and span, ``x-correlation-id`` and ``x-request-id``.

They are taken from the request, made where they are missing or malformed, put on every line of the log, echoed in the answer, and passed
on to what the request asks in turn. ``traceparent`` is W3C Trace Context's (https://www.w3.org/TR/trace-context/, section 3.2).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

TRACEPARENT, CORRELATION_ID, REQUEST_ID = "traceparent", "x-correlation-id", "x-request-id"
# A later version may have more fields behind these; version ff is none.
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.{0,400})?")
# What common ids consist of. Nothing of it means anything in a header, in JSON or at a terminal.
_ID = re.compile(rb"[A-Za-z0-9._:/+=@#~-]{1,128}")
_HEADERS = frozenset((TRACEPARENT.encode(), CORRELATION_ID.encode(), REQUEST_ID.encode()))
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class Correlation:
    """Of a request.

    Attributes:
        trace_id: 32 hex digits, lower-case.
        span_id: 16 hex digits: of what is being done for the request here.
        correlation_id: the sender's name for all that it does together; where it gives none, the request's own.
        request_id: of this request.
        parent_span_id: the caller's span, empty where it named none.
        sampled: whether the caller keeps the trace; None: it did not say.

    """

    trace_id: str
    span_id: str
    correlation_id: str
    request_id: str
    parent_span_id: str = ""
    sampled: bool | None = None

    @property
    def traceparent(self) -> str:
        """For what is asked on behalf of the request."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def headers(self) -> dict[str, str]:
        """For what is asked on behalf of the request: all three."""
        return {TRACEPARENT: self.traceparent, CORRELATION_ID: self.correlation_id, REQUEST_ID: self.request_id}


# The program's one variable of a context: every task has its own value.
_current: ContextVar[Correlation | None] = ContextVar("correlation", default=None)


def current() -> Correlation | None:
    """The request that is being worked for; None outside of any."""
    return _current.get()


def outgoing() -> dict[str, str]:
    """Headers for what is asked on behalf of the current request; none outside of any."""
    correlation = _current.get()
    return {} if correlation is None else correlation.headers()


@contextmanager
def correlated(correlation: Correlation | None) -> Iterator[None]:
    """Work for a request while the block runs, or for none: what is done for several at once is nobody's."""
    token = _current.set(correlation)
    try:
        yield
    finally:
        _current.reset(token)


def within(span_id: str, trace_id: str | None = None) -> Correlation | None:
    """The current request as a span within it sees it."""
    correlation = _current.get()
    return None if correlation is None else replace(correlation, span_id=span_id, trace_id=trace_id or correlation.trace_id)


def of_headers(headers: Iterable[tuple[bytes, bytes]]) -> Correlation:
    """What a request's headers say; what is missing, malformed or stands twice is made."""
    given: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _HEADERS:
            given[name] = b"" if name in given else value.strip()
    parent = _TRACEPARENT.fullmatch(given.get(TRACEPARENT.encode(), b""))
    request_id = _valid(given.get(REQUEST_ID.encode())) or f"{random.getrandbits(128):032x}"
    return Correlation(
        trace_id=parent[1].decode() if parent else new_trace_id(),
        span_id=new_span_id(),
        correlation_id=_valid(given.get(CORRELATION_ID.encode())) or request_id,
        request_id=request_id,
        parent_span_id=parent[2].decode() if parent else "",
        sampled=bool(int(parent[3], 16) & _SAMPLED) if parent else None,
    )


def given(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request names itself in any of the three ways."""
    return not _HEADERS.isdisjoint([name for name, _ in headers])


def new_trace_id() -> str:
    """A random one; zeros alone are none."""
    return f"{random.getrandbits(128) or 1:032x}"


def new_span_id() -> str:
    """A random one; zeros alone are none."""
    return f"{random.getrandbits(64) or 1:016x}"


def _valid(value: bytes | None) -> str | None:
    return value.decode() if value is not None and _ID.fullmatch(value) else None
