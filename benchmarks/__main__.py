"""``python -m benchmarks``: one table. Sender, program and database share the machine, so the figures are of all three together."""

from __future__ import annotations

import argparse
import os
import platform

from rich.console import Console
from rich.table import Table

from benchmarks import decode, ingest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of sending")
    parser.add_argument("--spans", type=int, default=512, help="in a request")
    parser.add_argument("--connections", type=int, default=4, help="at a time")
    options = parser.parse_args()
    table = Table("what", "figure", title=f"{os.cpu_count()} cores, Python {platform.python_version()}, embedded database")
    for row in decode.measure(options.spans):
        table.add_row(*row)
    table.add_section()
    for row in ingest.measure(options.spans, options.connections, options.seconds):
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
