"""One process that receives, stores and answers: by itself, or as a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from tidegauge.cli.process import tune_process
from tidegauge.config import ListenAddress, Settings
from tidegauge.receiver.grpc import GrpcLimits, serving_grpc
from tidegauge.runtime import Location, Runtime, assembled, refusal
from tidegauge.serving import HttpServer
from tidegauge.telemetry.assembly import Telemetry
from tidegauge.telemetry.sampling import connections_sample

# Of a stop's time this much is for requests under way; the rest is for the writer, connections and the embedded database.
_DRAIN_SHARE = 0.6
OTLP, API = 0, 1
Closed = Callable[[int, bool], None]


@asynccontextmanager
async def receiving(
    settings: Settings,
    location: Location,
    grpc_listen: ListenAddress,
    telemetry: Telemetry,
    *,
    maintains: bool,
    closed: Closed | None = None,
) -> AsyncIterator[tuple[Runtime, Sequence[HttpServer]]]:
    """Everything that serves, at work while the block runs: gRPC on its address, HTTP on what the servers are given (OTLP, API).

    Leaving the block refuses what is new, finishes what is under way within the drain's share of ``settings.serve.shutdown_timeout``,
    commits, and closes the pools, in this order.

    Args:
        settings: all of them.
        location: a database whose schema is there.
        grpc_listen: may be shared with other processes.
        telemetry: observes it all.
        maintains: whether the database's maintenance is this process' to do.
        closed: is told which server's connection has closed, and whether it had been asked to leave.

    Raises:
        MigrationError: the schema is not this version's.
        Unavailable: the database does not answer.
        ConfigurationError: the gRPC address cannot be listened on.

    """
    drain_seconds = settings.serve.shutdown_timeout.total_seconds() * _DRAIN_SHARE
    token = settings.api.token
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(assembled(settings, location, maintains=maintains, telemetry=telemetry))
        servers = []
        for number, app in ((OTLP, runtime.otlp), (API, runtime.api)):
            server = HttpServer(app, refusal, drain_seconds, _closing(number, closed))
            servers.append(await stack.enter_async_context(server))
        grpc = serving_grpc(
            runtime.ingestor,
            grpc_listen,
            GrpcLimits(settings.otlp.max_body_bytes, grace_seconds=drain_seconds),
            token=None if token is None else token.get_secret_value(),
            readiness=runtime.readiness,
            reuse_port=True,
            client_of=runtime.client_of,
        )
        await stack.enter_async_context(grpc)
        by_name = {"otlp": servers[OTLP], "api": servers[API]}
        await stack.enter_async_context(telemetry.sampling(connections_sample(telemetry.metrics, by_name)))
        # Here, where all that stays for good is there, and nothing that comes and goes.
        tune_process()
        try:
            yield runtime, servers
        finally:
            runtime.end_streams()
            # All at once: what one of them waits for must not keep the others taking new work.
            for server in servers:
                server.start_draining()


def _closing(number: int, closed: Closed | None) -> Callable[[bool], None] | None:
    return None if closed is None else lambda asked: closed(number, asked)
