"""Which attribute keys have been sent, kept up by the ingest path: only what is not known yet, or not in this hour, is written.

Keys are found by the sets that they come in (``attribute_pairs.Signature``), so that spans like those before cost a look-up a piece. A key
that is longer than 255 bytes, or beyond an application's limit, is not told; its values are found all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import orjson
import psycopg

from tidegauge.model.batch import ResourceEntry, ScopeEntry, SpanBatch
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.attribute_pairs import TYPES, Piece, Signature
from tidegauge.storage.postgres.database import Database

_logger = logging.getLogger(__name__)
Key: TypeAlias = tuple[int, int, str, str]
"""(tenant_id, application_id, location, key)"""
_HOUR_NS = 3_600_000_000_000
_FULL_NS = 10_000_000_000
_LONGEST_BYTES = 255
_MOST_SETS = 50_000
# Of one transaction: what comes beyond is written by the next.
_MOST_KEYS = 2000


class AttributeCatalogue:
    """The keys that this process knows the database to know; forgotten every hour, so that ``last_seen`` goes on, and when full."""

    def __init__(self, database: Database, now_ns: Callable[[], int], limit: int) -> None:
        self._database = database
        self._now_ns = now_ns
        self._limit = limit
        self._sql = sqlfiles.queries("attributes")
        self._hour = 0
        self._full: dict[int, int] = {}
        self._keys: dict[Key, int] = {}
        self._entries: set[tuple[int, int]] = set()
        self.known: set[Signature] = set()
        """of pieces whose keys need not be looked at"""
        self._new: dict[Key, int] = {}
        self._new_sets: set[Signature] = set()
        self._new_entries: set[tuple[int, int]] = set()

    def note(self, tenant_id: int, batch: SpanBatch, applications: Sequence[int], pieces: Sequence[Piece]) -> None:
        """Take note of what :meth:`put` has to write of a request."""
        now_ns = self._now_ns()
        self._forget(now_ns)
        for piece in pieces:
            if piece.keys is not None and now_ns >= self._full.get(piece.application_id, 0):
                self._new_sets.add((piece.application_id, piece.signature))
                for of_event, raw, types in piece.keys:
                    self._want((tenant_id, piece.application_id, "event" if of_event else "span", _text(raw)), types)
        for resource, application in zip(batch.resources, applications, strict=True):
            self._note_entry(tenant_id, application, "resource", resource)
        if len(set(applications)) == 1:
            for scope in batch.scopes:
                self._note_entry(tenant_id, applications[0], "scope", scope)

    async def put(self) -> None:
        """Write what is new. That it cannot be is no reason to refuse spans: then it is tried again with the next ones.

        Raises:
            Unavailable: the database is away.

        """
        if not self._new_sets and not self._new_entries:
            return
        new = dict(sorted(self._new.items())[:_MOST_KEYS])
        is_all = len(new) == len(self._new)
        sets, entries, now_ns = self._new_sets, self._new_entries, self._now_ns()
        self._new, self._new_sets, self._new_entries = {}, set(), set()
        try:
            full = await self._written(new) if new else []
        except psycopg.Error as error:
            _logger.warning("attribute keys are not written yet: %s", error)
            return
        self._full.update(dict.fromkeys(full, now_ns + _FULL_NS))
        self._keys.update({key: types for key, types in new.items() if key[1] not in self._full})
        if is_all:
            self._entries |= entries
            self.known.update(one for one in sets if one[0] not in self._full)

    async def _written(self, new: Mapping[Key, int]) -> list[int]:
        """Applications that have no room for all of their keys."""
        async with self._database.writing() as connection:
            cursor = await connection.execute(self._sql["put_attribute_keys"], _columns(new) | {"limit": self._limit})
            return [row[0] for row in await cursor.fetchall()]

    def _note_entry(self, tenant_id: int, application: int, location: str, entry: ResourceEntry | ScopeEntry) -> None:
        identity = (application, entry.identity.int)
        if identity in self._entries:
            return
        self._new_entries.add(identity)
        for key, types in _types(entry.attributes):
            self._want((tenant_id, application, location, key), types)

    def _want(self, key: Key, types: int) -> None:
        if types & ~self._keys.get(key, 0) and len(key[3].encode()) <= _LONGEST_BYTES:
            self._new[key] = self._new.get(key, 0) | types

    def _forget(self, now_ns: int) -> None:
        hour = now_ns // _HOUR_NS
        if hour != self._hour or max(len(self._keys), len(self._entries), len(self.known)) > _MOST_SETS:
            self._hour = hour
            for kept in (self._full, self._keys, self._entries, self.known):
                kept.clear()
        for application in [application for application, until in self._full.items() if now_ns >= until]:
            del self._full[application]


def _text(raw: bytes) -> str:
    text: str = orjson.loads(b'"%b"' % raw)
    return text


def _types(attributes: bytes) -> Iterator[tuple[str, int]]:
    for key, value in orjson.loads(attributes).items():
        yield key, TYPES[type(value)]


def _columns(keys: Mapping[Key, int]) -> dict[str, object]:
    return {
        "tenant_id": [key[0] for key in keys],
        "application_id": [key[1] for key in keys],
        "location": [key[2] for key in keys],
        "key": [key[3] for key in keys],
        "types": list(keys.values()),
    }
