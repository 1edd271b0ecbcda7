"""Protocols of what is kept for a while and shared by workers: cached answers, messages, sessions, counters of limits.

Adapters stand in ``storage/cache``: Redis, and in process where no Redis is named. Every key holds the tenant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol


class Cache(Protocol):
    """Answers that may be lost at any time. Never raises for its own sake: while it is away, everything is a miss.

    Attributes:
        failures: how often it was away when it was asked.

    """

    failures: int

    async def get(self, tenant_id: int, keys: Sequence[str]) -> Sequence[bytes | None]:
        """What is kept under each key, in order; None where nothing is."""
        ...

    async def set(self, tenant_id: int, entries: Mapping[str, bytes], ttl: timedelta) -> None:
        """Keep each for as long as ``ttl``, or shorter where room is needed."""
        ...

    async def delete(self, tenant_id: int, keys: Sequence[str]) -> None:
        """Forget them, whether they are there or not."""
        ...


class Subscription(Protocol):
    """Messages of a topic since it was entered, in the order of each publisher. Bounded: where it is full the oldest goes."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Messages as they come; ends where the channel closes."""
        ...

    def dropped(self) -> int:
        """How many messages were dropped since this was last asked, for they were not taken in time."""
        ...


class Channel(Protocol):
    """Messages from any process to those that listen at the moment; nobody else gets them, and none is kept.

    A message is delivered at most once. While what connects the processes is away, those of this process still get its own.
    """

    def has_listeners(self, tenant_id: int, topic: str) -> bool:
        """Whether anybody listens, here or elsewhere, as far as is known: a listener elsewhere is known within a second.

        Costs next to nothing: a publisher asks before it encodes anything.
        """
        ...

    def publish(self, tenant_id: int, topic: str, message: bytes) -> None:
        """Send to all who listen. Never waits and never fails: it leaves soon, or is dropped where too much waits already."""
        ...

    def subscribe(self, tenant_id: int, topic: str, capacity: int = 1000) -> AbstractAsyncContextManager[Subscription]:
        """Listen while the block runs; what is published after it was entered arrives. ``capacity`` is in messages.

        Entering does not fail: while what connects the processes is away, messages of this process arrive alone.
        """
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """What a session holds, and whose it is."""

    tenant_id: int
    data: bytes


class Sessions(Protocol):
    """Who is signed in. Ids are random and unguessable, and only their hashes are kept: reading the store signs nobody in.

    All methods raise ``Unavailable`` while the store is away: nobody should be told that they are signed out.
    """

    async def create(self, tenant_id: int, data: bytes) -> str:
        """A new session; its id, which names its tenant."""
        ...

    async def get(self, session_id: str) -> Session | None:
        """The session, which lives on from now for its whole time; None where it has ended or never was."""
        ...

    async def delete(self, session_id: str) -> None:
        """End it, whether it is there or not."""
        ...

    async def count(self, tenant_id: int) -> int:
        """How many there are."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """So much may a client do in a sliding window of so many seconds."""

    name: str
    limit: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a window: ``remaining`` now, all of it again in ``reset_seconds``."""

    window: Window
    remaining: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it may; if not, ``retry_after_seconds`` is when to come again. ``allowances`` are those of all windows, in their order."""

    allowed: bool
    allowances: Sequence[Allowance]
    retry_after_seconds: float = 0.0


class RateLimiter(Protocol):
    """Counts what clients do. While its store is away it counts by itself: it never raises for its own sake."""

    async def take(self, tenant_id: int, client: str, cost: int = 1) -> Verdict:
        """Count ``cost`` of a client's in all windows, or nothing in a window that has not so much left.

        What is more than a whole window is let through where that window is empty.
        """
        ...
