"""Runs ASGI applications on their addresses in one event loop until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn

from tidegauge.config import ListenAddress
from tidegauge.errors import ConfigurationError

_GRACEFUL_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An application and where it listens. ``setting`` names the variable to change where the address is taken."""

    app: Any
    listen: ListenAddress
    setting: str


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for the whole program, not for each of its servers."""
        yield


@contextlib.asynccontextmanager
async def serving(endpoints: Sequence[Endpoint]) -> AsyncIterator[Sequence[ListenAddress]]:
    """Serve while the block runs; yields the real addresses (a port 0 is a real one then).

    Leaving the block stops accepting, waits for running requests at most 15 s, and returns.

    Raises:
        ConfigurationError: an address cannot be listened on.

    """
    sockets = [bind(endpoint.listen, endpoint.setting) for endpoint in endpoints]
    servers = [_Server(_config(endpoint)) for endpoint in endpoints]
    tasks = [
        asyncio.create_task(server.serve(sockets=[bound]), name=f"server {endpoint.listen}")
        for server, bound, endpoint in zip(servers, sockets, endpoints, strict=True)
    ]
    try:
        while not all(server.started for server in servers):
            await asyncio.wait(tasks, timeout=0.01, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    await task
        yield [_address(bound, endpoint.listen) for bound, endpoint in zip(sockets, endpoints, strict=True)]
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)


def bind(listen: ListenAddress, setting: str) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigurationError: the address is taken, not ours or not permitted.

    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((listen.host, listen.port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"cannot listen on {listen}: {error.strerror}", hint=f"stop what uses it, or choose another address with {setting}"
        ) from error
    bound.listen(1024)
    bound.setblocking(False)
    return bound


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


def _config(endpoint: Endpoint) -> uvicorn.Config:
    return uvicorn.Config(
        endpoint.app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
        # An exporter keeps its connection between exports, by default a minute apart; uvicorn's 5 s would make it connect anew each time.
        timeout_keep_alive=75,
        ws="none",
    )


def _address(bound: socket.socket, listen: ListenAddress) -> ListenAddress:
    return ListenAddress(host=listen.host, port=bound.getsockname()[1])
