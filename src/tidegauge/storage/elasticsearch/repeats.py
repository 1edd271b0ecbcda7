"""Resends across a rollover: a record's id is unique within a backing index, and a new one does not know the ids of the one before.

While a backing index is younger than the time in which requests are resent, what went into it is looked for in the older ones, before it is
acknowledged: what is there already is taken out of the new one again. So of an acknowledged record there is one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from tidegauge.errors import Unavailable
from tidegauge.storage.elasticsearch.client import Client, failures

_PAGE = 10_000
_DELETED = "errors,items.*.status"


@dataclass(frozen=True, slots=True)
class _Index:
    """A backing index that a stream went on to.

    Attributes:
        older: those before it, the oldest first.
        until_ns: until when (ns since the Unix epoch) resends are looked for.

    """

    older: tuple[str, ...]
    until_ns: int


class Repeats:
    """Finds and removes second copies.

    Args:
        client: the cluster.
        stream: the data stream.
        window: how long after a rollover resends are looked for.
        now_ns: the clock.

    """

    def __init__(self, client: Client, stream: str, window: timedelta, now_ns: Callable[[], int]) -> None:
        self._client = client
        self._stream = stream
        self._window_ns = round(window.total_seconds()) * 1_000_000_000
        self._now_ns = now_ns
        self._indices: dict[str, _Index] = {}

    def is_suspect(self, index: str) -> bool:
        """Whether copies may be in older indices of what is in this one."""
        known = self._indices.get(index)
        return known is None or (bool(known.older) and self._now_ns() < known.until_ns)

    async def remove(self, taken: Mapping[str, Mapping[str, list[str]]]) -> None:
        """Remove from an index what older ones hold already. ``taken``: index → request digest → ids.

        Raises:
            Unavailable: Elasticsearch is away; the records must not be acknowledged then.
            Overloaded: it has too much to do.

        """
        for index, digests in taken.items():
            known = self._indices.get(index) or await self._look_up(index)
            if known.older:
                ids = {each for ids in digests.values() for each in ids}
                copies = await self._in_older(known.older, list(digests))
                places = {each: [*copies[each], index] for each in ids & copies.keys()}
                # The first one stays, whoever looks: an attempt may have ended between its copy and this, and the stream gone on since.
                for place in {later for found in places.values() for later in found[1:]}:
                    await self._delete(place, sorted(each for each, found in places.items() if place in found[1:]))

    async def _look_up(self, index: str) -> _Index:
        with failures("look up its indices"):
            found = await self._client.api.indices.get(index=self._stream, filter_path="*.settings.index.creation_date")
            created = {name: int(told["settings"]["index"]["creation_date"]) for name, told in found.body.items()}
            born_ns = created.get(index, 0) * 1_000_000
            before = sorted((at, name) for name, at in created.items() if (at, name) < (created.get(index, 0), index))
            older = tuple(name for _, name in before)
            if older:
                # What was written there at the last moment must be found.
                await self._client.api.indices.refresh(index=list(older), ignore_unavailable=True)
        known = self._indices[index] = _Index(older, born_ns + self._window_ns)
        return known

    async def _in_older(self, older: tuple[str, ...], digests: list[str]) -> dict[str, list[str]]:
        """Of these requests' records in these indices the ids, each with those that hold it, the oldest first."""
        found: dict[str, list[str]] = defaultdict(list)
        after: list[Any] | None = None
        while True:
            answer = await self._client.search(
                ",".join(older),
                query={"bool": {"filter": [{"terms": {"tidegauge.request_digest": digests}}]}},
                source=False,
                size=_PAGE,
                sort=[{"tidegauge.request_digest": "asc"}, {"tidegauge.ordinal": "asc"}, {"_index": "asc"}],
                track_total_hits=False,
                **({} if after is None else {"search_after": after}),
            )
            hits = answer["hits"]["hits"]
            for hit in hits:
                found[hit["_id"]].append(hit["_index"])
            if len(hits) < _PAGE:
                return {each: sorted(indices, key=older.index) for each, indices in found.items()}
            after = hits[-1]["sort"]

    async def _delete(self, index: str, ids: list[str]) -> None:
        for start in range(0, len(ids), _PAGE):
            lines = [orjson.dumps({"delete": {"_id": each}}) + b"\n" for each in ids[start : start + _PAGE]]
            answer = await self._client.bulk(index, b"".join(lines), _DELETED, into_stream=False)
            if answer.get("errors"):
                raise Unavailable("Elasticsearch cannot remove what stands twice")
