"""A server that reads requests and answers at once, as fast as Python can: what the client reaches against it is the client's limit."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import grpc  # type: ignore[import-untyped]

from benchmarks.client import Transport

_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_LENGTH = b"content-length: "


@contextmanager
def running(transport: Transport) -> Iterator[tuple[str, int]]:
    """host:port and process id of a server in a process of its own."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_http if transport == "http" else _grpc, args=(there,), daemon=True)
    process.start()
    try:
        yield f"127.0.0.1:{here.recv()}", process.pid or 0
    finally:
        process.terminate()
        process.join()


def _http(pipe: Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        pipe.send(server.getsockname()[1])
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_answer_all, args=(connection,), daemon=True).start()


def _answer_all(connection: socket.socket) -> None:
    buffer = bytearray(1 << 20)
    while True:
        held, wanted = 0, 0
        while not wanted or held < wanted:
            got = connection.recv_into(memoryview(buffer)[held:])
            if not got:
                return
            held += got
            if not wanted and (end := buffer.find(b"\r\n\r\n", 0, held)) >= 0:
                at = bytes(buffer[:end]).lower().index(_LENGTH) + len(_LENGTH)
                wanted = end + 4 + int(bytes(buffer[at:end]).split(b"\r\n")[0])
        connection.sendall(_OK)


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def service(self, _: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda _body, _context: b"")


def _grpc(pipe: Connection) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[_Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    pipe.send(port)
    server.wait_for_termination()
