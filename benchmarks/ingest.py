"""How many spans a second `tidegauge up` accepts, end to end: acknowledged after commit, on the embedded database."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from benchmarks.payload import stamped, template

_HEADERS = {"Content-Type": "application/x-protobuf"}
_WARM_UP_SECONDS = 2.0


@dataclass
class _Sent:
    """What one connection did after the warm-up."""

    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    stored: int = 0
    """requests answered with 200, warm-up included"""


@contextlib.contextmanager
def _running() -> Iterator[dict[str, str]]:
    """`tidegauge up` on a new database; yields what it prints with --json."""
    ours = ("TIDEGAUGE_", "DATABASE_URL", "ELASTICSEARCH_URL", "REDIS_URL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with tempfile.TemporaryDirectory(prefix="tidegauge-bench-") as folder:
        command = [sys.executable, "-m", "tidegauge.cli.main", "up", "--json", "--data", str(Path(folder, "data"))]
        with (
            Path(folder, "log").open("w+") as log,
            subprocess.Popen(
                [*command, "--api", "127.0.0.1:0", "--otlp", "127.0.0.1:0"],
                stdout=subprocess.PIPE, stderr=log, text=True, env=environment, cwd=folder,
            ) as process,
        ):  # fmt: skip
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                log.seek(0)
                sys.exit(log.read())
            try:
                yield json.loads(line)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(30)


def _send(address: str, body: bytes, begin: float, end: float, sent: _Sent) -> None:
    connection = http.client.HTTPConnection(address, timeout=60)
    while (before := time.perf_counter()) < end:
        connection.request("POST", "/v1/traces", stamped(body), _HEADERS)
        response = connection.getresponse()
        response.read()
        sent.stored += response.status == 200
        if before < begin:
            continue
        if response.status == 200:
            sent.latencies.append(time.perf_counter() - before)
        else:
            sent.refused += 1
    connection.close()


def measure(spans: int, connections: int, seconds: float) -> list[tuple[str, str]]:
    """Rows of (what, figure). Ends the program where the database does not hold exactly what was acknowledged."""
    body = template(spans)
    with _running() as places:
        address = urlsplit(places["otlp_http"]).netloc
        begin = time.perf_counter() + _WARM_UP_SECONDS
        sent = [_Sent() for _ in range(connections)]
        threads = [threading.Thread(target=_send, args=(address, body, begin, begin + seconds, each)) for each in sent]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = time.perf_counter() - begin
        stored = _stored(places["reader_dsn"])
    acknowledged = sum(each.stored for each in sent) * spans
    if stored != acknowledged:
        sys.exit(f"{acknowledged} spans were acknowledged, {stored} are stored")
    latencies = sorted(latency for each in sent for latency in each.latencies)
    if not latencies:
        sys.exit("no request was accepted")
    return [
        (
            "requests",
            f"{spans} spans, {len(body):,} bytes, {connections} connections, {taken:.1f} s after {_WARM_UP_SECONDS:.0f} s of warm-up",
        ),
        ("accepted", f"{len(latencies) * spans / taken:,.0f} spans a second"),
        ("answer after, median", f"{latencies[len(latencies) // 2] * 1000:.0f} ms"),
        ("answer after, 99 of 100", f"{latencies[len(latencies) * 99 // 100] * 1000:.0f} ms"),
        ("refused requests", str(sum(each.refused for each in sent))),
        ("acknowledged = stored", f"{stored:,} spans"),
    ]


def _stored(dsn: str) -> int:
    with psycopg.connect(dsn, prepare_threshold=None, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM analytics.traces WHERE application = 'bench'").fetchone()
    assert row is not None
    return int(row[0])
