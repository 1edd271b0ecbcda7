"""More arrives than is let in: `python -m benchmarks.overload` measures it, this checks what holds on any machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.open_loop import Load, offer
from benchmarks.overload import stored_spans
from benchmarks.payload import numbered, template
from tests.faults.product import Product

LIMIT = 1 << 20
SPANS = 200
FIRST = 1 << 32
# Each sends one request after the other: together they always have more under way than may be.
CONNECTIONS = 60
SECONDS = 5


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> Iterator[Product]:
    product = Product(tmp_path, workers=1, settings={"TIDEGAUGE_INGEST_MAX_PENDING_BYTES": str(LIMIT)})
    product.until_ready()
    try:
        yield product
    finally:
        if product.is_running:
            assert product.terminate() == 0


def test_what_is_too_much_is_refused_and_what_is_acknowledged_is_there(small: Product, until: Callable[..., None]) -> None:
    body = template(SPANS)
    assert CONNECTIONS * len(body) > 2 * LIMIT
    outcome = offer(small.otlp_url.removeprefix("http://"), body, Load(None, SECONDS, CONNECTIONS, 1), FIRST)

    assert set(outcome.statuses) <= {"200", "429", "503"}
    assert outcome.statuses["200"] > 0
    assert outcome.statuses["429"] > 0
    assert outcome.unhelpful == 0, "refused without Retry-After"
    assert small.is_running
    assert small.starts == 1
    stored = stored_spans(small.owner_dsn)
    assert [number for number in outcome.acknowledged if stored[number] != SPANS] == []
    assert [number for number, count in stored.items() if count > SPANS] == []

    # A request of more than the limit is let in only while nothing else is pending: not one byte has been forgotten.
    large = numbered(template(2 * SPANS * LIMIT // len(body)), FIRST - 1)
    assert len(large) > LIMIT
    headers = {"content-type": "application/x-protobuf"}
    until(lambda: httpx.post(f"{small.otlp_url}/v1/traces", content=large, headers=headers, timeout=60).status_code == 200, "all is quiet")
