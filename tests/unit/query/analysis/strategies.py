"""Traces of any shape for property tests, and how they are written down."""

from __future__ import annotations

from hypothesis import strategies as st

from tidegauge.model.analysis import SpanTimes
from tidegauge.query.trace_tree import Node, build


def span(name: str, start: int, end: int, parent: str = "", service: str = "s", status_code: int = 0) -> SpanTimes:
    """A span whose id is its name."""
    return SpanTimes(name, parent, service, name, 1, start, end, status_code)


def trees(*spans: SpanTimes) -> list[Node[SpanTimes]]:
    """What they make."""
    return build(sorted(spans, key=lambda one: one.start_ns), len(spans) + 1)


@st.composite
def any_traces(draw: st.DrawFn) -> list[SpanTimes]:
    """Spans with parents that are before them, missing, themselves, or anywhere (circles); any times."""
    count = draw(st.integers(1, 30))
    made = []
    for number in range(count):
        start = draw(st.integers(0, 100))
        parent = draw(st.integers(-1, count))
        name = f"{number:016x}"
        made.append(
            SpanTimes(name, "" if parent < 0 else f"{parent:016x}", draw(st.sampled_from("ab")), draw(st.sampled_from("xyz")), 1, start,
                      start + draw(st.integers(0, 60)))
        )  # fmt: skip
    return sorted(made, key=lambda one: (one.start_ns, one.span_id))


@st.composite
def sequential_traces(draw: st.DrawFn) -> list[SpanTimes]:
    """One root; children lie within their parents, one after the other."""
    made: list[SpanTimes] = []

    def grow(parent: str, start: int, end: int, depth: int) -> None:
        name = f"{len(made):016x}"
        made.append(SpanTimes(name, parent, "s", "n", 1, start, end))
        if depth == 4 or end - start < 2:
            return
        edges = sorted(draw(st.lists(st.integers(start, end), min_size=0, max_size=6)))
        for begin, stop in zip(edges[::2], edges[1::2], strict=False):
            grow(name, begin, stop, depth + 1)

    grow("", 0, draw(st.integers(0, 1000)), 0)
    return sorted(made, key=lambda one: (one.start_ns, one.span_id))
