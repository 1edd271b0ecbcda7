"""Sends numbered requests of spans at a given rate, whatever the answers: from processes of its own, on many connections."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import uvloop

from benchmarks.payload import numbered

# What is under way at the end may take so long: longer than the program holds any request.
_LAST_SECONDS = 45.0


@dataclass(frozen=True)
class Load:
    """``rate`` requests a second, or, where it is None, one after the other on each connection. All counts are for all processes."""

    rate: float | None
    seconds: float
    connections: int
    processes: int


@dataclass
class Outcome:
    """What became of the requests.

    Attributes:
        seconds: of sending.
        ended: when sending ended, by the clock that all processes of a machine share (time.monotonic).
        offered: requests that were due.
        unsent: of these, how many found no free connection.
        statuses: answers by HTTP status, or what happened instead.
        unhelpful: 429 or 503 without Retry-After.
        answers: of each answered request when it was sent (time.monotonic), the seconds from its first byte to the whole answer, and
            whether that was 200.
        acknowledged: numbers of those that were answered with 200.

    """

    seconds: float = 0.0
    ended: float = 0.0
    offered: int = 0
    unsent: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    unhelpful: int = 0
    answers: list[tuple[float, float, bool]] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)

    @property
    def latencies(self) -> list[float]:
        """Seconds, of what was acknowledged."""
        return [seconds for _, seconds, good in self.answers if good]

    def add(self, other: Outcome) -> None:
        """Take in another process' outcome."""
        self.seconds = max(self.seconds, other.seconds)
        self.ended = max(self.ended, other.ended)
        self.offered += other.offered
        self.unsent += other.unsent
        self.statuses.update(other.statuses)
        self.unhelpful += other.unhelpful
        self.answers += other.answers
        self.acknowledged += other.acknowledged


def offer(address: str, body: bytes, load: Load, first: int) -> Outcome:
    """Send requests made from ``body`` (:func:`benchmarks.payload.template`), numbered from ``first`` on; returns when all are answered."""
    context = multiprocessing.get_context("spawn")
    outcome = Outcome()
    senders = []
    for number in range(load.processes):
        ours, theirs = context.Pipe(duplex=False)
        share = Load(load.rate and load.rate / load.processes, load.seconds, max(1, load.connections // load.processes), 1)
        # Where processes number in steps of their count, no number is given twice.
        process = context.Process(target=_process, args=(address, body, share, first + number, load.processes, theirs), daemon=True)
        process.start()
        theirs.close()
        senders.append((process, ours))
    for process, ours in senders:
        outcome.add(ours.recv())
        process.join()
    return outcome


def _process(address: str, body: bytes, load: Load, first: int, step: int, result: Connection) -> None:
    result.send(uvloop.run(_Sender(address, body, load, first, step).run()))


class _Sender:
    def __init__(self, address: str, body: bytes, load: Load, first: int, step: int) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._address = address
        self._body = body
        self._load = load
        self._number = first
        self._step = step
        self._outcome = Outcome()

    async def run(self) -> Outcome:
        began = time.monotonic()
        ends = began + self._load.seconds
        send = self._closed_loop if self._load.rate is None else self._open_loop
        await send(began, ends)
        return self._outcome

    async def _closed_loop(self, began: float, ends: float) -> None:
        async def one_by_one() -> None:
            connection = _Connection(self._host, self._port)
            while time.monotonic() < ends:
                self._outcome.offered += 1
                await self._request(connection)
            await connection.close()

        await asyncio.gather(*(one_by_one() for _ in range(self._load.connections)))
        self._end(began)

    async def _open_loop(self, began: float, ends: float) -> None:
        assert self._load.rate is not None
        idle = [_Connection(self._host, self._port) for _ in range(self._load.connections)]
        every, tasks = list(idle), set[asyncio.Task[None]]()

        async def on(connection: _Connection, request: Callable[[_Connection], Awaitable[None]]) -> None:
            await request(connection)
            idle.append(connection)

        while (now := time.monotonic()) < ends:
            due = int((now - began) * self._load.rate) - self._outcome.offered
            for _ in range(due):
                self._outcome.offered += 1
                if not idle:
                    self._outcome.unsent += 1
                    continue
                task = asyncio.create_task(on(idle.pop(), self._request))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(min(0.005, 1 / self._load.rate))
        self._end(began)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_LAST_SECONDS)
            if late:
                self._outcome.statuses["never answered"] = len(late)
        for connection in every:
            await connection.close()

    def _end(self, began: float) -> None:
        self._outcome.ended = time.monotonic()
        self._outcome.seconds = self._outcome.ended - began

    async def _request(self, connection: _Connection) -> None:
        number, self._number = self._number, self._number + self._step
        body = numbered(self._body, number)
        began = time.monotonic()
        try:
            status, retry_after = await connection.post(self._address, body)
        except (OSError, EOFError) as error:
            self._outcome.statuses[type(error).__name__] += 1
            await connection.close()
            return
        self._outcome.statuses[status] += 1
        self._outcome.answers.append((began, time.monotonic() - began, status == "200"))
        if status == "200":
            self._outcome.acknowledged.append(number)
        elif status in {"429", "503"} and not retry_after:
            self._outcome.unhelpful += 1


class _Connection:
    """HTTP/1.1 on one connection, opened at need."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, address: str, body: bytes) -> tuple[str, bool]:
        """Status, and whether the answer has Retry-After."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        head = f"POST /v1/traces HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.writelines((head.encode(), body))
        # Not drained first: a server may answer, and close, before it has read all of it.
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            await self.close()
        return status.split()[1], "retry-after" in headers

    async def close(self) -> None:
        """Let the connection go."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
