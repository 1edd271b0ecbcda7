"""Whether the stores answer, for those who ask again and again and do not wait long: load balancers and orchestrators."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from tidegauge.errors import TidegaugeError

OK = "ok"
# What telemetry is kept in; anything else (Redis) can be done without.
STORES = frozenset({"timescaledb", "elasticsearch"})
_SECONDS = 2.0
Ping = Callable[[], Awaitable[None]]


def serves(checks: Mapping[str, str]) -> bool:
    """Whether a process with these checks should get requests: while one store answers, what is kept there goes on."""
    return any(state == OK for name, state in checks.items() if name in STORES)


class Readiness:
    """Calling it gives dependency → "ok", or what is wrong with it, within ``seconds``.

    Giving up on a statement means asking the database to cancel it: with one that hangs that takes several times as long as the answer may.
    So who asks does not wait for it, and at most one question to a dependency is under way however many ask.

    Args:
        pings: dependency → what returns if it answers; raises errors of our tree.
        seconds: how long a question may take.

    """

    def __init__(self, pings: Mapping[str, Ping], seconds: float = _SECONDS) -> None:
        self._pings = pings
        self._seconds = seconds
        self._asking: dict[str, asyncio.Task[str]] = {}

    async def __call__(self) -> Mapping[str, str]:
        """All dependencies, asked at once."""
        for name, ping in self._pings.items():
            if name not in self._asking or self._asking[name].done():
                self._asking[name] = asyncio.create_task(self._ask(ping))
        asking = dict(self._asking)
        await asyncio.wait(asking.values(), timeout=self._seconds)
        return {name: self._said(task) for name, task in asking.items()}

    async def _ask(self, ping: Ping) -> str:
        try:
            async with asyncio.timeout(self._seconds):
                await ping()
        except TidegaugeError as error:
            # Without its hint, which may name hosts and users: whoever asks needs no token.
            return error.message
        except TimeoutError:
            return self._silence()
        return OK

    def _said(self, task: asyncio.Task[str]) -> str:
        return task.result() if task.done() and not task.cancelled() else self._silence()

    def _silence(self) -> str:
        return f"no answer within {self._seconds:g} s"
