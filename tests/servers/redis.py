"""Which Redis the tests run on: a URL in the environment, a container, a redis-server on PATH; none where there is none of these."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import redis.asyncio

from tests.servers.choosing import Choice, docker_runs

URL_VARIABLE = "TIDEGAUGE_TEST_REDIS_URL"
IMAGE = "redis:7.4-alpine"
PROGRAMS = ("redis-server", "valkey-server")
START_SECONDS = 20


def choice() -> Choice:
    """What is used, and why."""
    if os.environ.get(URL_VARIABLE):
        return Choice("url", f"the server in {URL_VARIABLE}")
    if docker_runs():
        return Choice("container", f"a container of {IMAGE}")
    if (program := _program()) is not None:
        return Choice("launcher", program)
    return Choice("none", f"no {URL_VARIABLE}, no Docker, no redis-server on PATH (`apt install redis-server` brings it)")


class RedisProcess:
    """A redis-server of the tests' own on a free port, without a disk; it can be stopped and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Return when it answers."""
        program = _program()
        assert program is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self._folder}
        arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([program, *arguments], stdout=log, stderr=log)
        ends = time.monotonic() + START_SECONDS
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > ends:
                raise AssertionError("redis-server did not start:\n" + (self._folder / "redis.log").read_text()[-2000:])
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, as a crash does: everything in it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """URL of a server while the block runs. Others may use it as well: keep to keys with a prefix of your own (:func:`own_prefix`)."""
    match choice().kind:
        case "url":
            yield os.environ[URL_VARIABLE]
        case "container":
            from testcontainers.redis import RedisContainer

            with RedisContainer(IMAGE) as container:
                yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
        case "launcher":
            process = RedisProcess(folder)
            process.start()
            try:
                yield process.url
            finally:
                process.stop()
        case _:
            raise AssertionError("there is no Redis: skip before")


def own_prefix() -> str:
    """A prefix that nobody else uses."""
    return f"tidegauge-test-{uuid.uuid4().hex[:12]}:"


@contextlib.asynccontextmanager
async def client(url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """For looking at what is there."""
    connection = redis.asyncio.Redis.from_url(url)
    try:
        yield connection
    finally:
        await connection.aclose()


def _program() -> str | None:
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
