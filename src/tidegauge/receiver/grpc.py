"""OTLP over gRPC (OTLP specification 1.x, "OTLP/gRPC"): the Export methods of the trace, metrics and logs services."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

import grpc

from tidegauge.config import ListenAddress
from tidegauge.errors import ConfigurationError
from tidegauge.ingest.ingestor import Ingestor

Readiness = Callable[[], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class GrpcLimits:
    """What the receiver lets clients do.

    Attributes:
        max_body_bytes: of a request, also after decompression.
        grace_seconds: how long calls under way may take to end once the server stops.

    """

    max_body_bytes: int
    grace_seconds: float = 15.0


@contextlib.asynccontextmanager
async def serving_grpc(
    ingestor: Ingestor,
    listen: ListenAddress,
    limits: GrpcLimits,
    *,
    token: str | None,
    readiness: Readiness,
    reuse_port: bool = False,
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

    Raises:
        ConfigurationError: the address cannot be listened on.

    """
    server = grpc.aio.server(options=[("grpc.so_reuseport", int(reuse_port))])
    try:
        port = server.add_insecure_port(str(listen))
    except RuntimeError as error:
        raise ConfigurationError(
            f"cannot listen on {listen}", hint="stop what uses it, or choose another address with TIDEGAUGE_OTLP_GRPC_LISTEN"
        ) from error
    await server.start()
    try:
        yield port
    finally:
        await server.stop(limits.grace_seconds)
