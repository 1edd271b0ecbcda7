"""What the parent does where a worker does not read what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tidegauge.cli import workers
from tidegauge.config import Settings
from tidegauge.runtime import Location
from tidegauge.serving.handover import LET_GO, STOP


@pytest.fixture(name="full")
def _full() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The parent's end of a channel that takes nothing more, and the worker's end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.send(b"\0" * 4096)
        with contextlib.suppress(BlockingIOError):
            while True:
                ours.send(b"\0")
        yield ours, theirs


class Process:
    def __init__(self) -> None:
        self.pid = 1
        self.terminated = 0

    def terminate(self) -> None:
        self.terminated += 1


def worker(process: Process, channel: socket.socket, *, ready: bool = True) -> Any:
    return workers._Worker("worker-1", process, channel, ready=ready)  # type: ignore[arg-type]


def test_a_worker_that_reads_nothing_is_told_to_stop_by_a_signal(full: tuple[socket.socket, socket.socket]) -> None:
    process = Process()
    workers._ask_to_stop(worker(process, full[0]))
    assert process.terminated == 1


def test_a_worker_that_listens_is_told_by_its_channel_alone() -> None:
    process = Process()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        workers._ask_to_stop(worker(process, ours))
        assert theirs.recv(1)[0] == STOP
    assert process.terminated == 0


async def test_a_worker_that_was_too_busy_to_let_a_connection_go_is_asked_again(
    full: tuple[socket.socket, socket.socket], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_BALANCE_SECONDS", 0.01)
    ours, theirs = full
    location = Location("", None, embedded=False)
    parent = workers.Workers(settings, location, [SimpleNamespace()], settings.otlp.grpc_listen, Path("nowhere"))  # type: ignore[list-item]
    parent._workers = {1: worker(Process(), ours), 2: worker(Process(), ours)}
    for pid in (1, 2):
        parent._balance.join(pid)
    for _ in range(2):
        parent._balance.opened(1, 0)
    asked, tell = asyncio.Event(), workers.tell

    def told(channel: socket.socket, message: int) -> None:
        asked.set()
        tell(channel, message)

    monkeypatch.setattr(workers, "tell", told)
    task = asyncio.create_task(parent._even_out())
    async with asyncio.timeout(10):
        # Asked at least once while there is no room; then there is.
        await asked.wait()
        while LET_GO not in (theirs.recv(1 << 20) if _readable(theirs) else b""):  # noqa: ASYNC110 - a socket that a test reads by itself
            await asyncio.sleep(0.01)
    task.cancel()


def _readable(channel: socket.socket) -> bool:
    try:
        return bool(channel.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
