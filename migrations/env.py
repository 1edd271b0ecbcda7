"""What Alembic runs, for ``alembic …`` on a shell and for ``tidegauge db migrate`` alike.

Whoever calls from Python puts ``dsn``, ``settings`` and ``report`` into the configuration's attributes; a shell has them read from
the environment: the database is DATABASE_URL's, otherwise the embedded one, which is started for as long as it takes.
"""

from __future__ import annotations

import asyncio
import sys

from alembic import context
from alembic.util import CommandError

from tidegauge import config, embedded
from tidegauge.errors import TidegaugeError
from tidegauge.storage.postgres import migrate


def _report(message: str) -> None:
    sys.stderr.write(message + "\n")


async def _on_embedded(settings: config.Settings) -> None:
    async with embedded.EmbeddedDatabase(settings.embedded, _report) as database:
        await asyncio.to_thread(migrate.run_in_alembic, database.owner_dsn, settings, _report)


def _on_shell() -> None:
    settings = config.load()
    if settings.database.url is not None:
        migrate.run_in_alembic(settings.database.url.get_secret_value(), settings, _report)
    elif running := embedded.running(settings.embedded.data_dir):
        migrate.run_in_alembic(running.owner_dsn, settings, _report)
    else:
        asyncio.run(_on_embedded(settings))


def _main() -> None:
    attributes = context.config.attributes
    if "dsn" in attributes:
        migrate.run_in_alembic(attributes["dsn"], attributes["settings"], attributes["report"])
        return
    if context.is_offline_mode():
        raise CommandError("some revisions depend on the database's answers, so there is no SQL text of them: leave out --sql")
    try:
        _on_shell()
    except TidegaugeError as error:
        # What Alembic prints as a line instead of a traceback.
        raise CommandError(str(error)) from error


_main()
