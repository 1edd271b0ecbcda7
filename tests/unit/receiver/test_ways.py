"""Logs that are not OTLP, as a client sees it: JSON, Elasticsearch's _bulk and Loki's push."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import AsyncIterator
from uuid import UUID

import cramjam
import pytest
import pytest_asyncio

from tests.servers.memory import NOW
from tests.unit.receiver.ways import LIMIT, Ways, receiving_ways
from tidegauge.errors import Unavailable

JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}
PROTOBUF = {"content-type": "application/x-protobuf"}
TRACE, SPAN = "0102030405060708090a0b0c0d0e0f10", "1112131415161718"
LOGS, BULK, PUSH = "/api/v1/logs", "/_bulk", "/loki/api/v1/push"
DOCUMENT = {"@timestamp": NOW, "message": "paid"}
PUSHED = {"streams": [{"stream": {"job": "api"}, "values": [[str(NOW), "paid"]]}]}
REQUESTS = {
    LOGS: (JSON, json.dumps(DOCUMENT).encode()),
    BULK: (LINES, b'{"create":{}}\n' + json.dumps(DOCUMENT).encode() + b"\n"),
    PUSH: (JSON, json.dumps(PUSHED).encode()),
}


@pytest_asyncio.fixture
async def ways() -> AsyncIterator[Ways]:
    async with receiving_ways() as found:
        yield found


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, b'{"message":"a"}'),
        (JSON, b'[{"message":"a"},{"msg":"b"}]'),
        (LINES, b'{"message":"a"}\n\n{"body":"b"}\r\n'),
        (JSON, b'{"message":"a"}\n{"message":"b"}\n'),
        ({"content-type": "application/json; charset=utf-8"}, b' [{"message":"a"}] '),
    ],
    ids=["object", "array", "lines", "lines said to be JSON", "charset"],
)
async def test_an_object_an_array_or_lines(ways: Ways, headers: dict[str, str], body: bytes) -> None:
    response = await ways.client.post(LOGS, headers=headers, content=body)
    bodies = [row["body"] for row in ways.rows()]
    assert response.status_code == 200
    assert bodies == ["a", "b"][: len(bodies)]
    assert response.json() == {"accepted": len(bodies), "rejected": 0}
    assert bodies


async def test_fields_become_a_records_own_and_the_rest_attributes(ways: Ways) -> None:
    sent = {
        "timestamp": "2026-09-21T16:13:20.123456789+02:00",
        "level": "WARN",
        "message": "slow",
        "service": "checkout",
        "logger": "shop.pay",
        "trace_id": TRACE,
        "span_id": SPAN,
        "user": {"id": 7, "tags": ["a", None]},
        "ms": 12.5,
        "ok": True,
    }
    await ways.client.post(LOGS, headers=JSON, json=sent)
    (row,) = ways.rows()
    assert row == {
        "place": 0,
        "time": 1_790_000_000_123_456_789,
        "body": "slow",
        "service": "checkout",
        "scope": "shop.pay",
        "severity": (13, "WARN"),
        "attributes": {"user": {"id": 7, "tags": ["a", None]}, "ms": 12.5, "ok": True},
        "trace_id": TRACE,
        "span_id": SPAN,
    }


async def test_headers_say_what_records_do_not(ways: Ways) -> None:
    headers = JSON | {"traceparent": f"00-{TRACE}-{SPAN}-01", "x-correlation-id": "order-7", "x-request-id": "r1"}
    own = {"message": "own", "trace_id": "f" * 32, "correlation_id": "mine", "requestId": "r2"}
    await ways.client.post(LOGS, headers=headers, json=[{"message": "bare"}, own])
    bare, kept = ways.rows()
    assert (bare["trace_id"], bare["span_id"]) == (TRACE, SPAN)
    assert bare["attributes"] == {"correlation_id": "order-7", "request_id": "r1"}
    assert (kept["trace_id"], kept["span_id"]) == ("f" * 32, "")
    assert kept["attributes"] == {"correlation_id": "mine", "requestId": "r2"}


async def test_items_that_cannot_be_read_are_named_and_the_others_stored(ways: Ways) -> None:
    body = [DOCUMENT, 5, {"time": "yesterday"}, {"ts": 1000, "msg": "old"}, {"ts": NOW + 10**15}, {"message": "last"}]
    response = await ways.client.post(LOGS, headers=JSON, json=body)
    answer = response.json()
    assert (response.status_code, answer["accepted"], answer["rejected"]) == (200, 2, 4)
    assert [(each["place"], each["reason"]) for each in answer["errors"]] == [
        (1, "malformed_item"),
        (2, "malformed_item"),
        (3, "too_old"),
        (4, "too_far_ahead"),
    ]
    assert "yesterday" in answer["errors"][1]["message"]
    assert [row["place"] for row in ways.rows()] == [0, 5]


async def test_where_nothing_can_be_stored_it_is_a_client_error_and_counted(ways: Ways) -> None:
    response = await ways.client.post(LOGS, headers=JSON, json={"time": "yesterday"})
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")
    assert response.json()["errors"][0]["place"] == 0
    assert [(each.reason, each.items) for each in ways.batches()[0].rejections] == [("malformed_item", 1)]


@pytest.mark.parametrize("path", [LOGS, BULK, PUSH])
async def test_equal_records_are_several_unless_a_key_says_that_they_are_one(ways: Ways, path: str) -> None:
    headers, body = REQUESTS[path]
    for key in (None, None, "a", "a", "b"):
        more = {} if key is None else {"idempotency-key": key}
        assert (await ways.client.post(path, headers=headers | more, content=body)).is_success
    first, second, third, fourth, fifth = [request.digest for request in ways.store.requests]
    assert third == fourth
    assert len({first, second, third, fifth}) == 4
    assert {request.endpoint for request in ways.store.requests} == {path}


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_that_is_none(ways: Ways, key: str) -> None:
    response = await ways.client.post(LOGS, headers=JSON | {"idempotency-key": key}, json=DOCUMENT)
    assert response.status_code == 400
    assert "Idempotency-Key" in response.json()["detail"]


async def test_bulk_says_of_each_item_what_became_of_it(ways: Ways) -> None:
    lines = [
        *('{"create":{"_index":"a"}}', json.dumps(DOCUMENT)),
        '{"delete":{"_index":"a","_id":"1"}}',
        *('{"update":{"_index":"a","_id":"2"}}', '{"doc":{}}'),
        *('{"index":{"_id":"mine"}}', json.dumps(DOCUMENT | {"@timestamp": 1000})),
        *('{"index":{}}', "{oops"),
        *('{"index":{"_index":"b"}}', json.dumps(DOCUMENT)),
    ]
    response = await ways.client.post("/elasticsearch/fallback/_bulk", headers=LINES, content="\n".join(lines).encode())
    answer = response.json()
    assert (response.status_code, answer["errors"]) == (200, True)
    assert [next(iter(item)) for item in answer["items"]] == ["create", "delete", "update", "index", "index", "index"]
    results = [next(iter(item.values())) for item in answer["items"]]
    assert [result["status"] for result in results] == [201, 400, 400, 400, 400, 201]
    assert [result["_index"] for result in results] == ["a", "a", "a", "fallback", "fallback", "b"]
    assert "too_old" in results[3]["error"]["reason"]
    # The id is the record's: GET /api/v1/logs/{id} finds it.
    assert results[5]["_id"] == f"{ways.store.requests[0].digest.hex}-5"
    assert [row["place"] for row in ways.rows()] == [0, 5]


async def test_what_the_store_refuses_is_told_of_these_items_alone(ways: Ways) -> None:
    ways.store.refuses = (1,)
    lines = ['{"create":{}}', json.dumps(DOCUMENT)] * 2 + ['{"delete":{"_id":"1"}}']
    response = await ways.client.post(BULK, headers=LINES, content="\n".join(lines).encode())
    results = [next(iter(item.values())) for item in response.json()["items"]]
    assert [result["status"] for result in results] == [201, 400, 400]
    assert results[1]["error"]["reason"] == "refused_by_database: too deep"

    response = await ways.client.post(LOGS, headers=JSON, json=[DOCUMENT] * 3)
    assert (response.status_code, response.json()["accepted"], response.json()["rejected"]) == (200, 2, 1)
    assert response.json()["errors"] == [{"place": 1, "reason": "refused_by_database", "message": "too deep"}]


async def test_a_bulk_request_that_is_sent_again_for_an_item_that_was_refused_is_the_same(ways: Ways) -> None:
    timed, timeless = json.dumps(DOCUMENT), json.dumps({"message": "tick"})

    async def digest(path: str, *documents: str) -> UUID:
        lines = [line for document in documents for line in ('{"create":{}}', document)]
        response = await ways.client.post(path, headers=LINES, content="\n".join(lines).encode())
        stored = ways.store.requests[-1]
        created = [item["create"]["_id"] for item in response.json()["items"] if item["create"]["status"] == 201]
        assert created == [f"{stored.digest.hex}-{row['place']}" for row in ways.rows()[-len(created) :]]
        return stored.digest

    assert await digest(BULK, timed, "{oops") == await digest(BULK, timed, "{oops")
    assert await digest(BULK, timed, "{oops") != await digest("/elasticsearch/other/_bulk", timed, "{oops")
    assert await digest(BULK, timed) != await digest(BULK, timed)
    assert await digest(BULK, timeless, "{oops") != await digest(BULK, timeless, "{oops")


async def test_a_key_at_another_endpoint_is_another_request(ways: Ways) -> None:
    for path in (LOGS, BULK, PUSH):
        headers, body = REQUESTS[path]
        assert (await ways.client.post(path, headers=headers | {"idempotency-key": "a"}, content=body)).is_success
    assert len({request.digest for request in ways.store.requests}) == 3


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "request body is required"),
        (b'{"create":{}}\n{"a":1}\nnot json\n', "line [3]"),
        (b'{"drop":{}}\n{}\n', "found [drop]"),
        (b"[]\n", "line [1]"),
        (b'{"create":5}\n{}\n', "line [1]"),
    ],
)
async def test_a_bulk_request_that_cannot_be_followed_is_refused_whole(ways: Ways, body: bytes, says: str) -> None:
    response = await ways.client.post(BULK, headers=LINES, content=body)
    answer = response.json()
    assert (response.status_code, answer["status"]) == (400, 400)
    assert says in answer["error"]["reason"]
    assert ways.store.requests == []


async def test_a_push_that_is_refused_in_part_says_so_as_loki_does(ways: Ways) -> None:
    streams = [
        {"stream": {"job": "api"}, "values": [[str(NOW), "good"], ["1000", "old"], ["x", "no time"], [str(NOW), 5]]},
        {"labels": "{broken", "entries": [{"ts": "2026-09-21T14:13:20Z", "line": "lost"}]},
    ]
    response = await ways.client.post(PUSH, headers=JSON, json={"streams": streams})
    assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert "total ignored: 4 out of 5" in response.text
    assert "entry 1 ignored, reason: too_old" in response.text
    assert [row["body"] for row in ways.rows()] == ["good"]


async def test_the_level_in_a_line_is_found_where_labels_have_none(ways: Ways) -> None:
    lines = ["level=warn x", '{"lvl": "ERROR"}', "levels=warn", "severity: nonsense", "x" * 2000 + " level=error"]
    values = [[str(NOW), line] for line in lines]
    await ways.client.post(PUSH, headers=JSON, json={"streams": [{"stream": {}, "values": values}]})
    assert [row["severity"] for row in ways.rows()] == [(13, "warn"), (17, "ERROR"), (0, ""), (0, ""), (0, "")]


LARGE = b'{"message":"' + b"x" * LIMIT + b'"}'


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        (LOGS, JSON, b"", 400),
        (LOGS, JSON, b"{", 400),
        (LOGS, JSON, b"no\njson\n", 400),
        (LOGS, {"content-type": "text/plain"}, b"{}", 415),
        (LOGS, {}, b"{}", 415),
        (BULK, {}, b"{}", 406),
        (PUSH, {"content-type": "text/plain"}, b"{}", 415),
        (LOGS, JSON, LARGE, 413),
        (LOGS, JSON | {"content-encoding": "gzip"}, gzip.compress(LARGE), 413),
        (LOGS, JSON | {"content-encoding": "br"}, b"x", 415),
        (BULK, LINES | {"content-encoding": "gzip"}, b"x", 400),
        (LOGS, JSON, b"[" + b"1," * 300_000 + b"1]", 413),
        (LOGS, JSON, b"[" * 200_000, 400),
        (LOGS, JSON, b'{"a":' * 1100 + b"1" + b"}" * 1100, 400),
        (PUSH, PROTOBUF, bytes(cramjam.snappy.compress_raw(bytes(LIMIT + 1))), 413),
        (PUSH, PROTOBUF, b"\xff\xff\xff\xff\x0f", 413),
        (PUSH, PROTOBUF, b"not snappy", 400),
        (PUSH, PROTOBUF, bytes(cramjam.snappy.compress_raw(b"not protobuf")), 400),
        (PUSH, JSON, b"[]", 400),
        (PUSH, JSON, b'{"streams":[{}]}', 400),
    ],
)  # fmt: skip
async def test_what_is_hostile_or_broken_is_refused(ways: Ways, path: str, headers: dict[str, str], body: bytes, status: int) -> None:
    response = await ways.client.post(path, headers=headers, content=body)
    assert (response.status_code, response.text[:200] if response.status_code != status else "") == (status, "")
    assert response.content
    assert ways.store.requests == []


async def test_many_tiny_items_are_bounded_by_what_they_take() -> None:
    """A line of three bytes becomes a row of 450."""
    async with receiving_ways(limit=1 << 22) as ways:
        response = await ways.client.post(LOGS, headers=LINES, content=b"{}\n" * 1_000_000)
        assert response.status_code == 413
        labels = b'{a="' + b"x" * 60_000 + b'"}'
        pushed = b"\x0a" + _varint(len(labels)) + labels + b"\x12\x02\x12\x00" * 5000
        body = bytes(cramjam.snappy.compress_raw(b"\x0a" + _varint(len(pushed)) + pushed))
        assert (await ways.client.post(PUSH, headers=PROTOBUF, content=body)).status_code == 413
        assert ways.store.requests == []


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


async def test_deep_nesting_is_kept_as_text(ways: Ways) -> None:
    deep: object = "bottom"
    for _ in range(60):
        deep = {"a": deep}
    response = await ways.client.post(LOGS, headers=JSON, json={"message": "m", "deep": deep})
    assert response.json()["accepted"] == 1
    found = ways.rows()[0]["attributes"]["deep"]
    for _ in range(20):
        found = found["a"]
    assert isinstance(found, str)
    assert found.count("a") == 40


@pytest.mark.parametrize("path", [LOGS, BULK, PUSH])
async def test_while_the_store_is_away_clients_are_told_to_come_back(ways: Ways, path: str) -> None:
    ways.store.failure = Unavailable("the database is away")
    headers, body = REQUESTS[path]
    response = await ways.client.post(path, headers=headers, content=body)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert "the database is away" in response.text


@pytest.mark.parametrize("path", [LOGS, BULK, PUSH])
async def test_a_defect_is_500_without_its_inside(ways: Ways, path: str) -> None:
    ways.store.failure = ZeroDivisionError("secret detail")
    headers, body = REQUESTS[path]
    response = await ways.client.post(path, headers=headers, content=body)
    assert response.status_code == 500
    assert "secret" not in response.text


TOKEN = "0123456789abcdef"


def basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "let_in"),
    [
        (f"Bearer {TOKEN}", True),
        (f"Basic {basic('fluent', TOKEN)}", True),
        (f"ApiKey {basic('id', TOKEN)}", True),
        (f"ApiKey {TOKEN}", True),
        (f"Basic {basic(TOKEN, 'x')}", False),
        (f"Basic {TOKEN}", False),
        ("Basic !", False),
        ("Bearer wrong", False),
        ("Bearer", False),
        (None, False),
    ],
)
@pytest.mark.parametrize("path", [LOGS, BULK, PUSH])
async def test_the_token_as_shippers_can_send_it(path: str, authorization: str | None, let_in: bool) -> None:
    headers, body = REQUESTS[path]
    async with receiving_ways(TOKEN) as ways:
        more = {} if authorization is None else {"authorization": authorization}
        response = await ways.client.post(path, headers=headers | more, content=body)
        assert response.is_success if let_in else response.status_code == 401
        assert len(ways.store.requests) == let_in


async def test_other_methods_and_paths(ways: Ways) -> None:
    for path in (BULK, PUSH):
        response = await ways.client.delete(path)
        assert response.status_code == 405
        assert "POST" in response.headers["allow"]
    assert (await ways.client.get("/elasticsearch/_search")).status_code == 404
    # Not one of these ways: the receiver of OTLP says so.
    assert (await ways.client.get("/api/v1/logs")).json()["code"] == 5
