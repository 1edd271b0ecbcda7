"""Ingest end to end: requests acknowledged after commit, beside ready-made COPY of the same rows into the same table, in turns."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys

import psycopg

from benchmarks import client, databases, product, usage
from benchmarks.bare import BareCopy, Written
from benchmarks.client import Clients, Load, Sent
from benchmarks.product import Product
from benchmarks.report import Report, arguments, signal_of
from benchmarks.turns import DATABASE, Turns
from tidegauge.model.batch import Signal

_WARM_UP_SECONDS = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command line."""
    arguments(parser, "signal", "items", "url", "rounds", "group", "rows")
    parser.add_argument("--seconds", type=float, default=4, help="of sending in a round (4)")
    parser.add_argument("--connections", type=int, default=16, help="with one request under way on each (16)")
    parser.add_argument("--transport", choices=["http", "grpc"], default="http")
    parser.add_argument("--workers", type=int, default=1, help="of the product (1)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a TIDEGAUGE_ setting of the product, such as INGEST_DIRECT_COMPRESS=true",
    )


def measure(options: argparse.Namespace) -> Report:
    """Alternate COPY and product for some rounds. Ends the program where the database does not hold exactly what was acknowledged."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(databases.scratch(options.url)) if options.url else None
        settings = dict(f"TIDEGAUGE_{each}".split("=", 1) for each in options.set)
        place = stack.enter_context(product.running(url, options.workers, settings))
        what = signal_of(options.signal)
        address = place.http if options.transport == "http" else place.grpc
        load = Load(address, options.transport, what, options.items, options.connections)
        sender = stack.enter_context(client.clients(load))
        return _measured(options, place, what, sender, embedded=url is None)


def _measured(options: argparse.Namespace, place: Product, what: Signal, sender: Clients, *, embedded: bool) -> Report:
    with databases.connect(place.dsn) as connection:
        sent = [sender.send(_WARM_UP_SECONDS)]
        bare = BareCopy(connection, what, options.rows, options.group * options.items)
        if not bare.rows:
            sys.exit(f"only {bare.count()} rows were stored in {_WARM_UP_SECONDS:.0f} s: too few for a group, give a smaller --group")
        python, node = usage.product(place.pid)
        processes = {"product": python, DATABASE: node or usage.database(connection)}
        turns = Turns(bare, lambda: processes)

        def send() -> Written:
            sent.append(sender.send(options.seconds))
            return Written(len(sent[-1].latencies) * options.items, sent[-1].taken)

        turns.run(options.rounds, lambda: send)
        accepted = sum(len(each.latencies) for each in sent) * options.items
        stored = bare.count() - turns.copied_rows
        grouped = _requests_a_transaction(connection)
    if stored != accepted:
        sys.exit(f"{accepted:,} items were acknowledged, {stored:,} are stored")
    report = Report(
        f"ingest of {options.signal} over {options.transport}, {options.workers} worker(s)",
        f"{databases.machine(place.dsn, embedded=embedded)}\n"
        f"requests of {options.items} items, {options.connections} connections, {options.rounds} rounds of {options.seconds:g} s; "
        f"COPY of {bare.rows:,} rows, {options.group} requests a transaction, before each{''.join(f', {each}' for each in options.set)}",
    )
    turns.tell(report, "acknowledged")
    _tell_client(report, sent[1:][turns.counted_rounds], options.items, turns.spent)
    report.add("requests a transaction", f"{grouped:.1f}")
    report.add("acknowledged = stored", f"{stored:,} items")
    return report


def _tell_client(report: Report, rounds: list[Sent], items: int, others: float) -> None:
    total = Sent()
    for sent in rounds:
        total.add(sent)
    own = total.cpu / (len(total.latencies) * items)
    report.add("CPU of the client", f"{own * 1e6:.1f} µs an item")
    # What other work on the machine does not change much, where it spoils every rate.
    report.add(
        "CPU of all", f"{(own + others) * 1e6:.1f} µs an item, {(os.cpu_count() or 1) / (own + others):,.0f} items/s if that were all"
    )
    report.add("answer after, median and 99 of 100", f"{total.quantile(0.5) * 1000:.0f} ms, {total.quantile(0.99) * 1000:.0f} ms")
    report.add("refused requests", str(total.refused))


def _requests_a_transaction(connection: psycopg.Connection) -> float:
    """What the writer's groups held, by the ledger: its rows of one transaction have one xmin."""
    row = connection.execute("SELECT count(*)::float8 / count(DISTINCT xmin::text) FROM tidegauge.ingest_requests").fetchone()
    assert row is not None
    return float(row[0])
