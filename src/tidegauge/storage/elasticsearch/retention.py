"""How long logs are kept: by data stream lifecycle where the server has it, else by us."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from elasticsearch import ApiError, BadRequestError, NotFoundError

from tidegauge.storage.elasticsearch.client import Client, failures
from tidegauge.storage.elasticsearch.template import lifecycle_retention

_logger = logging.getLogger(__name__)
_METHOD_NOT_ALLOWED = 405


class Retention:
    """Applied again and again, by one process or by several.

    Args:
        client: the cluster.
        stream: the data stream.
        retention: age at which records are dropped.
        chunk: time that a backing index of ours spans, where we see to it.
        now_ns: the clock.

    """

    def __init__(self, client: Client, stream: str, retention: timedelta, chunk: timedelta, now_ns: Callable[[], int]) -> None:
        self._client = client
        self._stream = stream
        self._retention = retention
        self._chunk = chunk
        self._now_ns = now_ns

    async def apply(self) -> list[str]:
        """Tell the server the retention, or roll the stream over and drop its old indices; which were dropped.

        Raises:
            Unavailable: Elasticsearch does not answer.

        """
        with failures("apply the retention"):
            if await self._by_lifecycle():
                return []
            found = await self._client.api.indices.get(
                index=self._stream, ignore_unavailable=True, filter_path="*.settings.index.creation_date"
            )
            created = {name: int(told["settings"]["index"]["creation_date"]) for name, told in found.body.items()}
            if not created:
                return []
            newest = max(created, key=lambda name: (created[name], name))
            if self._now_ns() // 1_000_000 - created[newest] >= self._chunk / timedelta(milliseconds=1):
                await self._client.api.indices.rollover(
                    alias=self._stream, conditions={"max_age": f"{round(self._chunk.total_seconds())}s", "min_docs": 1}
                )
            return [name for name in sorted(created) if name != newest and await self._drop(name)]

    async def _by_lifecycle(self) -> bool:
        """Whether the server sees to it."""
        try:
            await self._client.api.indices.put_data_lifecycle(name=self._stream, data_retention=lifecycle_retention(self._retention))
        except NotFoundError:
            # No stream yet: the template will tell it.
            return True
        except BadRequestError:
            return False
        except ApiError as error:
            if error.meta.status == _METHOD_NOT_ALLOWED:
                return False
            raise
        return True

    async def _drop(self, index: str) -> bool:
        """Delete an index whose newest record is too old; an empty one at once."""
        answer: Any = await self._client.api.search(index=index, size=0, aggs={"newest": {"max": {"field": "@timestamp"}}})
        newest_ms = answer.body["aggregations"]["newest"]["value"]
        oldest_kept = self._now_ns() // 1_000_000 - self._retention / timedelta(milliseconds=1)
        if newest_ms is not None and newest_ms >= oldest_kept:
            return False
        await self._client.api.indices.delete(index=index, ignore_unavailable=True)
        _logger.info("%s is older than %s: dropped", index, self._retention)
        return True
