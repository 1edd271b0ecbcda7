"""What passes between the process that accepts connections and its workers.

To a worker, on a Unix socket: one byte a message, a listener's number with the connection itself beside it (SCM_RIGHTS, unix(7)), or
``LET_GO`` and a listener's number, or ``STOP``. The end of the socket means that the other process has died.

From a worker, on its standard output: a line of JSON a message (:class:`Message`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from typing import Any, Literal, TypedDict, cast

import orjson

STOP = 0xFF
LET_GO = 0x40


class Message(TypedDict, total=False):
    """A worker's message.

    Attributes:
        event: ``ready``; ``ending`` (it takes no connection any more); ``closed`` (a connection of ``listener``; ``asked``: it had been
            told to leave); ``stayed`` (there was none to let go); ``quiet`` (``seconds`` since the last commit); ``failed`` (``error``:
            its class, ``message``, ``hint``: it cannot start).

    """

    event: Literal["ready", "ending", "closed", "stayed", "quiet", "failed"]
    listener: int
    asked: bool
    seconds: float
    error: str
    message: str
    hint: str


def give(channel: socket.socket, listener: int, connection: socket.socket) -> None:
    """Give a connection to a worker; this process' own descriptor stays to be closed.

    Raises:
        BlockingIOError: the worker has not taken those before yet.
        OSError: the worker is gone.

    """
    socket.send_fds(channel, [bytes([listener])], [connection.fileno()])


def tell(channel: socket.socket, byte: int) -> None:
    """Tell a worker to stop, or to let a connection of a listener go; raises OSError where it is gone or does not listen."""
    channel.send(bytes([byte]))


class Inbox:
    """A worker's end of the socket."""

    def __init__(self, fd: int) -> None:
        self._channel = socket.socket(fileno=fd)
        self._channel.setblocking(False)

    async def messages(self) -> AsyncIterator[tuple[int, socket.socket | None]]:
        """Bytes as they come, with the connection that came beside; ends with the other process.

        A connection is missing where this process has too many open files: the kernel has closed it.
        """
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._channel, readable.set)
        try:
            while True:
                try:
                    # A byte at a time: each comes with its own connection then.
                    data, fds, _, _ = socket.recv_fds(self._channel, 1, 1)
                except BlockingIOError:
                    readable.clear()
                    await readable.wait()
                    continue
                except ConnectionError:
                    return
                if not data:
                    return
                yield data[0], socket.socket(fileno=fds[0]) if fds else None
        finally:
            loop.remove_reader(self._channel)


def report(fd: int, message: Message) -> None:
    """Send a worker's message; where nobody reads any more there is nobody to be told."""
    with contextlib.suppress(OSError):
        os.write(fd, orjson.dumps(message) + b"\n")


async def reports(lines: asyncio.StreamReader) -> AsyncIterator[Message]:
    """A worker's messages until it ends; what something else wrote there is passed over."""
    while line := await lines.readline():
        try:
            message: Any = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(message, dict) and "event" in message:
            yield cast("Message", message)
