"""Answers that are kept equal those that are computed, on a real database."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest_asyncio

from tests.integration.query.conftest import HOUR_NS, Client
from tests.integration.query.test_metrics import DELTA, MINUTE_NS, counter, gauge, histogram, histogram_point, point

# A day before those of other tests: what these store late does not keep anything from being kept here.
EARLIER_NS = 30 * HOUR_NS
BLOCK_NS = 32 * MINUTE_NS


async def asked(client: Client, path: str, **parameters: Any) -> httpx.Response:
    answer = await client.http.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer


async def until_kept(client: Client, path: str, **parameters: Any) -> httpx.Response:
    """Nothing is kept for a few seconds after something late has come."""
    async with asyncio.timeout(30):
        while (answer := await asked(client, path, **parameters)).headers["x-cache"] != "hit":  # noqa: ASYNC110 - time makes it true
            await asyncio.sleep(0.1)
    return answer


@pytest_asyncio.fixture(scope="module")
async def metrics(client: Client, base_ns: int) -> tuple[str, int]:
    """A gauge, a counter and histograms, over three hours, and records; their names' beginning and when the first block begins."""
    name = f"t{uuid.uuid4().hex[:12]}"
    first_ns = (base_ns - EARLIER_NS) // BLOCK_NS * BLOCK_NS
    times = [first_ns + number * MINUTE_NS * 2 for number in range(96)]
    await client.send_metric(name, gauge(f"{name}.gauge", [point(time, number * 0.1) for number, time in enumerate(times)]))
    rising = [point(time, float(number % 40), first_ns if number < 40 else times[40]) for number, time in enumerate(times)]
    await client.send_metric(name, counter(f"{name}.cumulative", rising))
    await client.send_metric(name, counter(f"{name}.delta", [point(time, 1.5, time - MINUTE_NS) for time in times], DELTA))
    counts = [histogram_point(time, time - MINUTE_NS, [1, number % 3, 0], 0.5, max=number / 7) for number, time in enumerate(times)]
    await client.send_metric(name, histogram(f"{name}.histogram", counts, DELTA))
    await client.send_logs(name, [{"timeUnixNano": str(time), "severityNumber": 1 + time % 24} for time in times])
    await client.refresh(first_ns, times[-1])
    return name, first_ns


def questions(name: str, first_ns: int) -> Iterator[tuple[str, dict[str, str], dict[str, str]]]:
    """Path, parameters, and those of a part of the range that has no whole blocks."""
    whole = {"start": str(first_ns), "end": str(first_ns + 6 * BLOCK_NS), "step": "1m"}
    part = whole | {"start": str(first_ns + 7 * MINUTE_NS), "end": str(first_ns + 4 * BLOCK_NS + 11 * MINUTE_NS)}
    for metric, aggregations in (
        ("gauge", ("avg", "sum", "min", "max", "count", "first", "last")),
        ("cumulative", ("increase", "rate", "last")),
        ("delta", ("increase", "sum")),
        ("histogram", ("count", "avg", "max")),
    ):
        for aggregation in aggregations:
            more = {"aggregation": aggregation}
            yield f"/api/v1/metrics/{name}.{metric}/range", whole | more, part | more
    yield "/api/v1/logs/count", whole | {"service": name}, part | {"service": name}
    day_ns = 24 * HOUR_NS
    day = {"start": str(first_ns // day_ns * day_ns), "end": str(first_ns // day_ns * day_ns + day_ns)}
    yield f"/api/v1/metrics/{name}.cumulative/rollups/hourly", day, whole | {"start": whole["start"]}


async def test_kept_answers_equal_those_that_are_computed(client: Client, metrics: tuple[str, int]) -> None:
    for path, whole, part in questions(*metrics):
        part = {name: value for name, value in part.items() if name in whole}
        computed, computed_part = await asked(client, path, **whole), await asked(client, path, **part)
        assert computed.json().get("series") or computed.json().get("severities"), path
        kept = await until_kept(client, path, **whole)

        assert kept.content == computed.content, (path, whole)
        assert int(kept.headers["age"]) >= 0
        assert (await asked(client, path, **part)).content == computed_part.content, (path, part)


async def test_what_comes_late_is_answered_at_once(client: Client, metrics: tuple[str, int]) -> None:
    name, first_ns = metrics
    path = f"/api/v1/metrics/{name}.gauge/range"
    parameters = {"start": str(first_ns), "end": str(first_ns + BLOCK_NS), "step": "1m", "aggregation": "max"}
    await until_kept(client, path, **parameters)
    await client.send_metric(name, gauge(f"{name}.gauge", [point(first_ns, 1e6)]))
    answer = await asked(client, path, **parameters)

    assert answer.headers["x-cache"] == "miss"
    assert [first_ns / 1e9, 1e6] in answer.json()["series"][0]["points"]


async def test_lists_have_nothing_of_it(client: Client) -> None:
    answer = await asked(client, "/api/v1/applications")
    assert "x-cache" not in answer.headers
    assert "age" not in answer.headers
