"""Stands between libpq and its server, so that what is read can be counted.

libpq reads on for as long as there is something, and keeps a row until it is whole, in a buffer as large as the row says it is: a gigabyte
in the worst case. Here it is handed one end of a pair of sockets in place of its own, and gets a piece at a time. Of a TLS connection these
are pieces of cipher text, which are not read here but counted.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from psycopg import pq

_PIECE = 64 << 10
# How often (seconds) whoever waits for a server to let go looks whether the program ends.
_GLANCE = 0.5


class Relay:
    """Takes an idle connection over; it is of no use for anything else from then on.

    Args:
        pgconn: the connection.
        limit: most bytes of one result.
        too_much: makes the error for more.

    """

    def __init__(self, pgconn: pq.abc.PGconn, limit: int, too_much: Callable[[], Exception]) -> None:
        self._pgconn = pgconn
        self._limit = limit
        self._too_much = too_much
        self._server = socket.socket(fileno=os.dup(pgconn.socket))
        self._server.setblocking(True)
        self._ours, theirs = socket.socketpair()
        # As libpq's own is: it reads until there is nothing.
        theirs.setblocking(False)
        with theirs:
            os.dup2(theirs.fileno(), pgconn.socket)
        # A send that does not fit must not wait for us, who would have to make room.
        pgconn.nonblocking = 1

    def close(self) -> None:
        """Both ends."""
        self._ours.close()
        self._server.close()

    def part(self, closing: threading.Event) -> None:
        """Finish the connection, and wait until the server has let it go as well, or for ``closing``."""
        # Says good-bye, through us, and closes its end.
        self._pgconn.finish()
        waiting = [self._server, self._ours]
        with suppress(OSError):
            while not closing.is_set():
                readable, _, _ = select.select(waiting, [], [], _GLANCE)
                for end in readable:
                    piece = end.recv(_PIECE)
                    if end is self._ours and piece:
                        self._server.sendall(piece)
                    elif end is self._ours:
                        waiting.remove(end)
                    elif not piece:
                        return

    def send(self) -> None:
        """Pass on to the server what libpq was given to send."""
        while self._pgconn.flush():
            self._server.sendall(self._ours.recv(_PIECE))

    def wait(self, glance: Callable[[], float]) -> None:
        """Until a result can be taken without waiting.

        Args:
            glance: how long (seconds) until it wants to be asked again; raises where there is no reason to wait any longer.

        """
        received = 0
        while self._pgconn.is_busy():
            # Of the last piece something may be left: libpq does not always read all.
            self._pgconn.consume_input()
            if not self._pgconn.is_busy():
                return
            readable, _, _ = select.select([self._server, self._ours], [], [], glance())
            if self._ours in readable:
                self._server.sendall(self._ours.recv(_PIECE))
            if self._server in readable:
                piece = self._server.recv(_PIECE)
                received += len(piece)
                if received > self._limit:
                    raise self._too_much()
                if piece:
                    self._ours.sendall(piece)
                else:
                    self._ours.shutdown(socket.SHUT_WR)
