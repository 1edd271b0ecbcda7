"""The data stream on a server: its template, how long it is kept, and what is said where there is none."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.contract.log_stores import Noted, Stores, on_elasticsearch, record, request
from tidegauge.config import LogsSettings
from tidegauge.errors import ConfigurationError, Unavailable
from tidegauge.health.circuits import unguarded
from tidegauge.model.query import LogFilter, TimeRange
from tidegauge.storage.elasticsearch import Lifecycle, opened, status
from tidegauge.storage.elasticsearch.client import Client, connected
from tidegauge.storage.elasticsearch.documents import Stream
from tidegauge.storage.elasticsearch.repeats import Repeats
from tidegauge.storage.elasticsearch.retention import Retention
from tidegauge.storage.elasticsearch.schema import prepare, template_name

NOW = time.time_ns()
DAY = timedelta(days=1)


def settings(url: str) -> LogsSettings:
    return LogsSettings(elasticsearch_url=url, elasticsearch_timeout=timedelta(seconds=20))  # type: ignore[arg-type]


@pytest_asyncio.fixture
async def stores(elasticsearch_url: str) -> AsyncIterator[Stores]:
    """A stream of a test's own."""
    async with on_elasticsearch(elasticsearch_url) as opened:
        yield opened


@pytest_asyncio.fixture
async def client(elasticsearch_url: str) -> AsyncIterator[Client]:
    """For looking at what is there."""
    async with connected(settings(elasticsearch_url)) as opened:
        yield opened


def stream_of(stores: Stores) -> str:
    name: Any = stores.logs
    return str(name._stream)


async def indices(client: Client, stream: str) -> list[str]:
    found = await client.api.indices.get(index=stream, filter_path="*.settings.index.uuid")
    return sorted(found.body)


async def test_the_mapping_is_closed_and_small(stores: Stores, client: Client) -> None:
    await stores.commit(request([record(NOW, "one", {f"key.{place}.{place % 7}": place for place in range(3000)})]))
    (index,) = await indices(client, stream_of(stores))
    told = (await client.api.indices.get(index=index)).body[index]
    fields = (await client.api.field_caps(index=index, fields="*", filters="-metadata")).body["fields"]
    assert len(fields) < 100
    assert told["settings"]["index"]["translog"]["durability"] == "request"
    assert told["mappings"]["dynamic"] == "false"


async def test_its_status_says_what_is_in_it(stores: Stores, client: Client, elasticsearch_url: str) -> None:
    _, dataset, namespace = stream_of(stores).replace(".otel", "").split("-")
    chosen = settings(elasticsearch_url).model_copy(update={"dataset": dataset, "namespace": namespace})
    assert (await status(chosen)).records == 0
    await stores.commit(request([record(NOW + place, "one") for place in range(3)]))
    await client.api.indices.refresh(index=stream_of(stores))
    found = await status(chosen)
    assert (found.data_stream, found.records, found.indices, found.error) == (stream_of(stores), 3, 1, "")
    assert found.bytes > 0


async def test_ecs_names_find_what_opentelemetry_names_hold(stores: Stores, client: Client) -> None:
    await stores.commit(request([record(NOW, "hello world", severity_text="WARN", trace_id=b"t" * 16, span_id=b"s" * 8)]))
    for query in (
        {"match": {"message": "hello"}},
        {"term": {"log.level": "WARN"}},
        {"term": {"trace.id": (b"t" * 16).hex()}},
        {"term": {"span.id": (b"s" * 8).hex()}},
        {"term": {"service.name": "shop"}},
        {"term": {"resource.attributes.service.name": "shop"}},
    ):
        assert (await client.search(stream_of(stores), query=query))["hits"]["total"]["value"] == 1, query


async def test_preparing_again_changes_nothing(stores: Stores, client: Client) -> None:
    await stores.commit(request([record(NOW, "one")]))
    stream = stream_of(stores)
    before = await indices(client, stream)
    dataset = stream.removeprefix("logs-").partition(".")[0]
    await asyncio.gather(*(prepare(client, Stream(dataset, "test"), timedelta(days=7)) for _ in range(3)))
    assert await indices(client, stream) == before
    templates = (await client.api.indices.get_index_template(name=f"tidegauge-logs-{dataset}-test")).body["index_templates"]
    assert [each["index_template"]["index_patterns"] for each in templates] == [[stream]]


async def test_old_indices_are_dropped_and_others_are_not(stores: Stores, client: Client) -> None:
    stream = stream_of(stores)
    if (await client.api.perform_request("GET", "/_nodes/plugins", params={"filter_path": "nodes.*.modules.name"})).body.__str__().find(
        "'data-streams'"
    ) >= 0:
        pytest.skip("this server sees to the retention itself")
    old, young = NOW - 40 * 86_400 * 10**9, NOW - 86_400 * 10**9
    await stores.commit(request([record(old, "old")]))
    await stores.roll_over()
    await stores.commit(request([record(old, "old, beside a young one"), record(young, "young")]))
    await stores.roll_over()
    await stores.commit(request([record(NOW, "now")]))
    first, *others = await indices(client, stream)
    retention = Retention(client, stream, 30 * DAY, DAY, time.time_ns)
    assert await retention.apply() == [first]
    assert await indices(client, stream) == others
    # Two days later the newest index has had its day, and after a month all that is written is gone.
    assert await Retention(client, stream, 30 * DAY, timedelta(milliseconds=1), lambda: time.time_ns() + 10**10).apply() == []
    assert len(await indices(client, stream)) == 3
    assert len(await Retention(client, stream, 30 * DAY, 300 * DAY, lambda: time.time_ns() + 40 * 86_400 * 10**9).apply()) == 2
    found = await stores.logs.find_logs(0, LogFilter(TimeRange(0, 2 * NOW)), 10, None)
    assert not found.rows


async def test_a_stream_that_is_not_there_holds_nothing(elasticsearch_url: str, client: Client) -> None:
    from tidegauge.model.query import LogField
    from tidegauge.storage.elasticsearch.logs import ElasticsearchLogStore

    logs = ElasticsearchLogStore(client, "logs-nobody.otel-test")
    wanted = LogFilter(TimeRange(0, 2 * NOW))
    assert not (await logs.find_logs(0, wanted, 10, None)).rows
    assert not await logs.count_logs(0, wanted, 10**9)
    assert not await logs.top_values(0, wanted, LogField.SERVICE, 5)
    assert await logs.log(0, "0" * 32 + "-1") is None
    assert await logs.delete_logs(0, wanted) == 0


async def _answering(status: str, body: bytes, headers: str = "") -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{headers}connection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


_PRODUCT = "x-elastic-product: Elasticsearch\r\n"


@pytest.mark.parametrize(
    ("status", "body", "headers", "error", "said"),
    [
        ("200 OK", b"{}", "", ConfigurationError, "no Elasticsearch"),
        ("200 OK", b'{"version": {"number": "8.18.4"}}', _PRODUCT, ConfigurationError, "8.18.4 is too old"),
        ("200 OK", b'{"version": {"number": "7.17.0"}}', _PRODUCT, ConfigurationError, "7.17.0 is too old"),
        ("401 Unauthorized", b'{"error": {"reason": "missing credentials"}}', _PRODUCT, Unavailable, "missing credentials.*API_KEY"),
        ("503 Service Unavailable", b'{"error": {"reason": "no master"}}', _PRODUCT, Unavailable, "no master"),
    ],
)
async def test_what_is_wrong_with_a_server_is_said(status: str, body: bytes, headers: str, error: type[Exception], said: str) -> None:
    server = await _answering(status, body, headers)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with connected(settings(f"http://127.0.0.1:{port}")) as client:
            with pytest.raises(error, match=said):
                await client.version()


async def test_nobody_there_is_said() -> None:
    async with connected(settings("http://127.0.0.1:9")) as client:
        with pytest.raises(Unavailable, match=r"does not answer.*ELASTICSEARCH_URL"):
            await client.ping()


async def test_a_template_that_is_gone_is_put_back(elasticsearch_url: str, client: Client) -> None:
    stream = Stream(f"gone_{uuid.uuid4().hex[:12]}", "test")
    place = settings(elasticsearch_url).model_copy(update={"dataset": stream.dataset, "namespace": stream.namespace})
    kept = Lifecycle(DAY, DAY, timedelta(hours=1))
    async with opened(place, kept, unguarded, Noted(), time.time_ns) as stores:
        # As where another server, which is empty, has taken the place of the one that there was.
        await client.api.indices.delete_index_template(name=template_name(stream))
        one = request([record(NOW, "one")])
        with pytest.raises(Unavailable, match="data stream"):
            await stores.ingest.commit([one])
        (outcome,) = await stores.ingest.commit([one])
        assert (outcome.rejected, outcome.repeated) == (0, False)
    (index,) = await indices(client, stream.name)
    told = (await client.api.indices.get(index=index)).body[index]
    assert (told["data_stream"], told["mappings"]["_meta"]["product"]) == (stream.name, "tidegauge")


async def test_of_attempts_across_two_rollovers_one_copy_is_left(stores: Stores, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ended(*_: object) -> None:
        raise Unavailable("it went away between the copy and its removal")

    one = request([record(NOW + place, f"n{place}") for place in range(5)])
    await stores.commit(one)
    await stores.roll_over()
    with monkeypatch.context() as broken, pytest.raises(Unavailable):
        broken.setattr(Repeats, "remove", ended)
        await stores.commit(one)
    await stores.roll_over()
    (outcome,) = await stores.commit(one)
    assert outcome.rejected == 0
    counts = [(await client.api.count(index=index)).body["count"] for index in await indices(client, stream_of(stores))]
    assert counts == [5, 0, 0]
