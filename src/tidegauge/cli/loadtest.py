"""``tidegauge loadtest``: how a running server bears many clients at a time."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from typing import Annotated

import orjson
import typer
import uvloop
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidegauge.cli.terminal import progress
from tidegauge.config import ListenAddress, load
from tidegauge.loadtest.report import TOO_MANY, Counted, Report, quantiles
from tidegauge.loadtest.run import Options, run


def loadtest(
    concurrency: Annotated[int, typer.Argument(min=1, max=1000, help="Clients at a time.")] = 10,
    seconds: Annotated[float, typer.Argument(min=0.1, max=86_400, help="For how long.")] = 10.0,
    pace: Annotated[bool, typer.Option("--pace/--no-pace", help="Keep to the limits that the server tells.")] = True,
    ingest: Annotated[bool, typer.Option("--ingest", help="Also send logs, of a service tidegauge-loadtest; they stay.")] = False,
    endpoint: Annotated[str | None, typer.Option(help="Address of the query API. Default: this machine, at the port set for it.")] = None,
    token: Annotated[str | None, typer.Option(help="API token. Default: TIDEGAUGE_API_TOKEN.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds after which a request has failed.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Ask a running server's query API with many clients at a time.

    Exit status 0 where at least 95 % of the requests succeed, and there is no 502, no 503 and no connection error. Answers 429 are reported
    apart and are no failure: the server has limits, and the test keeps to them unless --no-pace is given.

    \b
    Examples:
      tidegauge loadtest
      tidegauge loadtest 50 30 --no-pace
      tidegauge loadtest 20 60 --ingest --endpoint https://telemetry.example.org --json
    """  # noqa: D301 (\b keeps Click from joining the lines)
    settings = load()
    known = settings.api.token.get_secret_value() if settings.api.token else None
    options = Options(concurrency, seconds, pace, ingest, timeout)
    place = endpoint or _address(settings.api.listen)
    if not as_json:
        progress(f"{concurrency} clients ask {place} for {seconds:g} s")
    report = uvloop.run(_run(place, token or known, options))
    if as_json:
        sys.stdout.write(orjson.dumps(report.as_dict(), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _print(report)
    if report.faults:
        raise typer.Exit(1)


async def _run(endpoint: str, token: str | None, options: Options) -> Report:
    stop = asyncio.Event()
    # The first Ctrl-C ends the test and shows what there is until then.
    with suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    return await run(endpoint, token, options, stop)


def _address(listen: ListenAddress) -> str:
    """Where to call what listens there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104 (compared, not bound)
    return f"http://{ListenAddress(host=host, port=listen.port)}"


def _print(report: Report) -> None:
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, emoji=False, width=120)
    table = Table(box=None)
    table.add_column("endpoint", no_wrap=True)
    for name in ("requests", "succeeded", "429", "failed", "p50", "p95", "p99", "max"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, counted in report.endpoints.items():
        table.add_row(*_row(name, counted))
    counted = report.all
    table.add_section()
    table.add_row(*_row("all", counted), style="bold")
    console.print(table)
    rate = counted.total / report.seconds if report.seconds else 0.0
    limited = f"; {counted.statuses[TOO_MANY]:,} were refused by a limit (429)" if counted.statuses[TOO_MANY] else ""
    paused = f"; a client waited {report.paused_seconds:.1f} s for limits" if report.paused_seconds >= 0.1 else ""
    console.print(
        Text(f"\n{rate:,.1f} requests/s over {report.seconds:.1f} s, {report.success_rate:.1%} succeeded{limited}{paused}"), soft_wrap=True
    )
    if report.faults:
        console.print(Text(f"not passed: {'; '.join(report.faults)}", style="red"), soft_wrap=True)
    else:
        console.print(Text("passed", style="green"))


def _row(name: str, counted: Counted) -> list[str]:
    times = quantiles(counted.latencies)
    failed = counted.total - counted.succeeded - counted.statuses[TOO_MANY]
    numbers = [f"{number:,}" if number else "" for number in (counted.total, counted.succeeded, counted.statuses[TOO_MANY], failed)]
    return [name, *numbers, *(f"{times[key] * 1000:,.1f} ms" if times else "" for key in ("p50", "p95", "p99", "max"))]
