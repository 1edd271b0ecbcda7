"""Progress and summary for people: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from tidegauge.simulate.plan import Outcome
from tidegauge.simulate.report import Progress, Signal, Summary

PLAIN_SECONDS = 5.0


@dataclass(slots=True)
class PlainProgress:
    """A line every few seconds, and when a phase begins or ends."""

    console: Console
    _phase: str = ""
    _printed: float = 0.0

    def show(self, progress: Progress) -> None:
        """Print it unless the last one is too recent."""
        now = time.monotonic()
        if progress.phase == self._phase and progress.done != 1.0 and now - self._printed < PLAIN_SECONDS:
            return
        self._phase, self._printed = progress.phase, now
        share = "" if progress.done is None else f" {min(progress.done, 1.0):4.0%}"
        self.console.print(f"{progress.phase}{share}: {describe(progress)}", highlight=False, markup=False, soft_wrap=True)


@dataclass(slots=True)
class BarProgress:
    """A bar that is redrawn."""

    bar: Bar
    _task: TaskID | None = None
    _phase: str = ""

    def show(self, progress: Progress) -> None:
        """Redraw."""
        if self._task is None or progress.phase != self._phase:
            self._task = self.bar.add_task(progress.phase, total=1.0 if progress.done is not None else None)
            self._phase = progress.phase
        self.bar.update(self._task, completed=progress.done or 0.0, description=f"{progress.phase}: {describe(progress)}")


@contextmanager
def progress_on(console: Console) -> Iterator[PlainProgress | BarProgress]:
    """What shows progress on this console."""
    if not console.is_terminal:
        yield PlainProgress(console)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console) as bar:
        yield BarProgress(bar)


def describe(progress: Progress) -> str:
    """One line of counts."""
    counts = ", ".join(f"{progress.accepted[signal]:,} {_LABELS[signal]}" for signal in Signal)
    return f"{progress.requests:,} requests, {counts}" + (f", {progress.lost:,} lost" if progress.lost else "")


def print_summary(console: Console, summary: Summary) -> None:
    """The tables at the end."""
    # Not the table's own title and caption: they would be wrapped at its width.
    console.print(f"Simulated shop → {summary.endpoint}", markup=False, highlight=False, soft_wrap=True)
    table = Table()
    table.add_column("what")
    table.add_column("count", justify="right")
    for outcome in Outcome:
        table.add_row(f"requests: {outcome.value}", f"{summary.requests[outcome]:,}")
    table.add_section()
    for signal in Signal:
        table.add_row(f"{_LABELS[signal]} accepted", f"{summary.accepted.get(signal, 0):,}")
    _section(table, "failed", summary.failed)
    _section(table, "rejected", summary.rejected)
    _section(table, "broken OTLP", summary.malformed)
    console.print(table)
    console.print(_caption(summary), markup=False, highlight=False, soft_wrap=True)
    for note in summary.notes:
        console.print(f"Note: {note}", markup=False, highlight=False, soft_wrap=True)


def _section(table: Table, title: str, counts: Mapping[str, int]) -> None:
    if counts:
        table.add_section()
    for reason, items in counts.items():
        # As a Text-free string: reasons come from servers and may look like markup.
        table.add_row(f"{title}: {reason}".replace("[", r"\["), f"{items:,}")


def _caption(summary: Summary) -> str:
    ended = ", stopped early" if summary.interrupted else ""
    return f"seed {summary.seed}, {summary.seconds:.1f} s{ended}"


_LABELS = {Signal.SPANS: "spans", Signal.LOGS: "log records", Signal.POINTS: "metric points"}
