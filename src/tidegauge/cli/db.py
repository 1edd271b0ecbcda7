"""``tidegauge db``: the database's schema, health and shell."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import orjson
import typer

from tidegauge import log_stores
from tidegauge.cli import psql, status_tables
from tidegauge.cli.opening import OpenDatabase, opened, settings_for
from tidegauge.cli.terminal import progress, say
from tidegauge.config import Settings
from tidegauge.errors import ConfigurationError
from tidegauge.storage.postgres import collection
from tidegauge.storage.postgres import migrate as migrations
from tidegauge.storage.postgres import status as statuses
from tidegauge.storage.postgres import validate as validation

Result = TypeVar("Result")
Data = Annotated[
    Path | None, typer.Option("--data", help="folder of the embedded database; without it DATABASE_URL, or the folder by convention")
]
AsJson = Annotated[bool, typer.Option("--json", help="machine-readable")]

db_app = typer.Typer(name="db", help="The database: schema, health, shell.", no_args_is_help=True)


@db_app.command()
def migrate(data: Data = None) -> None:
    """Bring the schema, views and policies up to date; makes the embedded database where there is none.

    Safe to repeat, and while `tidegauge up` runs.

    Examples:
      tidegauge db migrate
      DATABASE_URL=postgresql://tidegauge@db/telemetry tidegauge db migrate

    """
    settings = settings_for(data)

    def work(database: OpenDatabase) -> None:
        progress(database.description)
        migrations.upgrade(database.owner_dsn, settings, progress, repair=True)
        say(f"the schema is at revision {validation.head()}", "green")

    _on_database(settings, work, create=True)


@db_app.command()
def reset(data: Data = None, yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False) -> None:
    """Delete all telemetry: drop what is ours, in the schemas tidegauge and analytics, and make it anew, empty.

    Nothing else in the database is touched; where something of yours stands on it, nothing is dropped.

    Examples:
      tidegauge db reset
      tidegauge db reset --yes --data ./telemetry

    """
    settings = settings_for(data)
    if not yes and not sys.stdin.isatty():
        raise ConfigurationError("reset deletes all telemetry, and nobody is here to be asked", hint="--yes says that you mean it")

    def work(database: OpenDatabase) -> None:
        if database.shared_with is not None:
            say(f"process {database.shared_with} runs on this database: restart it afterwards", "yellow")
        if not yes:
            typer.confirm(f"Delete all telemetry in the {database.description}?", abort=True, err=True)
        migrations.downgrade(database.owner_dsn, settings, progress)
        migrations.upgrade(database.owner_dsn, settings, progress, repair=True)
        say("the database is empty and up to date", "green")

    _on_database(settings, work)


@db_app.command()
def validate(data: Data = None, as_json: AsJson = False) -> None:
    """Compare the database with what migrations and settings make of one; exit status 1 where it differs. Changes nothing.

    Examples:
      tidegauge db validate
      tidegauge db validate --json | jq '.differences[].name'

    """
    settings = settings_for(data)
    differences = _on_database(settings, lambda database: validation.validate(database.owner_dsn, settings))
    if as_json:
        _write_json({"revision": validation.head(), "differences": [asdict(difference) for difference in differences]})
    else:
        status_tables.print_differences(differences)
    if differences:
        raise typer.Exit(1)


@db_app.command()
def status(data: Data = None, as_json: AsJson = False) -> None:
    """Show tables with chunks, sizes and compression, how fresh rollups are, each job's last run; the log store where one is named.

    Examples:
      tidegauge db status
      tidegauge db status --json | jq '.tables[] | {name, bytes, rows}'

    """
    settings = settings_for(data)

    def work(database: OpenDatabase) -> tuple[OpenDatabase, statuses.Status]:
        return database, statuses.read(database.owner_dsn, settings)

    database, found = _on_database(settings, work)
    logs = asyncio.run(log_stores.status(settings))
    if as_json:
        mode = "embedded" if database.embedded else "server"
        _write_json({"database": database.description, "mode": mode, **status_tables.as_json(found, logs)})
    else:
        status_tables.print_status(database.description, found, logs)


@db_app.command()
def collect(
    data: Data = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what there is to look at, delete nothing")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete dictionary rows (series, resources, scopes, applications, names, descriptions) that nothing refers to any more.

    Maintenance does so by itself; this does it now. Safe while `tidegauge up` runs. Rows are looked at when they were not seen for as
    long as anything that refers to them is kept, and TIDEGAUGE_LIFECYCLE_COLLECTION_GRACE more; those still in use stay.

    Examples:
      tidegauge db collect --dry-run
      tidegauge db collect

    """
    settings = settings_for(data)
    if not dry_run:
        is_over = _on_database(settings, lambda database: collection.collect(database.owner_dsn, settings, progress))
        if not is_over:
            say("writers kept the dictionaries busy: what is left is for maintenance, or for another try", "yellow")
    found = _on_database(settings, lambda database: collection.unused(database.owner_dsn, settings))
    if as_json:
        _write_json({"unused": [asdict(each) for each in found]})
    else:
        status_tables.print_unused(found)


@db_app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def shell(
    context: typer.Context,
    data: Data = None,
    reader: Annotated[bool, typer.Option("--reader", help="as the role that may only read")] = False,
) -> None:
    """Open psql on the database. What follows `--` is passed on to psql.

    Examples:
      tidegauge db shell --reader
      tidegauge db shell --reader -- -c "SELECT * FROM metrics WHERE timestamp > now() - interval '1 hour' LIMIT 5"

    """
    settings = settings_for(data)
    sys.exit(asyncio.run(_shell(settings, reader=reader, arguments=context.args)))


async def _shell(settings: Settings, *, reader: bool, arguments: list[str]) -> int:
    folder = settings.embedded.data_dir
    url = settings.database.url
    if url is not None:
        psql.executable(url.get_secret_value(), "DATABASE_URL")
    async with opened(settings, progress) as database:
        dsn = database.reader_dsn if reader else database.owner_dsn
        found = psql.executable(dsn, "DATABASE_URL" if url is not None else str(folder / "credentials.json"))
        return await psql.run(found, dsn, arguments)


def _on_database(settings: Settings, work: Callable[[OpenDatabase], Result], *, create: bool = False) -> Result:
    """Run ``work``, which blocks, beside the loop that supervises the database."""

    async def run() -> Result:
        async with opened(settings, progress, create=create) as database:
            return await asyncio.to_thread(work, database)

    return asyncio.run(run())


def _write_json(content: object) -> None:
    sys.stdout.write(orjson.dumps(content, option=orjson.OPT_INDENT_2, default=status_tables.plain).decode() + "\n")
