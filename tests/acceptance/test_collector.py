"""A real OpenTelemetry Collector in front, with a sending queue and retries: what it took is stored, once, whatever happens behind it.

`TIDEGAUGE_TEST_COLLECTOR` names its program; without it `otelcol` or `otelcol-contrib` on PATH is used, and where there is none this is
skipped. Any distribution with the OTLP receiver, the batch processor and both OTLP exporters will do.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.faults.audit import audit
from tests.faults.clients import HttpClient, TryAgain
from tests.faults.exporters import Book
from tests.faults.payload import SIGNALS, build
from tests.faults.product import Product

PROGRAMS = ("otelcol", "otelcol-contrib")
VARIABLE = "TIDEGAUGE_TEST_COLLECTOR"
PIPELINES = ("grpc", "http")  # by how the Collector sends on
REQUESTS = 60  # to each pipeline, between one harm and the next
WAIT_SECONDS = 240

# As deploy/collector/config.yaml, but for times that a test can wait for and a queue in memory: the Collector is not what is killed here.
CONFIG = """
receivers:
  otlp/grpc: {{ protocols: {{ http: {{ endpoint: "127.0.0.1:{to_grpc}" }} }} }}
  otlp/http: {{ protocols: {{ http: {{ endpoint: "127.0.0.1:{to_http}" }} }} }}
processors:
  batch: {{ timeout: 100ms, send_batch_size: 200 }}
exporters:
  otlp/tidegauge:
    endpoint: {grpc_address}
    tls: {{ insecure: true }}
    timeout: 5s
    retry_on_failure: {retry}
    sending_queue: {queue}
  otlphttp/tidegauge:
    endpoint: {otlp_url}
    timeout: 5s
    retry_on_failure: {retry}
    sending_queue: {queue}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    traces/grpc: {{ receivers: [otlp/grpc], processors: [batch], exporters: [otlp/tidegauge] }}
    metrics/grpc: {{ receivers: [otlp/grpc], processors: [batch], exporters: [otlp/tidegauge] }}
    logs/grpc: {{ receivers: [otlp/grpc], processors: [batch], exporters: [otlp/tidegauge] }}
    traces/http: {{ receivers: [otlp/http], processors: [batch], exporters: [otlphttp/tidegauge] }}
    metrics/http: {{ receivers: [otlp/http], processors: [batch], exporters: [otlphttp/tidegauge] }}
    logs/http: {{ receivers: [otlp/http], processors: [batch], exporters: [otlphttp/tidegauge] }}
"""
RETRY = "{ enabled: true, initial_interval: 100ms, max_interval: 2s, max_elapsed_time: 0s }"
QUEUE = "{ enabled: true, num_consumers: 8, queue_size: 10000 }"


@pytest.fixture(name="program")
def _program() -> str:
    named = os.environ.get(VARIABLE)
    found = named or next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip(f"there is no Collector: {VARIABLE} is not set, and neither {' nor '.join(PROGRAMS)} is on PATH")
    return found


@pytest.fixture(name="behind")
def _behind(tmp_path) -> Iterator[Product]:
    product = Product(tmp_path, workers=2)
    product.until_ready()
    try:
        yield product
    finally:
        if product.is_running:
            product.terminate()


@pytest.fixture(name="collector")
def _collector(program, behind, tmp_path, until) -> Iterator[dict[str, str]]:
    """Addresses of its receivers, by pipeline."""
    assert behind.grpc_address is not None
    ports = _free_ports(len(PIPELINES))
    config = tmp_path / "collector.yaml"
    config.write_text(
        CONFIG.format(
            to_grpc=ports[0], to_http=ports[1], grpc_address=behind.grpc_address, otlp_url=behind.otlp_url, retry=RETRY, queue=QUEUE
        )
    )
    with (tmp_path / "collector.log").open("wb") as log:
        process = subprocess.Popen([program, "--config", str(config)], stdout=log, stderr=log)
        try:
            until(lambda: process.poll() is not None or all(map(_listens, ports)), "the Collector listens", 60)
            assert process.poll() is None, (tmp_path / "collector.log").read_text()[-4000:]
            yield {name: f"http://127.0.0.1:{port}" for name, port in zip(PIPELINES, ports, strict=True)}
        finally:
            process.kill()
            process.wait()


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listening.getsockname()[1] for listening in held]
    for listening in held:
        listening.close()
    return ports


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


class Sender:
    """Sends numbered items to a receiver of the Collector. It regroups them, so only what it took is counted, and nothing is sent twice."""

    def __init__(self, number: int, url: str, book: Book) -> None:
        self._number = number
        self._client = HttpClient(url, as_json=False, compressed=False)
        self._book = book
        self._chance = random.Random(number)
        self._next = dict.fromkeys(SIGNALS, number * 1_000_000)
        self._sequence = 0

    def send(self, requests: int) -> None:
        for _ in range(requests):
            name = SIGNALS[self._sequence % len(SIGNALS)]
            request = build(self._chance, self._number, self._sequence, self._next[name], bad_share=0)
            self._next[name] += request.count
            self._sequence += 1
            self._book.sent(request)
            try:
                self._client.send(request)
            except TryAgain as refusal:
                pytest.fail(f"the Collector did not take a request: {refusal}")
            self._book.acknowledged(request)
            time.sleep(0.01)  # some of the next are sent while the harm lasts


def test_nothing_is_lost_over_restarts_of_the_database(behind, collector, until) -> None:
    book = Book()
    senders = [Sender(number, url, book) for number, url in enumerate(collector.values())]

    def send() -> None:
        for sender in senders:
            sender.send(REQUESTS)

    send()
    for pid in behind.family().database:
        os.kill(pid, signal.SIGKILL)
    send()
    behind.kill()
    send()
    behind.until_ready()
    send()
    for pid in behind.family().workers:
        os.kill(pid, signal.SIGKILL)
    send()

    sent = sum(request.count for request in book.requests)
    until(lambda: _stored(behind) >= sent, "everything the Collector took is stored", WAIT_SECONDS)
    found = audit(behind, book)
    assert found.faults == []
    assert sum(count.stored for count in found.counts.values()) == sent


TABLES = ("traces", "metrics", "metric_histograms", "logs")


def _stored(product: Product) -> int:
    counts = " + ".join(f"(SELECT count(*) FROM tidegauge.{table})" for table in TABLES)
    try:
        return int(product.query(f"SELECT {counts}")[0][0])
    except psycopg.Error:  # it is being started again
        return 0
