"""The names of an application's spans that rollups tell apart.

Rollups have a row for each name: one that holds an id of its own would make as many rows as there are spans. An application has at most
``limit`` names; what comes beyond is ``_other`` in rollups and keeps its name in ``full_name``. Names not seen for a day make room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from psycopg import AsyncConnection

from tidegauge.model.batch import SpanBatch
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.idcache import next_due

OTHER = "_other"
Resources = Sequence[tuple[int, int]]
"""(resource_id, application_id) by the batch's own index"""
_FULL_NS = 10_000_000_000
# An index row of PostgreSQL holds 2.7 KB; nobody reads a longer name in a list either.
_LONGEST_BYTES = 2000


class SpanNames:
    """Which names are known of which application; emptied when full: what is used comes back at once."""

    def __init__(self, limit: int, cache_limit: int) -> None:
        self._limit = limit
        self._cache_limit = cache_limit
        self._sql = sqlfiles.queries("intern")
        self._known: dict[int, dict[str, int]] = {}
        self._full: dict[int, int] = {}
        self._due: set[tuple[int, str]] = set()

    def unknown(self, batch: SpanBatch, resources: Resources, minute: int) -> dict[int, set[str]]:
        """Names by application that are not known here: to be fetched, or ``_other`` where the application is full."""
        found: dict[int, set[str]] = {}
        for application, names in _by_application(batch, resources).items():
            known = self._known.get(application)
            if known is None:
                found[application] = names
                continue
            missing = names.difference(known)
            for name in names:
                if known.get(name, minute + 1) <= minute:
                    known[name] = next_due(hash(name), minute)
                    self._due.add((application, name))
            if missing:
                found[application] = missing
        return found

    def to_fetch(self, unknown: Mapping[int, set[str]], now_ns: int) -> dict[int, set[str]]:
        """Those of the unknown names that the database has to be asked for."""
        wanted = {
            application: {name for name in names if len(name.encode()) <= _LONGEST_BYTES}
            for application, names in unknown.items()
            if now_ns >= self._full.get(application, 0) or application not in self._known
        }
        return {application: names for application, names in wanted.items() if names}

    async def fetch(self, connection: AsyncConnection, wanted: Mapping[int, set[str]]) -> dict[int, tuple[set[str], bool]]:
        """All names of these applications with as many of the wanted ones as there is room for, and whether there was too little."""
        if not wanted:
            return {}
        there: dict[int, dict[str, bool]] = {application: {} for application in wanted}
        cursor = await connection.execute(self._sql["span_names"], {"application_id": sorted(wanted)})
        found: dict[int, tuple[set[str], bool]] = {}
        new: list[tuple[int, str]] = []
        for application, name, is_active, is_due in await cursor.fetchall():
            is_wanted = name in wanted[application]
            there[application][name] = is_active or is_wanted
            if is_due and is_wanted:
                new.append((application, name))
        for application, names in sorted(wanted.items()):
            known = there[application]
            missing = sorted(names.difference(known))
            if len(known) + len(missing) > self._limit:
                gone = [name for name, is_active in known.items() if not is_active]
                await connection.execute(self._sql["forget_span_names"], {"application_id": application, "names": gone})
                known = {name: True for name, is_active in known.items() if is_active}
                missing = sorted(names.difference(known))
            room = max(self._limit - len(known), 0)
            new += [(application, name) for name in missing[:room]]
            found[application] = ({*known, *missing[:room]}, len(missing) > room)
        await self.put(connection, new)
        return found

    async def put(self, connection: AsyncConnection, names: Sequence[tuple[int, str]]) -> None:
        """Add names, or mark them as seen."""
        if names:
            ordered = sorted(names)
            columns = {"application_id": [each[0] for each in ordered], "name": [each[1] for each in ordered]}
            await connection.execute(self._sql["put_span_names"], columns)

    def keep(self, found: Mapping[int, tuple[set[str], bool]], now_ns: int, minute: int) -> None:
        """Remember what was fetched, once its transaction has committed."""
        for application, (names, is_full) in found.items():
            self._known[application] = {name: next_due(hash(name), minute) for name in names}
            if is_full:
                self._full[application] = now_ns + _FULL_NS

    def trim(self) -> None:
        """Keep within the limit; never between :meth:`keep` and :meth:`rollup_names`."""
        if sum(map(len, self._known.values())) > self._cache_limit:
            self.clear()

    def rollup_names(self, batch: SpanBatch, resources: Resources, other: Mapping[int, set[str]]) -> Sequence[str]:
        """The batch's names with ``_other`` in the place of these."""
        applications = [application for _, application in resources]
        nothing: set[str] = set()
        return [
            OTHER if name in other.get(applications[resource], nothing) else name
            for resource, name in zip(batch.resource, batch.name, strict=True)
        ]

    def due(self, most: int) -> list[tuple[int, str]]:
        """Take up to ``most`` names whose rows are due."""
        taken = list(islice(self._due, most))
        self._due.difference_update(taken)
        return taken

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self._full.clear()
        self._due.clear()


def _by_application(batch: SpanBatch, resources: Resources) -> dict[int, set[str]]:
    # The hot path: two passes in C, whatever the number of spans.
    if len(resources) == 1:
        return {resources[0][1]: set(batch.name)}
    found: dict[int, set[str]] = {}
    for resource, name in set(zip(batch.resource, batch.name, strict=True)):
        found.setdefault(resources[resource][1], set()).add(name)
    return found
