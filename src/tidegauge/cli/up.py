"""``tidegauge up`` and ``tidegauge serve``."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import orjson
import typer
import uvloop

from tidegauge import config
from tidegauge.cli.terminal import progress, say, show_columns
from tidegauge.config import ListenAddress, Settings
from tidegauge.runtime import Location, assembled, database_location
from tidegauge.serving import address, bound, serving, stop_signal
from tidegauge.storage.postgres import migrate

Data = Annotated[Path | None, typer.Option("--data", help="folder of the embedded database", show_default="by the platform's convention")]
ApiListen = Annotated[str | None, typer.Option("--api", metavar="HOST:PORT", help="query API", show_default="127.0.0.1:4320")]
OtlpListen = Annotated[str | None, typer.Option("--otlp", metavar="HOST:PORT", help="OTLP over HTTP", show_default="127.0.0.1:4318")]
Insecure = Annotated[bool, typer.Option("--insecure", help="serve a public address without TIDEGAUGE_API_TOKEN")]
AsJson = Annotated[bool, typer.Option("--json", help="print where everything is as one JSON line")]


def up(data: Data = None, api: ApiListen = None, otlp: OtlpListen = None, insecure: Insecure = False, as_json: AsJson = False) -> None:
    """Run everything: start the embedded database (or use DATABASE_URL), bring its schema up to date, serve.

    Examples:
      tidegauge up
      tidegauge up --data ./telemetry --api 4321 --otlp 4319
      DATABASE_URL=postgresql://tidegauge@db/telemetry tidegauge up

    """
    settings = _settings(data, api, otlp, insecure)
    uvloop.run(_run(settings, as_json=as_json, migrates=True))


def serve(data: Data = None, api: ApiListen = None, otlp: OtlpListen = None, insecure: Insecure = False, as_json: AsJson = False) -> None:
    """Serve on a database whose schema is there already (`tidegauge db migrate`).

    Examples:
      DATABASE_URL=postgresql://tidegauge@db/telemetry tidegauge serve

    """
    settings = _settings(data, api, otlp, insecure)
    uvloop.run(_run(settings, as_json=as_json, migrates=False))


def _settings(data: Path | None, api: str | None, otlp: str | None, insecure: bool) -> Settings:
    overrides: dict[str, dict[str, object]] = {}
    for section, field, value in (
        ("embedded", "data_dir", data),
        ("api", "listen", api),
        ("otlp", "listen", otlp),
        ("api", "insecure", insecure or None),
    ):
        if value is not None:
            overrides.setdefault(section, {})[field] = value
    return config.load(overrides=overrides)


async def _run(settings: Settings, *, as_json: bool, migrates: bool) -> None:
    """Serve until a signal comes. Leaving the contexts, by cancellation as well, is the orderly end of each part."""
    stop = asyncio.create_task(stop_signal())
    work = asyncio.create_task(_serve(settings, as_json=as_json, migrates=migrates))
    await asyncio.wait((stop, work), return_when=asyncio.FIRST_COMPLETED)
    if stop.done():
        say(f"\n{stop.result().name}: committing what is acknowledged, then stopping")
        work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    stop.cancel()


async def _serve(settings: Settings, *, as_json: bool, migrates: bool) -> None:
    for name, what in _not_yet(settings):
        say(f"{name} is set, but this version keeps {what}", "yellow")
    wanted = (settings.otlp.listen, "TIDEGAUGE_OTLP_LISTEN"), (settings.api.listen, "TIDEGAUGE_API_LISTEN")
    with bound(*wanted) as sockets:
        async with database_location(settings, progress) as location:
            if migrates:
                await asyncio.to_thread(migrate.upgrade, location.owner_dsn, settings, progress)
            async with assembled(settings, location) as runtime, serving((runtime.otlp, runtime.api), sockets):
                addresses = [address(taken, listen) for taken, (listen, _) in zip(sockets, wanted, strict=True)]
                _announce(settings, location, dict(zip(("otlp", "api"), addresses, strict=True)), as_json=as_json)
                await asyncio.Event().wait()


def _not_yet(settings: Settings) -> Iterator[tuple[str, str]]:
    """Settings that are understood and have no effect yet; nobody should believe that they have."""
    if settings.logs.elasticsearch_url is not None:
        yield "ELASTICSEARCH_URL", "logs in TimescaleDB"
    if settings.cache.redis_url is not None:
        yield "REDIS_URL", "cache and limits in process"


def _announce(settings: Settings, location: Location, addresses: dict[str, ListenAddress], *, as_json: bool) -> None:
    otlp, api = (f"http://{_reachable(addresses[name])}" for name in ("otlp", "api"))
    places = {
        "otlp_http": otlp,
        "api": f"{api}/api/v1",
        "openapi": f"{api}/api/openapi.json",
        "health": f"{api}/api/health/ready",
        "data": str(settings.embedded.data_dir) if location.embedded else "DATABASE_URL",
    }
    if as_json:
        sys.stdout.write(orjson.dumps(places | {"reader_dsn": location.reader_dsn}).decode() + "\n")
        sys.stdout.flush()
        return
    say("Tidegauge is ready", "bold green")
    rows = [
        ("OTLP/HTTP", otlp, "OTEL_EXPORTER_OTLP_ENDPOINT of your applications"),
        ("Query API", f"{api}/api/v1", f"description: {api}/api/openapi.json"),
        ("Health", f"{api}/api/health/ready", ""),
    ]
    if location.embedded:
        rows.append(("SQL", "tidegauge db shell --reader", "psql as the role that may only read"))
        rows.append(("Data", str(settings.embedded.data_dir), ""))
    show_columns([*rows, ("Try it", "tidegauge simulate", "in a second shell")])


def _reachable(address: ListenAddress) -> ListenAddress:
    """An address to type: nobody can connect to 0.0.0.0 everywhere."""
    return address.model_copy(update={"host": "127.0.0.1"}) if address.host in {"0.0.0.0", "::"} else address  # noqa: S104 - compared, not bound
