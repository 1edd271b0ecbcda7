"""OTLP over gRPC (OTLP specification 1.x, "OTLP/gRPC"): a server on a port, with health and reflection beside the three services."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc  # type: ignore[import-untyped]

from tidegauge.clients import ClientOf
from tidegauge.config import ListenAddress
from tidegauge.errors import ConfigurationError
from tidegauge.ingest.ingestor import Ingestor
from tidegauge.receiver.grpc_beside import Health, Readiness, reflection_handlers
from tidegauge.receiver.grpc_export import Exports, Reading
from tidegauge.receiver.grpc_token import Token


@dataclass(frozen=True, slots=True)
class GrpcLimits:
    """What the receiver lets clients do.

    Attributes:
        max_body_bytes: of a request, also after decompression.
        grace_seconds: how long calls under way may take to end once the server stops.
        max_connection_age_seconds: clients are asked to connect anew after about this long (± 10 %), so that they spread anew over
            processes that share a port; what is under way still ends. None: never.
        max_streams: calls at a time on a connection; a client keeps further ones back.
        max_reads: messages that are being received at a time, over all connections. Together with ``max_body_bytes`` this bounds what
            gRPC holds of messages that are not whole yet.
        read_seconds: how long a message may take to arrive.

    """

    max_body_bytes: int
    grace_seconds: float = 15.0
    max_connection_age_seconds: float | None = 600.0
    max_streams: int = 100
    max_reads: int = 16
    read_seconds: float = 30.0


@contextlib.asynccontextmanager
async def serving_grpc(
    ingestor: Ingestor,
    listen: ListenAddress,
    limits: GrpcLimits,
    *,
    token: str | None,
    readiness: Readiness,
    reuse_port: bool = False,
    client_of: ClientOf | None = None,
) -> AsyncIterator[int]:
    """Serve OTLP over gRPC while the block runs; gives the port that is listened on.

    Leaving the block stops accepting, lets calls that run end within ``limits.grace_seconds``, and returns. Enter it after the
    ingestor's writer and leave it before: what is under way still gets its commit.

    Args:
        ingestor: stores requests.
        listen: where to listen; port 0 takes a free one.
        limits: of requests.
        token: what clients must send as ``authorization: Bearer …``; None for an open server.
        readiness: dependency → "ok" or what is wrong with it, for grpc.health.v1; as ``GET /api/health/ready`` answers.
        reuse_port: whether other processes of the same user listen on the same port (SO_REUSEPORT): the kernel spreads connections.
        client_of: names callers, where what they send is limited.

    Raises:
        ConfigurationError: the address cannot be listened on.

    """
    server = grpc.aio.server(options=_options(limits, reuse_port))
    health = Health(readiness)
    guard = Token(token)
    reading = Reading(limits.max_body_bytes, limits.max_reads, limits.read_seconds)
    server.add_generic_rpc_handlers(
        (*Exports(ingestor, reading, guard, client_of).handlers(), health.handlers(), *reflection_handlers(guard))
    )
    port = _listen(server, listen)
    await server.start()
    try:
        yield port
    finally:
        health.stop()
        await server.stop(limits.grace_seconds)


def _listen(server: grpc.aio.Server, listen: ListenAddress) -> int:
    try:
        port: int = server.add_insecure_port(str(listen))
    except RuntimeError:
        # gRPC says no reason; it is nearly always this one.
        raise ConfigurationError(
            f"cannot listen on {listen} (gRPC): is it in use?",
            hint="stop what uses it, or choose another address with TIDEGAUGE_OTLP_GRPC_LISTEN",
        ) from None
    return port


def _options(limits: GrpcLimits, reuse_port: bool) -> list[tuple[str, int]]:
    """Channel arguments of gRPC (include/grpc/impl/channel_arg_names.h)."""
    options = [
        ("grpc.so_reuseport", int(reuse_port)),
        ("grpc.max_concurrent_streams", limits.max_streams),
        # Counts bytes on the wire. gRPC's own answer beyond it is RESOURCE_EXHAUSTED without RetryInfo.
        ("grpc.max_receive_message_length", limits.max_body_bytes),
        # Of calls whose message we do not ask for yet, gRPC takes this much each. By itself it would take what the connection carries in
        # a round trip: megabytes. Of a message that is being read all may come at once.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", 1 << 18),
        # We decompress: step by step, with what it takes held first. gRPC would do so before anybody is asked.
        ("grpc.per_message_decompression", 0),
        # none and gzip (bits 0 and 2 of grpc_compression_algorithm); the others are answered UNIMPLEMENTED.
        ("grpc.compression_enabled_algorithms_bitset", 0b101),
        # Clients may ask whether we live, every 10 s and between calls (less often than every 5 s, for clocks differ); without this gRPC
        # answers GOAWAY, too_many_pings, to pings closer than five minutes.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        # And we ask, so that a client that vanished without a word does not keep its calls.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        # Who connects and says nothing holds up the end as well.
        ("grpc.server_handshake_timeout_ms", 5_000),
    ]
    if limits.max_connection_age_seconds is not None:
        options.append(("grpc.max_connection_age_ms", round(limits.max_connection_age_seconds * 1000)))
        options.append(("grpc.max_connection_age_grace_ms", 60_000))
    return options
