"""What a worker is told is what its parent knows."""

from __future__ import annotations

from pathlib import Path

from tidegauge import config
from tidegauge.cli.worker import Task
from tidegauge.config import ListenAddress
from tidegauge.runtime import Location

GIVEN = {
    "TIDEGAUGE_API_TOKEN": "0123456789abcdef",
    "TIDEGAUGE_API_LISTEN": "[::1]:0",
    "TIDEGAUGE_DATABASE_URL": "postgresql://owner:secret@db/telemetry",
    "TIDEGAUGE_DATABASE_READER_ROLE": "analyst",
    "TIDEGAUGE_DATABASE_LOCK_TIMEOUT": "1ms",
    "TIDEGAUGE_INGEST_COMMIT_TIMEOUT": "1.234567s",
    "TIDEGAUGE_INGEST_DEDUP_WINDOW": "1d12h",
    "TIDEGAUGE_INGEST_MAX_PENDING_BYTES": "123456789",
    "TIDEGAUGE_EMBEDDED_DATA_DIR": "/data/ä",
}


def test_settings_and_location_arrive_as_they_were() -> None:
    settings = config.load(GIVEN, env_file=None)
    location = Location("postgresql://owner:secret@db/telemetry", None, embedded=False)
    task = Task(settings, location, ListenAddress(host="::1", port=4317), 7, "worker-1", Path("/private/metrics"))
    line = task.encode()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert Task.decode(line) == task
