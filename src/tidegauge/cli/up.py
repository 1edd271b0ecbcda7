"""``tidegauge up`` and ``tidegauge serve``."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer
import uvloop

from tidegauge import compiled, config
from tidegauge.cli.running import receiving
from tidegauge.cli.terminal import progress, say, show_columns
from tidegauge.cli.workers import Workers
from tidegauge.config import ListenAddress, LogFormat, Settings
from tidegauge.runtime import Location, database_location, maintained
from tidegauge.serving import Ending, Stop, Taken, leave, taken
from tidegauge.storage.postgres import migrate
from tidegauge.telemetry.assembly import Telemetry
from tidegauge.telemetry.process import MAIN, PARENT, shared_folder, telling

Data = Annotated[Path | None, typer.Option("--data", help="folder of the embedded database", show_default="by the platform's convention")]
ApiListen = Annotated[str | None, typer.Option("--api", metavar="HOST:PORT", help="query API", show_default="127.0.0.1:4320")]
OtlpListen = Annotated[str | None, typer.Option("--otlp", metavar="HOST:PORT", help="OTLP over HTTP", show_default="127.0.0.1:4318")]
GrpcListen = Annotated[str | None, typer.Option("--otlp-grpc", metavar="HOST:PORT", help="OTLP over gRPC", show_default="127.0.0.1:4317")]
WorkerCount = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="processes that receive, store and answer", show_default="1")
]
Insecure = Annotated[bool, typer.Option("--insecure", help="serve a public address without TIDEGAUGE_API_TOKEN")]
AsJson = Annotated[bool, typer.Option("--json", help="print where everything is as one JSON line")]

_log = logging.getLogger(__name__)


def up(
    data: Data = None,
    api: ApiListen = None,
    otlp: OtlpListen = None,
    otlp_grpc: GrpcListen = None,
    workers: WorkerCount = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Run everything: start the embedded database (or use DATABASE_URL), bring its schema up to date, serve.

    Examples:
      tidegauge up
      tidegauge up --data ./telemetry --api 4321 --otlp 4319 --otlp-grpc 4316
      DATABASE_URL=postgresql://tidegauge@db/telemetry tidegauge up --workers 2

    """
    settings = _settings(data, api, otlp, otlp_grpc, workers, insecure)
    _until_stopped(settings, as_json=as_json, migrates=True)


def serve(
    data: Data = None,
    api: ApiListen = None,
    otlp: OtlpListen = None,
    otlp_grpc: GrpcListen = None,
    workers: WorkerCount = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Serve on a database whose schema is there already (`tidegauge db migrate`).

    A worker for each core is a good start where the database is on another machine, half as many where it shares this one. A worker
    that dies is started again; SIGTERM and SIGINT end all in order within TIDEGAUGE_SERVE_SHUTDOWN_TIMEOUT, a second signal at once.

    Examples:
      DATABASE_URL=postgresql://tidegauge@db/telemetry tidegauge serve
      DATABASE_URL=postgresql://tidegauge@db/telemetry tidegauge serve --workers 4

    """
    settings = _settings(data, api, otlp, otlp_grpc, workers, insecure)
    _until_stopped(settings, as_json=as_json, migrates=False)


def _settings(data: Path | None, api: str | None, otlp: str | None, otlp_grpc: str | None, workers: int | None, insecure: bool) -> Settings:
    overrides: dict[str, dict[str, object]] = {}
    for section, field, value in (
        ("embedded", "data_dir", data),
        ("api", "listen", api),
        ("otlp", "listen", otlp),
        ("otlp", "grpc_listen", otlp_grpc),
        ("serve", "workers", workers),
        ("api", "insecure", insecure or None),
    ):
        if value is not None:
            overrides.setdefault(section, {})[field] = value
    return config.load(overrides=overrides)


def _until_stopped(settings: Settings, *, as_json: bool, migrates: bool) -> None:
    with (
        shared_folder(wanted=settings.serve.workers > 1) as folder,
        telling(settings, sys.stderr, MAIN if folder is None else PARENT, folder) as telemetry,
    ):
        stopped = uvloop.run(_run(settings, telemetry, as_json=as_json, migrates=migrates))
    if stopped:
        leave(0)


async def _run(settings: Settings, telemetry: Telemetry, *, as_json: bool, migrates: bool) -> bool:
    """Serve until a signal comes; True after that. Leaving the contexts, by cancellation as well, is the orderly end of each part."""
    children: list[Workers] = []

    def at_once() -> None:
        for workers in children:
            workers.kill()

    def told(who: str) -> None:
        if _logs_alone(settings):
            _log.info("%s: committing what is acknowledged, then stopping", who)
        else:
            say(f"\n{who}: committing what is acknowledged, then stopping")

    stop = Stop(Ending(settings.serve.shutdown_timeout.total_seconds(), told, at_once))
    return await stop.run(_serve(settings, telemetry, children, as_json=as_json, migrates=migrates))


async def _serve(settings: Settings, telemetry: Telemetry, children: list[Workers], *, as_json: bool, migrates: bool) -> None:
    report = _log.info if _logs_alone(settings) else progress
    report(f"decoder: {compiled.described()}")
    with ExitStack() as addresses:
        otlp = addresses.enter_context(taken(settings.otlp.listen, "TIDEGAUGE_OTLP_LISTEN"))
        api = addresses.enter_context(taken(settings.api.listen, "TIDEGAUGE_API_LISTEN"))
        grpc = addresses.enter_context(taken(settings.otlp.grpc_listen, "TIDEGAUGE_OTLP_GRPC_LISTEN", shared=True))
        async with database_location(settings, report) as location:
            if migrates:
                await asyncio.to_thread(migrate.upgrade, location.owner_dsn, settings, report)
            async with _processes(settings, telemetry, location, (otlp, api), grpc, children) as pids:
                _announce(settings, location, {"otlp": otlp.listen, "api": api.listen, "grpc": grpc.listen}, pids, as_json=as_json)
                await asyncio.Event().wait()


@asynccontextmanager
async def _processes(
    settings: Settings, telemetry: Telemetry, location: Location, http: Sequence[Taken], grpc: Taken, children: list[Workers]
) -> AsyncIterator[Sequence[int]]:
    """What serves, while the block runs: this process, or workers. Gives their process ids."""
    if (folder := telemetry.metrics.folder) is None:
        async with receiving(settings, location, grpc.listen, telemetry, maintains=True) as (_, servers):
            for server, address in zip(servers, http, strict=True):
                await server.listen(address.start_listening())
            yield [os.getpid()]
        return
    workers = Workers(settings, location, http, grpc.listen, folder)
    children.append(workers)
    # One process does the maintenance, and this one does not die with a worker.
    async with maintained(settings, location, workers.quiet_seconds, telemetry), workers:
        yield workers.pids


def _announce(
    settings: Settings, location: Location, addresses: Mapping[str, ListenAddress], pids: Sequence[int], *, as_json: bool
) -> None:
    otlp, api, grpc = (f"http://{_reachable(addresses[name])}" for name in ("otlp", "api", "grpc"))
    places = {
        "otlp_http": otlp,
        "otlp_grpc": grpc,
        "api": f"{api}/api/v1",
        "openapi": f"{api}/api/openapi.json",
        "health": f"{api}/api/health/ready",
        "data": str(settings.embedded.data_dir) if location.embedded else "DATABASE_URL",
    }
    if as_json:
        sys.stdout.write(orjson.dumps(places | {"reader_dsn": location.reader_dsn, "workers": pids}).decode() + "\n")
        sys.stdout.flush()
        return
    if _logs_alone(settings):
        _log.info("ready", extra=places | {"workers": pids})
        return
    say("Tidegauge is ready", "bold green")
    rows = [
        ("OTLP/HTTP", otlp, "OTEL_EXPORTER_OTLP_ENDPOINT of your applications"),
        ("OTLP/gRPC", grpc, "the same, for exporters over gRPC"),
        ("Query API", f"{api}/api/v1", f"description: {api}/api/openapi.json"),
        ("Health", f"{api}/api/health/ready", ""),
    ]
    if location.embedded:
        rows.append(("SQL", "tidegauge db shell --reader", "psql as the role that may only read"))
        rows.append(("Data", str(settings.embedded.data_dir), ""))
    if len(pids) > 1:
        rows.append(("Workers", str(len(pids)), "processes " + ", ".join(map(str, pids))))
    show_columns([*rows, ("Try it", "tidegauge simulate", "in a second shell")])


def _logs_alone(settings: Settings) -> bool:
    """Whether standard error is for machines, which read nothing but lines of the log: then what is for people is logged as well."""
    return settings.telemetry.log_format is LogFormat.JSON


def _reachable(address: ListenAddress) -> ListenAddress:
    """An address to type: nobody can connect to 0.0.0.0 everywhere."""
    return address.model_copy(update={"host": "127.0.0.1"}) if address.host in {"0.0.0.0", "::"} else address  # noqa: S104 - compared, not bound
