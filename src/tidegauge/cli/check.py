"""``tidegauge check``: whether what is stored hangs together."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from tidegauge.cli.opening import opened, settings_for
from tidegauge.cli.terminal import progress
from tidegauge.config import Settings
from tidegauge.errors import ConfigurationError
from tidegauge.storage.postgres import integrity
from tidegauge.storage.postgres.integrity import Violation
from tidegauge.units import parse_duration


def check(
    data: Annotated[
        Path | None, typer.Option("--data", help="folder of the embedded database; without it DATABASE_URL, or the folder by convention")
    ] = None,
    since: Annotated[str, typer.Option(help="how far back spans, logs and points are looked at")] = "1d",
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
) -> None:
    """Look for what refers to something that is not there: series without resource, spans without application, … Changes nothing.

    Exit status 1 where anything is found. Runs beside `tidegauge up`, within seconds: of each large table it looks at the rows of the last
    day, two million at the most. The same statements are in sql/checks/integrity.sql, for psql alone.

    Examples:
      tidegauge check
      tidegauge check --since 30d --json | jq '.violations[].problem'

    """
    settings = settings_for(data)
    violations = asyncio.run(_check(settings, _duration(since)))
    if as_json:
        content = {"violations": [asdict(violation) for violation in violations]}
        sys.stdout.write(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _print(violations)
    if violations:
        raise typer.Exit(1)


async def _check(settings: Settings, since: timedelta) -> Sequence[Violation]:
    async with opened(settings, progress) as database:
        return await asyncio.to_thread(integrity.check, database.owner_dsn, settings, since)


def _duration(text: str) -> timedelta:
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise ConfigurationError(f"--since={text}: {error}") from error
    if not isinstance(found, timedelta) or found <= timedelta(0):
        raise ConfigurationError(f"--since={text}: expected a duration like 6h or 30d")
    return found


def _print(violations: Sequence[Violation]) -> None:
    console = Console(highlight=False, emoji=False, markup=False, soft_wrap=True)
    if not violations:
        console.print("everything refers to something that is there", style="green")
        return
    table = Table("problem", "rows", "for example", box=None)
    for violation in violations:
        table.add_row(violation.problem, f"{violation.found:,}", violation.example)
    console.print(table)
