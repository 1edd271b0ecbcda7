"""Runs ASGI applications on their addresses in one event loop until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import uvicorn

from tidegauge.config import ListenAddress
from tidegauge.errors import ConfigurationError

_GRACEFUL_SECONDS = 15


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for the whole program, not for each of its servers."""
        yield


@contextlib.contextmanager
def bound(*wanted: tuple[ListenAddress, str]) -> Iterator[Sequence[socket.socket]]:
    """Sockets on addresses, for as long as the block runs; each address comes with the variable that sets it.

    They do not listen yet: a client is refused until there is somebody to answer it. Taking them before anything else is started
    tells at once where an address is taken.

    Raises:
        ConfigurationError: an address cannot be listened on.

    """
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_bind(listen, setting)) for listen, setting in wanted]


@contextlib.asynccontextmanager
async def serving(apps: Sequence[Any], sockets: Sequence[socket.socket]) -> AsyncIterator[None]:
    """Serve each application on its socket while the block runs.

    Leaving the block stops accepting, waits for running requests at most 15 s, and returns.
    """
    servers = [_Server(_config(app)) for app in apps]
    tasks = [asyncio.create_task(server.serve(sockets=[taken]), name="server") for server, taken in zip(servers, sockets, strict=True)]
    try:
        while not all(server.started for server in servers):
            await asyncio.wait(tasks, timeout=0.01, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    await task
        yield
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)


def address(taken: socket.socket, listen: ListenAddress) -> ListenAddress:
    """The real address: a port 0 is a real one by now."""
    return ListenAddress(host=listen.host, port=taken.getsockname()[1])


def _bind(listen: ListenAddress, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((listen.host, listen.port))
    except OSError as error:
        taken.close()
        raise ConfigurationError(
            f"cannot listen on {listen}: {error.strerror}", hint=f"stop what uses it, or choose another address with {setting}"
        ) from error
    taken.setblocking(False)
    return taken


async def stop_signal() -> signal.Signals:
    """Return when the process is asked to stop: SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    received: asyncio.Future[signal.Signals] = loop.create_future()

    def note(which: signal.Signals) -> None:
        if not received.done():
            received.set_result(which)

    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, note, which)
    try:
        return await received
    finally:
        for which in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(which)


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        # An exporter keeps its connection between exports, by default a minute apart; uvicorn's 5 s would make it connect anew each time.
        timeout_keep_alive=75,
        ws="none",
    )
