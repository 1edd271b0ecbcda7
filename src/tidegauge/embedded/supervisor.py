"""Starts the embedded database, starts it again when it dies, and ends it in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, repeat
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tidegauge.config import EmbeddedSettings
from tidegauge.embedded import connection, credentials, environment
from tidegauge.embedded.connection import ConnectionInfo
from tidegauge.embedded.credentials import Credentials
from tidegauge.embedded.files import usable
from tidegauge.embedded.install import Node, ensure_modules, find_node
from tidegauge.embedded.last_words import LastWords
from tidegauge.embedded.lock import FolderLock
from tidegauge.errors import EmbeddedDatabaseError

_log = logging.getLogger(__name__)

_SERVER = Path(__file__).with_name("server.mjs")
# Longer than the server's own bound for closing (15 s).
_STOP_SECONDS = 20.0
# Tries go on at the last of these until one succeeds: what stands in the way may go away, such as a full disk.
_BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0)
# A line of the process' output: events are short, and a longer one is left out.
_LINE_BYTES = 1 << 20
# Replaying the write-ahead log after a kill takes about 2 s a gigabyte; this is for machines that are far slower.
_READY_SECONDS = 300.0
_MIB = 1 << 20
_OTHER_FOLDER = "give a folder that can be written, by --data or TIDEGAUGE_EMBEDDED_DATA_DIR"


def _ignore(_: str) -> None:
    pass


class EmbeddedDatabase:
    """A TimescaleDB of our own, on 127.0.0.1.

    Use it as an async context manager, or `start` and `stop` it::

        async with EmbeddedDatabase(settings.embedded, print) as database:
            await psycopg.AsyncConnection.connect(database.owner_dsn)

    Attributes:
        restarts: how often the process died and was started again.
        last_events: latest event of each kind from the process, for diagnosis.

    """

    def __init__(self, settings: EmbeddedSettings, report: Callable[[str], None] | None = None, *, command: str | None = None) -> None:
        """Prepare; nothing starts yet.

        Args:
            settings: folders, port and limits.
            report: gets lines about a start's progress, for a person.
            command: how this process is named to someone who finds the folder in use; default: the command line.

        """
        self.restarts = 0
        self.last_events: dict[str, Mapping[str, Any]] = {}
        self._settings = settings
        self._report = report or _ignore
        self._command = command or " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200]
        self._lock: FolderLock | None = None
        self._credentials: Credentials | None = None
        self._node: Node | None = None
        self._modules: Path | None = None
        self._info: ConnectionInfo | None = None
        self._process: Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._last_words: LastWords | None = None
        self._ready = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    @property
    def info(self) -> ConnectionInfo:
        """Where it is. The port stays the same through restarts.

        Raises:
            EmbeddedDatabaseError: it is not running.

        """
        if self._info is None:
            raise EmbeddedDatabaseError("the embedded database is not running")
        return self._info

    @property
    def port(self) -> int:
        """TCP port on 127.0.0.1."""
        return self.info.port

    @property
    def owner_dsn(self) -> str:
        """URI for libpq of the role that owns everything."""
        return self.info.owner_dsn

    @property
    def reader_dsn(self) -> str:
        """URI for libpq of the role that may only read."""
        return self.info.reader_dsn

    @property
    def node_pid(self) -> int:
        """Process id of the database itself; changes with each restart."""
        return self.info.node_pid

    async def start(self) -> None:
        """Install what is missing, lock the folder, start, and return when the database takes connections.

        Raises:
            DataFolderInUse: another process holds the data folder.
            NodeMissing: no usable Node.js.
            EmbeddedDatabaseError: anything else that stops it from starting.

        """
        try:
            with usable("data folder", self._settings.data_dir, _OTHER_FOLDER):
                await self._start()
        except BaseException:
            await self.stop()
            raise
        self._watcher = asyncio.create_task(self._watch(), name="embedded-database")

    async def _start(self) -> None:
        folder = self._settings.data_dir
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = await FolderLock.acquire(folder, self._command, self._report)
        self._credentials = credentials.load_or_create(folder)
        self._node = await find_node()
        self._modules = await ensure_modules(self._settings.cache_dir, self._node, self._report)
        await self._launch_on(self._settings.port or self._credentials.port)

    async def stop(self) -> None:
        """End the database in order (checkpoint); kill it where that takes too long. Safe to call twice."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
            self._watcher = None
        if self._lock is not None:
            connection.withdraw(self._settings.data_dir)
        self._ready.clear()
        self._info = None
        await self._end_process()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def wait_ready(self) -> None:
        """Return when the database takes connections (again), however long that takes."""
        await self._ready.wait()

    async def _launch_on(self, port: int) -> None:
        """Launch; a port remembered from last time is a wish only."""
        try:
            await self._launch(port)
        except EmbeddedDatabaseError as error:
            if "EADDRINUSE" not in error.message or port == 0:
                raise
            if port == self._settings.port:
                raise EmbeddedDatabaseError(
                    f"port {port} on 127.0.0.1 is taken", hint="stop what uses it, or set TIDEGAUGE_EMBEDDED_PORT=0 for a free one"
                ) from error
            await self._launch(0)

    async def _launch(self, port: int) -> None:
        self._refuse_vanished()
        assert self._node is not None
        assert self._lock is not None
        process = await asyncio.create_subprocess_exec(
            str(self._node.executable),
            str(_SERVER),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=_LINE_BYTES,
            cwd=self._settings.data_dir,
            env=environment.for_node(),
            pass_fds=(self._lock.fd,),
            # Ctrl-C in a terminal is for us; we end the database when nobody needs it any more.
            start_new_session=True,
        )
        self._process = process
        assert self._credentials is not None
        assert process.stderr is not None
        assert process.stdin is not None
        self._last_words = LastWords(process.stderr, (self._credentials.owner_password, self._credentials.reader_password))
        with contextlib.suppress(ConnectionError):  # it died at once: the events tell
            process.stdin.write(json.dumps(self._config(port)).encode() + b"\n")
            await process.stdin.drain()
        try:
            await asyncio.wait_for(self._until_ready(process), _READY_SECONDS)
        except TimeoutError:
            await self._end_process()
            raise EmbeddedDatabaseError(f"the embedded database did not open within {_READY_SECONDS:.0f} s{await self._said()}") from None
        except EmbeddedDatabaseError as error:
            await self._end_process()
            raise EmbeddedDatabaseError(f"{error.message}{await self._said()}", hint=error.hint) from error
        except OSError:  # it runs, but nobody can be told where: there must never be two
            await self._end_process()
            raise

    def _refuse_vanished(self) -> None:
        """An empty database in the place of one that has run would look like all data lost, and take new data."""
        cluster = self._settings.data_dir / "pgdata"
        if self._info is not None and not cluster.is_dir():
            raise EmbeddedDatabaseError(
                f"{cluster} is gone while the database ran", hint="bring the folder back, or start anew to begin empty"
            )

    async def _until_ready(self, process: Process) -> None:
        async for event in self._events(process):
            match event.get("event"):
                case "creating":
                    self._report("Creating the database")
                case "opening":
                    self._report("Opening the database")
                case "recovering":
                    self._report(f"Recovering the database: replaying up to {event.get('wal_bytes', 0) / _MIB:.0f} MiB of log")
                case "fatal":
                    raise EmbeddedDatabaseError(f"the embedded database did not open: {event.get('message')}")
                case "ready":
                    self._publish(event)
                    return
        raise EmbeddedDatabaseError(f"the embedded database ended while opening, with status {await process.wait()}")

    def _publish(self, event: Mapping[str, Any]) -> None:
        settings, secrets, lock = self._settings, self._credentials, self._lock
        assert secrets is not None
        assert lock is not None
        port = int(event["port"])
        self._info = ConnectionInfo(
            pid=os.getpid(),
            node_pid=int(event["pid"]),
            port=port,
            database=settings.database,
            owner_role=settings.owner_role,
            owner_password=secrets.owner_password,
            reader_role=settings.reader_role,
            reader_password=secrets.reader_password,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if secrets.port != port:
            self._credentials = replace(secrets, port=port)
            credentials.save(settings.data_dir, self._credentials)
        lock.describe(ports=[port])
        connection.publish(settings.data_dir, self._info)
        self._ready.set()

    def _config(self, port: int) -> dict[str, Any]:
        """What the process is told on its standard input. Times in milliseconds, sizes in bytes."""
        settings, secrets = self._settings, self._credentials
        assert secrets is not None
        return {
            "dataDir": str(settings.data_dir.absolute()),
            "modulesDir": str(self._modules),
            "mayCreate": self._info is None,
            "port": port,
            "database": settings.database,
            "owner": {"user": settings.owner_role, "password": secrets.owner_password},
            "reader": {"user": settings.reader_role, "password": secrets.reader_password},
            "limits": {
                "statementTimeoutMs": round(settings.statement_timeout_seconds * 1000),
                "readerStatementTimeoutMs": round(settings.reader_statement_timeout_seconds * 1000),
                "transactionTimeoutMs": round(settings.transaction_timeout_seconds * 1000),
                "readerTransactionTimeoutMs": round(settings.reader_transaction_timeout_seconds * 1000),
                "idleInTransactionTimeoutMs": round(settings.idle_in_transaction_timeout_seconds * 1000),
                "resultBytesLimit": int(settings.result_bytes_limit),
                "readerResultBytesLimit": int(settings.reader_result_bytes_limit),
                "copyBytesLimit": int(settings.copy_bytes_limit),
                "maxConnections": settings.max_connections,
                "checkpointWalBytes": int(settings.checkpoint_wal_bytes),
                "checkpointSeconds": settings.checkpoint_seconds,
            },
        }

    async def _events(self, process: Process) -> AsyncIterator[Mapping[str, Any]]:
        """What the process reports, until its output ends."""
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than any event of ours; asyncio has thrown it away
                continue
            if not line:
                return
            yield self._note(line)

    async def _said(self) -> str:
        """What the process that has ended said about it, to be appended to a message."""
        words = await self._last_words.text() if self._last_words is not None else ""
        return f"; it said:\n{words}" if words else ""

    def _note(self, line: bytes) -> Mapping[str, Any]:
        try:
            event = json.loads(line)
        except ValueError:
            return {}
        if not isinstance(event, dict):
            return {}
        name = str(event.get("event"))
        self.last_events[name] = event
        level = logging.WARNING if name in {"broken", "fatal", "client_error", "reopened"} else logging.DEBUG
        _log.log(level, "embedded database: %s", line.decode(errors="replace").strip())
        return event

    async def _watch(self) -> None:
        """Read events; when the process ends, start it again on the same port."""
        while True:
            process = self._process
            assert process is not None
            async for _ in self._events(process):
                pass
            status = await process.wait()
            self._ready.clear()
            _log.warning("embedded database: ended with status %s; starting it again%s", status, await self._said())
            await self._relaunch()

    async def _relaunch(self) -> None:
        port = self.port
        for pause in chain(_BACKOFF_SECONDS, repeat(_BACKOFF_SECONDS[-1])):
            await asyncio.sleep(pause)
            try:
                await self._launch(port)
            except (EmbeddedDatabaseError, OSError) as failure:
                _log.error("embedded database: %s; trying again", failure)
            else:
                self.restarts += 1
                return

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()  # the end of its input tells it to stop
        try:
            await asyncio.wait_for(self._drain(process), _STOP_SECONDS)
        except TimeoutError:
            _log.error("embedded database: did not close within %s s; killed", _STOP_SECONDS)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _drain(self, process: Process) -> None:
        async for _ in self._events(process):
            pass
        await process.wait()
