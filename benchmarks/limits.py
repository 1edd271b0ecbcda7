"""The client's own limit: against a server that reads and answers, nothing more."""

from __future__ import annotations

import argparse

from benchmarks import client, databases, null, usage
from benchmarks.client import Load
from benchmarks.report import Report, arguments, signal_of

_WARM_UP_SECONDS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command line."""
    arguments(parser, "signal", "items")
    parser.add_argument("--seconds", type=float, default=3, help="of sending (3)")
    parser.add_argument("--connections", type=int, default=16, help="with one request under way on each (16)")


def measure(options: argparse.Namespace) -> Report:
    """Over HTTP, then over gRPC."""
    report = Report(f"what the client reaches with {options.signal}", databases.machine())
    transports: tuple[client.Transport, ...] = ("http", "grpc")
    for transport in transports:
        with null.running(transport) as (address, pid):
            load = Load(address, transport, signal_of(options.signal), options.items, options.connections)
            with client.clients(load) as sender:
                sender.send(_WARM_UP_SECONDS)
                meter = usage.Meter(lambda: {"server": [pid]})
                with meter.counted():
                    sent = sender.send(options.seconds)
        items = len(sent.latencies) * options.items
        report.add(f"{transport}: sent", f"{items / sent.taken:,.0f} items/s")
        report.add(f"{transport}: CPU of the client", f"{sent.cpu / items * 1e6:.2f} µs an item")
        for name, spent in meter.spent.items():
            report.add(f"{transport}: CPU of the {name}", f"{spent / items * 1e6:.2f} µs an item")
    return report
