"""Self time: what of a span's duration none of its children covers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tidegauge.model.analysis import SpanTimes


def self_times(spans: Sequence[SpanTimes]) -> dict[str, int]:
    """Span id → nanoseconds: its own duration less the union of its children's, each clipped to its own time.

    So children that run side by side count once, what a child does after its parent's end is not taken from the parent, and no self
    time is negative. In a tree whose children lie within their parents one after the other, self times add up to the root's duration.
    ``spans`` have unique ids. A span that is its own parent is no child of its own.
    """
    children: defaultdict[str, list[SpanTimes]] = defaultdict(list)
    for span in spans:
        if span.parent_span_id and span.parent_span_id != span.span_id:
            children[span.parent_span_id].append(span)
    return {span.span_id: span.end_ns - span.start_ns - _covered(span, children.get(span.span_id, ())) for span in spans}


def _covered(span: SpanTimes, children: Iterable[SpanTimes]) -> int:
    """Length of the union of the children's times within the span's."""
    total, reached = 0, span.start_ns
    for child in sorted(children, key=lambda child: child.start_ns):
        begin, end = max(child.start_ns, reached), min(child.end_ns, span.end_ns)
        if begin < end:
            total += end - begin
            reached = end
    return total
