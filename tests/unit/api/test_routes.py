"""Parameters to filters, records to answers."""

from __future__ import annotations

import json

import httpx

from tests.unit.api.conftest import NOW_NS, TRACE_ID, Stores, client_of, stored_span
from tidegauge.model.query import (
    Aggregation,
    AttributeFilter,
    Cursor,
    LogFilter,
    Matcher,
    MatchOperator,
    Order,
    SeriesSelector,
    SpanFilter,
    Tier,
    TimeRange,
)
from tidegauge.model.records import Metric, Series, SpanSummary, StoredTrace
from tidegauge.storage.interface import Page

HOUR_NS = 3_600_000_000_000


async def test_a_span_search(client: httpx.AsyncClient, stores: Stores) -> None:
    parameters = {
        "service": "cart",
        "operation": "GET /cart",
        "kind": "SPAN_KIND_SERVER",
        "status": "Error",
        "min_duration": "250ms",
        "max_duration": "1.5s",
        "attribute": ["http.route=/cart", "n=2"],
        "start": "now-2h",
        "end": "2026-01-31T12:00:00Z",
        "limit": "7",
    }
    assert (await client.get("/api/v1/traces", params=parameters)).status_code == 200
    wanted = SpanFilter(
        time=TimeRange(NOW_NS - 2 * HOUR_NS, NOW_NS),
        service="cart",
        operation="GET /cart",
        kind=2,
        status_code=2,
        min_duration_ns=250_000_000,
        max_duration_ns=1_500_000_000,
        attributes=(AttributeFilter("http.route", ("/cart",)), AttributeFilter("n", (2, "2"))),
    )
    assert stores.asked == (wanted, 7, None)


async def test_a_cursor_carries_position_and_time_range(client: httpx.AsyncClient, stores: Stores) -> None:
    row = SpanSummary(TRACE_ID, "1" * 16, "", 1, "cart", "work", 2, 2, "declined", NOW_NS - 1, 5)
    stores.spans = Page([row], Cursor(NOW_NS - 1, b"tie"))
    page = (await client.get("/api/v1/traces", params={"start": "now-3h", "limit": 1})).json()
    assert page["spans"][0]["start_time"] == "2026-01-31T11:59:59.999999999Z"
    assert page["spans"][0]["status"] == {"code": "ERROR", "message": "declined"}
    await client.get("/api/v1/traces", params={"cursor": page["next_cursor"]})
    wanted, limit, after = stores.asked
    assert wanted.time == TimeRange(NOW_NS - 3 * HOUR_NS, NOW_NS)
    assert (limit, after) == (100, Cursor(NOW_NS - 1, b"tie"))
    assert (await client.get("/api/v1/logs", params={"cursor": page["next_cursor"]})).status_code == 400


async def test_a_log_search(client: httpx.AsyncClient, stores: Stores) -> None:
    parameters = {"text": "declined", "min_severity": "warn", "trace_id": TRACE_ID.upper(), "span_id": "AB" * 8}
    assert (await client.get("/api/v1/logs", params=parameters)).status_code == 200
    wanted = LogFilter(time=TimeRange(NOW_NS - HOUR_NS, NOW_NS), text="declined", min_severity=13, trace_id=TRACE_ID, span_id="ab" * 8)
    assert stores.asked == (wanted, 100, None, Order.NEWEST_FIRST)
    await client.get("/api/v1/logs", params={"severity": "fatal"})
    assert (stores.asked[0].min_severity, stores.asked[0].max_severity) == (21, 24)


async def test_a_range_is_widened_to_whole_steps(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.series_list = [Series(1, "gauge", "By", None, None, None, (("service.name", "cart"),))]
    answer = await client.get("/api/v1/metrics/a.b/c/range", params={"start": str((NOW_NS + 1) / 1e9), "end": "now+90s", "step": "1m"})
    assert answer.json()["metric"] == "a.b/c"
    time, step, aggregation = stores.asked
    assert (time, step, aggregation) == (TimeRange(NOW_NS, NOW_NS + 120_000_000_000), 60_000_000_000, Aggregation.AVG)


async def test_a_step_is_chosen_where_none_is_given(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.series_list = [Series(1, "gauge", "By", None, None, None, ())]
    for start, seconds in (("now-1h", 15), ("now-1d", 600), ("now-52w", 172_800)):
        assert (await client.get("/api/v1/metrics/m/range", params={"start": start})).json()["step_seconds"] == seconds


async def test_matchers_select_series(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.series_list = [Series(1, "gauge", "By", None, None, None, ())]
    parameters = {"match": 'http.route!~"/a.*"', "service": "cart", "type": "gauge"}
    for path in ("range", "rollups/daily"):
        stores.selected = None
        await client.get(f"/api/v1/metrics/m/{path}", params=parameters)
        assert stores.selected == SeriesSelector("m", (Matcher("http.route", MatchOperator.NOT_REGEX, "/a.*"),), "cart", "gauge")


async def test_rollups_are_of_whole_buckets_and_begin_early_enough_to_know_increases(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.series_list = [Series(1, "gauge", "By", None, None, None, ())]
    answer = (await client.get("/api/v1/metrics/m/rollups/daily", params={"start": "now-1d"})).json()
    assert (answer["start"][:10], answer["end"][:10]) == ("2026-01-30", "2026-02-01")
    time, tier = stores.asked
    assert (tier, time.start_ns % (24 * HOUR_NS), time.end_ns - NOW_NS) == (Tier.DAILY, 0, 12 * HOUR_NS)
    assert time.start_ns < NOW_NS - 3 * 24 * HOUR_NS


async def test_a_trace_of_any_depth_is_readable_json(client: httpx.AsyncClient, stores: Stores) -> None:
    spans = tuple(stored_span(number, number - 1 if number > 1 else None) for number in range(1, 1001))
    stores.traces[TRACE_ID] = StoredTrace(spans, 1000, truncated=False)
    trace = json.loads((await client.get(f"/api/v1/traces/{TRACE_ID}")).content)
    assert [root["detached"] for root in trace["spans"]] == [None] + ["depth"] * 9
    depth, node = 1, trace["spans"][0]
    while node["children"]:
        depth, node = depth + 1, node["children"][0]
    assert depth == 100


async def test_a_list_cut_short_says_so(stores: Stores) -> None:
    metric = Metric("m", "gauge", "By", None, None, "", ("a",), 1, ("cart",))
    stores.metric_list = [metric, metric]
    async with client_of(stores, max_page=1) as client:
        answer = (await client.get("/api/v1/metrics")).json()
    assert (len(answer["metrics"]), answer["truncated"]) == (1, True)
