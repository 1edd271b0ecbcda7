"""Keeps a load test within the limits that a server tells (draft-ietf-httpapi-ratelimit-headers-06), all its clients together."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Mapping

_POLICY = re.compile(r"([0-9]{1,9})\s*;\s*w=([0-9]{1,9})")
# A moment later than the server's: its clock began when the request arrived there.
_MARGIN_SECONDS = 0.02
_LONGEST_SECONDS = 3600.0


class Pace:
    """Requests wait for their turn. ``clock`` gives seconds.

    Until the first answer has come only one request is under way. Then requests are spread by the windows of ``RateLimit-Policy``;
    ``RateLimit-Remaining`` and ``Retry-After`` stop all of them until they say.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: tuple[tuple[int, float], ...] = ()
        self._sent: deque[float] = deque()
        self._not_before = 0.0
        self._first = asyncio.Lock()
        self._known = asyncio.Event()
        self._turn = asyncio.Lock()
        self.waited_seconds = 0.0

    async def turn(self) -> None:
        """Return when a request may be sent."""
        if not self._known.is_set() and not self._first.locked():
            await self._first.acquire()
        elif not self._known.is_set():
            await self._known.wait()
        async with self._turn:
            began = self._clock()
            while (seconds := self._wait()) > 0:  # noqa: ASYNC110 (an answer may change what is waited for)
                await asyncio.sleep(min(seconds, 1.0))
            now = self._clock()
            self.waited_seconds += now - began
            if self._windows:
                self._sent.append(now)

    def learn(self, status: int, headers: Mapping[str, str]) -> None:
        """What an answer said."""
        now = self._clock()
        windows = tuple(
            (int(limit), float(seconds)) for limit, seconds in _POLICY.findall(headers.get("ratelimit-policy", "")) if int(limit)
        )
        if windows and windows != self._windows:
            if not self._windows:
                # The one that asked.
                self._sent.append(now)
            self._windows = windows
        if status == 429:
            self._stop(now, _seconds(headers.get("retry-after")) or 1.0)
        elif headers.get("ratelimit-remaining") == "0":
            self._stop(now, _seconds(headers.get("ratelimit-reset")))
        self._known.set()

    def lost(self) -> None:
        """There was no answer: others need not wait for what it says."""
        self._known.set()

    def _stop(self, now: float, seconds: float) -> None:
        self._not_before = max(self._not_before, now + seconds + _MARGIN_SECONDS if seconds else 0.0)

    def _wait(self) -> float:
        """Seconds until a request may be sent, by what is known now."""
        now = self._clock()
        longest = max((seconds for _, seconds in self._windows), default=0.0)
        while self._sent and self._sent[0] <= now - longest - _MARGIN_SECONDS:
            self._sent.popleft()
        until = self._not_before
        for limit, seconds in self._windows:
            if len(self._sent) >= limit:
                until = max(until, self._sent[-limit] + seconds + _MARGIN_SECONDS)
        return until - now


def _seconds(text: str | None) -> float:
    try:
        return min(max(float(text or 0), 0.0), _LONGEST_SECONDS)
    except ValueError:
        return 0.0
