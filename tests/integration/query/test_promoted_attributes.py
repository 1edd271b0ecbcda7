"""Attributes that have columns: the same is found with and without, whatever was sent and when."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from tests.integration.query.conftest import HOUR_NS, Client, connected, span
from tests.servers import timescaledb
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import ApiSettings, Settings, TracesSettings
from tidegauge.storage.postgres import migrate, status, validate

SEARCH = "/api/v1/traces"
LONG = "x" * 1025
CODES = [200, "200", 200.0, 404, 500.5, 503, "503", "+0503", 2**63 - 1, 9.3e18, 1.7e308, 5e-324, -5e-324, True, "2e2", "", "٣", None]
ROUTES = ["/a", "/b", LONG, LONG[:1024], 200, 2.50, 'a"b\\c', "é\u2028é", True, "true", None]
NONE: dict[str, Any] = {}


@dataclass
class Own:
    """A database of these tests' own, and what was sent to it."""

    database: TestDatabase
    settings: Settings
    start_ns: int
    sent: list[dict[str, Any]] = field(default_factory=list)

    async def migrated(self, promoted: str) -> None:
        """As a start with this setting does it."""
        traces = TracesSettings.model_validate({"promoted_attributes": promoted})
        self.settings = self.settings.model_copy(update={"traces": traces})
        await asyncio.to_thread(migrate.upgrade, self.database.owner_dsn, self.settings, lambda _: None)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        async with connected(self.database, self.settings, ApiSettings(max_page=500, search_time=timedelta(minutes=5))) as found:
            yield found

    async def send(self, client: Client) -> None:
        """A span of each value, over an hour."""
        values = (
            [{"code": code} for code in CODES] + [{"http.route": route} for route in ROUTES] + [{"ok": one} for one in (True, "true", 0)]
        )
        values += [{"count": code} for code in CODES[:12]]
        values += [{"code": [200]}, {"code": {"code": 200}}, NONE, {"code": 200, "http.route": "/a", "ok": False}]
        spans = []
        for number, attributes in enumerate(values):
            sent = span(uuid.uuid4().hex, number + 1, self.start_ns + number * HOUR_NS // 100)
            sent["attributes"] = [{"key": key, "value": _value(value)} for key, value in attributes.items()]
            spans.append(sent)
            self.sent.append({"trace": sent["traceId"], **attributes})
        await client.send_spans("promoted", spans)

    async def ask(self, statement: str) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.database.owner_dsn, autocommit=True, prepare_threshold=None) as connection:
            cursor = await connection.execute(statement)  # type: ignore[call-overload]
            return await cursor.fetchall() if cursor.description else []


def _value(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(one) for one in value]}}
        case dict():
            return {"kvlistValue": {"values": [{"key": key, "value": _value(one)} for key, one in value.items()]}}
    return {"stringValue": value}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equals(key: str, *wanted: Any) -> Callable[[dict[str, Any]], bool]:
    return lambda sent: any(sent.get(key) == one and isinstance(sent.get(key), bool) is isinstance(one, bool) for one in wanted)


def _number(key: str, holds: Callable[[Any], bool]) -> Callable[[dict[str, Any]], bool]:
    return lambda sent: _is_number(sent.get(key)) and holds(sent[key])


CASES: list[tuple[str, Callable[[dict[str, Any]], bool]]] = [
    ("code=200", _equals("code", 200, "200")),
    ('code="200"', _equals("code", "200")),
    ("code=503", _equals("code", 503, "503")),
    ("code=+0503", _equals("code", "+0503")),
    ("code=500.5", _equals("code", 500.5)),
    ("code=true", _equals("code", True)),
    ("code=2e2", _equals("code", "2e2", 200)),
    ("code>=500", _number("code", lambda one: one >= 500)),
    ("code>503", _number("code", lambda one: one > 503)),
    ("code<=200", _number("code", lambda one: one <= 200)),
    ("code<0", _number("code", lambda one: one < 0)),
    ("code>9223372036854775806", _number("code", lambda one: one > 9223372036854775806)),
    ("count=200", _equals("count", 200, "200")),
    ("count=500.5", _equals("count", 500.5)),
    ("count=9223372036854775807", _equals("count", 9223372036854775807, "9223372036854775807")),
    ("count>=500", _number("count", lambda one: one >= 500)),
    ("code", lambda sent: "code" in sent),
    ("!code", lambda sent: "code" not in sent),
    ("code!=200", lambda sent: "code" in sent and not _equals("code", 200, "200")(sent)),
    ("http.route=/a", _equals("http.route", "/a")),
    ("http.route=200", _equals("http.route", 200)),
    ("http.route=2.5", _equals("http.route", 2.5)),
    (f"http.route={LONG}", _equals("http.route", LONG)),
    (f"http.route={LONG[:1024]}", _equals("http.route", LONG[:1024])),
    ("http.route=é\u2028é", _equals("http.route", "é\u2028é")),
    ("http.route=nowhere", _equals("http.route", "nowhere")),
    ("ok=true", _equals("ok", True, "true")),
    ("ok=0", _equals("ok", 0)),
]


async def _all_are_found(own: Own, client: Client) -> None:
    time = {"start": str(own.start_ns), "end": str(own.start_ns + HOUR_NS)}
    for number, (condition, holds) in enumerate(CASES):
        order = ("newest", "slowest")[number % 2]
        answer = await client.get(SEARCH, view="spans", order=order, attribute=condition, limit=500, **time)
        found = sorted(one["trace_id"] for one in answer["spans"])
        assert found == sorted(one["trace"] for one in own.sent if holds(one)), condition


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(tmp_path_factory: pytest.TempPathFactory, settings: Settings, base_ns: int) -> AsyncIterator[Own]:
    async with timescaledb.database(tmp_path_factory.mktemp("promoted") / "data") as found:
        yield Own(found, settings, base_ns)


async def test_searches_find_the_same_whatever_is_promoted_when(own: Own) -> None:
    await own.migrated("code:double,http.route,count:bigint,ok:boolean")
    async with own.client() as client:
        await own.send(client)
        await _all_are_found(own, client)
        # What the column has not is not found: so it is asked.
        (column,) = (await own.ask("SELECT column_name FROM tidegauge.promoted_attributes WHERE key = 'http.route'"))[0]
        await own.ask(f"UPDATE tidegauge.traces SET {column} = NULL WHERE {column} = '/b'")
        answer = await client.get(SEARCH, view="spans", attribute="http.route=/b", start=str(own.start_ns), end=str(own.start_ns + HOUR_NS))
        assert answer["spans"] == []
        await own.ask(f"UPDATE tidegauge.traces SET {column} = '/b' WHERE attributes ->> 'http.route' = '/b'")
    # Another type and other keys; then some again, with what was stored meanwhile, and late spans to chunks that are compressed.
    for promoted in ("code:bigint", "code:double,http.route,a'\"%s${x}ß:boolean"):
        await own.migrated(promoted)
        async with own.client() as client:
            await own.send(client)
            await own.ask("SELECT compress_chunk(c, true) FROM show_chunks('tidegauge.traces') AS c")
            await own.send(client)
    async with own.client() as client:
        await _all_are_found(own, client)


async def test_what_is_promoted_is_seen_and_can_be_taken_back(own: Own) -> None:
    """After the test before: by analysts, by `db status` and `db validate`; a migration down to before leaves nothing of it."""
    dsn = own.database.owner_dsn
    seen = await own.ask(
        """SELECT DISTINCT attributes ->> 'http.route', "http.route" FROM analytics.traces WHERE "http.route" IS NOT NULL"""
    )
    texts = {text for text, _ in seen}
    assert all(text == column for text, column in seen)
    assert {"/a", LONG[:1024], "200", "2.5", "true"} <= texts
    assert LONG not in texts
    found = await asyncio.to_thread(status.read, dsn, own.settings)
    assert {(one.key, one.type, one.is_active) for one in found.promoted} == {
        ("code", "double", True),
        ("http.route", "text", True),
        ("count", "bigint", False),
        ("code", "bigint", False),
        ("ok", "boolean", False),
        ("a'\"%s${x}ß", "boolean", True),
    }
    differences = [str(one) for one in await asyncio.to_thread(validate.validate, dsn, own.settings)]
    assert [one for one in differences if "traces.attribute_" in one or "fill_promoted" in one] == []
    others = own.settings.model_copy(update={"traces": TracesSettings()})
    assert "function tidegauge.fill_promoted_attributes() does not belong there" in [
        str(one) for one in await asyncio.to_thread(validate.validate, dsn, others)
    ]
    await asyncio.to_thread(migrate.downgrade, dsn, own.settings, lambda _: None, "0018")
    columns = await own.ask(
        "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = 'tidegauge.traces'::regclass AND NOT attisdropped"
    )
    assert [name for (name,) in columns if name.startswith("attribute_")] == []
