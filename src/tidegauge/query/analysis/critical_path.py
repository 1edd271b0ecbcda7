"""The critical path: the spans that, made shorter, would have made the root shorter.

Defined as by CRISP (Zhang et al., "CRISP: Critical Path Analysis of Large-Scale Microservice Architectures", USENIX ATC 2022, algorithm 1)
and as Jaeger's UI draws it: go back from a span's end; the child that finished last before is on the path, as far as it reaches back
within the span, and so are its own children by the same rule; go on from that child's start, with the child that finished last before
that moment. Between them it is the span itself. A child that still ran when the chosen one began ran beside it and is passed over.

Times are what senders' clocks say, and are clipped rather than moved: of a child only what lies within its parent counts, so that one
that outlives its parent (asynchronous work) is on the path up to the parent's end, and one that lies wholly outside (a message handled
later, a clock that is wrong) is not on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidegauge.model.analysis import SpanTimes
from tidegauge.query.trace_tree import Detached, Node


@dataclass(frozen=True, slots=True)
class PathPart:
    """A time in which a span, and none of its children, was on the path."""

    span: SpanTimes
    start_ns: int
    end_ns: int


def main_root(roots: Sequence[Node[SpanTimes]]) -> Node[SpanTimes] | None:
    """The tree that stands for the trace: of true roots the longest, else of those whose parent is missing, else of circles."""
    order = {None: 0, Detached.ORPHAN: 1}
    return min(
        roots, key=lambda root: (order.get(root.detached, 2), root.span.start_ns - root.span.end_ns, root.span.start_ns), default=None
    )


def critical_path(root: Node[SpanTimes]) -> list[PathPart]:
    """Parts in order of time: they lie apart and cover the root's duration. n log n in spans, whatever the depth."""
    parts: list[PathPart] = []
    walks = [_Walk(root, root.span.start_ns, root.span.end_ns)]
    while walks:
        walk = walks[-1]
        below = walk.step(parts)
        if below is None:
            walks.pop()
        else:
            walks.append(below)
    parts.reverse()
    return parts


class _Walk:
    """Goes back from ``end_ns`` to ``start_ns`` within one span."""

    def __init__(self, node: Node[SpanTimes], start_ns: int, end_ns: int) -> None:
        self._span = node.span
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._cursor = end_ns
        self._children: Iterator[Node[SpanTimes]] = iter(sorted(node.children, key=_last_first))

    def step(self, parts: list[PathPart]) -> _Walk | None:
        """Add the span's own time behind the next child on the path, and return that child's walk; None at the span's start."""
        for child in self._children:
            start, end = max(child.span.start_ns, self._start_ns), min(child.span.end_ns, self._end_ns)
            if start < end <= self._cursor:
                self._add(parts, end)
                self._cursor = start
                return _Walk(child, start, end)
        self._add(parts, self._start_ns)
        return None

    def _add(self, parts: list[PathPart], start_ns: int) -> None:
        if start_ns < self._cursor:
            parts.append(PathPart(self._span, start_ns, self._cursor))


def _last_first(node: Node[SpanTimes]) -> tuple[int, int, str]:
    return -node.span.end_ns, node.span.start_ns, node.span.span_id
