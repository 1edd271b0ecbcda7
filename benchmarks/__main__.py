"""``python -m benchmarks NAME``: what is claimed about speed, a table each. Without a name: decode, writer and ingest.

Sender, program and database share the machine, and its speed changes from minute to minute: read the ratios, which are of one run.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from typing import NamedTuple

from benchmarks import databases, decode, fill, ingest, limits, logs, overload, queries, writer
from benchmarks.report import Report, arguments


class _Benchmark(NamedTuple):
    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[argparse.Namespace], Report]


def _decode_arguments(parser: argparse.ArgumentParser) -> None:
    arguments(parser, "items")


def _decode(options: argparse.Namespace) -> Report:
    return Report("decoding, bytes to columns", databases.machine(), decode.measure(options.items))


def _overload_arguments(parser: argparse.ArgumentParser) -> None:
    arguments(parser, "items", "url")
    parser.add_argument("--seconds", type=float, default=60, help="of too much (60)")
    parser.add_argument("--factor", type=float, default=5, help="how many times the capacity is offered (5)")
    parser.add_argument("--connections", type=int, default=200, help="at a time, in all (200)")
    parser.add_argument("--processes", type=int, default=2, help="that send (2)")
    parser.add_argument("--workers", type=int, default=1, help="of the product (1)")


def _overload(options: argparse.Namespace) -> Report:
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(databases.scratch(options.url)) if options.url else None
        rows = overload.measure(
            options.items, options.seconds, factor=options.factor, connections=options.connections, processes=options.processes,
            workers=options.workers, url=url,
        )  # fmt: skip
    title = f"{options.factor:g} times the capacity, {options.workers} worker(s), {'server' if url else 'embedded'}"
    return Report(title, databases.machine(), rows)


_BENCHMARKS = {
    "decode": _Benchmark("decoding per signal beside protobuf's own parser", _decode_arguments, _decode),
    "writer": _Benchmark("the write path beside ready-made COPY of the same rows", writer.add_arguments, writer.measure),
    "ingest": _Benchmark("end to end over HTTP or gRPC, beside the same", ingest.add_arguments, ingest.measure),
    "overload": _Benchmark("five times as much as can be stored: memory, answers, losses", _overload_arguments, _overload),
    "logs": _Benchmark("logs on Elasticsearch beside its own helpers.bulk, and text search", logs.add_arguments, logs.measure),
    "fill": _Benchmark("a database of weeks of spans and points to ask questions of, and its size", fill.add_arguments, fill.measure),
    "queries": _Benchmark("questions at the API on such a database: p50 and p95", queries.add_arguments, queries.measure),
    "client": _Benchmark("what the load client itself reaches", limits.add_arguments, limits.measure),
}
_BY_DEFAULT = ("decode", "writer", "ingest")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="name", metavar="NAME")
    parsers = {}
    for name, benchmark in _BENCHMARKS.items():
        parsers[name] = commands.add_parser(name, help=benchmark.summary, description=benchmark.summary)
        benchmark.add_arguments(parsers[name])
    options = parser.parse_args()
    if options.name:
        _BENCHMARKS[options.name].measure(options).print()
        return
    for name in _BY_DEFAULT:
        _BENCHMARKS[name].measure(parsers[name].parse_args([])).print()


if __name__ == "__main__":
    main()
