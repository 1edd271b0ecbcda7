"""Rates of spans through the API: the numbers of the spans themselves, from whatever tier."""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.integration.query.conftest import HOUR_NS, Client, span
from tidegauge.model.query import TimeRange
from tidegauge.query.times import DAY_NS, MINUTE_NS, steps_of

RATES = "/api/v1/traces/rates"
KINDS, STATUSES = {1: "INTERNAL", 2: "SERVER"}, {0: "UNSET", 2: "ERROR"}


def random_spans(chosen: random.Random, now_ns: int) -> list[dict[str, Any]]:
    """Spans of the last four days, some of them shorter than nothing."""
    found = []
    for number in range(400):
        start = now_ns - chosen.randrange(4 * DAY_NS)
        duration = chosen.randrange(-1000, 10**9)
        fields = {
            "name": chosen.choice(["GET /a", "GET /b"]),
            "kind": chosen.choice(list(KINDS)),
            "status": {"code": chosen.choice([0, 2])},
        }
        found.append(span(uuid.uuid4().hex, number + 1, start, **fields) | {"endTimeUnixNano": str(start + duration)})
    return found


async def test_rates_are_those_of_the_spans(client: Client, name: str, base_ns: int) -> None:
    """Before rollups are refreshed, after it, and with more that comes late."""
    chosen = random.Random(5)
    now_ns = base_ns + 5 * HOUR_NS
    sent: list[dict[str, Any]] = []
    tiers: set[str] = set()
    for part in range(3):
        spans = random_spans(chosen, now_ns)[: 400 if part == 0 else 3]
        await client.send_spans(name, spans)
        sent += spans
        if part == 1:
            await client.refresh(now_ns - 5 * DAY_NS, now_ns)
        steps = [(DAY_NS, "UTC"), (HOUR_NS, "UTC")]
        steps += [(chosen.choice([MINUTE_NS, 15 * MINUTE_NS, HOUR_NS, DAY_NS]), chosen.choice(["UTC", "Asia/Kolkata"])) for _ in range(6)]
        for number, (step, zone) in enumerate(steps):
            # The first ones over whole days and hours, whatever the time of day.
            start = now_ns - (3 * DAY_NS if number < 2 else chosen.randrange(min(4 * DAY_NS, 900 * step)))
            by = chosen.choice([["service"], ["operation", "status"], ["kind"]])
            wanted = chosen.choice([{}, {"operation": "GET /a"}, {"kind": "server"}, {"status": "error"}])
            parameters = {"service": name, "start": str(start), "end": str(now_ns), "step": f"{step // 10**9}s", "timezone": zone}
            answer = await client.get(RATES, group_by=by, **parameters, **wanted)
            assert answer["meta"]["exactness"]["kind"] == "exact"
            assert shown(answer) == expected(sent, name, steps_of(TimeRange(start, now_ns), step, ZoneInfo(zone)).edges, by, wanted)
            tiers |= {one["tier"] for one in answer["meta"]["tiers"]}
    assert tiers >= {"raw", "hourly", "daily"}


def shown(answer: dict[str, Any]) -> dict[tuple[str, ...], dict[float, tuple[Any, ...]]]:
    columns = ("count", "errors", "min_duration_ns", "max_duration_ns", "avg_duration_ns")
    return {
        tuple(one["group"].values()): dict(zip(one["times"], zip(*(one[column] for column in columns), strict=True), strict=True))
        for one in answer["series"]
    }


def expected(sent: list[dict[str, Any]], name: str, edges: Any, by: list[str], wanted: dict[str, str]) -> Any:
    found: dict[tuple[str, ...], dict[float, list[tuple[int, bool]]]] = defaultdict(lambda: defaultdict(list))
    for one in sent:
        start, duration = int(one["startTimeUnixNano"]), int(one["endTimeUnixNano"]) - int(one["startTimeUnixNano"])
        failed = one["status"]["code"] == 2
        of = {"service": name, "operation": one["name"], "kind": KINDS[one["kind"]], "status": STATUSES[one["status"]["code"]]}
        if edges[0] <= start < edges[-1] and all(of[key].lower() == value.lower() for key, value in wanted.items()):
            step = max(edge for edge in edges if edge <= start)
            found[tuple(of[key] for key in by)][step / 1e9].append((max(duration, 0), failed))
    return {
        group: {
            step: (
                len(members),
                sum(failed for _, failed in members),
                min(duration for duration, _ in members),
                max(duration for duration, _ in members),
                pytest.approx(sum(duration for duration, _ in members) / len(members)),
            )
            for step, members in steps.items()
        }
        for group, steps in found.items()
    }


async def test_rates_refuse_what_they_do_not_know(client: Client) -> None:
    refused: list[dict[str, Any]] = [
        {"timezone": "Mars/Olympus"},
        {"group_by": "colour"},
        {"kind": "huge"},
        {"step": "1s", "start": "now-1d"},
    ]
    for parameters in refused:
        problem = await client.refused(RATES, **parameters)
        assert problem["errors"][0]["parameter"].split(".")[0] in {*parameters}
