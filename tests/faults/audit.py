"""Compares the database with the exporters' book, item by item."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.faults.exporters import Book
from tests.faults.payload import NUMBERS, SIGNALS, Request, service
from tests.faults.product import Product

_NUMBERS = {
    "traces": (
        "SELECT t.span_id - 1 FROM tidegauge.traces t JOIN tidegauge.applications a USING (application_id) WHERE a.name = %s"
        " AND t.name = 'item'"
    ),
    "metrics": (
        "SELECT m.value::bigint FROM tidegauge.metrics m JOIN tidegauge.series s USING (series_id)"
        " JOIN tidegauge.applications a ON a.application_id = s.application_id WHERE a.name = %s UNION ALL"
        " SELECT m.sum::bigint FROM tidegauge.metric_histograms m JOIN tidegauge.series s USING (series_id)"
        " JOIN tidegauge.applications a ON a.application_id = s.application_id WHERE a.name = %s"
    ),
    "logs": (
        "SELECT substr(l.body, 6)::bigint FROM tidegauge.logs l JOIN tidegauge.applications a USING (application_id) WHERE a.name = %s"
        " AND l.body LIKE 'item %%'"
    ),
}
_INDEXED = "SELECT coalesce(sum(span_count), 0) FROM tidegauge.trace_index"


@dataclass
class Count:
    """Items of one signal. ``extra`` were never acknowledged and are stored: allowed, for their senders were told nothing."""

    sent: int = 0
    acknowledged: int = 0
    stored: int = 0
    missing: int = 0
    doubled: int = 0
    extra: int = 0


@dataclass
class Audit:
    """What was found. ``faults`` is empty where every acknowledged item is there once."""

    counts: dict[str, Count] = field(default_factory=lambda: {signal: Count() for signal in SIGNALS})
    faults: list[str] = field(default_factory=list)


def audit(product: Product, book: Book) -> Audit:
    """Read everything back."""
    found = Audit()
    sent: dict[tuple[str, int], list[Request]] = defaultdict(list)
    for request in book.requests:
        sent[request.signal, request.exporter].append(request)
    for (signal, exporter), requests in sent.items():
        stored = _stored(product, signal, exporter)
        found.faults.extend(_compare(found.counts[signal], signal, requests, stored))
    [(indexed,)] = product.query(_INDEXED)
    if indexed != found.counts["traces"].stored:
        found.faults.append(f"trace_index counts {indexed} spans, {found.counts['traces'].stored} are stored")
    return found


def _stored(product: Product, signal: str, exporter: int) -> Counter[int]:
    sql = _NUMBERS[signal]
    rows = product.query(sql, *[service(exporter)] * sql.count("%s"))
    return Counter(number for (number,) in rows)


def _compare(count: Count, signal: str, requests: list[Request], stored: Counter[int]) -> Iterator[str]:
    count.stored += stored.total()
    for request in requests:
        there = [stored.pop(number, 0) for number in request.numbers]
        count.sent += request.count
        count.acknowledged += request.count * request.acknowledged
        count.extra += sum(there) * (not request.acknowledged)
        missing, doubled = there.count(0), sum(each > 1 for each in there)
        count.doubled += doubled
        if doubled:
            yield f"{signal} {request.numbers}: {doubled} items are there more than once"
        if missing and (request.acknowledged or missing < request.count):
            count.missing += missing
            yield f"{signal} {request.numbers}: {missing} of {request.count} items are missing, acknowledged: {request.acknowledged}"
    if stored:
        yield f"{signal}: items that nobody sent: {sorted(number % NUMBERS for number in stored)[:10]} and {len(stored)} in all"
