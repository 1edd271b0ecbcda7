"""The parent of workers: starts them, hands out connections, starts again what dies, ends all.

It accepts every HTTP connection itself and gives it to the worker with the fewest, so that the listener never goes away and two workers
carry equal load with as few as four connections. (gRPC's C core takes no connection from outside: there workers share the port.)
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tidegauge import errors
from tidegauge.cli.worker import SHARE, Task
from tidegauge.config import ListenAddress, Settings
from tidegauge.errors import TidegaugeError
from tidegauge.runtime import Location
from tidegauge.serving import Balance, Taken
from tidegauge.serving.handover import LET_GO, STOP, Message, give, reports, tell
from tidegauge.telemetry import files

# Before a worker that died is started again: longer each time, until one has lived for a while.
_PAUSE_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
_LONG_LIFE_SECONDS = 60.0
_RETRY_SECONDS = 0.02
_BALANCE_SECONDS = 1.0
_log = logging.getLogger(__name__)
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


@dataclass(slots=True)
class _Worker:
    name: str
    process: Process
    channel: socket.socket
    ready: bool = False
    failure: TidegaugeError | None = None
    quiet_since: float = 0.0

    @property
    def pid(self) -> int:
        return self.process.pid


class Workers:
    """Worker processes, at work while the context is entered: entering returns when all are ready, leaving when all have ended."""

    def __init__(
        self, settings: Settings, location: Location, http: Sequence[Taken], grpc_listen: ListenAddress, metrics_folder: Path
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            settings: given to each worker; ``serve.workers`` is how many.
            location: the database; its schema is there.
            http: addresses of OTLP and the API, in this order.
            grpc_listen: where each worker listens for gRPC itself.
            metrics_folder: where this process and they keep their numbers.

        """
        self._settings = settings
        self._location = location
        self._http = http
        self._grpc_listen = grpc_listen
        self._metrics_folder = metrics_folder
        self._balance = Balance()
        self._workers: dict[int, _Worker] = {}
        self._someone = asyncio.Event()
        self._first: list[asyncio.Future[None]] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._others: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._first = [loop.create_future() for _ in range(self._settings.serve.workers)]
        self._keepers = [
            asyncio.create_task(self._keep(first, f"worker-{number}"), name=f"worker-{number}")
            for number, first in enumerate(self._first, start=1)
        ]
        try:
            await asyncio.gather(*self._first)
            listening = [taken.start_listening() for taken in self._http]
        except BaseException:
            await self._end()
            raise
        self._others = [asyncio.create_task(self._accept(number, taken)) for number, taken in enumerate(listening)]
        self._others.append(asyncio.create_task(self._even_out()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    @property
    def pids(self) -> list[int]:
        """Of the workers that are ready."""
        return sorted(worker.pid for worker in self._workers.values() if worker.ready)

    def quiet_seconds(self) -> float:
        """How long ago a worker committed anything, or has died."""
        return time.monotonic() - max((worker.quiet_since for worker in self._workers.values()), default=time.monotonic())

    def kill(self) -> None:
        """End all at once; what they were committing is committed or not, and was not acknowledged."""
        for pid in list(self._workers):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _keep(self, first: asyncio.Future[None], name: str) -> None:
        """One worker, and its successors."""
        pauses = iter(_PAUSE_SECONDS)
        while not self._stopping.is_set():
            started_at = time.monotonic()
            what = await self._live(first, name)
            if self._stopping.is_set():
                return
            if not first.done():
                first.set_exception(what)
                return
            if time.monotonic() - started_at > _LONG_LIFE_SECONDS:
                pauses = iter(_PAUSE_SECONDS)
            pause = next(pauses, _PAUSE_SECONDS[-1])
            _log.warning("%s; starting another in %g s", what, pause)
            await asyncio.sleep(pause)

    async def _live(self, first: asyncio.Future[None], name: str) -> TidegaugeError:
        """A worker from its start to its end; returns how it ended."""
        try:
            worker = await self._start(name)
        except OSError as error:
            return TidegaugeError(f"a worker cannot be started: {error}")
        await self._follow(worker, first)
        return worker.failure or TidegaugeError(f"worker {worker.pid} {_ended(worker.process.returncode)}")

    async def _start(self, name: str) -> _Worker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "tidegauge.cli.worker"),
                stdin=PIPE,
                stdout=PIPE,
                pass_fds=(theirs.fileno(),),
                # Ctrl-C in a terminal is for us.
                start_new_session=True,
            )
            task = Task(self._settings, self._location, self._grpc_listen, theirs.fileno(), name, self._metrics_folder)
        worker = self._workers[process.pid] = _Worker(name, process, ours, quiet_since=time.monotonic())
        assert process.stdin is not None
        with suppress(ConnectionError):  # it died at once, which is seen soon
            process.stdin.write(task.encode())
            await process.stdin.drain()
        process.stdin.close()
        return worker

    async def _follow(self, worker: _Worker, first: asyncio.Future[None]) -> None:
        """Do as a worker reports, until it has ended."""
        assert worker.process.stdout is not None
        try:
            async for message in reports(worker.process.stdout):
                self._note(worker, message)
                if worker.ready and not first.done():
                    first.set_result(None)
            await worker.process.wait()
        finally:
            self._gone(worker)
            if worker.process.returncode is not None:
                del self._workers[worker.pid]
                files.forget(self._metrics_folder, worker.name)
                worker.channel.close()

    def _gone(self, worker: _Worker) -> None:
        """It gets no connections any more."""
        self._balance.drop(worker.pid)
        if not self._balance.workers:
            self._someone.clear()

    def _note(self, worker: _Worker, message: Message) -> None:
        match message["event"]:
            case "ready":
                worker.ready = True
                self._balance.join(worker.pid)
                self._someone.set()
            case "ending":
                self._gone(worker)
            case "closed":
                self._balance.closed(worker.pid, message["listener"], had_been_asked=message["asked"])
            case "stayed":
                self._balance.nobody_left(worker.pid, message["listener"])
            case "quiet":
                worker.quiet_since = time.monotonic() - message["seconds"]
            case "failed":
                kind = getattr(errors, message["error"], TidegaugeError)
                worker.failure = kind(message["message"], hint=message["hint"])

    async def _accept(self, number: int, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # While there is nobody to answer, connections wait in the kernel's queue.
            await self._someone.wait()
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno in _NO_ROOM:
                    _log.warning("no connection can be accepted: %s", error.strerror)
                    await asyncio.sleep(1)
                continue
            with connection:
                await self._give(number, connection)

    async def _give(self, number: int, connection: socket.socket) -> None:
        """To the worker with the fewest, or the next where that one is gone or busy."""
        while True:
            for pid in self._balance.order(number):
                with suppress(OSError):
                    give(self._workers[pid].channel, number, connection)
                    self._balance.opened(pid, number)
                    return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _even_out(self) -> None:
        while True:
            await asyncio.sleep(_BALANCE_SECONDS)
            for number in range(len(self._http)):
                while (pid := self._balance.too_many(number)) is not None:
                    try:
                        tell(self._workers[pid].channel, LET_GO | number)
                    except OSError:
                        # Busy or gone: nobody leaves, and the next turn asks again.
                        self._balance.nobody_left(pid, number)
                        break

    async def _end(self) -> None:
        self._stopping.set()
        for task in self._others:
            task.cancel()
        await asyncio.gather(*self._others, return_exceptions=True)
        for taken in self._http:
            taken.bound.close()
        for worker in self._workers.values():
            _ask_to_stop(worker)
        ending = [worker.process.wait() for worker in self._workers.values()]
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*ending), self._settings.serve.shutdown_timeout.total_seconds() * SHARE)
        self.kill()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)


def _ask_to_stop(worker: _Worker) -> None:
    """By its channel, after the connections that it was given; by a signal where it does not read that, or not yet."""
    try:
        if worker.ready:
            tell(worker.channel, STOP)
            return
    except OSError:
        pass
    with suppress(ProcessLookupError):
        worker.process.terminate()


def _ended(status: int | None) -> str:
    if status is not None and status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
