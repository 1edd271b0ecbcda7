"""Metrics of several processes, and what Prometheus' own tool says of them."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.telemetry.test_metrics import filled, value
from tidegauge.telemetry import files
from tidegauge.telemetry.metrics import Metrics

# A process of its own: where values are kept is decided once in a process.
_PROCESS = """
import asyncio, os, sys
from pathlib import Path
from tidegauge.telemetry import catalogue, files
from tidegauge.telemetry.metrics import Metrics

folder, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
files.keep_in(folder, name, os.getpid())
metrics = Metrics(folder, name)
metrics.counter(catalogue.INGEST_ITEMS, "traces", "stored").inc(count)
metrics.gauge(catalogue.INGEST_PENDING).set(count)
metrics.gauge(catalogue.ROLLUP_LAG, "metrics_hourly").set(count)
metrics.histogram(catalogue.COMMIT_SECONDS, "timescaledb").observe(0.2)
if sys.argv[4:] == ["killed"]:
    os.kill(os.getpid(), 9)
sys.stdout.write(asyncio.run(metrics.exposition()).decode())
"""


def process(folder: Path, name: str, count: int, *more: str) -> str:
    """Run one; what it says of all."""
    done = subprocess.run(
        [sys.executable, "-c", _PROCESS, str(folder), name, str(count), *more], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == (-9 if more else 0), done.stderr
    return done.stdout


async def test_promtool_finds_nothing_to_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    text = await filled(Metrics()).exposition()
    checked = await asyncio.to_thread(subprocess.run, [promtool, "check", "metrics"], input=text, capture_output=True, timeout=60)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_processes_add_up(tmp_path: Path) -> None:
    process(tmp_path, "parent", 1)
    process(tmp_path, "worker-1", 2)
    text = process(tmp_path, "worker-2", 4)
    assert value(text, "ingest_items_total", signal="traces", result="stored") == 7
    assert value(text, "ingest_pending_bytes") == 7
    assert value(text, "rollup_lag_seconds", rollup="metrics_hourly") == 4
    assert value(text, "ingest_commit_duration_seconds_count", store="timescaledb") == 3
    assert value(text, "ingest_commit_duration_seconds_bucket", store="timescaledb", le="0.25") == 3
    assert value(text, "ingest_commit_duration_seconds_bucket", store="timescaledb", le="0.1") == 0


def test_what_a_worker_has_counted_outlives_it_and_what_it_had_does_not(tmp_path: Path) -> None:
    process(tmp_path, "worker-1", 2, "killed")
    assert list(files.processes(tmp_path)) == ["worker-1"]
    files.forget(tmp_path, "worker-1")
    assert files.processes(tmp_path) == {}
    text = process(tmp_path, "worker-2", 4)
    assert value(text, "ingest_items_total", signal="traces", result="stored") == 6
    assert value(text, "ingest_pending_bytes") == 4


def test_a_successor_counts_on(tmp_path: Path) -> None:
    for _ in range(5):
        process(tmp_path, "worker-1", 2, "killed")
    text = process(tmp_path, "worker-1", 1)
    assert value(text, "ingest_items_total", signal="traces", result="stored") == 11
    assert value(text, "ingest_pending_bytes") == 1
    # However often it is started anew, there are no more files.
    assert len(list(tmp_path.iterdir())) == 5
