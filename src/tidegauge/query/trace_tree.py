"""The tree of a trace. Parent ids are what senders say: they may be missing, lead nowhere, or lead in a circle."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Protocol, TypeVar

MAX_DEPTH = 100
"""Most levels of nesting in an answer: JSON parsers give up somewhere, and a sender can chain as many spans as it likes."""


class Linked(Protocol):
    """What a tree is made of; "" as parent for none."""

    @property
    def span_id(self) -> str:
        """Unique among the spans given."""
        ...

    @property
    def parent_span_id(self) -> str:
        """The span_id of the parent, "" for a root."""
        ...


class Detached(Enum):
    """Why a span that names a parent stands at the top."""

    ORPHAN = "orphan"
    """its parent is not among the trace's spans (not sent, not yet here, or cut off by the limit)"""
    CYCLE = "cycle"
    """its parents lead back to itself; of such a circle the first span stands at the top"""
    DEPTH = "depth"
    """its parent is there, but nested ``MAX_DEPTH`` levels deep already"""


S = TypeVar("S", bound=Linked)


@dataclass(slots=True)
class Node(Generic[S]):
    """A span and its children, in the order of the spans given."""

    span: S
    detached: Detached | None = None
    children: list[Node[S]] = field(default_factory=list)


def build(spans: Sequence[S], max_depth: int = MAX_DEPTH) -> list[Node[S]]:
    """Every span once, under its parent where possible; what stands at the top is in the order of the spans given.

    ``spans`` have unique ids and are ordered (by start time). No recursion: a chain may be as long as the trace.
    """
    forest = _Forest(spans, max_depth)
    known = {span.span_id for span in spans}
    for span in spans:
        if not span.parent_span_id:
            forest.plant(span, None)
        elif span.parent_span_id not in known:
            forest.plant(span, Detached.ORPHAN)
    for span in spans:
        if span.span_id not in forest.placed:
            forest.plant(_first_of_cycle(span, forest.by_id, forest.position), Detached.CYCLE)
    return sorted(forest.roots, key=lambda node: forest.position[node.span.span_id])


class _Forest(Generic[S]):
    def __init__(self, spans: Sequence[S], max_depth: int) -> None:
        self.by_id = {span.span_id: span for span in spans}
        self.position = {span.span_id: index for index, span in enumerate(spans)}
        self.placed: set[str] = set()
        self.roots: list[Node[S]] = []
        self._max_depth = max_depth
        self._children: defaultdict[str, list[S]] = defaultdict(list)
        for span in spans:
            self._children[span.parent_span_id].append(span)

    def plant(self, span: S, detached: Detached | None) -> None:
        """A new tree with everything below it that has no place yet."""
        root = Node(span, detached)
        self.roots.append(root)
        self.placed.add(span.span_id)
        waiting = deque([(root, 1)])
        while waiting:
            node, depth = waiting.popleft()
            for child in self._unplaced(self._children.get(node.span.span_id, ())):
                below = Node(child)
                if depth < self._max_depth:
                    node.children.append(below)
                    waiting.append((below, depth + 1))
                else:
                    below.detached = Detached.DEPTH
                    self.roots.append(below)
                    waiting.append((below, 1))

    def _unplaced(self, spans: Iterable[S]) -> Iterable[S]:
        for span in spans:
            if span.span_id not in self.placed:
                self.placed.add(span.span_id)
                yield span


def _first_of_cycle(span: S, by_id: Mapping[str, S], position: Mapping[str, int]) -> S:
    """The first span of the cycle that the parents of ``span`` lead into."""
    seen: dict[str, int] = {}
    path: list[S] = []
    while span.span_id not in seen:
        seen[span.span_id] = len(path)
        path.append(span)
        span = by_id[span.parent_span_id]
    return min(path[seen[span.span_id] :], key=lambda member: position[member.span_id])
