"""Chunk intervals, compression, rollup refreshes and retention, from Settings; what they do stands in ``sql/policies``."""

from __future__ import annotations

from typing import Any

import psycopg

from tidegauge.config import Settings
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres import scripts
from tidegauge.storage.postgres.capabilities import Capabilities


def apply_policies(connection: psycopg.Connection[Any], settings: Settings, capabilities: Capabilities) -> None:
    """Write the settings to ``tidegauge.lifecycle`` and make chunk intervals and jobs follow, in the connection's transaction.

    Changes only what differs. Where TimescaleDB has no workers the jobs stand there unscheduled and ours does their work.

    Raises:
        MigrationError: a retention is too short for the rollups made from it.
        Unavailable: the connection broke.

    """
    parameters = {**settings.lifecycle.model_dump(), "dedup_window": settings.ingest.dedup_window}
    try:
        connection.execute(sqlfiles.script("policies/definitions.sql"), parameters)
        connection.execute(sqlfiles.queries("migrations")["apply_lifecycle"], {"by_workers": capabilities.has_background_workers})
    except psycopg.Error as error:
        raise scripts.explained(error, "policies") from error
