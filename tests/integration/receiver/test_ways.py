"""Logs that are sent without OTLP to the whole product, and read by its API: Elasticsearch's own client, Loki's form, plain JSON."""

from __future__ import annotations

import time
import uuid

import cramjam
import elasticsearch
import elasticsearch.helpers
import httpx
import pytest

from tests.servers.product import Product
from tidegauge.logforms.loki import LokiReader


@pytest.fixture
def service() -> str:
    """A name that no other test has."""
    return f"ways-{uuid.uuid4().hex[:12]}"


async def found(product: Product, service: str) -> list[dict[str, object]]:
    """What is stored of a service, oldest first."""
    async with product.api() as api:
        answer = await api.get("/api/v1/logs", params={"service": service, "order": "asc", "attributes": "map", "limit": 100})
        assert answer.status_code == 200, answer.text
        logs: list[dict[str, object]] = answer.json()["logs"]
        return logs


@pytest.mark.parametrize("port", ["receivers", "api"])
async def test_elasticsearchs_client_sends_in_bulk(product: Product, service: str, port: str) -> None:
    url = product.otlp_url if port == "receivers" else f"{product.api_url}/elasticsearch"
    now = time.time_ns()
    documents = [
        {"@timestamp": now + place, "message": f"paid {place}", "service": service, "log": {"level": "warn"}} for place in range(50)
    ]
    late = {"@timestamp": 1000, "message": "late", "service": service}
    actions = [{"_op_type": "create", "_index": "logs-shop-prod", "_source": document} for document in [*documents, late]]
    async with elasticsearch.AsyncElasticsearch(url) as client:
        assert (await client.info())["version"]["number"].startswith("8.")
        stored, errors = await elasticsearch.helpers.async_bulk(client, actions, raise_on_error=False)
    assert stored == 50
    (error,) = errors
    assert error["create"]["status"] == 400
    assert "too_old" in error["create"]["error"]["reason"]
    logs = await found(product, service)
    assert [log["body"] for log in logs] == [f"paid {place}" for place in range(50)]
    assert {log["severity_number"] for log in logs} == {13}


async def test_what_the_answer_calls_a_document_is_its_log_id(product: Product, service: str) -> None:
    async with product.api() as api:
        body = f'{{"index":{{}}}}\nno document\n{{"index":{{}}}}\n{{"message":"one","service":"{service}"}}\n'
        answer = await api.post("/elasticsearch/_bulk", content=body, headers={"content-type": "application/x-ndjson"})
        log_id = answer.json()["items"][1]["index"]["_id"]
        assert log_id.endswith("-1")
        read = await api.get(f"/api/v1/logs/{log_id}")
    assert (read.status_code, "one" in read.text) == (200, True)


async def test_lokis_push(product: Product, service: str) -> None:
    reader = LokiReader()
    entry = reader._entry(line=b"level=error payment refused")
    entry.timestamp.seconds, entry.timestamp.nanos = divmod(time.time_ns(), 10**9)
    entry.metadata.add(name=b"trace_id", value=b"0102030405060708090a0b0c0d0e0f10")
    stream = reader._stream(labels=f'{{service_name="{service}", host="a"}}'.encode(), entries=[entry.SerializeToString()])
    body = bytes(cramjam.snappy.compress_raw(reader._push(streams=[stream.SerializeToString()]).SerializeToString()))
    async with httpx.AsyncClient() as client:
        headers = {"content-type": "application/x-protobuf", "x-scope-orgid": "team-a"}
        answer = await client.post(f"{product.otlp_url}/loki/api/v1/push", content=body, headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.get(f"{product.otlp_url}/ready")).text == "ready\n"
    (log,) = await found(product, service)
    assert (log["body"], log["trace_id"], log["severity_text"]) == (
        "level=error payment refused",
        "0102030405060708090a0b0c0d0e0f10",
        "error",
    )


async def test_a_resend_with_its_key_is_stored_once_and_without_one_again(product: Product, service: str) -> None:
    # No time of its own: by its bytes it could not be told from another like it.
    record = {"message": "declined", "service": service, "level": "error"}
    key = {"idempotency-key": uuid.uuid4().hex}
    async with product.api() as api:
        answers = [(await api.post("/api/v1/logs", json=record, headers=headers)).json() for headers in (key, key, {}, {})]
    assert answers == [
        {"accepted": 1, "rejected": 0},
        {"accepted": 1, "rejected": 0, "repeated": True},
        {"accepted": 1, "rejected": 0},
        {"accepted": 1, "rejected": 0},
    ]
    assert len(await found(product, service)) == 3
