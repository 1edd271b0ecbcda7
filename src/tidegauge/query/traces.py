"""Use cases: a trace with its tree, and the search for spans."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegauge.errors import InvalidArgument, NotFound
from tidegauge.model.records import Span
from tidegauge.query.restoring import Restorer
from tidegauge.query.trace_tree import Node, build
from tidegauge.storage.interface import TraceStore

_TRACE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace: its spans by start time, and as trees. ``truncated`` where it has more spans than an answer holds."""

    trace_id: str
    spans: tuple[Span, ...]
    roots: tuple[Node[Span], ...]
    truncated: bool


async def read_trace(store: TraceStore, tenant_id: int, trace_id: str, max_spans: int) -> Trace:
    """The trace with its first ``max_spans`` spans.

    Raises:
        InvalidArgument: the id is not 32 hexadecimal digits.
        NotFound: no span of it is stored.

    """
    wanted = parse_trace_id(trace_id)
    stored = await store.trace(tenant_id, wanted, max_spans)
    if stored is None or not stored.spans:
        raise NotFound(f"no span of trace {wanted} is stored", hint="it may not have arrived yet, or be older than the retention")
    restorer = Restorer()
    spans = tuple([restorer.span(span) for span in stored.spans])
    return Trace(wanted, spans, tuple(build(spans)), stored.truncated)


def parse_trace_id(text: str, parameter: str = "trace_id") -> str:
    """Lower-case hex digits; dashes, as in a UUID, are allowed.

    Raises:
        InvalidArgument: anything else.

    """
    plain = text.replace("-", "").lower()
    if not _TRACE_ID.fullmatch(plain):
        raise InvalidArgument(f"{parameter}={text!r} is not a trace id", hint="expected 32 hexadecimal digits", parameter=parameter)
    return plain
