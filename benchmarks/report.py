"""What benchmarks have in common: their options, and the table that they print."""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from tidegauge.model.batch import Signal

_SIGNALS = {"traces": Signal.TRACES, "metrics": Signal.METRICS, "logs": Signal.LOGS}


@dataclass
class Report:
    """Rows of (what, figure), with what they hold for."""

    title: str
    machine: str
    rows: list[tuple[str, str]] = field(default_factory=list)

    def add(self, what: str, figure: str) -> None:
        """One more row."""
        self.rows.append((what, figure))

    def print(self) -> None:
        """As a table on standard output."""
        console = Console()
        table = Table("what", "figure", title=self.title, title_justify="left", caption=self.machine, caption_justify="left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)


def signal_of(name: str) -> Signal:
    """``traces``, ``metrics`` or ``logs``."""
    return _SIGNALS[name]


def arguments(parser: argparse.ArgumentParser, *names: str) -> None:
    """Options that several benchmarks share."""
    if "signal" in names:
        parser.add_argument("--signal", choices=list(_SIGNALS), default="traces")
    if "items" in names:
        parser.add_argument("--items", type=int, default=512, help="spans, points or records in a request (512)")
    if "url" in names:
        parser.add_argument(
            "--url",
            default=os.environ.get("DATABASE_URL"),
            help="a TimescaleDB server, on which a database is made and dropped; without it and without DATABASE_URL the embedded one",
        )
    if "rounds" in names:
        parser.add_argument("--rounds", type=int, default=5, help="COPY and product in turns so many times (5)")
    if "group" in names:
        parser.add_argument("--group", type=int, default=8, help="requests whose rows COPY writes in one transaction (8)")
    if "rows" in names:
        parser.add_argument("--rows", type=int, default=81_920, help="that COPY writes in a round, at most (81920)")


def spread(values: Sequence[float], unit: str, digits: int = 0) -> str:
    """The median, and how far rounds were apart."""
    return f"{statistics.median(values):,.{digits}f}{unit}  ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
