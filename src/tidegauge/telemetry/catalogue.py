"""Every metric that the program has about itself. Names follow Prometheus' conventions (https://prometheus.io/docs/practices/naming/)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

PREFIX = "tidegauge_"
# From a look into a dictionary to the longest statement that is allowed; an SDK gives up after 10 s.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_FEW_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 30.0)
_LONG_SECONDS = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)
_BYTES = (256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0)
_ITEMS = (1.0, 10.0, 100.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 20000.0, 50000.0)


class Kind(Enum):
    """Of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Described:
    """A metric.

    Attributes:
        name: as it is read, with unit and, of a counter, ``_total``.
        help: what it counts.
        labels: their names; the values of each are few and known, never a client's.
        buckets: of a histogram.
        merged: of a gauge: what the values of several workers make together.

    """

    kind: Kind
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    merged: Literal["livesum", "livemax"] = "livesum"


def _counter(name: str, what: str, *labels: str) -> Described:
    return Described(Kind.COUNTER, PREFIX + name, what, labels)


def _gauge(name: str, what: str, *labels: str, merged: Literal["livesum", "livemax"] = "livesum") -> Described:
    return Described(Kind.GAUGE, PREFIX + name, what, labels, merged=merged)


def _histogram(name: str, what: str, *labels: str, buckets: tuple[float, ...]) -> Described:
    return Described(Kind.HISTOGRAM, PREFIX + name, what, labels, buckets)


HTTP_REQUESTS = _counter(
    "http_requests_total", "HTTP requests answered; status 499: the client went away before.", "method", "route", "status"
)
HTTP_SECONDS = _histogram(
    "http_request_duration_seconds", "From a request's head to the end of its answer.", "method", "route", buckets=_SECONDS
)
HTTP_BYTES = _histogram("http_response_size_bytes", "Bodies of answers.", "method", "route", buckets=_BYTES)
HTTP_CONNECTIONS = _gauge("http_connections", "Open connections.", "listener")
LOGGED = _counter("log_messages_total", "Lines of the program's own log from warnings on.", "level")

INGEST_REQUESTS = _counter(
    "ingest_requests_total",
    "Requests with telemetry: stored, repeated (a resend of one that was stored), refused (a 4xx) or failed (a defect).",
    *("signal", "result"),
)
INGEST_TURNED_AWAY = _counter(
    "ingest_turned_away_total", "Requests with telemetry that are to come again: overloaded (429), unavailable (503).", "reason"
)
INGEST_ITEMS = _counter("ingest_items_total", "Spans, points and records: stored, rejected, or repeated.", "signal", "result")
INGEST_REJECTED = _counter(
    "ingest_rejected_items_total", "Rejected items, and those stored with a warning, by reason (docs/data-model.md).", "signal", "reason"
)
INGEST_BYTES = _counter("ingest_bytes_total", "Bodies of requests that were stored, decompressed.", "signal")
INGEST_PENDING = _gauge("ingest_pending_bytes", "Bytes of requests between arrival and commit.")
INGEST_QUEUED = _gauge("ingest_queued_requests", "Requests that wait for their commit to begin.")
COMMIT_SECONDS = _histogram("ingest_commit_duration_seconds", "Commits of groups of requests.", "store", buckets=_SECONDS)
COMMIT_ITEMS = _histogram("ingest_commit_items", "Items that a commit held.", "store", buckets=_ITEMS)
COMMIT_ERRORS = _counter("ingest_commit_errors_total", "Commits that failed; most are tried again.", "store", "error")
ROLLUP_LAG = _gauge(
    "rollup_lag_seconds", "How far what is materialised of a rollup is behind where it could be by now.", "rollup", merged="livemax"
)
ROLLUP_PENDING = _gauge(
    "rollup_pending_seconds", "Time of a rollup that has changed since it was materialised, or never was.", "rollup", merged="livemax"
)
ROLLUP_REPAIRS = _counter("rollup_repairs_total", "Refreshes of a rollup's buckets that data had come late for.", "rollup")
ROLLUP_REPAIRED = _counter("rollup_repaired_seconds_total", "Time that these refreshed, added up.", "rollup")
COLLECTED_ROWS = _counter(
    "dictionary_rows_collected_total", "Rows of a dictionary deleted because nothing referred to them any more.", "dictionary"
)

DEPENDENCY_SECONDS = _histogram(
    "dependency_request_duration_seconds",
    "Questions to a dependency, from asking to the end of the answer.",
    "dependency",
    "operation",
    buckets=_FEW_SECONDS,
)
DEPENDENCY_ERRORS = _counter(
    "dependency_errors_total", "Questions to a dependency that failed, by the kind of error.", "dependency", "error"
)
CIRCUIT_STATE = _gauge("circuit_breaker_state", "Processes whose circuit breaker is in this state.", "dependency", "state")
CIRCUIT_OPENED = _counter(
    "circuit_breaker_opened_total", "How often a circuit breaker has opened, probes that failed included.", "dependency"
)
QUERY_SECONDS = _histogram(
    "database_query_duration_seconds", "Statements in TimescaleDB by the name of the query (sql/queries/).", "query", buckets=_FEW_SECONDS
)
QUERY_ERRORS = _counter("database_query_errors_total", "Statements in TimescaleDB that failed.", "query")
POOL_CONNECTIONS = _gauge("database_pool_connections", "Connections to TimescaleDB: in_use or idle.", "pool", "state")
POOL_LIMIT = _gauge("database_pool_limit_connections", "Most connections that a pool may have.", "pool")
POOL_WAITING = _gauge("database_pool_waiting_requests", "Who waits for a connection to TimescaleDB.", "pool")

CACHE_REQUESTS = _counter("cache_requests_total", "Questions to a cache: hit, miss or error (which is a miss, too).", "cache", "result")
SESSIONS = _gauge("sessions", "Sessions of people that are signed in.", merged="livemax")
TAILS = _gauge("log_tails", "Live tails of logs.")

JOBS = _gauge(
    "jobs",
    "Background jobs: active, waiting (due), delayed (failed, tried again later), stalled (due or at work for over 5 min) or scheduled.",
    "state",
)
JOB_RUNS = _counter("job_runs_total", "Runs of background jobs that have ended: completed or failed.", "job", "result")
JOB_SECONDS = _histogram("job_duration_seconds", "Time at work of a run of a background job.", "job", buckets=_LONG_SECONDS)
JOB_WAIT_SECONDS = _histogram("job_wait_seconds", "From when a run was due to when it began.", "job", buckets=_LONG_SECONDS)
JOB_ATTEMPTS = _counter("job_attempts_total", "Runs of background jobs that have begun, further attempts included.", "job")
JOB_QUEUE_ERRORS = _counter("job_queue_errors_total", "Failures to read the state of jobs, or to record a run.")

BUILD = _gauge("build_info", "1, with the version.", "version", merged="livemax")

CATALOGUE: tuple[Described, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Described))


@dataclass(frozen=True, slots=True)
class DescribedProcess:
    """A metric of each process, by Prometheus' own names. Its label ``process`` is main, parent, worker-1 and so on."""

    kind: Kind
    name: str
    help: str


PROCESS: tuple[DescribedProcess, ...] = (
    DescribedProcess(Kind.COUNTER, "process_cpu_seconds_total", "Time on a processor, user and system."),
    DescribedProcess(Kind.GAUGE, "process_resident_memory_bytes", "Memory in use."),
    DescribedProcess(Kind.GAUGE, "process_virtual_memory_bytes", "Address space."),
    DescribedProcess(Kind.GAUGE, "process_start_time_seconds", "When it was started, in seconds since the Unix epoch."),
    DescribedProcess(Kind.GAUGE, "process_open_fds", "Open file descriptors."),
    DescribedProcess(Kind.GAUGE, "process_max_fds", "Most file descriptors that it may open."),
)
