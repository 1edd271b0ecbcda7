"""Applications and alerts on TimescaleDB."""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge.model.records import Alert, Application
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import Row, application, rows


class PostgresApplicationStore:
    """``ApplicationStore`` on ``tidegauge.applications`` and ``tidegauge.alerts``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("applications")

    async def applications(self, tenant_id: int, limit: int) -> Sequence[Application]:
        """See ``ApplicationStore``."""
        async with self._database.reading() as connection:
            found = await rows(connection, self._sql["applications"], {"tenant_id": tenant_id, "limit": limit})
        return [application(row) for row in found]

    async def alerts(self, tenant_id: int, status: str | None, severity: str | None, limit: int) -> Sequence[Alert]:
        """See ``ApplicationStore``."""
        parameters = {"tenant_id": tenant_id, "status": status, "severity": severity, "limit": limit}
        async with self._database.reading() as connection:
            found = await rows(connection, self._sql["alerts"], parameters)
        return [_alert(row) for row in found]


def _alert(row: Row) -> Alert:
    return Alert(
        alert_id=row["alert_id"],
        name=row["name"],
        description=row["description"],
        status=row["status"],
        severity=row["severity"],
        service=row["service"],
        labels=row["labels"] if isinstance(row["labels"], dict) else {},
        value=row["value"],
        created_at_unix_nano=row["created_at_us"] * 1000,
        updated_at_unix_nano=row["updated_at_us"] * 1000,
        resolved_at_unix_nano=None if row["resolved_at_us"] is None else row["resolved_at_us"] * 1000,
    )
