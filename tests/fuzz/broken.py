"""Receivers with faults of every kind that the fuzzer has to notice: tests of the fuzzer run on them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fuzz.cases import Case, Wrong


class Broken:
    """Fails by the path that is asked for."""

    async def run(self, case: Case) -> None:
        match case.path:
            case b"/answer":
                raise Wrong("status 500")
            case b"/raise":
                raise ZeroDivisionError
            case b"/spin":
                while True:
                    pass
            case b"/wait":
                await asyncio.Event().wait()
            case b"/allocate":
                bytearray(300 << 20)
            case b"/crash":
                os.kill(os.getpid(), signal.SIGSEGV)


@asynccontextmanager
async def broken() -> AsyncIterator[Broken]:
    yield Broken()
