"""``tidegauge simulate``: a small shop that reports through real OpenTelemetry exporters."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from secrets import randbelow
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tidegauge.config import Settings, load
from tidegauge.errors import ConfigurationError
from tidegauge.runtime import known_location, refresh_rollups
from tidegauge.simulate.display import print_summary, progress_on
from tidegauge.units import parse_duration

if TYPE_CHECKING:
    from tidegauge.simulate.engine import Options


def simulate(
    rate: Annotated[float, typer.Option(min=0.1, max=2000, help="User requests a second.")] = 25.0,
    duration: Annotated[str, typer.Option(help="How long to run in real time, like 90s or 10m; 0 for history only.")] = "60s",
    forever: Annotated[bool, typer.Option("--forever", help="Run until Ctrl-C.")] = False,
    batch: Annotated[str, typer.Option(help="User requests at a time, like 20-30.")] = "20-30",
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Exports at a time.")] = 5,
    backfill: Annotated[str, typer.Option(help="Fill this much history first, like 7d, so that rollups show something.")] = "0",
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed gives the same ids and values. Default: a new one.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="OTLP base address. Default: this machine, at the port set for OTLP.")] = None,
    token: Annotated[str | None, typer.Option(help="API token. Default: TIDEGAUGE_API_TOKEN.")] = None,
    protocol: Annotated[str, typer.Option(help="http/protobuf, http/json or grpc.")] = "http/protobuf",
    malformed_otlp: Annotated[bool, typer.Option("--malformed-otlp", help="Also send broken OTLP, which must be refused.")] = False,
    wait: Annotated[str, typer.Option(help="How long to wait for the endpoint to come up.")] = "10s",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Simulate a small shop of five services: spans, metrics and logs of successful, failing, slow and malformed user requests.

    The exit code is 1 when an export failed or items were rejected.

    \b
    Examples:
      tidegauge simulate
      tidegauge simulate --backfill 7d --duration 30s
      tidegauge simulate --seed 7 --rate 100 --forever
      tidegauge simulate --endpoint http://collector:4318 --json
      tidegauge simulate --protocol grpc
    """  # noqa: D301 (\b keeps Click from joining the lines)
    settings = load()
    try:
        from tidegauge.simulate.engine import Options
        from tidegauge.simulate.run import Target, run
    except ImportError as error:
        raise ConfigurationError(f"the simulator needs {error.name}", hint="pip install 'tidegauge[simulate]'") from error
    options = Options(
        rate=rate,
        batch=_batch(batch),
        duration_seconds=None if forever else _seconds("duration", duration),
        backfill_seconds=_seconds("backfill", backfill),
        spans_kept_seconds=_spans_kept(settings),
        concurrency=concurrency,
    )
    _check(options, settings)
    if malformed_otlp and protocol == "grpc":
        raise ConfigurationError("--malformed-otlp is sent over HTTP", hint="leave --protocol away")
    default_endpoint = _default_endpoint(settings, protocol)
    known_token = settings.api.token.get_secret_value() if settings.api.token else None
    target = Target(endpoint or default_endpoint, token or known_token, protocol, _seconds("wait", wait))
    with _stop_on_signals() as stop, progress_on(Console(stderr=True)) as progress:
        summary = run(
            target,
            options,
            randbelow(1 << 31) if seed is None else seed,
            malformed_otlp=malformed_otlp,
            stop=stop,
            on_progress=progress.show,
            # Another address is another store: the database at hand has nothing to refresh then.
            refresh=_refresher(settings) if target.endpoint == default_endpoint else None,
        )
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), indent=2))
    else:
        print_summary(Console(), summary)
    if not summary.ok:
        raise typer.Exit(1)


def _refresher(settings: Settings) -> Callable[[datetime, datetime], Awaitable[None]] | None:
    """Brings rollups up to date after a backfill where the store's database is at hand; elsewhere it does so on its own schedule."""
    location = known_location(settings)
    if location is None:
        return None
    return partial(refresh_rollups, settings, location)


def _check(options: Options, settings: Settings) -> None:
    kept = settings.lifecycle.metrics_retention - 2 * settings.lifecycle.metrics_chunk
    if options.backfill_seconds > kept.total_seconds():
        raise ConfigurationError(
            f"--backfill goes back further than metrics are kept ({kept.days} days): the store would reject it",
            hint="TIDEGAUGE_LIFECYCLE_METRICS_RETENTION",
        )
    if options.duration_seconds == 0 and options.backfill_seconds == 0:
        raise ConfigurationError("nothing to simulate", hint="give --duration or --backfill")


def _spans_kept(settings: Settings) -> float:
    lifecycle = settings.lifecycle
    spans = lifecycle.traces_retention - 2 * lifecycle.traces_chunk
    logs = lifecycle.logs_retention - 2 * lifecycle.logs_chunk
    return min(spans, logs).total_seconds()


def _default_endpoint(settings: Settings, protocol: str) -> str:
    listen = settings.otlp.grpc_listen if protocol == "grpc" else settings.otlp.listen
    host = "127.0.0.1" if listen.host in {"0.0.0.0", "::"} else listen.host  # noqa: S104 (an address to call, not to listen on)
    return f"http://[{host}]:{listen.port}" if ":" in host else f"http://{host}:{listen.port}"


def _seconds(option: str, text: str) -> float:
    if text.strip() in {"0", "0s"}:
        return 0.0
    try:
        parsed = parse_duration(text)
    except ValueError as error:
        raise ConfigurationError(f"--{option}={text}: {error}") from error
    if not isinstance(parsed, timedelta):
        raise ConfigurationError(f"--{option}={text}: expected a duration like 90s, 10m or 7d")
    return parsed.total_seconds()


def _batch(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= low <= high <= 10_000:
        raise ConfigurationError(f"--batch={text}: expected a number of requests or a range like 20-30")
    return low, high


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second one interrupts at once."""
    stop = threading.Event()

    def handle(_: int, __: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
