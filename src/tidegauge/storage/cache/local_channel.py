"""Messages between the workers of one machine, without Redis: over Unix stream sockets in a folder that only they can enter.

Each worker has a socket there. Who listens connects to the sockets of all others and names its topics, a line each (``+0:logs``,
``-0:logs``); on the same connection it gets their messages. A frame is a byte (0: a topic is noted, 1: a message), two lengths (32 bits,
big-endian), topic and message. While nobody listens there are no connections, and nothing is done.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from struct import Struct
from typing import Any

from tidegauge.storage.cache.memory import MemoryChannel, MemorySubscription

_log = logging.getLogger(__name__)
_HEAD = Struct(">BII")
_NOTED, _MESSAGE = 0, 1
_SUFFIX = ".channel"
# What waits for a worker that does not read; beyond it messages are dropped.
_WAITING_BYTES = 8 << 20
# How soon a worker that was started while somebody listens is noticed.
_LOOK_SECONDS = 0.5
_ENTER_SECONDS = 1.0


class LocalChannel:
    """A :class:`~tidegauge.storage.cache_interface.Channel` among the workers that were given the same folder; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._own = folder / f"{secrets.token_hex(8)}{_SUFFIX}"
        self._local = MemoryChannel()
        self._topics: Counter[str] = Counter()
        self._listeners: dict[StreamWriter, set[str]] = {}
        self._peers: dict[Path, _Peer] = {}
        self._server: asyncio.Server | None = None
        self._looking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> LocalChannel:
        self._server = await asyncio.start_unix_server(self._serve, self._own)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._local.close()
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._listeners):
            writer.transport.abort()
        self._forget_peers()
        if self._tasks:
            await asyncio.wait(self._tasks)
        with suppress(FileNotFoundError):
            self._own.unlink()

    def has_listeners(self, tenant_id: int, topic: str) -> bool:
        """See ``Channel``."""
        if self._local.has_listeners(tenant_id, topic):
            return True
        return bool(self._listeners) and any(f"{tenant_id}:{topic}" in topics for topics in self._listeners.values())

    def publish(self, tenant_id: int, topic: str, message: bytes) -> None:
        """See ``Channel``."""
        self._local.publish(tenant_id, topic, message)
        name = f"{tenant_id}:{topic}"
        frame = b""
        for writer, topics in self._listeners.items():
            if name in topics and writer.transport.get_write_buffer_size() < _WAITING_BYTES:
                frame = frame or _frame(_MESSAGE, name, message)
                writer.write(frame)

    @asynccontextmanager
    async def subscribe(self, tenant_id: int, topic: str, capacity: int = 1000) -> AsyncIterator[MemorySubscription]:
        """See ``Channel``."""
        name = f"{tenant_id}:{topic}"
        async with self._local.subscribe(tenant_id, topic, capacity) as subscription:
            self._topics[name] += 1
            try:
                await self._listen(name)
                yield subscription
            finally:
                self._topics[name] -= 1
                if not self._topics[name]:
                    del self._topics[name]
                    for peer in self._peers.values():
                        peer.forget(name)
                if not self._topics:
                    self._forget_peers()

    async def _listen(self, name: str) -> None:
        """Make the topic known to all who are there; whoever comes later is told within a moment."""
        if self._looking is None:
            self._look()
            self._looking = self._start(self._look_again())
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENTER_SECONDS):
                for peer in tuple(self._peers.values()):
                    await peer.ask(name)

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._look()

    def _look(self) -> None:
        for path in set(self._own.parent.glob(f"*{_SUFFIX}")) - {self._own} - self._peers.keys():
            peer = self._peers[path] = _Peer(self._topics, self._take)
            peer.task = self._start(self._follow(path, peer))

    async def _follow(self, path: Path, peer: _Peer) -> None:
        try:
            await peer.follow(path)
        except (OSError, EOFError) as error:
            _log.debug("a worker's channel ended: %s", type(error).__name__)
        finally:
            # Looked for again, should it be there still.
            if self._peers.get(path) is peer:
                del self._peers[path]

    def _take(self, name: str, message: bytes) -> None:
        tenant, _, topic = name.partition(":")
        self._local.publish(int(tenant), topic, message)

    def _forget_peers(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        for peer in self._peers.values():
            if peer.task is not None:
                peer.task.cancel()
        self._peers = {}

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        topics = self._listeners[writer] = set[str]()
        writer.transport.set_write_buffer_limits(_WAITING_BYTES)
        try:
            while line := (await reader.readline()).decode():
                name = line[1:].rstrip("\n")
                if line.startswith("+"):
                    topics.add(name)
                    writer.write(_frame(_NOTED, name, b""))
                else:
                    topics.discard(name)
        except OSError as error:
            _log.debug("a listening worker has gone: %s", type(error).__name__)
        finally:
            del self._listeners[writer]
            writer.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="local-channel")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Peer:
    """Another worker, as long as we listen to it."""

    def __init__(self, topics: Collection[str], take: Callable[[str, bytes], None]) -> None:
        self.task: asyncio.Task[None] | None = None
        self._topics = topics
        self._take = take
        self._writer: StreamWriter | None = None
        self._noted: dict[str, asyncio.Event] = {}
        self._ended = False

    async def follow(self, path: Path) -> None:
        """Take its messages until it ends; raises OSError or EOFError then."""
        try:
            reader, self._writer = await asyncio.open_unix_connection(path)
            for name in self._topics:
                self._say("+", name)
            while True:
                kind, topic_length, length = _HEAD.unpack(await reader.readexactly(_HEAD.size))
                name = (await reader.readexactly(topic_length)).decode()
                message = await reader.readexactly(length)
                if kind == _MESSAGE:
                    self._take(name, message)
                elif name in self._noted:
                    self._noted[name].set()
        finally:
            self._ended = True
            for noted in self._noted.values():
                noted.set()
            if self._writer is not None:
                self._writer.close()

    async def ask(self, name: str) -> None:
        """Return when it has noted the topic, or has ended."""
        if not self._ended:
            if name not in self._noted and self._writer is not None:
                self._say("+", name)
            await self._noted.setdefault(name, asyncio.Event()).wait()

    def forget(self, name: str) -> None:
        """Take back what was asked."""
        if self._noted.pop(name, None) is not None:
            self._say("-", name)

    def _say(self, sign: str, name: str) -> None:
        if sign == "+":
            self._noted.setdefault(name, asyncio.Event())
        if self._writer is not None:
            self._writer.write(f"{sign}{name}\n".encode())


def _frame(kind: int, name: str, message: bytes) -> bytes:
    encoded = name.encode()
    return _HEAD.pack(kind, len(encoded), len(message)) + encoded + message
