"""Exporters at work, a product that is killed again and again, and an audit at the end."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.audit import Audit, audit
from tests.faults.clients import Client, GrpcClient, HttpClient
from tests.faults.exporters import Book, Exporter
from tests.faults.killer import Killer, Server
from tests.faults.product import Product

EXPORTERS = 8
_GIVE_UP_SECONDS = 180
# Of harm after harm, without a chance to recover between.
_BURST = 0.25


@dataclass(frozen=True)
class Plan:
    """``kills`` at random moments of about ``seconds``: more, where the product takes longer to recover."""

    seconds: float
    kills: int
    seed: int
    workers: int = 1
    url: str | None = None
    server: Server | None = None
    pause_seconds: float = 0.05


@dataclass
class Report:
    """What was sent, done and found."""

    plan: Plan
    book: Book
    done: Counter[str]
    seconds: float
    starts: int
    found: Audit = field(default_factory=Audit)

    @property
    def faults(self) -> list[str]:
        """Empty where nothing was lost, doubled or answered wrongly."""
        return self.book.faults + self.found.faults

    def lines(self) -> Iterator[str]:
        """For people."""
        kills = self.done.total()
        yield f"seed {self.plan.seed}, {self.plan.workers} workers, {self.seconds:.0f} s, {kills} kills, {self.starts} starts"
        yield from (f"  {times:4} × {kind}" for kind, times in sorted(self.done.items()))
        yield f"requests: {len(self.book.requests)}, retries: {dict(self.book.retries)}, on purpose: {dict(self.book.moods)}"
        yield f"longest time without any acknowledgement: {self.book.longest_outage:.1f} s"
        for signal, count in self.found.counts.items():
            yield f"{signal}: {count}"
        yield from self.faults[:20] or ["nothing was lost, nothing doubled"]


def run(plan: Plan, folder: Path, say: Callable[[str], None] = print) -> Report:
    """Carry out a plan in an empty folder. The product has ended when this returns."""
    say(f"seed {plan.seed}, folder {folder}")
    chance = random.Random(plan.seed)
    product, book = Product(folder, workers=plan.workers, url=plan.url), Book()
    try:
        product.until_ready()
        sending = list(exporters(plan, product, book, chance))
        for exporter in sending:
            exporter.start()
        killer = Killer(product, book, random.Random(chance.random()), plan.server, say)
        report = Report(plan, book, killer.done, 0, 0)
        _harm(plan, killer, report)
        _finish(killer, sending)
        report.starts = product.starts
        report.found = audit(product, book)
        if code := product.terminate():
            book.fault(f"`tidegauge up` ended with {code} after SIGTERM")
    finally:
        if product.is_running:
            product.kill()
    return report


def exporters(plan: Plan, product: Product, book: Book, chance: random.Random) -> Iterator[Exporter]:
    """Eight, two of each way to send; not started yet."""
    for number in range(EXPORTERS):
        as_json, connect = _transport(number, product)
        own = random.Random(chance.random())
        yield Exporter(number, connect, book, own, as_json=as_json, pause_seconds=plan.pause_seconds)


def _transport(number: int, product: Product) -> tuple[bool, Callable[[], Client]]:
    """Protobuf, JSON, gRPC and compressed protobuf in turn."""
    address = product.grpc_address
    if number % 4 == 2 and address is not None:
        return False, lambda: GrpcClient(address)
    as_json, compressed = number % 4 == 1, number % 4 == 3
    return as_json, lambda: HttpClient(product.otlp_url, as_json=as_json, compressed=compressed)


def _harm(plan: Plan, killer: Killer, report: Report) -> None:
    began = time.monotonic()
    killer.until_recovered()
    for number, kind in enumerate(killer.plan(plan.kills)):
        # Spread over the time that is left, however long each recovery took.
        left = plan.seconds - (time.monotonic() - began)
        time.sleep(max(0.0, killer.chance.uniform(0, 2 * left / (plan.kills - number))) if left > 0 else 0)
        killer.do(kind)
        if killer.chance.random() > _BURST:
            killer.until_recovered()
        if killer.book.faults:
            break
    report.seconds = time.monotonic() - began


def _finish(killer: Killer, sending: list[Exporter]) -> None:
    """Let the exporters come to their ends, and have the audit read from a database that was killed and opened again."""
    killer.until_recovered()
    for exporter in sending:
        exporter.finish(_GIVE_UP_SECONDS)
    for exporter in sending:
        exporter.join(_GIVE_UP_SECONDS + 60)
        if exporter.is_alive():
            killer.book.fault(f"{exporter.name} still waits for an answer")
    killer.do("parent SIGKILL")
    killer.product.until_ready()
    killer.check_orphans()
