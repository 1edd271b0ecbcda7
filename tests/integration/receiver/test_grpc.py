"""OTLP over gRPC as a client sees it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.integration.receiver.conftest import ANYWHERE, LIMIT
from tests.servers.memory import NOW, MemoryStore, ingestor, writing
from tidegauge.clients import client_naming
from tidegauge.config import ListenAddress
from tidegauge.errors import ConfigurationError, TidegaugeError, Unavailable
from tidegauge.ingest.throttle import IngestThrottle, window
from tidegauge.ingest.writer import Writer
from tidegauge.receiver.grpc import GrpcLimits, serving_grpc
from tidegauge.storage.cache.limiter import MemoryLimiter

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TOKEN = "0123456789abcdef"


def spans(good: int, bad: int = 0, name: str = "") -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(good + bad):
        scope.spans.add(
            trace_id=bytes(15) + b"\1",
            span_id=(number + 1).to_bytes(8) if number < good else b"short",
            start_time_unix_nano=NOW,
            end_time_unix_nano=NOW,
            name=name,
        )
    return request


def metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points.add(time_unix_nano=NOW, as_int=1)
    return request


def logs() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=NOW)
    return request


EXPORTS: dict[str, tuple[Any, Callable[[], Message]]] = {
    "traces": (TraceServiceStub, lambda: spans(1)),
    "metrics": (MetricsServiceStub, metrics),
    "logs": (LogsServiceStub, logs),
}


async def raw(channel: grpc.aio.Channel, body: bytes, **options: Any) -> bytes:
    return bytes(await channel.unary_unary(TRACES)(body, **options))


def status_of(error: grpc.aio.AioRpcError) -> Status | None:
    """The google.rpc.Status that came with it."""
    found = [value for name, value in error.trailing_metadata() or () if name == "grpc-status-details-bin"]
    return Status.FromString(found[0]) if found else None


def retry_seconds(error: grpc.aio.AioRpcError) -> float | None:
    status = status_of(error)
    retry = RetryInfo()
    return retry.retry_delay.ToTimedelta().total_seconds() if status and any(each.Unpack(retry) for each in status.details) else None


@contextlib.contextmanager
def fails(code: grpc.StatusCode) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield caught
    assert caught.value.code() is code, caught.value.details()


async def condition(holds: Callable[[], object]) -> None:
    """Wait for what the server does without saying so."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=["none", "gzip"])
@pytest.mark.parametrize("kind", EXPORTS)
async def test_items_are_stored_before_they_are_acknowledged(
    channel: grpc.aio.Channel, store: MemoryStore, kind: str, compression: grpc.Compression
) -> None:
    stub, request = EXPORTS[kind]
    store.gate.clear()
    call = stub(channel).Export(request(), compression=compression)
    done, _ = await asyncio.wait([asyncio.ensure_future(call)], timeout=0.1)
    assert not done
    store.gate.set()
    answer = await call
    assert not answer.HasField("partial_success")
    [stored] = store.requests
    assert (len(stored.batch), stored.bytes, stored.endpoint) == (1, request().ByteSize(), f"/v1/{kind}")


@pytest.mark.parametrize("kind", EXPORTS)
async def test_an_empty_request_succeeds(channel: grpc.aio.Channel, store: MemoryStore, kind: str) -> None:
    stub, request = EXPORTS[kind]
    assert (await stub(channel).Export(type(request())())).ByteSize() == 0
    assert store.requests == []


async def test_bad_items_are_a_partial_success(channel: grpc.aio.Channel, store: MemoryStore) -> None:
    answer = await TraceServiceStub(channel).Export(spans(2, bad=1))
    assert (answer.partial_success.rejected_spans, answer.partial_success.error_message) == (1, "invalid_span_id")
    assert [len(request.batch) for request in store.requests] == [2]


@pytest.mark.parametrize("body", [b"\x0a\xff\xff", b"\x1f\x8b not gzip", b"\x1f\x8b"], ids=["protobuf", "gzip", "cut gzip"])
async def test_a_malformed_message_is_refused_for_good(channel: grpc.aio.Channel, store: MemoryStore, body: bytes) -> None:
    with fails(grpc.StatusCode.INVALID_ARGUMENT) as caught:
        await raw(channel, body)
    status = status_of(caught.value)
    assert status is not None
    bad = BadRequest()
    assert status.details[0].Unpack(bad)
    assert (status.code, status.message, bad.field_violations[0].description) == (3, caught.value.details(), status.message)
    assert retry_seconds(caught.value) is None
    assert store.requests == []


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=["none", "gzip"])
async def test_what_is_too_large_is_refused_for_good(channel: grpc.aio.Channel, store: MemoryStore, compression: grpc.Compression) -> None:
    for _ in range(5):
        with fails(grpc.StatusCode.RESOURCE_EXHAUSTED) as caught:
            await raw(channel, bytes(LIMIT + 1), compression=compression)
        assert str(LIMIT) in caught.value.details()
        assert retry_seconds(caught.value) is None
    assert store.requests == []


async def test_another_compression_is_unimplemented(channel: grpc.aio.Channel) -> None:
    with fails(grpc.StatusCode.UNIMPLEMENTED):
        await raw(channel, spans(1).SerializeToString(), compression=grpc.Compression.Deflate)


@pytest.mark.parametrize(
    "method", [TRACES.removesuffix("Export") + "Import", "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"]
)
async def test_another_method_is_unimplemented(channel: grpc.aio.Channel, method: str) -> None:
    with fails(grpc.StatusCode.UNIMPLEMENTED):
        await channel.unary_unary(method)(b"")


async def test_a_call_without_a_message_is_refused(channel: grpc.aio.Channel) -> None:
    call = channel.stream_unary(TRACES)()
    await call.done_writing()
    with fails(grpc.StatusCode.INVALID_ARGUMENT):
        await call


async def test_while_the_store_is_away_clients_are_told_to_come_back(channel: grpc.aio.Channel, store: MemoryStore) -> None:
    store.failure = Unavailable("the database is away", retry_after_seconds=2.5)
    with fails(grpc.StatusCode.UNAVAILABLE) as caught:
        await TraceServiceStub(channel).Export(spans(1))
    assert (caught.value.details(), retry_seconds(caught.value)) == ("the database is away", 2.5)


async def test_an_exporter_comes_back_when_it_is_told_to(port: int, store: MemoryStore, caplog: pytest.LogCaptureFixture) -> None:
    """The SDK's exporter for Python, with its own retry."""
    store.failure = Unavailable("the database is away", retry_after_seconds=0.25)
    caplog.set_level("WARNING", "opentelemetry")
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{port}", insecure=True, timeout=20)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    span = provider.get_tracer("t").start_span("s", start_time=NOW)
    sending = asyncio.ensure_future(asyncio.to_thread(span.end, NOW + 1))
    await condition(lambda: caplog.records)
    store.failure = None
    await sending
    await asyncio.to_thread(provider.shutdown)
    assert {"retrying in 0.25s" in record.getMessage() for record in caplog.records} == {True}
    assert [len(request.batch) for request in store.requests] == [1]


async def test_overload_is_unavailable_with_a_time_to_come_back(channel: grpc.aio.Channel, store: MemoryStore, writer: Writer) -> None:
    store.gate.clear()
    stub = TraceServiceStub(channel)
    waiting = asyncio.ensure_future(stub.Export(spans(1, name="x" * (LIMIT - 1000))))
    await condition(lambda: writer.pending_bytes)
    with fails(grpc.StatusCode.UNAVAILABLE) as caught:
        await stub.Export(spans(50))
    seconds = retry_seconds(caught.value)
    assert seconds is not None
    assert seconds > 0
    store.gate.set()
    await waiting
    assert writer.pending_bytes == 0
    await stub.Export(spans(50))


@pytest.mark.parametrize("failure", [TidegaugeError("broken"), ZeroDivisionError("secret detail")])
async def test_a_defect_is_internal_without_its_inside(channel: grpc.aio.Channel, store: MemoryStore, failure: Exception) -> None:
    store.failure = failure
    with fails(grpc.StatusCode.INTERNAL) as caught:
        await TraceServiceStub(channel).Export(spans(1))
    assert "secret" not in repr(caught.value)
    assert "Traceback" not in repr(caught.value)


@pytest.mark.parametrize("token", [TOKEN])
@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", f"Bearer {TOKEN}x"),),
        (("authorization", f"Basic {TOKEN}"),),
        (("authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}")),
    ],
    ids=["none", "wrong", "basic", "two"],
)
async def test_without_the_token_nobody_gets_in(channel: grpc.aio.Channel, store: MemoryStore, metadata: Any) -> None:
    with fails(grpc.StatusCode.UNAUTHENTICATED) as caught:
        await TraceServiceStub(channel).Export(spans(1), metadata=metadata)
    assert TOKEN not in repr(caught.value)
    with fails(grpc.StatusCode.UNAUTHENTICATED):
        await listed(channel, "grpc.reflection.v1", metadata)
    assert store.requests == []


@pytest.mark.parametrize("token", [TOKEN])
async def test_with_the_token_everybody_gets_in(channel: grpc.aio.Channel, store: MemoryStore) -> None:
    metadata = (("authorization", f"bearer {TOKEN}"),)
    await TraceServiceStub(channel).Export(spans(1), metadata=metadata)
    assert len(store.requests) == 1
    assert await listed(channel, "grpc.reflection.v1", metadata)
    assert (await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())).status == 1


async def test_a_client_that_gives_up_leaves_nothing_behind(channel: grpc.aio.Channel, store: MemoryStore, writer: Writer) -> None:
    store.gate.clear()
    stub = TraceServiceStub(channel)
    calls = [stub.Export(spans(1, name=str(number))) for number in range(20)]
    waiting = [asyncio.ensure_future(call) for call in calls]
    await condition(lambda: writer.pending_bytes)
    for call in calls:
        call.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    with fails(grpc.StatusCode.DEADLINE_EXCEEDED):
        await stub.Export(spans(1), timeout=0.1)
    await condition(lambda: not writer.pending_bytes)
    store.gate.set()
    await stub.Export(spans(3))
    assert len(store.requests[-1].batch) == 3


# A client of HTTP/2 (RFC 9113) by hand, for what no gRPC library does.
DATA, HEADERS = 0, 1


def frame(kind: int, stream: int, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(stream: int) -> bytes:
    """A call of Export, its headers as literals without indexing (RFC 7541, section 6.2.2)."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": TRACES,
        ":authority": "x",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    block = b"".join(b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in fields.items())
    return frame(HEADERS, stream, block, flags=4)


@contextlib.asynccontextmanager
async def stalled(port: int, calls: int, message: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A client that begins calls, sends ``message`` of each and then nothing more; it vanishes where the block ends."""
    answers, client = await asyncio.open_connection("127.0.0.1", port)
    client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, b""))
    for stream in range(1, 2 * calls, 2):
        client.write(headers(stream) + frame(DATA, stream, message))
    await client.drain()
    try:
        yield answers
    finally:
        client.transport.abort()


async def test_who_vanishes_in_the_middle_of_a_message_keeps_nobody_out(
    channel: grpc.aio.Channel, port: int, store: MemoryStore, writer: Writer
) -> None:
    stub = TraceServiceStub(channel)
    # 100,000 bytes are announced, ten come: as many such calls as may be received at a time, and more.
    async with stalled(port, 5, b"\0" + struct.pack(">I", 100_000) + bytes(10)):
        with fails(grpc.StatusCode.UNAVAILABLE) as caught:
            async with asyncio.timeout(20):
                while True:
                    await stub.Export(spans(1))
        assert "arriving already" in caught.value.details()
        assert retry_seconds(caught.value) == 1
        assert writer.pending_bytes <= 10
        seen = len(store.requests)
    await condition(lambda: not writer.pending_bytes)
    await stub.Export(spans(3))
    assert len(store.requests) == seen + 1


@contextlib.asynccontextmanager
async def server(writer: Writer, limits: GrpcLimits) -> AsyncIterator[int]:
    async def readiness() -> dict[str, str]:
        return {"timescaledb": "ok"}

    async with serving_grpc(ingestor(writer), ANYWHERE, limits, token=None, readiness=readiness) as port:
        yield port


async def test_a_message_that_does_not_arrive_ends_its_call(writer: Writer) -> None:
    async with (
        server(writer, GrpcLimits(LIMIT, max_reads=1, read_seconds=0.1)) as port,
        stalled(port, 3, b"\0" + struct.pack(">I", 100_000) + bytes(10)) as answers,
        asyncio.timeout(20),
    ):
        for _ in range(3):
            await answers.readuntil(b"did not arrive within 0.1 s")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await TraceServiceStub(channel).Export(spans(1))


async def test_connections_are_renewed_and_what_is_under_way_ends(store: MemoryStore, writer: Writer) -> None:
    store.gate.clear()
    async with (
        server(writer, GrpcLimits(LIMIT, max_connection_age_seconds=0.1)) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        asyncio.timeout(20),
    ):
        running = asyncio.ensure_future(TraceServiceStub(channel).Export(spans(1)))
        await condition(lambda: writer.pending_bytes)
        async with stalled(port, 0, b"") as answers:
            await answers.readuntil(b"max_age")  # GOAWAY, and why; the other connection is older
        store.gate.set()
        await running
        await TraceServiceStub(channel).Export(spans(2))
    assert [len(request.batch) for request in store.requests] == [1, 2]


async def test_health_is_what_readiness_says(channel: grpc.aio.Channel, checks: dict[str, str]) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "opentelemetry.proto.collector.logs.v1.LogsService"):
        assert (await health.Check(health_pb2.HealthCheckRequest(service=service))).status == health_pb2.HealthCheckResponse.SERVING
    with fails(grpc.StatusCode.NOT_FOUND):
        await health.Check(health_pb2.HealthCheckRequest(service="another"))
    watch = health.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    checks["timescaledb"] = "away"
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.NOT_SERVING
    unknown = health.Watch(health_pb2.HealthCheckRequest(service="another"))
    assert (await unknown.read()).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    unknown.cancel()
    watch.cancel()


async def listed(channel: grpc.aio.Channel, package: str, metadata: Any = ()) -> set[str]:
    call = channel.stream_stream(
        f"/{package}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), metadata=metadata)
    return {service.name async for answer in call for service in answer.list_services_response.service}


@pytest.mark.parametrize("package", ["grpc.reflection.v1", "grpc.reflection.v1alpha"])
async def test_reflection_names_the_services(channel: grpc.aio.Channel, package: str) -> None:
    found = await listed(channel, package)
    assert {"opentelemetry.proto.collector.trace.v1.TraceService", "grpc.health.v1.Health"} <= found


async def test_stopping_ends_what_is_under_way_and_takes_nothing_new(store: MemoryStore) -> None:
    async with writing(store, LIMIT) as writer, contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(server(writer, GrpcLimits(LIMIT)))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            await watch.read()
            store.gate.clear()
            running = asyncio.ensure_future(TraceServiceStub(channel).Export(spans(1)))
            await condition(lambda: writer.pending_bytes)
            stopped = asyncio.ensure_future(stack.aclose())
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert await watch.read() is grpc.aio.EOF
            with fails(grpc.StatusCode.UNAVAILABLE):
                await TraceServiceStub(channel).Export(spans(2), timeout=5)
            assert not stopped.done()
            store.gate.set()
            await running
            async with asyncio.timeout(5):
                await stopped
    assert [len(request.batch) for request in store.requests] == [1]


async def test_an_address_that_is_taken_is_named(port: int, writer: Writer) -> None:
    async def readiness() -> dict[str, str]:
        return {}

    taken = ListenAddress(host="127.0.0.1", port=port)
    with pytest.raises(ConfigurationError, match=str(port)):
        async with serving_grpc(ingestor(writer), taken, GrpcLimits(LIMIT), token=None, readiness=readiness):
            pass


async def test_processes_can_share_a_port(writer: Writer) -> None:
    async def readiness() -> dict[str, str]:
        return {}

    def serving(listen: ListenAddress) -> Any:
        return serving_grpc(ingestor(writer), listen, GrpcLimits(LIMIT), token=None, readiness=readiness, reuse_port=True)

    # Held by a socket that does not listen, so that nobody else takes it between two of them.
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        listen = ListenAddress(host="127.0.0.1", port=held.getsockname()[1])
        async with serving(listen) as first, serving(listen) as second:
            assert (first, second) == (listen.port, listen.port)
            async with grpc.aio.insecure_channel(str(listen)) as channel:
                await TraceServiceStub(channel).Export(spans(1))


async def test_what_a_caller_may_send_is_limited(store: MemoryStore) -> None:
    async def readiness() -> dict[str, str]:
        return {"timescaledb": "ok"}

    async with writing(store, LIMIT) as writer:
        intake = ingestor(writer, IngestThrottle(None, MemoryLimiter([window("items", 1)], "ingest")))
        options = {"token": None, "readiness": readiness, "client_of": client_naming(None, 1)}
        async with (
            serving_grpc(intake, ANYWHERE, GrpcLimits(LIMIT), **options) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            export = TraceServiceStub(channel).Export
            await export(spans(10))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await export(spans(10, name="other"))
            # By another proxy's word it is somebody else.
            await export(spans(10, name="another"), metadata=[("x-forwarded-for", "198.51.100.7")])

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    retry = RetryInfo()
    assert Status.FromString(details).details[0].Unpack(retry)
    assert 0 < retry.retry_delay.ToTimedelta().total_seconds() <= 20
    assert len(store.requests) == 2
