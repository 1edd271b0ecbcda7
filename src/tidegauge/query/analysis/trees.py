"""Two traces compared by the paths of their spans: which operations were called below which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tidegauge.model.analysis import SpanTimes
from tidegauge.query.trace_tree import Node

_ERROR = 2


@dataclass(slots=True)
class Side:
    """The spans of one trace at a path, added up."""

    count: int = 0
    errors: int = 0
    duration_ns: int = 0
    self_time_ns: int = 0

    def add(self, span: SpanTimes, self_time_ns: int) -> None:
        """Count a span in."""
        self.count += 1
        self.errors += span.status_code == _ERROR
        self.duration_ns += span.duration_ns
        self.self_time_ns += self_time_ns


@dataclass(slots=True)
class Place:
    """A path of (service, operation) from a root down, by its last member; ``parent`` is the index of the path above, None at the top."""

    service: str
    name: str
    depth: int
    parent: int | None
    a: Side = field(default_factory=Side)
    b: Side = field(default_factory=Side)


@dataclass(slots=True)
class _Branch:
    service: str
    name: str
    a: Side = field(default_factory=Side)
    b: Side = field(default_factory=Side)
    below: dict[tuple[str, str], _Branch] = field(default_factory=dict)


def compare(
    a: Sequence[Node[SpanTimes]], a_self_times: Mapping[str, int], b: Sequence[Node[SpanTimes]], b_self_times: Mapping[str, int]
) -> list[Place]:
    """Every path of either trace, each below the path above it, in the order in which the first trace, then the second, comes by.

    Spans with the same path are added up: what a loop calls ten times is one place with a count of ten.
    """
    top = _Branch("", "")
    for branch, span in _matched(top, a):
        branch.a.add(span, a_self_times[span.span_id])
    for branch, span in _matched(top, b):
        branch.b.add(span, b_self_times[span.span_id])
    return _flattened(top)


def _matched(top: _Branch, roots: Sequence[Node[SpanTimes]]) -> Iterator[tuple[_Branch, SpanTimes]]:
    waiting = [(top, node) for node in reversed(roots)]
    while waiting:
        above, node = waiting.pop()
        key = node.span.service, node.span.name
        branch = above.below.get(key)
        if branch is None:
            branch = above.below[key] = _Branch(*key)
        yield branch, node.span
        waiting += [(branch, child) for child in reversed(node.children)]


def _flattened(top: _Branch) -> list[Place]:
    places: list[Place] = []
    waiting: list[tuple[_Branch, int, int | None]] = [(branch, 0, None) for branch in reversed(top.below.values())]
    while waiting:
        branch, depth, parent = waiting.pop()
        places.append(Place(branch.service, branch.name, depth, parent, branch.a, branch.b))
        here = len(places) - 1
        waiting += [(below, depth + 1, here) for below in reversed(branch.below.values())]
    return places
