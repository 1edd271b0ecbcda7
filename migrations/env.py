"""What Alembic runs, for ``alembic …`` on a shell and for ``tidegauge db migrate`` alike.

Whoever calls from Python puts ``dsn``, ``settings`` and ``report`` into the configuration's attributes; a shell has them read from
the environment.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from alembic.util import CommandError

from tidegauge import config
from tidegauge.errors import ConfigurationError, TidegaugeError
from tidegauge.storage.postgres import migrate


def _report(message: str) -> None:
    sys.stderr.write(message + "\n")


@contextmanager
def resolve_dsn(settings: config.Settings) -> Iterator[str]:
    """The owner's address of the database to migrate."""
    if settings.database.url is None:
        raise ConfigurationError("no database to migrate", hint="set DATABASE_URL=postgresql://user:password@host:port/database")
    yield settings.database.url.get_secret_value()


def _shell() -> None:
    settings = config.load()
    with resolve_dsn(settings) as dsn:
        migrate.run_in_alembic(dsn, settings, _report)


def _main() -> None:
    attributes = context.config.attributes
    if "dsn" in attributes:
        migrate.run_in_alembic(attributes["dsn"], attributes["settings"], attributes["report"])
        return
    if context.is_offline_mode():
        raise CommandError("some revisions depend on the database's answers, so there is no SQL text of them: leave out --sql")
    try:
        _shell()
    except TidegaugeError as error:
        # What Alembic prints as a line instead of a traceback.
        raise CommandError(str(error)) from error


_main()
