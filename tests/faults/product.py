"""The product as its killers see it: a parent process, workers, a database; started again by whoever runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.servers.product import UNTHROTTLED

START_SECONDS = 240  # of a machine that has other things to do
STOP_SECONDS = 90


@dataclass(frozen=True)
class Family:
    """Process ids below the parent."""

    workers: tuple[int, ...]
    database: tuple[int, ...]


class Product:
    """``tidegauge up`` in a folder, on the same ports at every start.

    ``url`` names a server; without it the database is embedded. ``settings`` are variables of its environment.
    """

    def __init__(self, folder: Path, *, workers: int, url: str | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.log = folder / "product.log"
        self.starts = 0
        self._url = url
        self._settings = {"TIDEGAUGE_SERVE_WORKERS": str(workers), **(settings or {})}
        self._ports = _free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None
        self._places: Mapping[str, Any] = {}
        self._ready = threading.Event()

    @property
    def otlp_url(self) -> str:
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def grpc_address(self) -> str | None:
        """Where OTLP over gRPC is, once it has started."""
        return f"127.0.0.1:{self._ports[2]}" if "otlp_grpc" in self._places else None

    @property
    def is_embedded(self) -> bool:
        return self._url is None

    @property
    def owner_dsn(self) -> str:
        """The database for its owner."""
        if self._url is not None:
            return self._url
        info = json.loads((self.folder / "data" / "tidegauge.json").read_text())
        address = f"127.0.0.1:{info['port']}/{info['database']}?sslmode=disable"
        return f"postgresql://{info['owner_role']}:{info['owner_password']}@{address}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it has said that it serves, and has not ended since."""
        return self._ready.is_set() and self.is_running

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def family(self) -> Family:
        """What runs below the parent now."""
        rows = [line.split(None, 2) for line in _ps("-A", "-o", "pid=,ppid=,args=").splitlines()]
        children = {int(pid): args for pid, parent, args in rows if int(parent) == self.pid}
        below = children | {int(pid): args for pid, parent, args in rows if int(parent) in children}
        database = tuple(pid for pid, args in below.items() if "server.mjs" in args)
        helpers = ("resource_tracker", "forkserver")
        workers = (pid for pid, args in below.items() if "python" in args and not any(name in args for name in helpers))
        return Family(tuple(workers), database)

    def launch(self) -> None:
        """Start it and return at once."""
        assert not self.is_running
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGAUGE_", "OTEL_"))}
        environment.pop("DATABASE_URL", None)
        environment |= UNTHROTTLED | self._settings
        environment["TIDEGAUGE_OTLP_GRPC_LISTEN"] = f"127.0.0.1:{self._ports[2]}"
        if self._url is not None:
            environment["DATABASE_URL"] = self._url
        self._ready = threading.Event()
        self.starts += 1
        with self.log.open("ab") as log:
            log.write(f"--- start {self.starts} at {time.strftime('%H:%M:%S')}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tidegauge.cli.main", "up", "--json", "--data", str(self.folder / "data")),
                    *("--otlp", f"127.0.0.1:{self._ports[0]}", "--api", f"127.0.0.1:{self._ports[1]}"),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                env=environment,
            )
        threading.Thread(target=self._listen, args=(self._process, self._ready), daemon=True).start()

    def until_ready(self) -> None:
        """Return when it serves; a start that fails is done again, as a supervisor does: what the last one left may still be ending."""
        ends = time.monotonic() + START_SECONDS
        while not self.is_ready:
            if time.monotonic() > ends:
                raise AssertionError(f"`tidegauge up` does not start; see {self.log}")
            if not self.is_running:
                self.launch()
            self._ready.wait(0.5)

    def send(self, which: signal.Signals) -> None:
        """A signal to the parent."""
        assert self._process is not None
        self._process.send_signal(which)

    def kill(self) -> None:
        """kill -9 of the parent alone; everything below it has to notice by itself."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """SIGTERM to the parent; its exit code."""
        self.send(signal.SIGTERM)
        assert self._process is not None
        return self._process.wait(STOP_SECONDS)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows as the owner sees them."""
        with psycopg.connect(self.owner_dsn, prepare_threshold=None, autocommit=True) as connection:
            return connection.execute(sql, parameters or None).fetchall()

    def _listen(self, process: subprocess.Popen[bytes], ready: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if not ready.is_set():
                self._places = json.loads(line)
                ready.set()


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return bool(shown) and not shown.startswith("Z")


def _ps(*arguments: str) -> str:
    return subprocess.run(["ps", *arguments], capture_output=True, text=True, check=True).stdout


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listening.getsockname()[1] for listening in held]
    for listening in held:
        listening.close()
    return ports
