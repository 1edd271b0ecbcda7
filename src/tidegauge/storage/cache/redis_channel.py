"""Messages between workers over Redis' publish/subscribe. Topics: ``<prefix>channel:<tenant>:<topic>``.

Within the process messages go straight from publisher to listener, so that they do so without Redis as well. A listener announces itself,
so that publishers elsewhere know of it at once; every second they ask which topics somebody listens to, so that they learn who has left.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from tidegauge.errors import Unavailable
from tidegauge.storage.cache.memory import MemoryChannel, MemorySubscription
from tidegauge.storage.cache.redis import RedisServer

_log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
# An announcement counts for longer than the poll that was under way when it came.
_ANNOUNCED_SECONDS = 3.0
_ENTER_SECONDS = 1.0
_RETRY_SECONDS = 1.0
_OUTBOX_MESSAGES = 10_000
_OUTBOX_BYTES = 16 << 20
_SENT_AT_ONCE = 200
_SENDER_BYTES = 8
_SILENCE_SECONDS = 10.0
_CANCEL_SECONDS = 0.05


class RedisChannel:
    """A :class:`~tidegauge.storage.cache_interface.Channel` among all who name the same server and prefix; an async context manager."""

    def __init__(self, server: RedisServer, prefix: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._prefix = f"{prefix}channel:"
        self._announcements = f"{prefix}listeners"
        self._clock = clock
        self._local = MemoryChannel()
        self._own = secrets.token_bytes(_SENDER_BYTES)
        self._counts: dict[str, int] = {}
        self._elsewhere: set[str] = set()
        self._announced: dict[str, float] = {}
        self._outbox: deque[tuple[str, bytes]] = deque()
        self._outbox_bytes = 0
        self._something = asyncio.Event()
        self._pubsub: PubSub | None = None
        self._confirmed: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> RedisChannel:
        self._tasks = {asyncio.create_task(work, name="redis-channel") for work in (self._listen(), self._send(), self._poll())}
        return self

    async def __aexit__(self, *_: object) -> None:
        self._local.close()
        pending = self._tasks
        while pending:
            for task in pending:
                task.cancel()
            # Again and again: redis-py takes a cancellation for itself while it connects.
            pending = (await asyncio.wait(pending, timeout=_CANCEL_SECONDS))[1]

    def has_listeners(self, tenant_id: int, topic: str) -> bool:
        """See ``Channel``."""
        return self._local.has_listeners(tenant_id, topic) or self._listened_elsewhere(self._name(tenant_id, topic))

    def publish(self, tenant_id: int, topic: str, message: bytes) -> None:
        """See ``Channel``."""
        self._local.publish(tenant_id, topic, message)
        name = self._name(tenant_id, topic)
        if not self._listened_elsewhere(name):
            return
        self._outbox.append((name, self._own + message))
        self._outbox_bytes += len(message)
        while len(self._outbox) > _OUTBOX_MESSAGES or (self._outbox_bytes > _OUTBOX_BYTES and len(self._outbox) > 1):
            self._taken()
        self._something.set()

    @asynccontextmanager
    async def subscribe(self, tenant_id: int, topic: str, capacity: int = 1000) -> AsyncIterator[MemorySubscription]:
        """See ``Channel``."""
        name = self._name(tenant_id, topic)
        async with self._local.subscribe(tenant_id, topic, capacity) as subscription:
            self._counts[name] = self._counts.get(name, 0) + 1
            confirmed = self._confirmed.setdefault(name, asyncio.Event())
            try:
                await self._confirm(name, confirmed)
                yield subscription
            finally:
                self._counts[name] -= 1
                if not self._counts[name]:
                    del self._counts[name], self._confirmed[name]
                    await self._change(name)

    async def _confirm(self, name: str, confirmed: asyncio.Event) -> None:
        """Wait until messages from elsewhere arrive, but not for long."""
        if not confirmed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_ENTER_SECONDS):
                    await self._change(name)
                    await confirmed.wait()

    def _name(self, tenant_id: int, topic: str) -> str:
        return f"{self._prefix}{tenant_id}:{topic}"

    def _listened_elsewhere(self, name: str) -> bool:
        return name in self._elsewhere or (bool(self._announced) and self._announced.get(name, 0.0) > self._clock())

    def _taken(self) -> tuple[str, bytes]:
        name, message = self._outbox.popleft()
        self._outbox_bytes -= len(message) - _SENDER_BYTES
        return name, message

    async def _send(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._outbox:
                batch = [self._taken() for _ in range(min(len(self._outbox), _SENT_AT_ONCE))]
                # Lost where it fails: who listens has missed it by the time it could be sent again.
                with suppress(Unavailable):
                    async with self._server.asking("publish") as redis, redis.pipeline(transaction=False) as pipeline:
                        for name, message in batch:
                            pipeline.publish(name, message)
                        await pipeline.execute()

    async def _poll(self) -> None:
        while True:
            try:
                async with self._server.asking("listeners") as redis:
                    # A glob: what is special in it is escaped.
                    pattern = "".join(f"\\{each}" if each in "*?[]\\^" else each for each in self._prefix) + "*"
                    self._elsewhere = self._others(await redis.pubsub_numsub(*await redis.pubsub_channels(pattern)))
            except Unavailable:
                self._elsewhere = set()
            now = self._clock()
            self._announced = {name: until for name, until in self._announced.items() if until > now}
            await asyncio.sleep(_POLL_SECONDS)

    def _others(self, counts: Any) -> set[str]:
        """Topics that somebody but this process listens to, of pairs of a topic and how many connections listen to it."""
        pairs = counts.items() if isinstance(counts, dict) else counts
        return {name for topic, count in pairs if count > ((name := topic.decode()) in self._counts)}

    async def _listen(self) -> None:
        while True:
            pubsub = self._server.client.pubsub()
            try:
                await self._follow(pubsub)
            except (RedisError, OSError, TimeoutError) as error:
                _log.debug("listening to Redis failed: %s", type(error).__name__)
            finally:
                self._pubsub = None
                for confirmed in self._confirmed.values():
                    confirmed.clear()
                with suppress(RedisError, OSError, TimeoutError):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self, pubsub: PubSub) -> None:
        """Take what comes on a connection, until it breaks."""
        await pubsub.subscribe(self._announcements)
        # From here on it is connected, and who begins to listen says so on it.
        self._pubsub = pubsub
        if self._counts:
            await pubsub.subscribe(*self._counts)
        silent = False
        while True:
            message = await pubsub.get_message(timeout=_SILENCE_SECONDS)
            if message is not None:
                silent = False
                await self._take(message)
            elif silent:
                raise TimeoutError("no answer to a ping")
            else:
                # A connection that broke without a word looks like one on which nothing is said.
                silent = True
                await pubsub.ping()

    async def _take(self, message: dict[str, Any]) -> None:
        if message["type"] not in ("message", "subscribe"):
            return
        name, data = message["channel"].decode(), message["data"]
        if message["type"] == "subscribe":
            if name in self._confirmed:
                self._confirmed[name].set()
                await self._server.client.publish(self._announcements, self._own + name.encode())
        elif data[:_SENDER_BYTES] == self._own:
            return
        elif name == self._announcements:
            self._announced[data[_SENDER_BYTES:].decode()] = self._clock() + _ANNOUNCED_SECONDS
        else:
            tenant, _, topic = name.removeprefix(self._prefix).partition(":")
            self._local.publish(int(tenant), topic, data[_SENDER_BYTES:])

    async def _change(self, name: str) -> None:
        """Tell Redis whether we listen to a topic; where it is away :meth:`_follow` does when it is back."""
        if self._pubsub is None:
            return
        try:
            async with asyncio.timeout(_ENTER_SECONDS):
                await (self._pubsub.subscribe(name) if name in self._counts else self._pubsub.unsubscribe(name))
        except (RedisError, OSError, TimeoutError) as error:
            _log.debug("a change of what is listened to failed: %s", type(error).__name__)
