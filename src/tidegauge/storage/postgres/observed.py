"""Statements under their names: what takes how long is told by the names of the queries in sql/queries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, Self

from psycopg import AsyncConnection, AsyncCopy, AsyncCursor

from tidegauge.health.circuits import Guard
from tidegauge.storage import sqlfiles

# What begins every transaction takes no time worth knowing: it goes with the statement behind it.
_SESSION = "session."


class Variant(str):
    """A statement made from a named one, which goes by its name."""

    origin: str

    def __new__(cls, text: str, origin: str) -> Self:
        """``origin`` is the named one."""
        made = super().__new__(cls, text)
        made.origin = origin
        return made


class Named:
    """Finds what stands around a statement, by its text. ``guard`` is given its name."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._names = {text: name for text, name in sqlfiles.names().items() if not name.startswith(_SESSION)}

    def __call__(self, statement: object) -> AbstractContextManager[object] | None:
        """The context; None for a statement without a name."""
        named = statement.origin if isinstance(statement, Variant) else statement
        name = self._names.get(named) if isinstance(named, str) else None
        return None if name is None else self._guard(name)


class ObservedCursor(AsyncCursor[Any]):
    """A cursor whose statements are observed."""

    def __init__(self, named: Named, connection: AsyncConnection[Any], **options: Any) -> None:
        super().__init__(connection, **options)
        self._named = named

    async def execute(self, query: Any, params: Any = None, **options: Any) -> ObservedCursor:
        """See ``AsyncCursor.execute``."""
        # In a pipeline nothing is waited for here.
        observed = None if self._conn._pipeline else self._named(query)  # noqa: SLF001 - psycopg's own classes share it
        if observed is None:
            return await super().execute(query, params, **options)
        with observed:
            return await super().execute(query, params, **options)

    @asynccontextmanager
    async def copy(self, statement: Any, params: Any = None, **options: Any) -> AsyncIterator[AsyncCopy]:
        """See ``AsyncCursor.copy``."""
        observed = self._named(statement)
        if observed is None:
            async with super().copy(statement, params, **options) as stream:
                yield stream
            return
        with observed:
            async with super().copy(statement, params, **options) as stream:
                yield stream
