"""kill -9 under load: what was acknowledged is there afterwards, once."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

ITEMS = 20  # a request
MORE_REQUESTS = 60  # acknowledged before a kill, and again after it
RETRIED = {429, 502, 503, 504}  # OTLP specification, "Retryable Response Codes"

RESOURCE = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value="kill"))])


def spans(first: int) -> bytes:
    now = time.time_ns()
    made = [
        Span(
            trace_id=(number + 1).to_bytes(16, "big"),
            span_id=(number + 1).to_bytes(8, "big"),
            name=f"span {number}",
            start_time_unix_nano=now,
            end_time_unix_nano=now + 1,
        )
        for number in range(first, first + ITEMS)
    ]
    body = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=RESOURCE, scope_spans=[ScopeSpans(spans=made)])])
    return body.SerializeToString()


def logs(first: int) -> bytes:
    now = time.time_ns()
    made = [LogRecord(time_unix_nano=now, body=AnyValue(string_value=f"log {number}")) for number in range(first, first + ITEMS)]
    body = ExportLogsServiceRequest(resource_logs=[ResourceLogs(resource=RESOURCE, scope_logs=[ScopeLogs(log_records=made)])])
    return body.SerializeToString()


def points(first: int) -> bytes:
    now = time.time_ns()
    made = [NumberDataPoint(time_unix_nano=now, as_int=number) for number in range(first, first + ITEMS)]
    metrics = ScopeMetrics(metrics=[Metric(name="kill.number", gauge=Gauge(data_points=made))])
    return ExportMetricsServiceRequest(resource_metrics=[ResourceMetrics(resource=RESOURCE, scope_metrics=[metrics])]).SerializeToString()


SIGNALS: dict[str, tuple[str, Callable[[int], bytes], str]] = {
    "traces": ("traces", spans, "SELECT substr(name, 6)::int AS number FROM analytics.traces WHERE name LIKE 'span %'"),
    "logs": ("logs", logs, "SELECT substr(body, 5)::int AS number FROM tidegauge.logs WHERE body LIKE 'log %'"),
    "metrics": (
        "metrics",
        points,
        (
            "SELECT m.value::int AS number FROM tidegauge.metrics m JOIN tidegauge.series s USING (series_id)"
            " WHERE s.metric_name = 'kill.number'"
        ),
    ),
}


EXPORTERS = 2  # for each signal
NUMBERS = 1_000_000  # that an exporter may use


@dataclass
class Load:
    """Exporters that send a request's very bytes again until they are told what became of them. They number items from `first`."""

    otlp_url: str
    first: int
    acknowledged: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    retries: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: dict[str, list[range]] = field(default_factory=lambda: {name: [] for name in SIGNALS})

    def start(self) -> None:
        for signal_name in SIGNALS:
            for exporter in range(EXPORTERS):
                thread = threading.Thread(target=self._export, args=(signal_name, self.first + exporter * NUMBERS), daemon=True)
                self.threads.append(thread)
                thread.start()

    def _export(self, signal_name: str, first: int) -> None:
        path, build, _ = SIGNALS[signal_name]
        with httpx.Client(timeout=30) as client:
            while not self.stop.is_set():
                body = build(first)
                if not self._send(client, path, body):
                    return
                with self.lock:
                    self.acknowledged[signal_name] += 1
                    self.numbers[signal_name].append(range(first, first + ITEMS))
                first += ITEMS

    def _send(self, client: httpx.Client, path: str, body: bytes) -> bool:
        while True:
            try:
                answer = client.post(f"{self.otlp_url}/v1/{path}", content=body, headers={"content-type": "application/x-protobuf"})
            except httpx.TransportError:
                pass
            else:
                if answer.status_code == 200 and answer.content == b"":
                    return True
                if answer.status_code not in RETRIED:
                    self.refused.append(f"{path}: {answer.status_code} {answer.text[:200]}")
                    return False
            with self.lock:
                self.retries += 1
            time.sleep(0.05)

    def reached(self, more_than: Counter[str]) -> bool:
        return bool(self.refused) or all(self.acknowledged[name] >= more_than[name] + MORE_REQUESTS for name in SIGNALS)

    def finish(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive(), "an exporter still waits for an answer"


VICTIMS = ("database", "server")


@pytest.fixture(name="load")
def _load(own_product, until, victim) -> Iterator[Load]:
    load = Load(own_product.otlp_url, VICTIMS.index(victim) * EXPORTERS * NUMBERS)
    load.start()
    until(lambda: load.reached(Counter()), "requests are acknowledged", 60)
    yield load
    load.stop.set()


def check(product, load: Load) -> None:
    """Every number was acknowledged once the exporters have ended; each is stored exactly once."""
    assert load.refused == []
    for name, (_, _, sql) in SIGNALS.items():
        numbers = range(load.first, load.first + EXPORTERS * NUMBERS)
        stored = Counter(row["number"] for row in product.query(sql, dsn=product.owner_dsn) if row["number"] in numbers)
        sent = Counter(number for numbers in load.numbers[name] for number in numbers)
        assert len(sent) >= 2 * MORE_REQUESTS * ITEMS
        assert sorted((sent - stored).elements()) == [], f"{name}: acknowledged and lost"
        assert sorted((stored - sent).elements()) == [], f"{name}: stored twice"


@pytest.mark.parametrize("victim", VICTIMS)
def test_what_was_acknowledged_is_there_once(own_product, load, until, victim) -> None:
    if victim == "database":
        pids = own_product.database_pids()
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        # The server may bridge the gap so well that no exporter notices: that the database was away is seen by its new process alone.
        until(lambda: own_product.database_pids() and not set(pids) & set(own_product.database_pids()), "another database runs")
    else:
        own_product.kill_server()
        until(lambda: load.retries > 0, "exporters notice that the server is gone")
        own_product.start()
    before = Counter(load.acknowledged)
    until(lambda: load.reached(before), f"requests are acknowledged again after kill -9 of the {victim}", 60)
    load.finish()
    check(own_product, load)
