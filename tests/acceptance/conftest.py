"""The running product: `tidegauge up` in a process and a data folder of its own, as a user starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.servers.product import UNTHROTTLED


class Product:
    """A `tidegauge up` process. Its ports stay the same over restarts, so that exporters find it again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        self._ports = _free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None
        self._places: dict[str, str] = {}

    @property
    def otlp_url(self) -> str:
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def grpc_url(self) -> str:
        return f"http://127.0.0.1:{self._ports[2]}"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self._ports[1]}"

    @property
    def reader_dsn(self) -> str:
        return self._places["reader_dsn"]

    @property
    def owner_dsn(self) -> str:
        """The owner of the test's own database; its password stands in the data folder."""
        credentials = json.loads((self.folder / "data" / "credentials.json").read_text())
        return make_conninfo(self.reader_dsn, user="tidegauge", password=credentials["owner_password"])

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start and return once it has said where it is."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGAUGE_", "OTEL_"))}
        environment.pop("DATABASE_URL", None)
        environment |= UNTHROTTLED
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tidegauge.cli.main", "up", "--json"),
                    *("--data", str(self.folder / "data")),
                    *("--otlp", f"127.0.0.1:{self._ports[0]}", "--api", f"127.0.0.1:{self._ports[1]}"),
                    *("--otlp-grpc", f"127.0.0.1:{self._ports[2]}"),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                env=environment,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()  # ends when it has started, or with the process
        if not line:
            pytest.fail(f"tidegauge up ended with {self._process.wait()}:\n{self.log.read_text()[-4000:]}")
        self._places = json.loads(line)

    def rss_bytes(self) -> int:
        """Memory of the server process (not of the database)."""
        return int(_ps("-o", "rss=", "-p", str(self.pid))) * 1024

    def database_pids(self) -> list[int]:
        """The Node processes below the server."""
        rows = [line.split(None, 2) for line in _ps("-A", "-o", "pid=,ppid=,comm=").splitlines()]
        found: list[int] = []
        below = {self.pid}
        while below:
            children = {int(pid) for pid, parent, _ in rows if int(parent) in below}
            found += [int(pid) for pid, _, command in rows if int(pid) in children and "node" in command]
            below = children
        return found

    def kill_server(self) -> None:
        """kill -9 of the server process alone; its database has to notice by itself."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """As Ctrl-C does it; returns when it has ended."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            pytest.fail("tidegauge up did not end within 60 s of SIGINT")

    def get(self, path: str, **parameters: Any) -> Any:
        """The API's answer to GET; anything but 200 fails."""
        answer = httpx.get(f"{self.api_url}{path}", params=parameters, timeout=30)
        assert answer.status_code == 200, f"{answer.url}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, signal_path: str, body: bytes, content_type: str = "application/x-protobuf", **headers: str) -> httpx.Response:
        """OTLP as raw bytes."""
        sent = {"content-type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return httpx.post(f"{self.otlp_url}/v1/{signal_path}", content=body, headers=sent, timeout=60)

    def query(self, sql: str, *parameters: Any, dsn: str | None = None) -> list[dict[str, Any]]:
        """Rows as the reader role sees them, or as whoever `dsn` names."""
        with psycopg.connect(dsn or self.reader_dsn, prepare_threshold=None, row_factory=psycopg.rows.dict_row) as connection:
            return connection.execute(sql, parameters or None).fetchall()  # type: ignore[arg-type]


def eventually(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for a condition of another process; the deadline is for a broken product alone."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            pytest.fail(f"waited {seconds} s in vain until {what}")
        time.sleep(0.02)


def _ps(*arguments: str) -> str:
    return subprocess.run(["ps", *arguments], capture_output=True, text=True, check=True).stdout


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listening.getsockname()[1] for listening in held]
    for listening in held:
        listening.close()
    return ports


@pytest.fixture(scope="session", name="product")
def _product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One product for all tests that leave it alive."""
    yield from _running(tmp_path_factory.mktemp("product"))


@pytest.fixture(scope="module", name="own_product")
def _own_product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product that a module may kill."""
    yield from _running(tmp_path_factory.mktemp("own_product"))


def _running(folder: Path) -> Iterator[Product]:
    product = Product(folder)
    try:
        product.start()
        yield product
    finally:
        product.stop()


@pytest.fixture(scope="session", name="until")
def _until() -> Callable[..., None]:
    return eventually
