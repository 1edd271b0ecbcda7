"""Use cases: a trace with its tree, and the searches for spans and traces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Generic, TypeVar

from tidegauge.errors import AnswerTooLarge, InvalidArgument, NotFound
from tidegauge.model.query import Cursor, SpanFilter, TimeRange, TraceFilter
from tidegauge.model.records import Span, SpanSummary, TraceSummary
from tidegauge.model.search import SearchOrder
from tidegauge.query.paging import Listing, encode_cursor
from tidegauge.query.restoring import Restorer
from tidegauge.query.trace_tree import Node, build
from tidegauge.storage.interface import Page, TraceStore

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_SPAN_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUS_CODES = ("unset", "ok", "error")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace: its spans by start time, and as trees. ``truncated`` where it has more spans than an answer holds.

    ``span_count`` is that of the whole trace; of one that is truncated, spans that were sent again count again.
    """

    trace_id: str
    spans: tuple[Span, ...]
    roots: tuple[Node[Span], ...]
    span_count: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A page and the cursor of the next, None at the end.

    Not ``complete`` where the search's time was up before the page was full: the next page goes on where it stopped, at ``reached_ns``
    where the order is that of time.
    """

    rows: tuple[T, ...]
    next_cursor: str | None
    complete: bool = True
    reached_ns: int | None = None


async def read_trace(store: TraceStore, tenant_id: int, trace_id: str, max_spans: int, *, whole: bool) -> Trace:
    """The trace with its first ``max_spans`` spans; if ``whole``, with all or not at all.

    Raises:
        InvalidArgument: the id is not 32 hexadecimal digits.
        NotFound: no span of it is stored.
        AnswerTooLarge: it is wanted whole, and has more spans.

    """
    wanted = parse_trace_id(trace_id)
    stored = await store.trace(tenant_id, wanted, max_spans)
    if stored is None or not stored.spans:
        raise NotFound(f"no span of trace {wanted} is stored", hint="it may not have arrived yet, or be older than the retention")
    if whole and stored.truncated:
        raise AnswerTooLarge(
            f"the trace has {stored.span_count} spans, the limit is {max_spans}",
            hint="raise TIDEGAUGE_API_MAX_TRACE_SPANS, or ask for format=tree, which shows the first of them",
        )
    restorer = Restorer()
    spans = tuple([restorer.span(span) for span in stored.spans])
    return Trace(wanted, spans, tuple(build(spans)), stored.span_count if stored.truncated else len(spans), stored.truncated)


async def find_spans(
    store: TraceStore, tenant_id: int, wanted: SpanFilter, limit: int, after: Cursor | None, order: SearchOrder = SearchOrder.NEWEST
) -> Found[SpanSummary]:
    """A page of spans, newest or slowest first."""
    page = await store.find_spans(tenant_id, wanted, limit, after, order)
    return _found(page, LISTINGS[order, False], wanted.time)


async def find_traces(
    store: TraceStore, tenant_id: int, wanted: TraceFilter, limit: int, after: Cursor | None, order: SearchOrder = SearchOrder.NEWEST
) -> Found[TraceSummary]:
    """A page of traces, newest first or by their slowest span that matches."""
    page = await store.find_traces(tenant_id, wanted, limit, after, order)
    return _found(page, LISTINGS[order, True], wanted.spans.time)


LISTINGS = {
    (SearchOrder.NEWEST, False): Listing.SPANS,
    (SearchOrder.SLOWEST, False): Listing.SLOWEST_SPANS,
    (SearchOrder.NEWEST, True): Listing.TRACES,
    (SearchOrder.SLOWEST, True): Listing.SLOWEST_TRACES,
}
"""By order and whether traces are listed: each has cursors of its own."""


def _found(page: Page[T], listing: Listing, time: TimeRange) -> Found[T]:
    cursor = encode_cursor(listing, time, page.next) if page.next else None
    return Found(tuple(page.rows), cursor, page.complete, page.reached_ns)


def parse_trace_id(text: str, parameter: str = "trace_id") -> str:
    """Lower-case hex digits; dashes, as in a UUID, are allowed.

    Raises:
        InvalidArgument: anything else.

    """
    plain = text.replace("-", "").lower()
    if not _TRACE_ID.fullmatch(plain):
        raise InvalidArgument(f"{parameter}={text!r} is not a trace id", hint="expected 32 hexadecimal digits", parameter=parameter)
    return plain


def parse_span_id(text: str, parameter: str = "span_id") -> str:
    """Lower-case hex digits.

    Raises:
        InvalidArgument: anything else.

    """
    plain = text.lower()
    if not _SPAN_ID.fullmatch(plain):
        raise InvalidArgument(f"{parameter}={text!r} is not a span id", hint="expected 16 hexadecimal digits", parameter=parameter)
    return plain


def parse_kind(text: str) -> int:
    """SpanKind's number of its name, with or without ``SPAN_KIND_``, or of digits.

    Raises:
        InvalidArgument: there is no such kind.

    """
    return _enum(text, "kind", "span_kind_", _SPAN_KINDS)


def parse_status(text: str) -> int:
    """Status.StatusCode's number of its name, with or without ``STATUS_CODE_``, or of digits.

    Raises:
        InvalidArgument: there is no such status.

    """
    return _enum(text, "status", "status_code_", _STATUS_CODES)


def _enum(text: str, parameter: str, prefix: str, names: tuple[str, ...]) -> int:
    name = text.strip().lower().removeprefix(prefix)
    if name in names:
        return names.index(name)
    if name.isascii() and name.isdigit() and int(name) < 1 << 15:
        return int(name)
    raise InvalidArgument(f"{parameter}={text!r} is not known", hint=f"expected one of {', '.join(names)}", parameter=parameter)
