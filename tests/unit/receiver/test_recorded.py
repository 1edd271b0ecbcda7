"""Requests as Fluent Bit, Vector, Promtail and Elasticsearch's client send them: tests/fuzz/corpus/recorded says where they come from."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.fuzz.cases import CORPUS, Case
from tests.unit.receiver.ways import Ways, receiving_ways

FOLDER = CORPUS / "recorded"
TRACE = "0102030405060708090a0b0c0d0e0f10"
SECOND = 1_790_000_000_000_000_000
NOW = SECOND + 123_456_789


async def sent(name: str, ways: Ways) -> httpx.Response:
    case = Case.from_bytes((FOLDER / f"{name}.request").read_bytes())
    headers = [(key, value) for key, value in case.headers if key != b"content-length"]
    return await ways.client.request(case.method.decode(), case.path.decode(), headers=headers, content=case.body)


def brief(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["time"], row["body"], row["service"], row["severity"][0], row["trace_id"]


REFUSED = "2026-09-21 14:13:20 ERROR payment refused"
FLUENT_LINE = '{"level":"error","message":"payment refused"}'
VECTOR_LINE = (
    '{"host":"web-1","message":"payment refused","service":"checkout","source_type":"file","timestamp":"2026-09-21T14:13:20.123456789Z"}'
)
EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "elasticsearch-py-bulk": [(NOW, "paid 0", "checkout", 9, TRACE), (NOW, "paid 1", "checkout", 9, TRACE)],
    "elasticsearch-py-bulk-gzip": [(SECOND + 123_000_000, "é", "unknown_service", 0, "")],
    "fluent-bit-es": [
        (SECOND + 123_000_000, REFUSED, "unknown_service", 0, ""),
        (SECOND + 124_000_000, "slow é", "unknown_service", 13, TRACE),
    ],
    "fluent-bit-es-gzip-basic": [
        (SECOND + 123_000_000, REFUSED, "unknown_service", 0, ""),
        (SECOND + 124_000_000, "slow é", "unknown_service", 13, TRACE),
    ],
    "fluent-bit-loki": [
        (NOW, FLUENT_LINE, "checkout", 17, ""),
        (NOW + 1_000_000, '{"log":"slow \\u00e9"}', "checkout", 0, ""),
    ],
    "fluent-bit-loki-metadata-gzip": [(NOW, "payment refused", "fluent-bit", 17, TRACE)],
    "vector-elasticsearch": [(NOW, "payment refused", "checkout", 0, ""), (SECOND + 124_000_000, "paid", "unknown_service", 9, "")],
    "vector-elasticsearch-data-stream-gzip": [
        (NOW, "payment refused", "checkout", 0, ""),
        (SECOND + 124_000_000, "paid", "unknown_service", 9, ""),
    ],
    "vector-loki-json-gzip": [(NOW, VECTOR_LINE, "unknown_service", 0, ""), (NOW + 1, "plain é", "unknown_service", 17, "")],
    "promtail-client-protobuf": [
        (NOW, f'level=error msg="payment refused" trace_id={TRACE}', "varlogs", 17, ""),
        (NOW + 1_000_000, '{"level":"warn","message":"slow","ms":12}', "varlogs", 13, ""),
        (NOW, "oom\tkilled é😀", 'node "a"\\b', 0, ""),
    ],
}
EXPECTED["promtail-client-json"] = EXPECTED["promtail-client-protobuf"]


@pytest.mark.parametrize("name", sorted(EXPECTED))
async def test_what_a_shipper_sends_is_stored_and_answered_as_it_expects(name: str) -> None:
    async with receiving_ways() as ways:
        response = await sent(name, ways)
        rows = ways.rows()
    assert [brief(row) for row in rows] == EXPECTED[name]
    if "loki" in name or "promtail" in name:
        # Anything but 204, and 200 to 205, is an error to all of them.
        assert (response.status_code, response.content) == (204, b"")
        return
    # Fluent Bit looks for these very bytes where an answer is longer than its buffer.
    assert response.status_code == 200
    assert b'"errors":false,"items":[' in response.content
    assert [item["status"] for each in response.json()["items"] for item in each.values()] == [201] * len(rows)


async def test_vector_reads_of_an_error_by_its_bytes() -> None:
    async with receiving_ways() as ways:
        body = b'{"create":{}}\n{"time":"yesterday"}\n'
        response = await ways.client.post("/_bulk", headers={"content-type": "application/x-ndjson"}, content=body)
    assert b'"errors":true' in response.content


async def test_vectors_snappy_keeps_streams_labels_and_metadata() -> None:
    async with receiving_ways() as ways:
        assert (await sent("vector-loki-snappy", ways)).status_code == 204
        first, second, third = ways.rows()
    assert first["attributes"] == {"forwarder": "vector", "host": "web-1", "trace_id": TRACE}
    assert (first["trace_id"], first["body"], second["severity"]) == (TRACE, VECTOR_LINE, (9, "info"))
    assert (third["service"], third["body"], third["time"]) == ("cart", "plain é", NOW + 2)


async def test_everything_else_in_a_document_is_kept() -> None:
    async with receiving_ways() as ways:
        await sent("vector-elasticsearch", ways)
        await sent("fluent-bit-es-gzip-basic", ways)
        await sent("elasticsearch-py-bulk", ways)
        found = [row["attributes"] for row in ways.rows()]
    assert found[1] == {"host": "web-1", "nested": {"a": {"b": [1, 2.5, None, True]}}, "elasticsearch.index": "vector-2026.09.21"}
    assert found[2]["kubernetes"] == {"pod_name": "checkout-7d9", "labels": {"app": "checkout"}}
    assert found[2]["elasticsearch.id"].startswith("5bd9ba2b")
    assert found[4]["labels"] == {"a.b": 1.5, "ok": True}


@pytest.mark.parametrize(
    "name", ["elasticsearch-py-info", "elasticsearch-py-ping", "vector-elasticsearch-healthcheck", "vector-loki-healthcheck"]
)
async def test_what_they_ask_before_they_send(name: str) -> None:
    async with receiving_ways() as ways:
        response = await sent(name, ways)
        assert response.status_code == 200
        assert not ways.store.requests
    if name == "elasticsearch-py-info":
        # The client raises UnsupportedProductError without the header.
        assert response.headers["x-elastic-product"] == "Elasticsearch"
        assert response.headers["content-type"] == "application/vnd.elasticsearch+json;compatible-with=8"
        assert response.json()["version"]["number"].startswith("8.")


async def test_a_shipper_learns_that_logs_cannot_be_stored() -> None:
    async with receiving_ways() as ways:
        ways.state.update(timescaledb="away", redis="ok")
        assert (await sent("vector-loki-healthcheck", ways)).status_code == 503
        assert json.loads((await sent("vector-elasticsearch-healthcheck", ways)).content)["status"] == "red"


async def test_logs_that_have_a_store_of_their_own_need_no_other() -> None:
    async with receiving_ways() as ways:
        ways.state.update(timescaledb="away", elasticsearch="ok")
        assert (await sent("vector-loki-healthcheck", ways)).status_code == 200
        ways.state.update(timescaledb="ok", elasticsearch="away")
        assert (await sent("vector-loki-healthcheck", ways)).status_code == 503


async def test_fluent_bits_opentelemetry_output_is_plain_otlp() -> None:
    async with receiving_ways() as ways:
        response = await sent("fluent-bit-opentelemetry", ways)
        assert (response.status_code, response.headers["content-type"]) == (200, "application/x-protobuf")
        assert [row["time"] for row in ways.rows()] == [NOW, NOW]


def test_every_recorded_request_is_looked_at() -> None:
    recorded = {path.stem for path in FOLDER.glob("*.request")}
    elsewhere = {name for name in recorded if "healthcheck" in name or name.endswith(("-info", "-ping"))}
    assert recorded == EXPECTED.keys() | elsewhere | {"vector-loki-snappy", "fluent-bit-opentelemetry"}
