"""What commands tell the person at the terminal: on stderr, and never read as markup, since most of it comes from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from tidegauge.errors import TidegaugeError


def say(text: str, style: str = "") -> None:
    """One message."""
    _stderr().print(Text(text, style=style))


def progress(text: str) -> None:
    """What is being done at the moment."""
    say(text, "dim")


def tell(error: TidegaugeError) -> None:
    """An error and what to do about it."""
    console = _stderr()
    console.print(Text.assemble(("error:", "bold red"), " ", error.message))
    if error.hint:
        console.print(Text.assemble(("hint:", "bold"), "  ", error.hint))


def show_columns(rows: Sequence[Sequence[str]]) -> None:
    """Rows of equally many cells, on stderr. Lines, not a table: that would cut addresses short where the terminal is narrow."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _stderr() -> Console:
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
