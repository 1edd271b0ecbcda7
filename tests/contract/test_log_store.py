"""Every log store gives the same answers: those of :mod:`tests.contract.log_reference`."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.contract import log_reference as reference
from tests.contract.log_stores import Stores, comparable, on_elasticsearch, on_timescaledb, record, request
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings
from tidegauge.errors import InvalidArgument
from tidegauge.model.query import AttributeFilter, Cursor, LogField, LogFilter, Order, TimeRange
from tidegauge.model.records import StoredLog

SECOND_NS = 1_000_000_000
BASE_NS = 1_790_000_000 * SECOND_NS
RANGE = TimeRange(BASE_NS, BASE_NS + 100 * SECOND_NS)
TRACES = [bytes([place]) * 16 for place in (1, 2, 3)]
TEXTS = [
    "payment declined", "Payment accepted for user_id=42", "GET /api/v1/orders/17 200", "connection refused: 10.0.0.1:5432",
    "declined payment", "retry 1e5 of 1e50d", "Zahlung fällig — ÄRGER", "“quoted” text", "платёж ОТКЛОНЁН", "日本語のログ", "İstanbul ΣΑΣ",
    "café cafe\u0301", "a\u0000b", "", "or not", "x" * 3000 + " behind", "<html>&amp;</html> foo@example.com", {"k": "structured payment"},
    ["one", 2], 7, None, None, "the the the end",
]  # fmt: skip
ATTRIBUTES: list[dict[str, Any]] = [
    {}, {"http.status": 200}, {"http.status": "200"}, {"http.status": 200.0}, {"http.status": {"code": 200}}, {"http.status": [200]},
    {"http": {"status": 200}}, {"http.status": True}, {"http.status": "true"}, {"user": "u1", "correlation_id": "c1"},
    {"user": "u2", "x-correlation-id": "c1"}, {"correlation.id": "c2"}, {"correlation_id": 5}, {"": "empty key"}, {"empty": ""},
    {"k=v": "a=b", "k": "v=a=b"}, {"ratio": 0.1}, {"ratio": 1e-7}, {"ratio": -0.0}, {"ratio": 0}, {"nested": {"a": {"b": "c"}}},
    {"nested.a.b": "c"}, {"nul\u0000key": "nul\u0000value"}, {"bytes": b"\x00\xff"}, {"é": "Ä"}, {"none": None}, {"n.*": "special?"},
    {"big": 2**63 - 1}, {"lines": "a\nb"},
]  # fmt: skip


def corpus() -> list[Any]:
    """Requests with everything in every combination that chance gives, the same each time; many records have equal times."""
    chance = random.Random(20)
    requests = []
    for service in ("shop", "shop", "cart", "", "ünïcode ☃"):
        records = []
        for _ in range(45):
            trace = chance.choice([*TRACES, b""])
            times: dict[str, Any] = {}
            if chance.random() < 0.5:
                times["observed_time_unix_nano"] = BASE_NS + chance.randrange(90 * SECOND_NS)
            time_ns = BASE_NS + chance.choice([chance.randrange(90 * SECOND_NS), *(5 * SECOND_NS + tie for tie in (0, 1, 999))])
            records.append(
                record(
                    0 if times and chance.random() < 0.2 else time_ns,
                    chance.choice(TEXTS),
                    chance.choice(ATTRIBUTES) | chance.choice(ATTRIBUTES),
                    severity_number=chance.choice([0, 5, 9, 13, 17, 18, 24]),
                    severity_text=chance.choice(["", "INFO", "warn"]),
                    event_name=chance.choice(["", "", "checkout", "login"]),
                    trace_id=trace,
                    span_id=trace[:8] if chance.random() < 0.8 else b"",
                    flags=chance.choice([0, 1, 2**32 - 1]),
                    dropped_attributes_count=chance.choice([0, 0, 3]),
                    **times,
                )
            )
        resource = {"service.name": service, "service.namespace": "tests"} if service else {"host.name": "h1", "n": 1.5}
        requests.append(request(records, resource, chance.choice(["", "io.scope"])))
    return requests


@dataclass
class Filled:
    """A store with the corpus, and what is in it."""

    stores: Stores
    records: list[StoredLog]

    def wanted(self, **fields: Any) -> tuple[LogFilter, list[StoredLog]]:
        """A filter, and the records that it has to find."""
        wanted = LogFilter(**({"time": RANGE} | fields))
        return wanted, [each for each in self.records if reference.matches(each, wanted)]


@pytest.fixture(scope="module", params=["timescaledb", "elasticsearch"])
def server(request: pytest.FixtureRequest) -> str | TestDatabase:
    """What each adapter stands on: the address of Elasticsearch, or a database."""
    found: str | TestDatabase = request.getfixturevalue("elasticsearch_url" if request.param == "elasticsearch" else "database")
    return found


@pytest_asyncio.fixture(scope="module")
async def stores(server: str | TestDatabase, settings: Settings) -> AsyncIterator[Stores]:
    """Each adapter."""
    opening = on_elasticsearch(server) if isinstance(server, str) else on_timescaledb(server, settings)
    async with opening as opened:
        yield opened


@pytest_asyncio.fixture(scope="module")
async def filled(stores: Stores) -> Filled:
    """With the corpus."""
    requests = corpus()
    outcomes = await stores.commit(*requests)
    assert [(outcome.rejected, outcome.repeated) for outcome in outcomes] == [(0, False)] * len(requests)
    return Filled(stores, [each for one in requests for each in reference.records(one)])


async def everything(stores: Stores, wanted: LogFilter, order: Order, limit: int) -> list[StoredLog]:
    """All pages of a search."""
    found: list[StoredLog] = []
    after: Cursor | None = None
    while True:
        page = await stores.logs.find_logs(stores.tenant_id, wanted, limit, after, order)
        found += map(comparable, page.rows)
        assert len(page.rows) == limit or page.next is None
        after = page.next
        if after is None:
            return found


FILTERS: list[dict[str, Any]] = [
    {},
    {"time": TimeRange(BASE_NS + 5 * SECOND_NS, BASE_NS + 5 * SECOND_NS + 1)},
    {"time": TimeRange(BASE_NS + 5 * SECOND_NS + 999, BASE_NS + 60 * SECOND_NS)},
    {"time": TimeRange(0, 1)},
    {"time": TimeRange(-5, 2**63 + 10**18)},
    {"min_severity": 13},
    {"max_severity": 9},
    {"min_severity": 17, "max_severity": 18},
    {"service": "shop"},
    {"service": "ünïcode ☃"},
    {"service": "unknown_service"},
    {"service": "nobody"},
    {"trace_id": TRACES[0].hex()},
    {"trace_id": TRACES[0].hex(), "span_id": TRACES[0][:8].hex()},
    {"span_id": TRACES[1][:8].hex()},
    {"correlation_id": "c1"},
    {"correlation_id": "5"},
    {"service": "cart", "text": "payment", "min_severity": 9},
]
SEARCHES = [
    "payment", "PAYMENT declined", '"payment declined"', '"declined payment"', "payment -declined", "-payment", "user_id",
    "user_id=42", "42", "10.0.0.1", "1e5", "1e50", "1e50d", "orders/17", "declined or refused", "fällig", "ÄRGER", "ärger",
    "quoted", "платёж отклонён", "日本語のログ", "istanbul", "σας", "café", "cafe", "a b", '"a b"', "behind", "xxx", "amp",
    "foo@example.com", '"the the end"', "structured", '"k structured"', "2", "", "—", '-"payment declined" payment', "or",
    "not or or", '"', "end the",
]  # fmt: skip
ATTRIBUTE_FILTERS = [
    AttributeFilter(name, values)
    for name, values in [
        ("http.status", ()), ("http.status", (200,)), ("http.status", ("200",)), ("http.status", (200, "200")), ("http.status", (200.0,)),
        ("http.status", (True,)), ("http.status", ("true",)), ("http.status", (True, "true")), ("http.status", (1,)), ("http", ()),
        ("user", ("u1",)), ("user", ("u1", "u2")), ("user", ("U1",)), ("", ()), ("", ("empty key",)), ("empty", ()), ("empty", ("",)),
        ("k=v", ("a=b",)), ("k", ("v=a=b",)), ("k", ("v",)), ("ratio", (0,)), ("ratio", (0.1,)), ("ratio", (1e-7,)), ("ratio", ("0.1",)),
        ("nested", ()), ("nested.a.b", ()), ("nested.a.b", ("c",)), ("nested.a", ()), ("nul\ufffdkey", ("nul\ufffdvalue",)),
        ("bytes", ("AP8=",)), ("é", ("Ä",)), ("none", ()), ("absent", ()), ("big", (2**63 - 1,)), ("lines", ("a\nb",)),
    ]
]  # fmt: skip


@pytest.mark.parametrize("fields", FILTERS, ids=str)
async def test_a_search_finds_what_matches_both_ways(filled: Filled, fields: dict[str, Any]) -> None:
    wanted, expected = filled.wanted(**fields)
    for order in Order:
        for limit in (len(expected) // 4 + 1, 500):
            assert await everything(filled.stores, wanted, order, limit) == reference.ordered(expected, order)


@pytest.mark.parametrize("text", SEARCHES)
async def test_text(filled: Filled, text: str) -> None:
    wanted, expected = filled.wanted(text=text)
    assert await everything(filled.stores, wanted, Order.NEWEST_FIRST, 500) == reference.ordered(expected, Order.NEWEST_FIRST)


@pytest.mark.parametrize("attribute", ATTRIBUTE_FILTERS, ids=lambda each: f"{each.name}={each.values}")
async def test_attributes(filled: Filled, attribute: AttributeFilter) -> None:
    wanted, expected = filled.wanted(attributes=(attribute,))
    assert await everything(filled.stores, wanted, Order.NEWEST_FIRST, 500) == reference.ordered(expected, Order.NEWEST_FIRST)


async def test_several_conditions_hold_together(filled: Filled) -> None:
    conditions = (AttributeFilter("http.status", (200,)), AttributeFilter("user"))
    wanted, expected = filled.wanted(attributes=conditions)
    assert await everything(filled.stores, wanted, Order.NEWEST_FIRST, 500) == reference.ordered(expected, Order.NEWEST_FIRST)


async def test_one_record(filled: Filled) -> None:
    logs, tenant_id = filled.stores.logs, filled.stores.tenant_id
    for each in filled.records[::20]:
        found = await logs.log(tenant_id, each.log_id)
        assert found is not None
        assert comparable(found) == each
        assert await logs.log(tenant_id + 1, each.log_id) is None
    assert await logs.log(tenant_id, "0" * 32 + "-0") is None
    for wrong in ("", "x", "0" * 32, "0" * 32 + "-", "0" * 32 + "-99999999999", "-1"):
        with pytest.raises(InvalidArgument):
            await logs.log(tenant_id, wrong)


async def test_a_cursor_of_another_search_is_refused(filled: Filled) -> None:
    wanted, _ = filled.wanted()
    with pytest.raises(InvalidArgument):
        await filled.stores.logs.find_logs(filled.stores.tenant_id, wanted, 5, Cursor(BASE_NS, b"short"))


async def test_a_page_begins_behind_any_record(filled: Filled) -> None:
    wanted, expected = filled.wanted()
    for order in Order:
        found = reference.ordered(expected, order)
        for place in (0, 10, len(found) - 2, len(found) - 1):
            page = await filled.stores.logs.find_logs(filled.stores.tenant_id, wanted, 5, reference.cursor(found[place]), order)
            assert [comparable(each) for each in page.rows] == found[place + 1 : place + 6]


@pytest.mark.parametrize("fields", [{}, {"text": "payment"}, {"service": "shop", "min_severity": 9}, {"service": "nobody"}], ids=str)
@pytest.mark.parametrize("step_ns", [SECOND_NS, 7 * SECOND_NS, 3600 * SECOND_NS])
async def test_counts(filled: Filled, fields: dict[str, Any], step_ns: int) -> None:
    wanted, expected = filled.wanted(**fields)
    assert list(await filled.stores.logs.count_logs(filled.stores.tenant_id, wanted, step_ns)) == reference.counts(expected, step_ns)


TOP_FIELDS: list[LogField | str] = [*LogField, "http.status", "user", "ratio", "nested", "absent", "n.*", "k", "", "lines", "nul\ufffdkey"]


@pytest.mark.parametrize("field", TOP_FIELDS, ids=str)
@pytest.mark.parametrize("fields", [{}, {"service": "shop"}], ids=str)
async def test_top_values(filled: Filled, field: LogField | str, fields: dict[str, Any]) -> None:
    wanted, expected = filled.wanted(**fields)
    for limit in (2, 50):
        found = await filled.stores.logs.top_values(filled.stores.tenant_id, wanted, field, limit)
        assert list(found) == reference.top(expected, field, limit)


@pytest.mark.parametrize("fields", [None, {"service": "shop"}, {"text": "payment"}], ids=str)
async def test_context(filled: Filled, fields: dict[str, Any] | None) -> None:
    wanted, among = (None, filled.records) if fields is None else filled.wanted(**fields)
    for record_ in filled.records[::40]:
        for before, after in ((3, 4), (0, 2), (2, 0), (500, 500)):
            found = await filled.stores.logs.context(filled.stores.tenant_id, record_.log_id, before, after, wanted)
            assert found is not None
            expected = reference.context(among, record_, before, after)
            assert comparable(found.record) == expected.record
            assert tuple(map(comparable, found.before)) == expected.before
            assert tuple(map(comparable, found.after)) == expected.after
    assert await filled.stores.logs.context(filled.stores.tenant_id, "0" * 32 + "-0", 1, 1) is None


async def test_another_tenant_sees_nothing(filled: Filled) -> None:
    wanted, _ = filled.wanted()
    other = filled.stores.tenant_id + 1
    assert not (await filled.stores.logs.find_logs(other, wanted, 10, None)).rows
    assert not await filled.stores.logs.count_logs(other, wanted, SECOND_NS)
    assert not await filled.stores.logs.top_values(other, wanted, LogField.SERVICE, 10)
    assert await filled.stores.logs.delete_logs(other, wanted) == 0


HOUR_NS = 3600 * SECOND_NS


def hour(number: int) -> TimeRange:
    """An hour that only one test writes to."""
    return TimeRange(BASE_NS - number * HOUR_NS, BASE_NS - (number - 1) * HOUR_NS)


async def found_in(stores: Stores, time: TimeRange, **fields: Any) -> list[StoredLog]:
    return await everything(stores, LogFilter(time=time, **fields), Order.OLDEST_FIRST, 500)


async def test_a_resend_stores_nothing(stores: Stores) -> None:
    time = hour(2)
    one = request([record(time.start_ns + place, "sent twice") for place in range(20)])
    (first,) = await stores.commit(one)
    (second,) = await stores.commit(one)
    assert (first.repeated, second.repeated) == (False, True)
    assert await found_in(stores, time) == reference.records(one)


async def test_a_resend_after_a_rollover_is_seen_once(stores: Stores) -> None:
    time = hour(3)
    one = request([record(time.start_ns + place, f"n{place}", {"k": "v"}, severity_number=9) for place in range(20)])
    other = request([record(time.start_ns + 100, "in the new index")])
    await stores.commit(one)
    await stores.roll_over()
    await stores.commit(one, other)
    await stores.commit(one)
    expected = [*reference.records(one), *reference.records(other)]
    wanted = LogFilter(time=time)
    for limit in (1, 7, 500):
        assert await everything(stores, wanted, Order.NEWEST_FIRST, limit) == reference.ordered(expected, Order.NEWEST_FIRST)
    assert list(await stores.logs.count_logs(stores.tenant_id, wanted, HOUR_NS)) == reference.counts(expected, HOUR_NS)
    assert list(await stores.logs.top_values(stores.tenant_id, wanted, "k", 5)) == reference.top(expected, "k", 5)
    found = await stores.logs.context(stores.tenant_id, expected[10].log_id, 3, 3, wanted)
    assert found is not None
    assert tuple(map(comparable, (*found.before, *found.after))) == (*expected[7:10], *expected[11:14])
    assert await stores.logs.delete_logs(stores.tenant_id, wanted) == 21


async def test_equal_records_of_two_requests_are_two(stores: Stores) -> None:
    time = hour(4)
    same = [record(time.start_ns, "twice")] * 2
    requests = [request(same, {"service.name": "a"}), request(same, {"service.name": "b"})]
    await stores.commit(*requests)
    assert len(await found_in(stores, time)) == 4


async def test_ten_thousand_keys_and_conflicting_types(stores: Stores) -> None:
    time = hour(5)
    many = record(time.start_ns, "many keys", {f"key.{place}": place for place in range(10_000)})
    conflicts = [
        record(time.start_ns + 1 + place, "conflict", {"c": value}) for place, value in enumerate((1, "text", {"d": {"e": 1}}, [1, "x"]))
    ]
    one = request([many, *conflicts])
    (outcome,) = await stores.commit(one)
    assert outcome.rejected == 0
    expected = reference.records(one)
    assert await found_in(stores, time) == expected
    assert await found_in(stores, time, attributes=(AttributeFilter("key.9999", (9999,)),)) == expected[:1]
    assert await found_in(stores, time, attributes=(AttributeFilter("c", (1,)),)) == expected[1:2]
    assert await found_in(stores, time, attributes=(AttributeFilter("c"),)) == expected[1:]


async def test_resources_are_told_apart_by_type_and_answered_once(stores: Stores) -> None:
    time = hour(9)
    values = (1, 1.0, True, "1")
    requests = [
        request([record(time.start_ns + 4 * turn + place, "whose" + turn * "y" * 3000)], {"service.name": "alike", "n": value})
        for turn in range(2)
        for place, value in enumerate(values)
    ]
    await stores.commit(*requests)
    page = await stores.logs.find_logs(stores.tenant_id, LogFilter(time=time), 10, None, Order.OLDEST_FIRST)
    found = [row.resource for row in page.rows]
    assert [repr(each.attributes["n"]) for each in found] == [repr(value) for value in values] * 2
    assert len({id(each) for each in found}) == len(values)
    assert len({id(row.scope) for row in page.rows}) == 1


async def test_values_of_a_megabyte_come_back_whole(stores: Stores) -> None:
    time = hour(6)
    long = "é" * 4095 + "x" * 1_000_000
    body = "first " + "word " * 200_000 + "last"
    records = [
        record(time.start_ns, body, {"long": long, "user": "u1"}),
        record(time.start_ns + 1, "y" * 1_000_000, {"long": "é" * 4095 + "z"}),
        record(time.start_ns + 2, "short", {"long": "é" * 4094, "deep": {"a": [long]}}),
    ]
    one = request(records, {"service.name": "shop", "blob": long})
    (outcome,) = await stores.commit(one)
    assert outcome.rejected == 0
    expected = reference.records(one)
    assert await found_in(stores, time) == expected
    for fields in (
        {"attributes": (AttributeFilter("long", (long,)),)},
        {"attributes": (AttributeFilter("long", (long[:8191],)),)},
        {"attributes": (AttributeFilter("long", ("é" * 4095,)),)},
        {"attributes": (AttributeFilter("long", ("é" * 4094,)),)},
        {"attributes": (AttributeFilter("long"),)},
        {"attributes": (AttributeFilter("user", ("u1",)),)},
        {"text": "first"},
        {"text": "last"},
        {"text": "short"},
    ):
        assert await found_in(stores, time, **fields) == [
            each for each in expected if reference.matches(each, LogFilter(time, **fields))
        ], fields  # type: ignore[arg-type]
    assert list(await stores.logs.top_values(stores.tenant_id, LogFilter(time), "long", 5)) == reference.top(expected, "long", 5)


async def test_what_an_index_would_refuse_is_stored(stores: Stores) -> None:
    time = hour(7)
    deep: Any = "bottom"
    for _ in range(30):
        deep = {"a": deep}
    records = [
        record(time.start_ns, deep, {"deep": deep, "k": "v"}),
        record(time.start_ns + 1, "long key", {"k" * 40_000: "v", "k": "v"}),
        record(time.start_ns + 2, "w" * 40_000, {"k": "v"}),
        record(time.start_ns + 3, "long name", {"k": "v"}, event_name="e" * 40_000, severity_text="s" * 40_000),
    ]
    one = request(records, {"service.name": "shop", "deep": deep}, scope="c" * 40_000)
    (outcome,) = await stores.commit(one)
    assert outcome.rejected == 0
    expected = reference.records(one)
    assert await found_in(stores, time) == expected
    assert await found_in(stores, time, attributes=(AttributeFilter("k", ("v",)),), text="-nothing") == expected


async def test_deletion(stores: Stores) -> None:
    time = hour(8)
    one = request([record(time.start_ns + place, "delete" if place % 3 else "keep", severity_number=9) for place in range(60)])
    await stores.commit(one)
    assert await stores.logs.delete_logs(stores.tenant_id, LogFilter(time, text="delete")) == 40
    await stores.refresh()
    assert [each.body for each in await found_in(stores, time)] == ["keep"] * 20
    assert await stores.logs.delete_logs(stores.tenant_id, LogFilter(time, text="delete")) == 0
