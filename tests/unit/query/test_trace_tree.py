"""Trees of spans whose parent ids may be anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tidegauge.query.trace_tree import Detached, Node, build


@dataclass(frozen=True)
class S:
    """A span, as far as a tree knows it."""

    span_id: str
    parent_span_id: str = ""


def shown(nodes: Sequence[Node[S]]) -> list[object]:
    """Ids, nested; what is detached with its reason."""
    return [
        (node.span.span_id if node.detached is None else f"{node.span.span_id}:{node.detached.value}", shown(node.children))
        for node in nodes
    ]


def walk(nodes: Sequence[Node[S]]) -> Iterator[tuple[Node[S], Node[S] | None, int]]:
    """Every node with its parent and depth."""
    waiting: list[tuple[Node[S], Node[S] | None, int]] = [(node, None, 1) for node in nodes]
    while waiting:
        node, parent, depth = waiting.pop()
        yield node, parent, depth
        waiting += [(child, node, depth + 1) for child in node.children]


def test_children_keep_the_order_of_the_spans() -> None:
    spans = [S("a"), S("c", "a"), S("b", "a"), S("d", "c")]
    assert shown(build(spans)) == [("a", [("c", [("d", [])]), ("b", [])])]


def test_a_child_before_its_parent_and_several_roots() -> None:
    assert shown(build([S("b", "a"), S("x"), S("a")])) == [("x", []), ("a", [("b", [])])]


def test_an_orphan_stands_at_the_top_in_its_place() -> None:
    spans = [S("o", "gone"), S("a"), S("p", "o")]
    assert shown(build(spans)) == [("o:orphan", [("p", [])]), ("a", [])]


def test_of_a_circle_the_first_span_stands_at_the_top() -> None:
    assert shown(build([S("s", "s")])) == [("s:cycle", [])]
    tail_first = [S("t", "c"), S("b", "a"), S("c", "b"), S("a", "c")]
    assert shown(build(tail_first)) == [("b:cycle", [("c", [("t", []), ("a", [])])])]


def test_what_is_too_deep_goes_on_at_the_top() -> None:
    chain = [S("0")] + [S(str(number), str(number - 1)) for number in range(1, 7)]
    assert shown(build(chain, max_depth=3)) == [
        ("0", [("1", [("2", [])])]),
        ("3:depth", [("4", [("5", [])])]),
        ("6:depth", []),
    ]


def test_a_chain_as_long_as_a_trace_may_be() -> None:
    chain = [S("0")] + [S(str(number), str(number - 1)) for number in range(1, 20_000)]
    roots = build(chain[::-1])
    assert sum(1 for _ in walk(roots)) == 20_000


IDS = st.integers(0, 12).map(str)


@given(st.dictionaries(IDS, st.one_of(st.just(""), IDS, st.just("gone")), max_size=12), st.integers(1, 5))
def test_every_span_once_below_its_parent_or_with_a_reason(parents: dict[str, str], max_depth: int) -> None:
    spans = [S(span_id, parent) for span_id, parent in parents.items()]
    position = {span.span_id: place for place, span in enumerate(spans)}
    roots = build(spans, max_depth)
    nodes = list(walk(roots))
    assert Counter(node.span.span_id for node, _, _ in nodes) == Counter(list(parents))
    for node, parent, depth in nodes:
        assert depth <= max_depth
        if parent is not None:
            assert (node.span.parent_span_id, node.detached) == (parent.span.span_id, None)
        elif not node.span.parent_span_id:
            assert node.detached is None
        else:
            assert (node.detached is Detached.ORPHAN) == (node.span.parent_span_id not in parents)
            assert node.detached is not None
        places = [position[child.span.span_id] for child in node.children]
        assert places == sorted(places)
    tops = [position[node.span.span_id] for node in roots]
    assert tops == sorted(tops)
    # As many circles, as many spans at the top because of one.
    assert sum(node.detached is Detached.CYCLE for node in roots) == circles(parents)


def circles(parents: dict[str, str]) -> int:
    found = set()
    for start in list(parents):
        span_id, seen = start, list[str]()
        while span_id in parents and span_id not in seen:
            seen.append(span_id)
            span_id = parents[span_id]
        if span_id in seen:
            found.add(frozenset(seen[seen.index(span_id) :]))
    return len(found)
