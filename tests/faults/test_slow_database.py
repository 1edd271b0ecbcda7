"""A database that is slow, or answers nothing for a while: exporters wait or are told to come back; nothing is lost, nothing restarts."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.faults.audit import audit
from tests.faults.exporters import Book, Exporter
from tests.faults.killer import Killer
from tests.faults.product import Product
from tests.faults.run import Plan, exporters

PLAN = Plan(seconds=0, kills=0, seed=1)
# Shorter than by default, so that a test need not wait for long until exporters are told.
COMMIT_TIMEOUT = "3s"
# Longer than a commit takes, and shorter than the limits of time that a transaction has.
HELD_SECONDS = 1.0
MEMORY_BYTES = 100 << 20


@pytest.fixture(name="product")
def _product(tmp_path: Path) -> Iterator[Product]:
    product = Product(tmp_path, workers=1, settings={"TIDEGAUGE_INGEST_COMMIT_TIMEOUT": COMMIT_TIMEOUT})
    product.until_ready()
    try:
        yield product
    finally:
        if product.is_running:
            assert product.terminate() == 0


def test_a_database_that_is_slow_and_then_hangs(product: Product, until: Callable[..., None]) -> None:
    book = Book()
    killer = Killer(product, book, random.Random(1))
    sending = list(exporters(PLAN, product, book, random.Random(1)))
    for exporter in sending:
        exporter.start()
    killer.until_recovered()
    before = _memory(product)

    with _held_up(product):
        killer.until_recovered()
        killer.until_recovered()

    _hang(product, book, until)
    assert _memory(product) < before + MEMORY_BYTES

    killer.until_recovered()
    _finish(sending)
    assert product.starts == 1
    assert book.faults == []
    assert audit(product, book).faults == []


@contextmanager
def _held_up(product: Product) -> Iterator[None]:
    """One transaction after the other that keeps everything else waiting."""
    enough = threading.Event()

    def hold() -> None:
        with psycopg.connect(product.owner_dsn, prepare_threshold=None, autocommit=True) as connection:
            while not enough.is_set():
                with connection.transaction():
                    connection.execute("LOCK TABLE tidegauge.traces, tidegauge.metrics, tidegauge.logs IN ACCESS EXCLUSIVE MODE")
                    enough.wait(HELD_SECONDS)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        yield
    finally:
        enough.set()
        holder.join()


def _hang(product: Product, book: Book, until: Callable[..., None]) -> None:
    """Stop the database's process until exporters have been told by 503, with Retry-After, and by UNAVAILABLE."""
    [pid] = product.family().database
    told = dict(book.retries)
    os.kill(pid, signal.SIGSTOP)
    try:
        for why in ("503", "UNAVAILABLE"):
            until(lambda why=why: book.retries[why] > told.get(why, 0) or book.faults, f"exporters are told {why}", 60)
    finally:
        os.kill(pid, signal.SIGCONT)


def _finish(sending: list[Exporter]) -> None:
    for exporter in sending:
        exporter.finish(60)
    for exporter in sending:
        exporter.join(120)
        assert not exporter.is_alive()


def _memory(product: Product) -> int:
    """Bytes of the Python processes."""
    pids = [product.pid, *product.family().workers]
    shown = subprocess.run(["ps", "-o", "rss=", "-p", ",".join(map(str, pids))], capture_output=True, text=True, check=True).stdout
    return sum(map(int, shown.split())) * 1024
