"""Errors as clients see them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.unit.api.conftest import Stores
from tidegauge.errors import Unavailable


def problem(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["type"], document["status"]) == ("about:blank", status)
    return document


async def test_an_unknown_path(client: httpx.AsyncClient) -> None:
    for path in ("/api/v1/nothing", "/", "/api/v1/traces/"):
        assert problem(await client.get(path, follow_redirects=False), 404)["instance"] == path


async def test_a_method_that_is_not_possible(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/traces")
    assert "POST" in problem(answer, 405)["detail"]
    assert "GET" in answer.headers["allow"]


async def test_an_unknown_parameter_is_named(client: httpx.AsyncClient) -> None:
    for path in (
        "applications",
        "alerts",
        "metrics",
        "metrics/a.b/range",
        "metrics/a.b/rollups/hourly",
        "traces",
        f"traces/{'a' * 32}",
        "logs",
    ):
        document = problem(await client.get(f"/api/v1/{path}", params={"strat": "now"}), 400)
        assert document["errors"] == [{"parameter": "strat", "message": "this endpoint has no such parameter"}]


async def test_a_parameter_that_stands_twice_is_named(client: httpx.AsyncClient, stores: Stores) -> None:
    for path in (
        "applications",
        "alerts",
        "metrics",
        "metrics/a.b/range",
        "metrics/a.b/rollups/hourly",
        "traces",
        f"traces/{'a' * 32}",
        "logs",
    ):
        document = problem(await client.get(f"/api/v1/{path}", params=[("start", "now-1d"), ("start", "now-1h")]), 400)
        assert document["errors"] == [{"parameter": "start", "message": "give it once"}]
    assert stores.asked is None


async def test_all_unreadable_parameters_are_named_with_value(client: httpx.AsyncClient) -> None:
    document = problem(await client.get("/api/v1/metrics/a/range", params={"aggregation": "middle", "type": "x", "match": "ok=1"}), 400)
    assert [(fault["parameter"], fault["value"]) for fault in document["errors"]] == [("type", "x"), ("aggregation", "middle")]
    assert "'increase'" in document["errors"][1]["message"]


async def test_nul_is_refused_before_a_store_sees_it(client: httpx.AsyncClient, stores: Stores) -> None:
    for path, parameters in (("traces", {"service": "a\0"}), ("logs", {"attribute": ["a=b", "a=\0"]}), ("metrics", {"name": "\0"})):
        document = problem(await client.get(f"/api/v1/{path}", params=parameters), 400)
        assert document["errors"][0]["parameter"].startswith(next(iter(parameters)))
    problem(await client.get("/api/v1/metrics/a%00b/range"), 400)
    assert stores.asked is None


async def test_an_unknown_tier(client: httpx.AsyncClient) -> None:
    document = problem(await client.get("/api/v1/metrics/a/rollups/weekly"), 400)
    assert document["errors"][0]["parameter"] == "tier"


async def test_what_goes_wrong_unexpectedly_shows_nothing_of_the_program(
    client: httpx.AsyncClient, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    stores.failure = RuntimeError("secret: SELECT password")
    answer = await client.get("/api/v1/applications")
    problem(answer, 500)
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "secret" in caplog.text


async def test_a_store_that_is_away(client: httpx.AsyncClient, stores: Stores) -> None:
    stores.failure = Unavailable("the database is away", retry_after_seconds=2.5)
    answer = await client.get("/api/v1/logs")
    assert problem(answer, 503)["detail"] == "the database is away"
    assert answer.headers["retry-after"] == "3"
