"""Log stores of each adapter, and requests to fill them with."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import blake2b
from typing import Any

from elasticsearch import BadRequestError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tests.servers.timescaledb import TestDatabase
from tidegauge.config import LogsSettings, Settings
from tidegauge.model.batch import Signal
from tidegauge.model.records import StoredLog
from tidegauge.otlp.budget import Budget
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding
from tidegauge.runtime import opened
from tidegauge.storage.elasticsearch.client import Client, connected
from tidegauge.storage.elasticsearch.documents import Stream
from tidegauge.storage.elasticsearch.ingest import ElasticsearchIngestStore
from tidegauge.storage.elasticsearch.logs import ElasticsearchLogStore
from tidegauge.storage.elasticsearch.schema import prepare, template_name
from tidegauge.storage.interface import IngestOutcome, IngestRequest, IngestStore, LogStore
from tidegauge.storage.postgres.ingest import PostgresIngestStore
from tidegauge.storage.postgres.logs import PostgresLogStore


@dataclass
class Stores:
    """A log store, and how it is filled. ``refresh`` returns when everything acknowledged can be found."""

    kind: str
    ingest: IngestStore
    logs: LogStore
    refresh: Callable[[], Awaitable[None]]
    roll_over: Callable[[], Awaitable[None]]
    tenant_id: int

    async def commit(self, *requests: IngestRequest) -> Sequence[IngestOutcome]:
        """Store requests of this tenant and wait until they can be found."""
        outcomes = await self.ingest.commit([replace(request, tenant_id=self.tenant_id) for request in requests])
        await self.refresh()
        return outcomes


class Noted:
    """Remembers what was rejected."""

    def __init__(self) -> None:
        self.requests: list[IngestRequest] = []

    def note(self, requests: Sequence[IngestRequest]) -> None:
        self.requests += requests


async def _nothing() -> None:
    await asyncio.sleep(0)


@asynccontextmanager
async def on_timescaledb(database: TestDatabase, settings: Settings) -> AsyncIterator[Stores]:
    """On the tests' database, a tenant of its own."""
    tenant_id = random.randrange(1000, 32000)
    async with opened(settings, database.owner_dsn) as connections:
        ingest = PostgresIngestStore(connections, time.time_ns, timedelta(hours=1))
        yield Stores("timescaledb", ingest, PostgresLogStore(connections), _nothing, _nothing, tenant_id)


@asynccontextmanager
async def on_elasticsearch(url: str, tenant_id: int = 0, noted: Noted | None = None) -> AsyncIterator[Stores]:
    """On a server, a data stream of its own, which is deleted at the end."""
    stream = Stream(f"contract_{uuid.uuid4().hex[:12]}", "test")
    settings = LogsSettings(elasticsearch_url=url, elasticsearch_timeout=timedelta(seconds=30))  # type: ignore[arg-type]
    async with connected(settings) as client:
        await prepare(client, stream, timedelta(days=30))

        async def refresh() -> None:
            await client.api.indices.refresh(index=stream.name)

        async def roll_over() -> None:
            await client.api.indices.rollover(alias=stream.name)

        ingest = ElasticsearchIngestStore(client, stream, timedelta(hours=1), noted or Noted(), in_flight=4, now_ns=time.time_ns)
        try:
            yield Stores("elasticsearch", ingest, ElasticsearchLogStore(client, stream.name), refresh, roll_over, tenant_id)
        finally:
            await _drop(client, stream)


async def _drop(client: Client, stream: Stream) -> None:
    """Delete a data stream; where the server has no such call, all but an empty index of it."""
    try:
        await client.api.indices.delete_data_stream(name=stream.name)
        await client.api.indices.delete_index_template(name=template_name(stream))
    except BadRequestError:
        answer = await client.api.indices.rollover(alias=stream.name)
        names = await client.api.indices.get(index=stream.name, filter_path="*.settings.index.uuid")
        await client.api.indices.delete(index=[name for name in names.body if name != answer.body["new_index"]])


def any_value(value: Any) -> AnyValue:
    """An attribute's value."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case str():
            return AnyValue(string_value=value)
        case dict():
            found = AnyValue()
            found.kvlist_value.values.extend(key_values(value))
            return found
        case list():
            found = AnyValue()
            found.array_value.values.extend([any_value(each) for each in value])
            return found
    return AnyValue()


def key_values(attributes: dict[str, Any]) -> list[KeyValue]:
    """Attributes as they are sent."""
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def record(time_ns: int, body: Any = None, attributes: dict[str, Any] | None = None, **fields: Any) -> LogRecord:
    """A log record."""
    made = LogRecord(time_unix_nano=time_ns, attributes=key_values(attributes or {}), **fields)
    if body is not None:
        made.body.CopyFrom(any_value(body))
    return made


def request(records: Sequence[LogRecord], resource: dict[str, Any] | None = None, scope: str = "") -> IngestRequest:
    """A request as the ingestor hands it to a store."""
    message = ExportLogsServiceRequest()
    outer = message.resource_logs.add()
    outer.resource.attributes.extend(key_values({"service.name": "shop"} if resource is None else resource))
    inner = outer.scope_logs.add()
    inner.scope.name = scope
    inner.log_records.extend(records)
    body = message.SerializeToString()
    return IngestRequest(
        tenant_id=0,
        signal=Signal.LOGS,
        endpoint="/v1/logs",
        digest=uuid.UUID(bytes=blake2b(body, digest_size=16).digest()),
        batch=Decoder().decode(Signal.LOGS, body, Encoding.PROTOBUF, Budget(len(body))),
        received_at_unix_nano=time.time_ns(),
        bytes=len(body),
    )


def comparable(found: StoredLog) -> StoredLog:
    """A record without what only a database knows of its application."""
    application = replace(found.resource.application, application_id=0, created_at_unix_nano=0, last_seen_unix_nano=0)
    return replace(found, resource=replace(found.resource, application=application))
