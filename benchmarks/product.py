"""The product as its users run it: ``tidegauge up`` as a process of its own, on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tidegauge import config
from tidegauge.runtime import known_location

_SETTINGS = ("TIDEGAUGE_", "DATABASE_URL", "ELASTICSEARCH_URL", "REDIS_URL", "OTEL_")
_STOP_SECONDS = 60


@dataclass(frozen=True)
class Product:
    """A running one. Addresses are host:port; ``dsn`` is the database owner's."""

    pid: int
    http: str
    grpc: str
    dsn: str
    api: str


@contextlib.contextmanager
def running(url: str | None, workers: int, settings: dict[str, str] | None = None, *, data: Path | None = None) -> Iterator[Product]:
    """`tidegauge up` on the database at ``url``, or on the embedded one in ``data``, or on one of its own.

    ``settings`` are more TIDEGAUGE_ variables.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)} | (settings or {})
    if url is not None:
        environment["DATABASE_URL"] = url
    with tempfile.TemporaryDirectory(prefix="tidegauge-bench-") as folder:
        data = data or Path(folder, "data")
        command = [sys.executable, "-m", "tidegauge.cli.main", "up", "--json", "--data", str(data), "--workers", str(workers)]
        ports = ["--api", "127.0.0.1:0", "--otlp", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0"]
        with (
            Path(folder, "log").open("w+") as log,
            subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, stderr=log, text=True, env=environment, cwd=folder) as process,
        ):
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                log.seek(0)
                sys.exit(log.read())
            places = json.loads(line)
            try:
                http, grpc, api = (urlsplit(places[name]).netloc for name in ("otlp_http", "otlp_grpc", "api"))
                yield Product(process.pid, http, grpc, url or _embedded_dsn(data), api)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(_STOP_SECONDS)


def _embedded_dsn(data: Path) -> str:
    location = known_location(config.load({}, env_file=None, overrides={"embedded": {"data_dir": data}}))
    assert location is not None
    return location.owner_dsn
