"""Metrics through the API: values by step and rollups."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence
from typing import Any

import pytest

from tests.integration.query.conftest import HOUR_NS, Client, resource, text

RANGE = "/api/v1/metrics/{name}/range"
ROLLUPS = "/api/v1/metrics/{name}/rollups/{tier}"
MINUTE_NS = 60_000_000_000
CUMULATIVE, DELTA = 2, 1


def point(time_ns: int, value: float, start_ns: int | None = None, labels: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    start = {} if start_ns is None else {"startTimeUnixNano": str(start_ns)}
    return {"timeUnixNano": str(time_ns), "asDouble": value, "attributes": list(labels), **start}


def counter(name: str, points: Sequence[dict[str, Any]], temporality: int = CUMULATIVE, *, monotonic: bool = True) -> dict[str, Any]:
    return {"name": name, "unit": "1", "sum": {"aggregationTemporality": temporality, "isMonotonic": monotonic, "dataPoints": list(points)}}


def gauge(name: str, points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "unit": "By", "description": "Memory in use", "gauge": {"dataPoints": list(points)}}


def histogram_point(time_ns: int, start_ns: int, counts: Sequence[int], total: float, **fields: Any) -> dict[str, Any]:
    return {
        "timeUnixNano": str(time_ns),
        "startTimeUnixNano": str(start_ns),
        "count": str(sum(counts)),
        "sum": total,
        "bucketCounts": [str(count) for count in counts],
        "explicitBounds": [0.1, 1.0],
        **fields,
    }


def histogram(name: str, points: Sequence[dict[str, Any]], temporality: int = CUMULATIVE) -> dict[str, Any]:
    return {"name": name, "unit": "s", "histogram": {"aggregationTemporality": temporality, "dataPoints": list(points)}}


async def values(client: Client, name: str, base_ns: int, **parameters: Any) -> dict[str, list[Any]]:
    """Group (values of its labels but the service's name) → (minutes behind ``base_ns``, value) of an hour."""
    parameters = {"start": str(base_ns), "end": str(base_ns + HOUR_NS), "step": "1m"} | parameters
    answer = await client.get(f"/api/v1/metrics/{urllib.parse.quote(name, safe='')}/range", RANGE, **parameters)
    return {
        ",".join(value for label, value in line["labels"].items() if label != "service.name"): [
            (round((time - base_ns / 1e9) / 60, 3), value) for time, value in line["points"]
        ]
        for line in answer["series"]
    }


async def rollups(client: Client, name: str, base_ns: int, tier: str = "hourly", hours: int = 3, **parameters: Any) -> list[dict[str, Any]]:
    parameters = {"start": str(base_ns), "end": str(base_ns + hours * HOUR_NS)} | parameters
    await client.refresh(base_ns - HOUR_NS, base_ns + hours * HOUR_NS)
    answer = await client.get(f"/api/v1/metrics/{name}/rollups/{tier}", ROLLUPS, **parameters)
    return [rollup for series in answer["series"] for rollup in series["rollups"]]


async def test_metrics_are_listed_with_what_describes_them(client: Client, name: str, base_ns: int) -> None:
    metric = f"{name}.memory_usage"
    await client.send_metric(name, gauge(metric, [point(base_ns, 1, labels=[text("pool", "a"), text("zone", "z")])]))
    await client.send_metric(f"{name}-2", gauge(metric, [point(base_ns, 1, labels=[text("pool", "b")])]))
    for parameters in ({"name": metric}, {"name": f"{name}.*"}, {"name": f"*{name}*usage"}):
        (found,) = (await client.get("/api/v1/metrics", **parameters))["metrics"]
        assert found == {
            "name": metric,
            "type": "gauge",
            "unit": "By",
            "temporality": None,
            "is_monotonic": None,
            "description": "Memory in use",
            "label_names": ["pool", "zone"],
            "series_count": 2,
            "services": [name, f"{name}-2"],
        }
    (found,) = (await client.get("/api/v1/metrics", name=metric, service=f"{name}-2"))["metrics"]
    assert (found["label_names"], found["services"]) == (["pool"], [f"{name}-2"])
    assert (await client.get("/api/v1/metrics", name=metric.replace("_", "?")))["metrics"] == []


async def test_aggregations_of_a_gauge(client: Client, name: str, base_ns: int) -> None:
    points = [(0, 4.0), (10, 1.0), (59.999, 7.0), (60, 10.0)]
    await client.send_metric(name, gauge(name, [point(base_ns + int(second * 1e9), value) for second, value in points]))
    for aggregation, first in {"avg": 4.0, "sum": 12.0, "min": 1.0, "max": 7.0, "count": 3.0, "first": 4.0, "last": 7.0}.items():
        second = 1.0 if aggregation == "count" else 10.0
        assert await values(client, name, base_ns, aggregation=aggregation) == {"": [(0, first), (1, second)]}, aggregation
    problem = await client.refused(f"/api/v1/metrics/{name}/range", aggregation="rate")
    assert problem["errors"][0]["parameter"] == "aggregation"


async def test_no_recorded_value_nan_and_what_overflows(client: Client, name: str, base_ns: int) -> None:
    gone = point(base_ns + 1, 5) | {"flags": 1}
    nan = point(base_ns + 2, 0) | {"asDouble": "NaN"}
    huge = [point(base_ns + MINUTE_NS + number, 1.7e308) for number in range(3)]
    await client.send_metric(name, gauge(name, [gone, nan, point(base_ns + 3, 2), *huge]))
    assert await values(client, name, base_ns, aggregation="avg") == {"": [(0, 2.0), (1, "Infinity")]}
    assert await values(client, name, base_ns, aggregation="max") == {"": [(0, 2.0), (1, 1.7e308)]}


async def test_increase_and_rate_across_resets(client: Client, name: str, base_ns: int) -> None:
    """20 before the range, then 30, 50; a restart counts 5, 9 from 0; and another 4, within one step."""
    epochs = [
        (base_ns - 10 * MINUTE_NS, [(-1, 20), (0.5, 30), (1.5, 50)]),
        (base_ns + 2 * MINUTE_NS, [(2.2, 5), (2.4, 9)]),
        (base_ns + int(2.5 * MINUTE_NS), [(2.7, 4)]),
    ]
    points = [point(base_ns + int(minute * MINUTE_NS), value, start) for start, found in epochs for minute, value in found]
    await client.send_metric(name, counter(name, points))
    assert await values(client, name, base_ns, aggregation="increase") == {"": [(0, 10.0), (1, 20.0), (2, 13.0)]}
    assert await values(client, name, base_ns, aggregation="increase", step="1h") == {"": [(0, 43.0)]}
    rates = await values(client, name, base_ns, aggregation="rate")
    assert rates[""] == [(0, pytest.approx(10 / 60)), (1, pytest.approx(20 / 60)), (2, pytest.approx(13 / 60))]


async def test_increase_without_start_times_takes_a_fall_for_a_reset(client: Client, name: str, base_ns: int) -> None:
    points = [point(base_ns + minute * MINUTE_NS, value) for minute, value in ((-1, 100), (0, 110), (1, 3), (2, 8))]
    await client.send_metric(name, counter(name, points))
    assert await values(client, name, base_ns, aggregation="increase") == {"": [(0, 10.0), (1, 3.0), (2, 5.0)]}


async def test_a_sum_that_falls_is_not_reset(client: Client, name: str, base_ns: int) -> None:
    points = [point(base_ns + minute * MINUTE_NS, value, base_ns - HOUR_NS) for minute, value in ((-1, 10), (0, 4), (1, 6))]
    await client.send_metric(name, counter(name, points, monotonic=False))
    assert await values(client, name, base_ns, aggregation="increase") == {"": [(0, -6.0), (1, 2.0)]}


async def test_increase_of_deltas_is_their_sum(client: Client, name: str, base_ns: int) -> None:
    points = [point(base_ns + second * 1_000_000_000, 2, base_ns) for second in (1, 2, 61)]
    await client.send_metric(name, counter(name, points, DELTA))
    assert await values(client, name, base_ns, aggregation="increase") == {"": [(0, 4.0), (1, 2.0)]}


async def test_groups_and_matchers(client: Client, name: str, base_ns: int) -> None:
    routes = [("/cart", "200", 1.0), ("/cart", "500", 2.0), ("/pay", "200", 4.0)]
    points = [
        point(base_ns, value, labels=[text("http.route", route), {"key": "status", "value": {"intValue": status}}])
        for route, status, value in routes
    ]
    group = {
        "resource": {"attributes": [text("service.name", name), text("host.name", "h1")]},
        "scopeMetrics": [{"metrics": [gauge(name, points)]}],
    }
    await client.send("metrics", [group])
    await client.send_metric(f"{name}-2", gauge(name, [point(base_ns, 8.0)]))

    async def totals(**parameters: Any) -> dict[str, float]:
        return {group: found[0][1] for group, found in (await values(client, name, base_ns, aggregation="sum", **parameters)).items()}

    assert await totals() == {"/cart,200": 1, "/cart,500": 2, "/pay,200": 4, "": 8}
    assert await totals(group_by="") == {"": 15}
    assert await totals(group_by="http.route") == {"/cart": 3, "/pay": 4, "": 8}
    assert await totals(group_by=["status", "host.name"]) == {"200,h1": 5, "500,h1": 2, "": 8}
    assert await totals(group_by="", service=name) == {"": 7}
    for matchers, total in (
        (['http.route="/cart"'], 3),
        (["http.route!=/cart"], 12),
        (["status=~2.."], 5),
        (["status=~0"], None),  # the whole value must match
        (["status!~2..|"], 2),
        (["http.route=/cart", "status=500"], 2),
        (["host.name=h1"], 7),
        ([f"service.name={name}-2"], 8),
        (["http.route="], 8),
    ):
        found = await totals(group_by="", match=matchers)
        assert found == ({} if total is None else {"": total}), matchers
    problem = await client.refused(f"/api/v1/metrics/{name}/range", match="status=~(")
    assert problem["errors"][0]["parameter"] == "match"


async def test_a_name_with_slashes(client: Client, name: str, base_ns: int) -> None:
    metric = f"{name}/range/rollups/hourly"
    await client.send_metric(name, gauge(metric, [point(base_ns, 1)]))
    assert await values(client, metric, base_ns) == {"": [(0, 1.0)]}
    assert len(await rollups(client, metric, base_ns)) == 1


async def test_histograms_by_step(client: Client, name: str, base_ns: int) -> None:
    start = base_ns - HOUR_NS
    points = [
        histogram_point(base_ns - MINUTE_NS, start, [1, 0, 0], 0.05),
        histogram_point(base_ns, start, [2, 2, 0], 1.05, min=0.05, max=0.9),
        histogram_point(base_ns + MINUTE_NS, base_ns + 1, [0, 0, 1], 5.0, min=5.0, max=5.0),
    ]
    await client.send_metric(name, histogram(name, points))
    for aggregation, expected in {
        "count": [3.0, 1.0],
        "increase": [3.0, 1.0],
        "rate": [3 / 60, 1 / 60],
        "sum": [1.0, 5.0],
        "avg": [1 / 3, 5.0],
        "min": [0.05, 5.0],
        "max": [0.9, 5.0],
    }.items():
        found = (await values(client, name, base_ns, aggregation=aggregation))[""]
        assert found == [(minute, pytest.approx(value)) for minute, value in enumerate(expected)], aggregation
    assert (await client.refused(f"/api/v1/metrics/{name}/range", aggregation="last"))["errors"][0]["parameter"] == "aggregation"


async def test_summaries_by_step(client: Client, name: str, base_ns: int) -> None:
    points = [
        {"timeUnixNano": str(base_ns + minute * MINUTE_NS), "startTimeUnixNano": str(base_ns - 1), "count": str(count), "sum": total}
        for minute, count, total in ((0, 2, 10.0), (1, 5, 16.0))
    ]
    await client.send_metric(name, {"name": name, "summary": {"dataPoints": points}})
    assert await values(client, name, base_ns, aggregation="count") == {"": [(0, 2.0), (1, 3.0)]}
    assert await values(client, name, base_ns, aggregation="avg") == {"": [(0, 5.0), (1, 2.0)]}
    assert "summary" in (await client.refused(f"/api/v1/metrics/{name}/rollups/hourly"))["detail"]


async def test_one_name_of_several_types(client: Client, name: str, base_ns: int) -> None:
    await client.send_metric(name, gauge(name, [point(base_ns, 1)]))
    await client.send_metric(name, histogram(name, [histogram_point(base_ns, base_ns - 1, [1, 0, 0], 0.01)]))
    assert (await client.refused(f"/api/v1/metrics/{name}/range"))["errors"][0]["parameter"] == "type"
    assert await values(client, name, base_ns, type="gauge") == {"": [(0, 1.0)]}
    assert await values(client, name, base_ns, type="histogram", aggregation="count") == {"": [(0, 1.0)]}


async def test_hourly_and_daily_rollups_of_a_gauge(client: Client, name: str, base_ns: int) -> None:
    points = [point(base_ns + minute * MINUTE_NS, value) for minute, value in ((0, 3), (1, 1), (59, 2), (60, 5))]
    await client.send_metric(name, gauge(name, points))
    first, second = await rollups(client, name, base_ns)
    assert {key: first[key] for key in ("count", "sum", "avg", "min", "max", "first", "last")} == {
        "count": 3, "sum": 6, "avg": 2, "min": 1, "max": 3, "first": 3, "last": 2,
    }  # fmt: skip
    assert (first["increase"], first["is_exact"], second["last"]) == (None, True, 5)
    days = await rollups(client, name, base_ns, "daily")
    assert sum(day["count"] for day in days) == 4


async def test_hourly_increase_across_resets(client: Client, name: str, base_ns: int) -> None:
    """Counted from before the range; restarted twice in the second hour, once without a point in between."""
    epochs = [
        (base_ns - 3 * HOUR_NS, [(-30, 100), (10, 130), (50, 150), (70, 155)]),
        (base_ns + 75 * MINUTE_NS, [(80, 7), (85, 11)]),
        (base_ns + 90 * MINUTE_NS, [(100, 3), (130, 9)]),
    ]
    points = [point(base_ns + minute * MINUTE_NS, value, start) for start, found in epochs for minute, value in found]
    await client.send_metric(name, counter(name, points))
    found = await rollups(client, name, base_ns)
    assert [(one["increase"], one["is_exact"]) for one in found] == [(50, True), (5 + 11 + 3, True), (6, True)]


async def test_hourly_increase_without_start_times_is_marked(client: Client, name: str, base_ns: int) -> None:
    points = [point(base_ns + minute * MINUTE_NS, value) for minute, value in ((10, 5), (20, 9), (70, 12))]
    await client.send_metric(name, counter(name, points))
    assert [(one["increase"], one["is_exact"]) for one in await rollups(client, name, base_ns)] == [(4, False), (3, False)]


async def test_hourly_histograms(client: Client, name: str, base_ns: int) -> None:
    for temporality, points in (
        (
            CUMULATIVE,
            [
                histogram_point(base_ns + minute * MINUTE_NS, start, counts, total)
                for minute, start, counts, total in (
                    (10, base_ns, [1, 0, 0], 0.5),
                    (50, base_ns, [1, 2, 0], 2.5),
                    (70, base_ns, [2, 2, 1], 8.5),
                    (80, base_ns + 75 * MINUTE_NS, [0, 1, 0], 1.0),
                )
            ],
        ),
        (
            DELTA,
            [
                histogram_point(base_ns + minute * MINUTE_NS, base_ns, counts, total)
                for minute, counts, total in (
                    (10, [1, 0, 0], 0.5),
                    (50, [0, 2, 0], 2.0),
                    (70, [1, 0, 1], 6.0),
                    (80, [0, 1, 0], 1.0),
                )
            ],
        ),
    ):
        metric = f"{name}.{temporality}"
        await client.send_metric(name, histogram(metric, points, temporality))
        first, second = await rollups(client, metric, base_ns)
        assert (first["count"], first["sum"], first["bucket_counts"], first["is_exact"]) == (3, 2.5, [1, 2, 0], True)
        assert (second["count"], second["sum"], second["bucket_counts"]) == (3, 7.0, [1, 1, 1])
        days = await rollups(client, metric, base_ns, "daily")
        assert sum(day["count"] for day in days) == 6


async def test_limits(client: Client, name: str, base_ns: int) -> None:
    points = [point(base_ns, number, labels=[text("n", str(number))]) for number in range(21)]
    await client.send_metric(name, gauge(name, points))
    window = {"start": str(base_ns), "end": str(base_ns + HOUR_NS)}
    assert "20 series" in (await client.refused(f"/api/v1/metrics/{name}/range", **window))["detail"]
    assert await values(client, name, base_ns, group_by="", aggregation="count") == {"": [(0, 21.0)]}
    assert "20 series" in (await client.refused(f"/api/v1/metrics/{name}/rollups/hourly", **window))["detail"]
    problem = await client.refused(f"/api/v1/metrics/{name}/range", step="1s", **window)
    assert (problem["errors"][0]["parameter"], "1000" in problem["hint"]) == ("step", True)
    assert "no metric" in (await client.refused(f"/api/v1/metrics/{name}.none/range", 404))["detail"]
    assert await values(client, name, base_ns, match="n=none") == {}


async def test_an_asterisk_in_a_path_is_a_letter_of_the_name(client: Client, name: str, base_ns: int) -> None:
    await client.send_metric(name, gauge(f"{name}*", [point(base_ns, 1)]))
    assert await values(client, f"{name}*", base_ns) == {"": [(0, 1.0)]}
    assert await values(client, f"{name}*", base_ns, match="n=none") == {}
    for pattern in ("*", f"{name[:-1]}*"):
        assert "no metric" in (await client.refused(f"/api/v1/metrics/{pattern}/range", 404))["detail"]


async def test_two_services_of_one_request_are_two_series(client: Client, name: str, base_ns: int) -> None:
    groups = [{"resource": resource(f"{name}-{n}"), "scopeMetrics": [{"metrics": [gauge(name, [point(base_ns, n)])]}]} for n in (1, 2)]
    await client.send("metrics", groups)
    answer = await client.get(f"/api/v1/metrics/{name}/range", RANGE, start=str(base_ns), end=str(base_ns + HOUR_NS), step="1m")
    assert [line["labels"] for line in answer["series"]] == [{"service.name": f"{name}-1"}, {"service.name": f"{name}-2"}]
