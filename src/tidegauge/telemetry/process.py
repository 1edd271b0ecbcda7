"""A process begins to tell about itself, and ends."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tidegauge.config import Settings
from tidegauge.telemetry import files
from tidegauge.telemetry.assembly import Telemetry
from tidegauge.telemetry.defects import reporting_handler
from tidegauge.telemetry.logs import start_logging
from tidegauge.telemetry.metrics import Metrics
from tidegauge.telemetry.observing import CountedLog
from tidegauge.telemetry.scrubbing import Scrubber, secrets_of
from tidegauge.telemetry.tracing import start_tracing

MAIN, PARENT = "main", "parent"


@contextmanager
def telling(
    settings: Settings, stream: TextIO, process: str = MAIN, folder: Path | None = None, secrets: Iterable[str] = ()
) -> Iterator[Telemetry]:
    """Log, count, trace and report while the block runs. Once in a process, before anything is counted.

    Args:
        settings: all of them.
        stream: for the log.
        process: this process' name among those that belong together.
        folder: where these keep their numbers; None: this one is alone.
        secrets: such as are no settings.

    Raises:
        ConfigurationError: what a setting needs is not installed.

    """
    scrubber = Scrubber((*secrets_of(settings), *secrets))
    start_logging(settings.telemetry, stream, scrubber, process="" if process == MAIN else process)
    if folder is not None:
        files.keep_in(folder, process, os.getpid())
    metrics = Metrics(folder, process)
    root = logging.getLogger()
    root.addHandler(CountedLog(metrics))
    if (reporting := reporting_handler(settings.telemetry, scrubber, process)) is not None:
        root.addHandler(reporting)
    tracing = start_tracing(settings.telemetry, process)
    try:
        yield Telemetry(metrics, tracing)
    finally:
        if tracing is not None:
            tracing.close()
        if reporting is not None:
            root.removeHandler(reporting)
            reporting.close()


@contextmanager
def shared_folder(*, wanted: bool) -> Iterator[Path | None]:
    """A folder for the numbers of several processes, readable for nobody else, for as long as the block runs; None where none is wanted."""
    if not wanted:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="tidegauge-metrics-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
