"""Whether the database answers, for those who ask again and again and do not wait long: load balancers and orchestrators."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from tidegauge.errors import TidegaugeError

_SECONDS = 2.0


class DatabaseReadiness:
    """Calling it gives ``{"timescaledb": "ok"}``, or what is wrong, within ``seconds``.

    Giving up on a statement means asking the database to cancel it: with one that hangs that takes several times as long as the answer may.
    So who asks does not wait for it, and at most one question is under way however many ask.
    """

    def __init__(self, ping: Callable[[], Awaitable[None]], seconds: float = _SECONDS) -> None:
        self._ping = ping
        self._seconds = seconds
        self._asking: asyncio.Task[str] | None = None

    async def __call__(self) -> Mapping[str, str]:
        """The database by its name, with "ok" or what is wrong with it."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        asking = self._asking
        await asyncio.wait([asking], timeout=self._seconds)
        return {"timescaledb": asking.result() if asking.done() and not asking.cancelled() else self._silence()}

    async def _ask(self) -> str:
        try:
            async with asyncio.timeout(self._seconds):
                await self._ping()
        except TidegaugeError as error:
            return str(error)
        except TimeoutError:
            return self._silence()
        return "ok"

    def _silence(self) -> str:
        return f"no answer within {self._seconds:g} s"
