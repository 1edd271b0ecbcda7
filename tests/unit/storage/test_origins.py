"""How long it is remembered where spans and records come from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, cast

from tidegauge.model.records import Application, StoredResource, StoredScope
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.origins import Origins


class Dictionaries:
    """In place of a database: what its resources are named, whose ids go with its schema."""

    def __init__(self, name: str) -> None:
        self.name = name

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Dictionaries]:
        """A connection."""
        yield self


class OfDictionaries(Origins):
    async def _read(
        self, connection: Any, resource_ids: Collection[int], scope_ids: Collection[int]
    ) -> tuple[dict[int, StoredResource], dict[int, StoredScope]]:
        of_name = StoredResource(Application(1, "", connection.name, "", 0, 0), "", {}, 0, None)
        return dict.fromkeys(resource_ids, of_name), dict.fromkeys(scope_ids, StoredScope("", "", "", {}, 0, None))


async def test_a_schema_made_anew_is_noticed_after_a_minute() -> None:
    now = [100.0]
    stored = Dictionaries("old")
    origins = OfDictionaries(cast("Database", stored), lambda: now[0])
    row = {"resource_id": 1, "scope_id": 1}

    async def name() -> str:
        return (await origins.of([row]))[0][1].application.name

    assert await name() == "old"
    stored.name = "new"
    now[0] += 59
    assert await name() == "old"
    now[0] += 2
    assert await name() == "new"
    stored.name = "newest"
    assert await name() == "new"
