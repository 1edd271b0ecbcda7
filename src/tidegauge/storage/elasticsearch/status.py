"""What is in the data stream of logs, for who looks after it."""

from __future__ import annotations

from typing import Any

from elasticsearch import NotFoundError

from tidegauge.config import LogsSettings
from tidegauge.errors import TidegaugeError
from tidegauge.storage.elasticsearch import LogStoreStatus
from tidegauge.storage.elasticsearch.client import Client, connected, failures
from tidegauge.storage.elasticsearch.documents import Stream


async def read(settings: LogsSettings) -> LogStoreStatus:
    """The stream as it is, or what is wrong; never fails."""
    stream = Stream(settings.dataset, settings.namespace).name
    try:
        async with connected(settings) as client:
            major, minor = await client.version()
            told = await _statistics(client, stream)
    except TidegaugeError as error:
        return LogStoreStatus(stream, error=str(error))
    primaries = told.get("_all", {}).get("primaries", {})
    return LogStoreStatus(
        stream,
        version=f"{major}.{minor}",
        records=primaries.get("docs", {}).get("count", 0),
        bytes=primaries.get("store", {}).get("size_in_bytes", 0),
        indices=len(told.get("indices", {})),
    )


async def _statistics(client: Client, stream: str) -> dict[str, Any]:
    with failures("tell what it has"):
        try:
            answer = await client.api.indices.stats(index=stream, metric=["docs", "store"], filter_path="_all.primaries,indices.*.uuid")
        except NotFoundError:
            # The first record makes it.
            return {}
    return answer.body  # type: ignore[no-any-return]
