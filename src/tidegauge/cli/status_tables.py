"""How ``db status`` and ``db validate`` look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from tidegauge import compiled
from tidegauge.storage.elasticsearch import LogStoreStatus
from tidegauge.storage.postgres.collection import Unused
from tidegauge.storage.postgres.status import Dictionary, Freshness, JobRun, Promoted, Status, Table
from tidegauge.storage.postgres.validate import Difference
from tidegauge.units import format_duration

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def as_json(status: Status, logs: LogStoreStatus | None) -> Mapping[str, object]:
    """The status with what is computed from it, the log store where there is one, and how requests are read here; durations in seconds."""
    content = asdict(status)
    for plain_table, table in zip(content["tables"], status.tables, strict=True):
        plain_table["compression_ratio"] = table.compression_ratio
    more = {"decoder": compiled.described(), "log_store": None if logs is None else asdict(logs)}
    return {_named(name): _suffixed(value) for name, value in content.items()} | more


def plain(value: object) -> object:
    """What orjson does not know: durations, as seconds."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(type(value).__name__)


def _named(name: str) -> str:
    return {"name": "database_name"}.get(name, name)


def _suffixed(value: object) -> object:
    """The same with `_seconds` behind the names of durations."""
    if isinstance(value, list):
        return [_suffixed(item) for item in value]
    if isinstance(value, dict):
        durations = {"chunk_interval", "compress_after", "retention", "pending", "lag", "repaired"}
        return {f"{name}_seconds" if name in durations else name: item for name, item in value.items()}
    return value


def print_status(description: str, status: Status, logs: LogStoreStatus | None) -> None:
    """The status as tables on stdout."""
    console = _wide_console()
    workers = "TimescaleDB's workers" if status.background_workers else "Tidegauge's own maintenance"
    console.print(f"[bold]{escape(description)}[/]", soft_wrap=True)
    console.print(
        f"PostgreSQL {status.postgres}, TimescaleDB {status.timescaledb}, revision {status.revision}, "
        f"{_size(status.bytes)}; jobs are run by {workers}",
        soft_wrap=True,
    )
    console.print(f"decoder: {escape(compiled.described())}", soft_wrap=True)
    if logs is not None:
        console.print(f"logs: Elasticsearch, data stream {logs.data_stream}: {_log_store(logs)}", soft_wrap=True)
    promoted = [_promoted(status.promoted)] if status.promoted else []
    parts = [_tables(status.tables), _rollups(status.rollups), _dictionaries(status.dictionaries), *promoted, _jobs(status.jobs)]
    for part in parts:
        console.print()
        console.print(part)
    failing = [job.job for job in status.jobs if job.error]
    if failing:
        console.print(f"\n[bold red]failing:[/] {escape(', '.join(failing))}", soft_wrap=True)


def print_unused(found: Sequence[Unused]) -> None:
    """What a collection would look at, as text on stdout."""
    shown = RichTable("dictionary", "not seen since", "rows to look at", box=None)
    for each in found:
        shown.add_row(each.dictionary, _moment(each.unseen_before), f"{each.rows:,}")
    _wide_console().print(shown)


def print_differences(differences: Sequence[Difference]) -> None:
    """The differences as text on stdout."""
    console = Console(highlight=False, emoji=False, soft_wrap=True)
    if not differences:
        console.print("[green]the database is as migrations and settings make it[/]")
        return
    for difference in differences:
        console.print(f"[bold red]✗[/] {escape(str(difference))}")
        for label, text in (("expected", difference.expected), ("found", difference.found)):
            if text:
                console.print(f"    {label}: {escape(_shortened(text))}")
    count = "1 difference" if len(differences) == 1 else f"{len(differences)} differences"
    console.print(f"\n{count}; `tidegauge db migrate` makes revision, views, functions and policies right again")


def _wide_console() -> Console:
    console = Console(highlight=False, emoji=False)
    # A file or pipe has no width to keep to.
    return console if console.is_terminal else Console(highlight=False, emoji=False, width=160)


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 300 else flat[:300] + " …"


def _tables(tables: Sequence[Table]) -> RichTable:
    shown = RichTable(box=None, title="Tables", title_justify="left", title_style="bold")
    shown.add_column("table", no_wrap=True)
    for name in ("rows", "chunks", "of", "compressed", "ratio", "size"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("kept", no_wrap=True)
    for table in tables:
        ratio = table.compression_ratio
        shown.add_row(
            table.name,
            f"{max(table.rows, 0):,}",
            str(table.chunks),
            format_duration(table.chunk_interval),
            str(table.compressed_chunks),
            "" if ratio is None else f"{ratio:.1f}×",
            _size(table.bytes),
            format_duration(table.retention),
        )
    return shown


def _rollups(rollups: Sequence[Freshness]) -> RichTable:
    shown = RichTable(box=None, title="Rollups", title_justify="left", title_style="bold")
    for name in ("rollup", "materialised to", "behind", "out of date", "repairs", "last repair"):
        shown.add_column(name, no_wrap=name != "out of date")
    for rollup in rollups:
        repairs = f"{rollup.repairs:,} ({_ago(rollup.repaired)})" if rollup.repairs else ""
        repaired_at = _moment(rollup.repaired_at) if rollup.repaired_at else ""
        lag = _ago(rollup.lag) if rollup.lag else ""
        shown.add_row(rollup.name, _moment(rollup.watermark), lag, _pending(rollup), repairs, repaired_at)
    return shown


def _pending(rollup: Freshness) -> str:
    if not rollup.pending:
        return ""
    start, end = rollup.pending_ranges[0]
    others = len(rollup.pending_ranges) - 1
    more = f" and {others} more" if others else ""
    return f"{_ago(rollup.pending)}: {_minute(start)} to {_minute(end)}{more}"


def _dictionaries(dictionaries: Sequence[Dictionary]) -> RichTable:
    shown = RichTable(box=None, title="Dictionaries", title_justify="left", title_style="bold")
    shown.add_column("dictionary", no_wrap=True)
    for name in ("rows", "collected", "last collection"):
        shown.add_column(name, justify="right", no_wrap=True)
    for each in dictionaries:
        shown.add_row(each.name, f"{each.rows:,}", f"{each.collected:,}", _moment(each.collected_at) if each.collected else "")
    return shown


def _promoted(promoted: Sequence[Promoted]) -> RichTable:
    shown = RichTable("attribute", "type", "column of analytics.traces", "filled", box=None)
    for each in promoted:
        filled = (
            "no longer" if not each.is_active else "all spans" if each.filled_from is None else f"spans from {_moment(each.filled_from)}"
        )
        shown.add_row(escape(each.key), each.type, escape(each.view_name), filled)
    return shown


def _jobs(jobs: Sequence[JobRun]) -> RichTable:
    shown = RichTable("job", "last run", "took", "result", box=None, title="Jobs", title_justify="left", title_style="bold")
    for job in jobs:
        took = "" if job.duration_seconds is None else f"{job.duration_seconds:.2f} s"
        result = f"[red]{escape(job.error)}[/]" if job.error else escape(job.result)
        shown.add_row(escape(job.job), _moment(job.started_at), took, result)
    return shown


def _log_store(logs: LogStoreStatus) -> str:
    if logs.error:
        return f"[red]{escape(logs.error)}[/]"
    return f"{logs.records:,} records in {logs.indices} backing indices, {_size(logs.bytes)}; version {logs.version}"


def _moment(value: datetime | None) -> str:
    return "never" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _minute(value: datetime) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"


def _ago(value: timedelta) -> str:
    return format_duration(timedelta(seconds=round(value.total_seconds())))


def _size(value: float) -> str:
    for unit in _UNITS[:-1]:
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {_UNITS[-1]}"
