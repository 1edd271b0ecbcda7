"""Five times as much arrives as can be stored: what is refused, how long the rest waits, what memory it takes, what is lost.

``python -m benchmarks.overload``. First requests are sent one after the other on a few connections: that is the capacity. Then a multiple
of it is offered on many connections by processes of their own, at times that do not depend on answers. Senders, program and database share
the machine, so the senders' own work takes from the capacity. Each request's number stands in its trace ids: afterwards every one
that was acknowledged has to be there, once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.open_loop import Load, Outcome, offer
from benchmarks.payload import template

_MIB = 1 << 20
_FEW_CONNECTIONS = 8
_CAPACITY_SECONDS = 10.0
# Of the capacity: what a service is sized for.
_NORMAL = 0.5
_NORMAL_SECONDS = 6.0
_AFTERWARDS_SECONDS = 20.0
_IN_A_ROW = 3
_SAMPLE_SECONDS = 0.25


@dataclass(frozen=True)
class Target:
    """A running program. ``owner_dsn`` reads back what is stored."""

    address: str
    pid: int
    owner_dsn: str


@dataclass
class Memory:
    """Resident memory of the program's processes, in bytes, sampled while the block runs."""

    pid: int
    python: list[int] = field(default_factory=list)
    node: list[int] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def sampled(self) -> Iterator[None]:
        """Sample in a thread."""
        thread = threading.Thread(target=self._sample, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def now(self) -> tuple[int, int]:
        """Of Python and of Node.js."""
        command = ["ps", "-A", "-o", "pid=,ppid=,rss=,args="]
        rows = [line.split(None, 3) for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()]
        family, found = {str(self.pid)}, [0, 0]
        while more := {row[0] for row in rows if row[1] in family} - family:
            family |= more
        for pid, _, kilobytes, arguments in rows:
            if pid in family:
                found["server.mjs" in arguments] += int(kilobytes) * 1024
        return found[0], found[1]

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            python, node = self.now()
            self.python.append(python)
            self.node.append(node)


@dataclass
class Result:
    """Rates in requests a second, times in seconds, memory in bytes as (Python, Node.js)."""

    spans: int
    request_bytes: int
    capacity: float
    offered: Outcome
    normal_p99: float
    memory_before: tuple[int, int]
    memory_peak: tuple[int, int]
    memory_after: tuple[int, int]
    normal_again: float | None
    acknowledged: int
    missing: int
    doubled: int

    def rows(self) -> list[tuple[str, str]]:
        """(what, figure)."""
        offered, accepted = self.offered, self.offered.latencies
        rate, slowest = offered.offered / offered.seconds, max(accepted, default=0.0)
        again = (
            f"not within {_AFTERWARDS_SECONDS:.0f} s" if self.normal_again is None else f"{self.normal_again:.0f} s after too many ended"
        )
        memory = zip(("Python", "Node.js"), self.memory_before, self.memory_peak, self.memory_after, strict=True)
        return [
            ("capacity", f"{self.capacity:,.0f} requests a second of {self.spans} spans, {self.capacity * self.spans:,.0f} spans"),
            ("offered", f"{rate:,.0f} requests a second for {offered.seconds:.0f} s; {offered.unsent:,} found no free connection"),
            ("accepted", f"{len(accepted) / offered.seconds:,.0f} requests a second, {len(accepted) / offered.offered:.0%} of the offered"),
            ("answers", ", ".join(f"{count:,} × {status}" for status, count in sorted(offered.statuses.items()))),
            ("429 or 503 without Retry-After", str(offered.unhelpful)),
            ("accepted after, median", _ms(percentile(accepted, 50))),
            ("accepted after, 99 of 100", f"{_ms(percentile(accepted, 99))}, the slowest {_ms(slowest)}"),
            ("before, at half the capacity", _ms(self.normal_p99)),
            ("as before again", again),
            *((f"memory of {name}", _grown(*sizes)) for name, *sizes in memory),
            ("acknowledged requests", f"{self.acknowledged:,}, of these missing: {self.missing}, there twice: {self.doubled}"),
        ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _grown(before: int, peak: int, after: int) -> str:
    return f"{before / _MIB:,.0f} MiB, peak {(peak - before) / _MIB:+,.0f}, afterwards {(after - before) / _MIB:+,.0f}"


@contextmanager
def running(workers: int, url: str | None) -> Iterator[Target]:
    """`tidegauge up` on a new embedded database, or on the server that ``url`` names."""
    ours = ("TIDEGAUGE_", "DATABASE_URL", "ELASTICSEARCH_URL", "REDIS_URL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"TIDEGAUGE_SERVE_WORKERS": str(workers), "TIDEGAUGE_OTLP_GRPC_LISTEN": "127.0.0.1:0"}
    if url is not None:
        environment["DATABASE_URL"] = url
    with tempfile.TemporaryDirectory(prefix="tidegauge-bench-") as folder:
        data = Path(folder, "data")
        command = [sys.executable, "-m", "tidegauge.cli.main", "up", "--json", "--data", str(data)]
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
                yield Target(urlsplit(json.loads(line)["otlp_http"]).netloc, process.pid, url or _owner(data))
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)


def _owner(data: Path) -> str:
    info: dict[str, Any] = json.loads((data / "tidegauge.json").read_text())
    return f"postgresql://{info['owner_role']}:{info['owner_password']}@127.0.0.1:{info['port']}/{info['database']}?sslmode=disable"


def overload(target: Target, *, spans: int, factor: float, seconds: float, connections: int, processes: int) -> Result:
    """Measure all of it on a running program whose database is empty."""
    body = template(spans)
    memory, numbers = Memory(target.pid), _Numbers()
    warm = offer(target.address, body, Load(None, _CAPACITY_SECONDS / 2, _FEW_CONNECTIONS, 1), numbers.next())
    measured = offer(target.address, body, Load(None, _CAPACITY_SECONDS, _FEW_CONNECTIONS, 1), numbers.next())
    capacity = len(measured.latencies) / measured.seconds
    normal_load = Load(capacity * _NORMAL, _NORMAL_SECONDS, _FEW_CONNECTIONS * 4, 1)
    normal = offer(target.address, body, normal_load, numbers.next())
    before = memory.now()
    with memory.sampled():
        offered = offer(target.address, body, Load(capacity * factor, seconds, connections, processes), numbers.next())
    afterwards = offer(target.address, body, replace(normal_load, seconds=_AFTERWARDS_SECONDS), numbers.next())
    acknowledged = [number for outcome in (warm, measured, normal, offered, afterwards) for number in outcome.acknowledged]
    stored = stored_spans(target.owner_dsn)
    return Result(
        spans=spans,
        request_bytes=len(body),
        capacity=capacity,
        offered=offered,
        normal_p99=percentile(normal.latencies, 99),
        memory_before=before,
        memory_peak=(max(memory.python), max(memory.node)),
        memory_after=memory.now(),
        normal_again=_normal_again(afterwards, offered.ended, percentile(normal.latencies, 99)),
        acknowledged=len(acknowledged),
        missing=sum(stored[number] < spans for number in acknowledged),
        doubled=sum(count > spans for count in stored.values()),
    )


class _Numbers:
    """First request numbers that leave room for any run."""

    def __init__(self) -> None:
        self._next = 0

    def next(self) -> int:
        self._next += 1 << 32
        return self._next


def _normal_again(outcome: Outcome, ended: float, usual_p99: float) -> float | None:
    """Seconds from ``ended`` until three seconds in a row were as before; None where there were none."""
    by_second: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for sent, seconds, good in outcome.answers:
        by_second[int(sent - ended)].append((seconds, good))

    def is_normal(second: int) -> bool:
        answers = by_second.get(second, [])
        # A second holds so few requests that its worst one decides; twice the usual is noise.
        most = max(0.1, 2 * usual_p99)
        return bool(answers) and all(good for _, good in answers) and percentile([seconds for seconds, _ in answers], 99) <= most

    return next((float(second) for second in sorted(by_second) if all(map(is_normal, range(second, second + _IN_A_ROW)))), None)


def stored_spans(dsn: str) -> Counter[int]:
    """How many spans of each request number there are. Checks that the trace index says the same as the spans."""
    with psycopg.connect(dsn, prepare_threshold=None, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT ('x' || replace(left(trace_id::text, 18), '-', ''))::bit(64)::bigint, sum(span_count)"
            " FROM tidegauge.trace_index GROUP BY 1"
        ).fetchall()
        total = connection.execute("SELECT count(*) FROM tidegauge.traces").fetchone()
    stored = Counter({int(number): int(count) for number, count in rows})
    if total is None or stored.total() != total[0]:
        sys.exit(f"the index of traces counts {stored.total()} spans, {total} are there")
    return stored


def percentile(values: Sequence[float], which: int) -> float:
    """Of unsorted values; 0 for none."""
    return sorted(values)[min(len(values) - 1, len(values) * which // 100)] if values else 0.0


def measure(
    spans: int, seconds: float, *, factor: float = 5, connections: int = 200, processes: int = 2, workers: int = 1, url: str | None = None
) -> list[tuple[str, str]]:
    """Rows of (what, figure). Ends the program where something acknowledged is not there exactly once."""
    with running(workers, url) as target:
        result = overload(target, spans=spans, factor=factor, seconds=seconds, connections=connections, processes=processes)
    if result.missing or result.doubled:
        sys.exit(f"of {result.acknowledged} acknowledged requests {result.missing} are missing, {result.doubled} are there twice")
    return result.rows()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of too much")
    parser.add_argument("--factor", type=float, default=5, help="how many times the capacity is offered")
    parser.add_argument("--spans", type=int, default=512, help="in a request")
    parser.add_argument("--connections", type=int, default=200, help="at a time, in all")
    parser.add_argument("--processes", type=int, default=2, help="that send")
    parser.add_argument("--workers", type=int, default=1, help="of the program")
    parser.add_argument("--server", metavar="URL", help="an empty database of a TimescaleDB server; default: embedded")
    options = parser.parse_args()
    table = Table("what", "figure", title=f"{os.cpu_count()} cores, {options.workers} workers, {options.factor:g} times the capacity")
    for row in measure(
        options.spans, options.seconds, factor=options.factor, connections=options.connections, processes=options.processes,
        workers=options.workers, url=options.server,
    ):  # fmt: skip
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
