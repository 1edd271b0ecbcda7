"""The whole product as its users run it: ``tidegauge up`` as a process of its own, on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 120
STOP_SECONDS = 30
UNTHROTTLED_SETTINGS = {"limit_short": 0, "limit_medium": 0, "limit_long": 0}
# Tests ask far more often than people do.
UNTHROTTLED = {f"TIDEGAUGE_THROTTLE_{name.upper()}": str(value) for name, value in UNTHROTTLED_SETTINGS.items()}
PROGRAM = (sys.executable, "-m", "tidegauge.cli.main")


@dataclass
class Product:
    """A running ``tidegauge up``. ``places`` is what it printed with --json."""

    process: Process
    places: Mapping[str, Any]
    data_dir: Path
    stderr: list[str] = field(default_factory=list)

    @property
    def otlp_url(self) -> str:
        """Base address of OTLP over HTTP."""
        return str(self.places["otlp_http"])

    @property
    def otlp_grpc_url(self) -> str:
        """Base address of OTLP over gRPC."""
        return str(self.places["otlp_grpc"])

    @property
    def api_url(self) -> str:
        """Base address of the API's port, without path."""
        return str(self.places["api"]).removesuffix("/api/v1")

    @property
    def reader_dsn(self) -> str:
        """Address of the database for the role that may only read (embedded only)."""
        return str(self.places["reader_dsn"])

    @property
    def pid(self) -> int:
        """Process id of ``tidegauge up``."""
        return self.process.pid

    def workers(self) -> list[int]:
        """Process ids of those that receive, as it is now: after a worker was killed, its successor's. With one worker the product's own.

        A successor is listed before it is ready. Without ``tidegauge up`` there are none, whatever may have survived it.
        """
        if len(self.places["workers"]) == 1:
            return [self.pid]
        return [pid for pid, command in children(self.pid) if "tidegauge.cli.worker" in command]

    def api(self, **options: Any) -> httpx.AsyncClient:
        """A client of the API."""
        return httpx.AsyncClient(base_url=self.api_url, timeout=30, **options)


def children(pid: int) -> list[tuple[int, str]]:
    """Process ids and command lines of a process' children."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [(int(row[0]), row[2] if len(row) > 2 else "") for row in rows if int(row[1]) == pid]


async def start(
    data_dir: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    program: Sequence[str] = PROGRAM,
    workers: int = 1,
    command: str = "up",
) -> Product:
    """Start ``tidegauge up`` and return when it has printed where everything is.

    Args:
        data_dir: folder of the embedded database.
        arguments: more of them.
        env: more variables; those of the caller's that are settings are left out. Limits of requests are off where it does not set them.
        program: what stands for ``tidegauge``.
        workers: processes that receive; ``Product.places["workers"]`` names those of the start, ``Product.workers()`` those of now.
        command: ``up`` or ``serve``.

    """
    process = await asyncio.create_subprocess_exec(
        *program,
        *(command, "--json", "--data", str(data_dir), "--workers", str(workers)),
        *("--api", "127.0.0.1:0", "--otlp", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0"),
        *arguments,
        stdout=PIPE,
        stderr=PIPE,
        env={**_clean_environment(), **(env or {})},
        cwd=data_dir.parent,
    )
    assert process.stdout is not None
    lines: list[str] = []
    reader = asyncio.create_task(_collect(process, lines))
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
    except TimeoutError:
        process.kill()
        raise AssertionError(f"`tidegauge up` printed nothing within {START_SECONDS} s:\n" + "".join(lines)) from None
    if not line:
        await process.wait()
        await reader
        raise AssertionError(f"`tidegauge up` ended with {process.returncode}:\n" + "".join(lines))
    return Product(process, json.loads(line), data_dir, lines)


async def stop(product: Product) -> int:
    """End it as Ctrl-C does; returns its exit code."""
    if product.process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            product.process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            return await product.process.wait()
    except TimeoutError:
        product.process.kill()
        raise AssertionError(f"`tidegauge up` did not end within {STOP_SECONDS} s of SIGINT:\n" + "".join(product.stderr)) from None


@contextlib.asynccontextmanager
async def running(
    data_dir: Path, *arguments: str, env: Mapping[str, str] | None = None, program: Sequence[str] = PROGRAM, workers: int = 1
) -> AsyncIterator[Product]:
    """A running product; it must end in order."""
    product = await start(data_dir, *arguments, env=env, program=program, workers=workers)
    try:
        yield product
    finally:
        if product.process.returncode is None:
            assert await stop(product) == 0, "".join(product.stderr)


async def _collect(process: Process, lines: list[str]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        lines.append(line.decode(errors="replace"))


def _clean_environment() -> dict[str, str]:
    ours = ("TIDEGAUGE_", "DATABASE_URL", "ELASTICSEARCH_URL", "REDIS_URL", "THROTTLE_", "CIRCUIT_BREAKER_", "SENTRY_DSN", "OTEL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | UNTHROTTLED
