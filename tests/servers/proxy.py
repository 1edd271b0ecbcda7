"""A server that can be taken away and given back without stopping it: a relay in front of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Relay:
    """Passes bytes on to a server while it is there."""

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self._server: asyncio.Server | None = None
        self._relayed: set[asyncio.Task[None]] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self.port = 0

    async def restore(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
        for task in self._relayed:
            task.cancel()
        await asyncio.gather(*self._relayed, return_exceptions=True)

    def hang(self) -> None:
        """Take everything and pass nothing on, as a machine whose cable was pulled."""
        self._passes.clear()

    def go_on(self) -> None:
        """Pass on what has come meanwhile."""
        self._passes.set()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relayed.add(task)
        theirs = None
        try:
            theirs_reader, theirs = await asyncio.open_connection(*self._place)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, theirs))
                group.create_task(self._pass_on(theirs_reader, writer))
        except (asyncio.CancelledError, OSError):
            pass
        finally:
            self._relayed.discard(task)
            for each in (writer, theirs):
                if each is not None:
                    each.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                await self._passes.wait()
                writer.write(data)
                await writer.drain()
            writer.write_eof()


@contextlib.asynccontextmanager
async def relay(host: str, port: int) -> AsyncIterator[Relay]:
    """A relay to a server, listening at first."""
    found = Relay(host, port)
    await found.restore()
    try:
        yield found
    finally:
        await found.cut()
