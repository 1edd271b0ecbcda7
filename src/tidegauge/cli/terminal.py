"""What commands tell the person at the terminal: on stderr, and never read as markup, since most of it comes from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
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
    """Rows of equally many cells, on stderr."""
    table = Table(box=None, show_header=False, padding=(0, 2))
    for row in rows:
        table.add_row(*map(Text, row))
    _stderr().print(table)


def _stderr() -> Console:
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
