"""A load client that is not the bottleneck: requests encoded beforehand, plain sockets for HTTP, raw bytes for gRPC, its own processes."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]

from benchmarks import fleet
from tidegauge.model.batch import Signal

Transport = Literal["http", "grpc"]
_PATHS = {Signal.TRACES: "/v1/traces", Signal.METRICS: "/v1/metrics", Signal.LOGS: "/v1/logs"}
_METHODS = {
    signal: f"/opentelemetry.proto.collector.{package}.v1.{service}/Export"
    for signal, package, service in (
        (Signal.TRACES, "trace", "TraceService"),
        (Signal.METRICS, "metrics", "MetricsService"),
        (Signal.LOGS, "logs", "LogsService"),
    )
}
_TIMEOUT_SECONDS = 60
_REFUSED_PAUSE_SECONDS = 0.05
_MOST_PROCESSES = 2


@dataclass(frozen=True)
class Load:
    """What to send and where to: ``address`` is host:port."""

    address: str
    transport: Transport
    signal: Signal
    items: int
    connections: int


@dataclass
class Sent:
    """What was sent in a phase. Times in seconds."""

    latencies: list[float] = field(default_factory=list)
    """of accepted requests"""
    refused: int = 0
    cpu: float = 0.0
    """of the client's processes"""
    taken: float = 0.0
    """from the first request to the last answer"""

    def add(self, other: Sent) -> None:
        """What another connection or process did at the same time."""
        self.latencies += other.latencies
        self.refused += other.refused
        self.cpu += other.cpu
        self.taken = max(self.taken, other.taken)

    def quantile(self, share: float) -> float:
        """Of the accepted requests' times; nan where there are none."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


class Clients:
    """Processes that wait to be told to send; each holds its share of the connections."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def send(self, seconds: float) -> Sent:
        """Send for so long on all connections, one request at a time on each."""
        for pipe in self._pipes:
            pipe.send(seconds)
        total = Sent()
        for pipe in self._pipes:
            answer = pipe.recv()
            if isinstance(answer, str):
                sys.exit(f"the client failed: {answer}")
            total.add(answer)
        return total


@contextmanager
def clients(load: Load) -> Iterator[Clients]:
    """The client, ready to send."""
    context = multiprocessing.get_context("spawn")
    started = []
    count = min(_MOST_PROCESSES, load.connections)
    for number in range(count):
        here, there = context.Pipe()
        connections = load.connections // count + (number < load.connections % count)
        process = context.Process(target=_process, args=(load, connections, number, there), daemon=True)
        process.start()
        there.close()
        started.append((process, here))
    try:
        for _, pipe in started:
            pipe.recv()
        yield Clients([pipe for _, pipe in started])
    finally:
        for process, pipe in started:
            pipe.close()
            process.join(_TIMEOUT_SECONDS)


def _process(load: Load, connections: int, number: int, pipe: Connection) -> None:
    templates = fleet.templates(load.signal, load.items)
    random.Random(number).shuffle(templates)
    requests = itertools.cycle(templates)
    lock = threading.Lock()

    def body() -> bytes:
        with lock:
            template = next(requests)
        return template.stamped()

    senders = [_SENDERS[load.transport](load) for _ in range(connections)]
    pipe.send("ready")
    while True:
        try:
            seconds = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(_phase(senders, body, seconds))
        except (OSError, ValueError, grpc.RpcError, ExceptionGroup) as error:
            pipe.send(repr(error))


def _phase(senders: Sequence[Callable[[bytes], bool]], body: Callable[[], bytes], seconds: float) -> Sent:
    begin, cpu = time.perf_counter(), time.process_time()
    parts = [Sent() for _ in senders]
    faults: list[Exception] = []

    def run(send: Callable[[bytes], bool], sent: Sent) -> None:
        try:
            while (before := time.perf_counter()) < begin + seconds:
                if send(body()):
                    sent.latencies.append(time.perf_counter() - before)
                else:
                    sent.refused += 1
                    time.sleep(_REFUSED_PAUSE_SECONDS)
        except (OSError, ValueError, grpc.RpcError) as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(senders, parts, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise ExceptionGroup("connections failed", faults)
    total = Sent(cpu=time.process_time() - cpu, taken=time.perf_counter() - begin)
    for part in parts:
        total.add(part)
    return total


class HttpSender:
    """OTLP over HTTP on one connection. Calling it sends a request; True where it was accepted whole, False where it was refused.

    Raises OSError where the connection breaks, and ValueError for an answer that is neither.
    """

    def __init__(self, load: Load) -> None:
        host, port = _host_port(load.address)
        self._socket = socket.create_connection((host, port), _TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST {_PATHS[load.signal]} HTTP/1.1\r\nHost: {load.address}\r\nContent-Type: application/x-protobuf\r\nContent-Length: "
        ).encode()

    def __call__(self, body: bytes) -> bool:
        """Send a request and wait for its answer."""
        self._socket.sendall(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        status, answer = self._answer()
        if status == 200 and not answer:
            return True
        if status in {429, 503}:
            return False
        raise ValueError(f"answer {status}: {answer[:200]!r}")

    def _answer(self) -> tuple[int, bytes]:
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        lines = received[:end].lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        while len(received) < end + 4 + length:
            received += self._receive()
        return int(received[9:12]), received[end + 4 :]

    def _receive(self) -> bytes:
        part = self._socket.recv(1 << 16)
        if not part:
            raise OSError("the server closed the connection")
        return part


class GrpcSender:
    """OTLP over gRPC on a channel of its own; otherwise as :class:`HttpSender`. Raises grpc.RpcError and ValueError."""

    def __init__(self, load: Load) -> None:
        # Without its own pool, channels to one address share a connection.
        channel = grpc.insecure_channel(load.address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._call: Callable[..., Any] = channel.unary_unary(_METHODS[load.signal])

    def __call__(self, body: bytes) -> bool:
        """Send a request and wait for its answer."""
        try:
            answer = self._call(body, timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            if error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}:
                return False
            raise
        if answer:
            raise ValueError(f"answer {answer[:200]!r}")
        return True


_SENDERS: dict[Transport, Callable[[Load], Callable[[bytes], bool]]] = {"http": HttpSender, "grpc": GrpcSender}


def _host_port(address: str) -> tuple[str, int]:
    parts = urlsplit(f"//{address}")
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port
