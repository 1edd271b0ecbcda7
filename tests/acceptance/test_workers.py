"""`tidegauge up --workers 2`: both receive, one may die, and whatever ends, ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import grpc
import httpx
import psycopg
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.servers import product as products
from tests.servers.product import Product

ITEMS = 20
CONNECTIONS = 4
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PROTOBUF = {"content-type": "application/x-protobuf"}
RETRIED = {429, 502, 503, 504}  # OTLP specification, "Retryable Response Codes"
RESOURCE = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value="workers"))])


def spans(kind: str, first: int, *, too_early: int = 0) -> bytes:
    """ITEMS spans named by number; of these the first ``too_early`` ones are from long ago."""
    now = time.time_ns()
    made = []
    for number in range(first, first + ITEMS):
        start = 1 if number < first + too_early else now
        identity = abs(hash((kind, number))) + 1
        made.append(
            Span(
                trace_id=identity.to_bytes(16, "big"),
                span_id=(identity % (1 << 63) + 1).to_bytes(8, "big"),
                name=f"{kind} {number}",
                start_time_unix_nano=start,
                end_time_unix_nano=start + 1,
            )
        )
    body = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=RESOURCE, scope_spans=[ScopeSpans(spans=made)])])
    return body.SerializeToString()


async def stored(product: Product, kind: str) -> Counter[int]:
    """How often each number is there."""
    async with await psycopg.AsyncConnection.connect(product.reader_dsn, prepare_threshold=None) as connection:
        cursor = await connection.execute("SELECT name FROM traces WHERE name LIKE %s", (f"{kind} %",))
        return Counter(int(name.split()[1]) for (name,) in await cursor.fetchall())


async def until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for a condition of another process; the deadline is for a broken product alone."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - processes tell nobody
                await asyncio.sleep(0.02)
            return
    pytest.fail(f"waited {seconds} s in vain until {what}")


class Connection:
    """One connection to OTLP over HTTP, kept as long as the server keeps it; never silently another, as HTTP libraries have it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.leaves = False

    @classmethod
    async def open(cls, url: str) -> Connection:
        return cls(*await asyncio.open_connection(*urlsplit(url).netloc.split(":")))

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; raises OSError or EOFError where there is none."""
        head = f"POST /v1/traces HTTP/1.1\r\nhost: test\r\ncontent-type: application/x-protobuf\r\ncontent-length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        async with asyncio.timeout(60):
            lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            self.leaves |= "connection: close" in lines
            length = next(int(line.split(": ")[1]) for line in lines if line.startswith("content-length: "))
            return int(lines[0].split()[1]), await self._reader.readexactly(length)

    async def works(self) -> bool:
        """Whether the other end is still there."""
        try:
            return (await self.post(b""))[0] == 200
        except (OSError, EOFError):
            return False

    def close(self) -> None:
        self._writer.close()


@contextlib.asynccontextmanager
async def connections(product: Product, count: int) -> AsyncIterator[list[Connection]]:
    opened = [await Connection.open(product.otlp_url) for _ in range(count)]
    try:
        for connection in opened:
            assert await connection.works()
        yield opened
    finally:
        for connection in opened:
            connection.close()


async def renewed(product: Product, opened: list[Connection]) -> int:
    """A request on each; those that are asked to leave, or are gone, are replaced as a client does it. Returns how many were asked."""
    asked = 0
    for place, connection in enumerate(opened):
        if not await connection.works() or connection.leaves:
            asked += connection.leaves
            connection.close()
            opened[place] = await Connection.open(product.otlp_url)
    return asked


@dataclass
class Load:
    """Exporters that send a request's very bytes again until it is acknowledged, by both protocols; they end when told to or refused."""

    product: Product
    kind: str
    acknowledged: list[range] = field(default_factory=list)
    retries: int = 0
    stopping: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(0, ITEMS))

    def start(self) -> None:
        self.tasks = [asyncio.create_task(self._export(self._over_http)) for _ in range(CONNECTIONS)]
        self.tasks += [asyncio.create_task(self._export(self._over_grpc)) for _ in range(2)]

    async def reached(self, more: int) -> None:
        wanted = len(self.acknowledged) + more
        await until(
            lambda: len(self.acknowledged) >= wanted or any(task.done() for task in self.tasks), f"{more} more are acknowledged", 60
        )

    async def finish(self) -> None:
        self.stopping = True
        await asyncio.gather(*self.tasks)

    def sent(self) -> Counter[int]:
        return Counter(itertools.chain.from_iterable(self.acknowledged))

    async def _export(self, way: Callable[[], contextlib.AbstractAsyncContextManager[Callable[[bytes], asyncio.Future[bool]]]]) -> None:
        async with way() as send:
            while not self.stopping:
                first = next(self.numbers)
                body = spans(self.kind, first)
                while not await send(body):
                    if self.stopping:
                        return
                    self.retries += 1
                    await asyncio.sleep(0.02)
                self.acknowledged.append(range(first, first + ITEMS))

    @contextlib.asynccontextmanager
    async def _over_http(self):
        async with httpx.AsyncClient(base_url=self.product.otlp_url, timeout=30) as client:

            async def send(body: bytes) -> bool:
                try:
                    answer = await client.post("/v1/traces", content=body, headers=PROTOBUF)
                except httpx.TransportError:
                    return False
                assert answer.status_code in {200, *RETRIED}, answer.text
                return answer.status_code == 200

            yield send

    @contextlib.asynccontextmanager
    async def _over_grpc(self):
        async with grpc.aio.insecure_channel(urlsplit(self.product.otlp_grpc_url).netloc) as channel:
            call = channel.unary_unary(EXPORT)

            async def send(body: bytes) -> bool:
                try:
                    await call(body, timeout=30)
                except grpc.aio.AioRpcError as error:
                    if error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
                        raise
                    return False
                return True

            yield send


@pytest_asyncio.fixture(scope="module", name="two")
async def _two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    """A product with two workers; the tests below kill of it what they like, the last one all."""
    product = await products.start(tmp_path_factory.mktemp("workers") / "data", workers=2)
    yield product
    if product.process.returncode is None:
        await products.stop(product)


async def test_connections_are_even_and_become_even_again(two: Product) -> None:
    before = two.workers()
    assert sorted(two.places["workers"]) == sorted(before)
    async with connections(two, CONNECTIONS) as opened:
        os.kill(before[0], signal.SIGKILL)
        assert sorted([await connection.works() for connection in opened]) == [False, False, True, True]
        # All are the survivor's now, which lets go what is too much once there is a successor.
        asked = 0
        while asked < CONNECTIONS // 2:
            asked += await renewed(two, opened)
        assert all([await connection.works() for connection in opened])
        os.kill(before[1], signal.SIGKILL)
        assert sorted([await connection.works() for connection in opened]) == [False, False, True, True]
    await until(lambda: before[1] not in two.workers() and len(two.workers()) == 2, "there are two workers again")


async def test_the_same_body_at_the_same_moment_is_stored_once_and_answered_alike(two: Product) -> None:
    async with connections(two, 2) as pair:
        for attempt in range(10):
            body = spans("twice", attempt * ITEMS, too_early=3)
            first, second = await asyncio.gather(*(connection.post(body) for connection in pair))
            assert first == second
            assert first[0] == 200
            assert ExportTraceServiceResponse.FromString(first[1]).partial_success.rejected_spans == 3
    assert await stored(two, "twice") == Counter(number for number in range(10 * ITEMS) if number % ITEMS >= 3)


async def test_what_is_acknowledged_survives_deaths_and_ends(two: Product) -> None:
    """kill -9 of a worker, SIGTERM of all, kill -9 of the parent, each under load."""
    load = Load(two, "number")
    load.start()
    await load.reached(30)
    victim = two.workers()[0]
    os.kill(victim, signal.SIGKILL)
    await until(lambda: load.retries > 0, "exporters notice")
    await load.reached(30)
    two.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(two.process.wait(), 30) == 0, "".join(two.stderr)
    await load.finish()

    product = await products.start(two.data_dir, workers=2)
    audit(load, await stored(product, "number"))
    load = Load(product, "orphan")
    load.start()
    await load.reached(30)
    workers = product.workers()
    assert len(workers) == 2
    product.process.kill()
    for pid in workers:
        await until(lambda pid=pid: not alive(pid), f"worker {pid} has ended")
    await load.finish()
    for url in (product.otlp_url, product.otlp_grpc_url):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*urlsplit(url).netloc.split(":"))
    async with products.running(two.data_dir) as again:
        audit(load, await stored(again, "orphan"))


def audit(load: Load, there: Counter[int]) -> None:
    sent = load.sent()
    assert max(sent.values()) == 1
    assert sorted((sent - there).elements()) == [], "acknowledged and lost"
    assert [number for number, count in there.items() if count > 1] == [], "stored twice"


def alive(pid: int) -> bool:
    """Whether a process runs. An orphan that nobody reaps, as in containers without an init, does not."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return listed.returncode == 0 and not listed.stdout.startswith("Z")
