"""A project of somebody else's: models, env.py and revisions in a folder, run by Alembic against a database with TimescaleDB."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from tests.servers.timescaledb import TestDatabase

ENV = """
from alembic import context
from sqlalchemy import create_engine, NullPool

from models import metadata
from tidegauge.alembic import autogenerate_options, register

register()

SCHEMAS = {"weather"}


def ours(name, type_, parents):
    return type_ != "schema" or name in SCHEMAS


if context.is_offline_mode():
    context.configure(url="postgresql+psycopg://", target_metadata=metadata, literal_binds=True, version_table_schema="weather")
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(
        "postgresql+psycopg://",
        creator=context.config.attributes["connect"],
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            include_schemas=True,
            transaction_per_migration=True,
            version_table_schema="weather",
            **autogenerate_options(connection, include_name=ours),
        )
        with context.begin_transaction():
            context.run_migrations()
"""
MODELS = """
from sqlalchemy import Column, DateTime, Double, Index, Integer, MetaData, Table

metadata = MetaData(schema="weather")
conditions = Table(
    "conditions", metadata,
    Column("time", DateTime(timezone=True), nullable=False),
    Column("station", Integer, nullable=False),
    Column("celsius", Double),
    Index("conditions_station", "station", "time"),
)
"""
TABLE = """
op.create_table(
    "conditions",
    sa.Column("time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("station", sa.Integer, nullable=False),
    sa.Column("celsius", sa.Double),
    schema="weather",
)
op.create_index("conditions_station", "conditions", ["station", "time"], schema="weather")
op.create_hypertable("conditions", "time", schema="weather", chunk_interval="1 day")
"""
HOURLY = """
SELECT time_bucket(INTERVAL '1 hour', c.time) AS hour, c.station, avg(c.celsius) AS mean, count(*) AS readings
FROM weather.conditions c
WHERE c.celsius > -100
GROUP BY 1, 2
"""
AGGREGATE = f'''
op.create_continuous_aggregate("hourly", """{HOURLY}""", schema="weather", create_group_indexes=False, chunk_interval="7 days")
op.create_index("hourly_station", "hourly", ["station", "hour"], schema="weather")
'''


@dataclass(frozen=True, slots=True)
class Project:
    """The project and its database."""

    folder: Path
    dsn: str

    def revision(self, number: int, body: str) -> None:
        """A revision whose upgrade is ``body``; the one with the number before comes before."""
        before = repr(f"{number - 1:04}") if number > 1 else "None"
        text = (
            f"from alembic import op\nimport sqlalchemy as sa\n\nrevision = '{number:04}'\ndown_revision = {before}\n\n\ndef upgrade():\n"
        )
        text += indent(dedent(body).strip() or "pass", "    ") + "\n\n\ndef downgrade():\n    pass\n"
        (self.folder / "versions" / f"{number:04}.py").write_text(text)

    def models(self, text: str) -> None:
        (self.folder / "models.py").write_text(text)

    async def upgrade(self, *, sql: bool = False) -> str:
        """Bring the database to the newest revision; returns the statements where ``sql`` asks for them alone."""
        printed = io.StringIO()
        await asyncio.to_thread(command.upgrade, self._config(printed), "head", sql)
        return printed.getvalue()

    async def compared(self) -> list[Any]:
        """What autogenerate would put into a revision."""
        from alembic.script import ScriptDirectory

        config, found = self._config(io.StringIO()), []
        script = await asyncio.to_thread(
            command.revision,
            config,
            autogenerate=True,
            process_revision_directives=lambda _c, _r, made: found.append(made[0]) or made.clear(),
        )
        assert script is None or isinstance(script, (list, ScriptDirectory))
        return list(found[0].upgrade_ops.ops)

    def ask(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True, prepare_threshold=None) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def _config(self, printed: io.StringIO) -> Config:
        # Read anew: it may have been changed since.
        sys.modules.pop("models", None)
        config = Config(output_buffer=printed, attributes={"connect": lambda: psycopg.connect(self.dsn, prepare_threshold=None)})
        config.set_main_option("script_location", str(self.folder))
        config.set_main_option("prepend_sys_path", str(self.folder))
        config.set_main_option("path_separator", "os")
        return config


@pytest.fixture
def project(tmp_path: Path, database: TestDatabase) -> Iterator[Project]:
    """An empty project with its schema; dropped with all that is in it."""
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "script.py.mako").write_text("")
    project = Project(tmp_path, database.owner_dsn)
    project.models(MODELS)
    project.ask("CREATE SCHEMA weather")
    yield project
    sys.modules.pop("models", None)
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path)]
    project.ask("DROP SCHEMA weather CASCADE")
