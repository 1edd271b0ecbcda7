"""Percentiles over HTTP: rollups against raw data against exact ones."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
import pytest

from tests.integration.query.conftest import HOUR_NS, Client, span
from tests.servers.timescaledb import TestDatabase

MINUTE_NS = 60_000_000_000
PERCENTILES = "/api/v1/traces/percentiles"
QUANTILES = "/api/v1/metrics/{name}/quantiles"
Q = [0.5, 0.9, 0.99, 0.999]
DELTA, CUMULATIVE = 1, 2
BOUNDS = (0.01, 0.1, 1.0, 10.0)


def exact(values: Sequence[float], q: float) -> float:
    """The nearest rank."""
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1]


def is_near(found: int, value: float) -> bool:
    """Five per cent, and rounding to a nanosecond."""
    return abs(found - value) <= 0.05 * value + 1


def when(time_ns: int) -> str:
    """A time as a parameter."""
    return str(time_ns)


async def ask(database: TestDatabase, statement: LiteralString, **parameters: Any) -> list[tuple[Any, ...]]:
    """Rows of a statement."""
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None, autocommit=True) as connection:
        return await (await connection.execute(statement, parameters)).fetchall()


def tiers(answer: Any) -> set[str]:
    """The rollups that an answer was read from; behind the last data there may be nothing but raw data."""
    return {segment["tier"] for segment in answer["meta"]["tiers"]} - {"raw"}


async def send_durations(client: Client, service: str, trace_id: str, base_ns: int, durations: Sequence[tuple[int, int, str]]) -> None:
    """Spans of (offset, duration, name)."""
    spans = [
        span(trace_id, number + 1, base_ns + offset, name=name, endTimeUnixNano=str(base_ns + offset + duration))
        for number, (offset, duration, name) in enumerate(durations)
    ]
    await client.send_spans(service, spans)


async def test_percentiles_of_spans_are_those_of_raw_data_on_every_tier(
    client: Client, database: TestDatabase, name: str, trace_id: str, base_ns: int
) -> None:
    """By the minute and the hour, before a refresh, after it, and with spans that come late; all within 5 % of the exact ones."""
    rng = random.Random(name)
    sent = [(rng.randrange(HOUR_NS), int(rng.lognormvariate(15, 2)), rng.choice(["read", "write"])) for _ in range(300)]
    await send_durations(client, name, trace_id, base_ns, sent)
    place = {"service": name, "start": when(base_ns), "end": when(base_ns + HOUR_NS), "q": Q}

    async def check(**parameters: Any) -> set[str]:
        answer = await client.get(PERCENTILES, **place, **parameters)
        step = int((answer["step_seconds"] or 3600) * 1e9)
        found: dict[tuple[int, str | None], tuple[int, list[int]]] = {}
        for group in answer["groups"]:
            for time, count, *durations in zip(group["times"], group["counts"], *group["durations_ns"], strict=True):
                found[round(time * 1e9) - base_ns, group["operation"]] = count, durations
        wanted: dict[tuple[int, str | None], list[int]] = {}
        for offset, duration, operation in sent:
            if parameters.get("operation") in (None, operation):
                key = offset // step * step, operation if "group_by" in parameters else None
                wanted.setdefault(key, []).append(duration)
        assert {key: count for key, (count, _) in found.items()} == {key: len(values) for key, values in wanted.items()}
        for key, values in wanted.items():
            assert all(is_near(one, exact(values, q)) for one, q in zip(found[key][1], Q, strict=True))
            assert all(min(values) <= one <= max(values) for one in found[key][1])
        assert answer["meta"]["exactness"]["kind"] == "bounded"
        assert answer["meta"]["exactness"]["bounds"][0]["relative"] == 0.05
        return tiers(answer)

    variants: tuple[dict[str, Any], ...] = (
        {"step": "1m"},
        {"step": "1h"},
        {},
        {"step": "10m", "group_by": "operation"},
        {"step": "1h", "operation": "read"},
    )
    for variant in variants:
        await check(**variant)
    await client.refresh(base_ns, base_ns + HOUR_NS)
    assert await check(step="1m") == {"minutely"}
    assert await check(step="1h", status="unset") == set()
    assert [await check(**variant) for variant in variants[1:]] == [{"hourly"}, {"hourly"}, {"minutely"}, {"hourly"}]
    for operation in (None, "read"):
        durations = [duration for _, duration, of in sent if operation in (None, of)]
        statement = """
            SELECT percentile, duration_ms, lower_ms, upper_ms, count FROM analytics.duration_percentiles(
                %(q)s, interval '1 hour', to_timestamp(%(start)s), to_timestamp(%(end)s), %(service)s, %(operation)s
            )
        """
        seconds = {"start": base_ns // 10**9, "end": (base_ns + HOUR_NS) // 10**9}
        rows = await ask(database, statement, q=Q, service=name, operation=operation, **seconds)
        assert [(q, count) for q, *_, count in rows] == [(q, len(durations)) for q in Q]
        for q, value, lower, upper, _ in rows:
            assert is_near(round(value * 1e6), exact(durations, q))
            assert lower * (1 - 1e-9) <= exact(durations, q) / 1e6 <= upper * (1 + 1e-9)

    # Late: the rollups' hour is out of date, and the answer is not.
    late = [(rng.randrange(HOUR_NS), 10**12, "read") for _ in range(20)]
    await send_durations(client, name, trace_id, base_ns, late)
    sent += late
    for variant in variants:
        await check(**variant)


async def test_durations_of_0_and_constant_ones_are_exact(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    """No percentile lies outside of the shortest and longest duration."""
    await send_durations(client, name, trace_id, base_ns, [(0, 0, "none"), (1, 12_345, "same"), (2, 12_345, "same")])
    place = {"service": name, "start": when(base_ns), "end": when(base_ns + HOUR_NS), "group_by": "operation", "q": [0, 0.5, 1]}
    for _ in range(2):
        answer = await client.get(PERCENTILES, **place)
        assert {group["operation"]: [column[0] for column in group["durations_ns"]] for group in answer["groups"]} == {
            "none": [0, 0, 0],
            "same": [12_345, 12_345, 12_345],
        }
        await client.refresh(base_ns, base_ns + HOUR_NS)


@pytest.mark.parametrize(
    "parameters", [{"q": 1.5}, {"q": [0.5] * 11}, {"q": "half"}, {"group_by": "name"}, {"step": "0s"}, {"timezone": "Mars"}]
)
async def test_what_cannot_be_answered_is_refused(client: Client, parameters: dict[str, Any]) -> None:
    """With the parameter that is to blame."""
    problem = await client.refused(PERCENTILES, **parameters)
    assert [error["parameter"].split(".")[0] for error in problem["errors"]] == list(parameters)


def explicit(values: Sequence[float]) -> dict[str, Any]:
    """A point's observations."""
    counts = [0] * (len(BOUNDS) + 1)
    for value in values:
        counts[sum(bound < value for bound in BOUNDS)] += 1
    return {"count": str(len(values)), "sum": math.fsum(values), "explicitBounds": BOUNDS, "bucketCounts": [str(count) for count in counts]}


def exponential(values: Sequence[float], scale: int) -> dict[str, Any]:
    """A point's observations; all above 0."""
    indexes = [math.ceil(math.log2(value) * 2.0**scale) - 1 for value in values]
    low, high = min(indexes, default=0), max(indexes, default=0)
    counts = [str(indexes.count(index)) for index in range(low, high + 1)]
    return {
        "count": str(len(values)),
        "sum": math.fsum(values),
        "scale": scale,
        "zeroCount": "0",
        "positive": {"offset": low, "bucketCounts": counts},
    }


def points(made: Sequence[tuple[int, int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Points of (time, start, observations)."""
    return [{"timeUnixNano": str(time), "startTimeUnixNano": str(start), **fields} for time, start, fields in made]


def check_counts(answer: Any, base_ns: int, observed: dict[int, list[float]]) -> None:
    """Of steps that begin and end within minutes: what is read at their ends comes behind the minutes within them."""
    assert tiers(answer) == {"minutely"}
    width_ns = round(answer["step_seconds"] * 1e9)
    for point in answer["series"][0]["points"]:
        start = round(point["time"] * 1e9) - base_ns
        values = [one for minute, some in observed.items() if start <= minute * MINUTE_NS < start + width_ns for one in some]
        assert (point["count"], point["is_exact"]) == (len(values), True)


@pytest.mark.parametrize("kind", ["histogram", "exponentialHistogram"])
@pytest.mark.parametrize("temporality", [DELTA, CUMULATIVE])
async def test_quantiles_of_histograms_are_those_of_raw_data_on_every_tier(
    client: Client, database: TestDatabase, name: str, base_ns: int, kind: str, temporality: int
) -> None:
    """The exact quantile lies in the bucket told: across resets and changes of scale, before and after a refresh, with late points."""
    rng = random.Random(name)
    observed = {minute: [rng.lognormvariate(-1, 2) for _ in range(rng.randrange(1, 12))] for minute in range(0, 120, 2)}
    # The smallest come before a start and the largest after it: the sum of both has too many buckets for its scale, and neither has.
    observed |= {minute: [math.exp(rng.uniform(-8, 0)), low, 1.0] for minute, low in ((8, 2e-4), (10, 3e-4))}
    observed |= {minute: [math.exp(rng.uniform(0, 8)), high, 1.0] for minute, high in ((50, 3e3), (52, 5e3))}
    late = {minute: [50.0, 60.0] for minute in range(1, 120, 24)} if temporality == DELTA else {}

    def made(minutes: dict[int, list[float]]) -> list[tuple[int, int, dict[str, Any]]]:
        found: list[tuple[int, int, dict[str, Any]]] = []
        seen: list[float] = []
        start = base_ns
        for minute, values in sorted(minutes.items()):
            if minute in (34, 36, 90):
                # Begun anew.
                seen, start = [], base_ns + (minute - 1) * MINUTE_NS
            seen = [*seen, *values] if temporality == CUMULATIVE else values
            scale = 6 - minute // 20
            fields = explicit(seen) if kind == "histogram" else exponential(seen, scale)
            found.append((base_ns + minute * MINUTE_NS, start, fields))
        return found

    async def send(minutes: dict[int, list[float]]) -> None:
        data = {"aggregationTemporality": temporality, "dataPoints": points(made(minutes))}
        await client.send_metric(name, {"name": name, "unit": "s", kind: data})

    async def read(step: str) -> Any:
        path = QUANTILES.format(name=name)
        end = base_ns + 2 * HOUR_NS
        return await client.get(path, template=QUANTILES, start=when(base_ns), end=when(end), step=step, q=Q, group_by="service.name")

    async def check(step: str, minutes: int, known: dict[int, list[float]]) -> Any:
        answer = await read(step)
        (line,) = answer["series"]
        wanted: dict[int, list[float]] = {}
        for minute, values in known.items():
            wanted.setdefault(minute // minutes * minutes, []).extend(values)
        assert {round(point["time"] * 1e9 - base_ns) // MINUTE_NS: point["count"] for point in line["points"]} == {
            minute: len(values) for minute, values in wanted.items()
        }
        for point in line["points"]:
            assert point["is_exact"]
            values = wanted[round(point["time"] * 1e9 - base_ns) // MINUTE_NS]
            for q, one in zip(Q, point["values"], strict=True):
                lower, upper = (-math.inf if one["lower"] is None else one["lower"], math.inf if one["upper"] is None else one["upper"])
                assert lower * (1 - 1e-12) <= exact(values, q) <= upper * (1 + 1e-12)
                assert lower <= one["value"] <= upper
        return answer

    await send(observed)
    before = [await check(step, minutes, observed) for step, minutes in (("1m", 1), ("10m", 10), ("1h", 60))]
    await client.refresh(base_ns, base_ns + 2 * HOUR_NS)
    after = [await check(step, minutes, observed) for step, minutes in (("1m", 1), ("10m", 10), ("1h", 60))]
    assert [one["series"] for one in after] == [one["series"] for one in before]
    assert [tiers(one) for one in after] == [{"minutely"}, {"minutely"}, {"hourly"}]
    check_counts(await read("1801s"), base_ns, observed)
    statement = """
        SELECT count, value, lower_bound, upper_bound, is_exact FROM analytics.metric_quantiles(
            %(name)s, %(q)s, interval '1 hour', to_timestamp(%(start)s), to_timestamp(%(end)s)
        )
    """
    rows = await ask(database, statement, name=name, q=Q, start=base_ns // 10**9, end=(base_ns + 2 * HOUR_NS) // 10**9)
    told = [(point["count"], *value.values(), True) for point in after[2]["series"][0]["points"] for value in point["values"]]
    for row, one in zip(rows, told, strict=True):
        assert row == tuple([part if isinstance(part, bool) or part is None else pytest.approx(part) for part in one])
    if late:
        await send(late)
        await check("1h", 60, observed | late)
        await client.refresh(base_ns, base_ns + 2 * HOUR_NS)
        await check("1h", 60, observed | late)


async def test_hostile_exponential_points_stop_no_refresh(client: Client, name: str, base_ns: int) -> None:
    """Scales and offsets at the ends of int32, counts at the end of int64."""
    most = str((1 << 63) - 1)
    ends = ((20, -(1 << 31)), (20, (1 << 31) - 1), (-(1 << 31), (1 << 31) - 1), ((1 << 31) - 1, -(1 << 31)), (-10, 0))
    made = [
        (
            base_ns + second,
            base_ns,
            {"count": most, "sum": 1.0, "scale": scale, "zeroCount": most, "positive": {"offset": offset, "bucketCounts": [most] * 5}},
        )
        for second, (scale, offset) in enumerate(ends)
    ]
    data = {"aggregationTemporality": DELTA, "dataPoints": points(made)}
    await client.send_metric(name, {"name": name, "exponentialHistogram": data})
    await client.refresh(base_ns, base_ns + HOUR_NS)
    path = QUANTILES.format(name=name)
    answer = await client.get(path, template=QUANTILES, start=when(base_ns), end=when(base_ns + HOUR_NS), step="1h")
    assert tiers(answer) == {"hourly"}
    (point,) = answer["series"][0]["points"]
    assert all(math.isfinite(one["value"]) for one in point["values"])


async def test_metrics_without_buckets_are_refused(client: Client, name: str, base_ns: int) -> None:
    """A gauge has no quantiles, and what is not there is not found."""
    await client.send_metric(name, {"name": name, "gauge": {"dataPoints": [{"timeUnixNano": str(base_ns), "asDouble": 1.0}]}})
    assert (await client.refused(QUANTILES.format(name=name)))["detail"] == f"{name} is sent as gauge"
    await client.refused(QUANTILES.format(name=f"{name}.other"), status=404)
