"""Applications, alerts and readiness through the API."""

from __future__ import annotations

import psycopg

from tests.integration.query.conftest import Client, connected, span, text
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import ApiSettings, Settings


async def test_what_sent_something_is_an_application(
    client: Client, database: TestDatabase, settings: Settings, name: str, trace_id: str, base_ns: int
) -> None:
    attributes = [text("service.name", name), text("service.namespace", "shop"), text("deployment.environment.name", "test")]
    group = {"resource": {"attributes": attributes}, "scopeSpans": [{"spans": [span(trace_id, 1, base_ns)]}]}
    await client.send("traces", [group])
    # Other tests have applications as well: more than the client's longest page.
    async with connected(database, settings, ApiSettings(max_page=10_000)) as patient:
        listed = (await patient.get("/api/v1/applications", limit=10_000))["applications"]
    (found,) = [one for one in listed if one["service"] == name]
    assert (found["namespace"], found["environment"]) == ("shop", "test")


async def test_alerts_most_severe_first(client: Client, database: TestDatabase, name: str) -> None:
    rows = [("INFO", "ACTIVE", 1), ("CRITICAL", "ACTIVE", 2), ("HIGH", "RESOLVED", 3), ("HIGH", "ACTIVE", 4), ("HIGH", "ACTIVE", 5)]
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None) as connection:
        for severity, status, day in rows:
            await connection.execute(
                "INSERT INTO tidegauge.alerts (name, severity, status, labels, value, created_at, resolved_at) VALUES "
                "(%s, %s::text::tidegauge.alert_severity, %s::text::tidegauge.alert_status, '{\"team\": \"shop\"}', 'NaN', %s, NULL)",
                (f"{name}-{day}", severity, status, f"2026-01-0{day}T00:00:00Z"),
            )

    async def found(**parameters: str) -> list[str]:
        listed = (await client.get("/api/v1/alerts", **parameters))["alerts"]
        return [one["name"].removeprefix(f"{name}-") for one in listed if one["name"].startswith(name)]

    assert await found() == ["2", "5", "4", "3", "1"]
    assert await found(status="ACTIVE", severity="HIGH") == ["5", "4"]
    (alert,) = [one for one in (await client.get("/api/v1/alerts", severity="CRITICAL"))["alerts"] if one["name"] == f"{name}-2"]
    assert (alert["labels"], alert["value"], alert["resolved_at"], alert["service"]) == ({"team": "shop"}, "NaN", None, None)
    assert alert["created_at"] == "2026-01-02T00:00:00.000000000Z"
    assert (await client.refused("/api/v1/alerts", severity="LOUD"))["errors"][0]["parameter"] == "severity"


async def test_ready_when_the_database_answers(client: Client) -> None:
    assert (await client.get("/api/health/ready"))["status"] == "ok"
    assert (await client.get("/api/health/live")) == {"status": "ok"}
