"""How a process ends: in order and within a bound when it is told to, at once when it is told twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

# Some wrappers (timeout, npm) deliver one signal twice, to the process and to its group.
_SAME_SIGNAL_SECONDS = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Ending:
    """What is done when the end is asked for.

    Attributes:
        seconds: how long the orderly end may take.
        told: is called once, with who asked.
        at_once: is called before the process ends without order; it must not fail, and may be called in any thread.

    """

    seconds: float
    told: Callable[[str], None]
    at_once: Callable[[], None] = lambda: None


class Stop:
    """Asks work to end: it is cancelled, and gets a bounded time to leave its contexts in."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending
        self._work: asyncio.Task[None] | None = None
        self._asked_at: float | None = None

    async def run(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do the work until it ends, or in order until the bound where it is asked to; says whether it was.

        SIGINT, SIGTERM and :meth:`ask` ask. A second signal ends the process at once with 128 and the signal's number. Where the orderly
        end takes too long, the process ends with 0: nothing is acknowledged that is not committed, so there is nothing left to lose.
        """
        self._work = asyncio.create_task(work)
        with self._signals(), contextlib.suppress(asyncio.CancelledError):
            await self._work
        return self._asked_at is not None

    def ask(self, who: str, seconds: float | None = None) -> None:
        """Ask for the end; asking again changes nothing."""
        if self._asked_at is not None or self._work is None:
            return
        self._asked_at = time.monotonic()
        self._ending.told(who)
        # A thread of its own: it has to come through when the event loop does not.
        bound = threading.Timer(self._ending.seconds if seconds is None else seconds, self._leave, (0,))
        bound.daemon = True
        bound.start()
        self._work.cancel()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for which in _SIGNALS:
            loop.add_signal_handler(which, self._note, which)
        try:
            yield
        finally:
            # Once asked, they stay until the process has ended: a signal that comes twice must not make its end look like a crash.
            if self._asked_at is None:
                for which in _SIGNALS:
                    loop.remove_signal_handler(which)

    def _note(self, which: signal.Signals) -> None:
        if self._asked_at is None:
            self.ask(which.name)
        elif time.monotonic() - self._asked_at > _SAME_SIGNAL_SECONDS:
            self._leave(128 + which)

    def _leave(self, status: int) -> None:
        self._ending.at_once()
        leave(status)


def leave(status: int) -> NoReturn:
    """End the process now, without giving back its memory piece by piece: on a busy machine that takes seconds, which the end has not."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
