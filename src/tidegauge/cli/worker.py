"""A worker: a process that `tidegauge serve --workers N` starts. It serves connections that its parent has accepted.

It is told everything by its parent (:mod:`tidegauge.serving.handover`), and ends in order when the parent says so, or has died.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import orjson
import uvloop
from pydantic import SecretStr

from tidegauge.cli.running import receiving
from tidegauge.config import ListenAddress, Settings
from tidegauge.errors import TidegaugeError
from tidegauge.runtime import Location, Runtime
from tidegauge.serving import Ending, HttpServer, Stop, leave
from tidegauge.serving.handover import LET_GO, STOP, Inbox, report
from tidegauge.telemetry.assembly import Telemetry
from tidegauge.telemetry.process import telling

# Of a stop's time: a worker ends before its parent, which ends the database after that.
SHARE = 0.8
# Nobody restarts a database whose parent has died: there is no point in waiting for it.
_ORPHAN_SECONDS = 10.0
_QUIET_REPORT_SECONDS = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is told when it starts: by its standard input, since arguments and environments are seen by others.

    ``name`` is what it is called in logs and metrics; its successor, should it die, has it as well. ``metrics_folder`` is where all workers
    and their parent keep their numbers.
    """

    settings: Settings
    location: Location
    grpc_listen: ListenAddress
    channel: int
    name: str
    metrics_folder: Path

    def encode(self) -> bytes:
        """A line of JSON."""
        content = {
            "settings": self.settings.model_dump(),
            "location": asdict(self.location),
            "grpc_listen": str(self.grpc_listen),
            "channel": self.channel,
            "name": self.name,
            "metrics_folder": str(self.metrics_folder),
        }
        return orjson.dumps(content, default=_plain) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Task:
        """What :meth:`encode` made."""
        content = orjson.loads(line)
        return cls(
            settings=Settings.model_validate(content["settings"]),
            location=Location(**content["location"]),
            grpc_listen=ListenAddress.model_validate(content["grpc_listen"]),
            channel=content["channel"],
            name=content["name"],
            metrics_folder=Path(content["metrics_folder"]),
        )


def _plain(value: object) -> str:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case timedelta():
            # Exact, and pydantic reads it: ISO 8601.
            return f"P{value.days}DT{value.seconds}.{value.microseconds:06}S"
        case Path():
            return str(value)
    raise TypeError(type(value).__name__)


class _Worker:
    def __init__(self, task: Task, out: int, telemetry: Telemetry) -> None:
        self._task = task
        self._telemetry = telemetry
        self._out = out
        seconds = task.settings.serve.shutdown_timeout.total_seconds() * SHARE
        self._orphan_seconds = min(seconds, _ORPHAN_SECONDS)
        self._stop = Stop(Ending(seconds, told=lambda _: report(out, {"event": "ending"})))

    async def run(self) -> None:
        await self._stop.run(self._serve())

    async def _serve(self) -> None:
        task = self._task
        receiver = receiving(task.settings, task.location, task.grpc_listen, self._telemetry, maintains=False, closed=self._closed)
        async with receiver as (runtime, servers):
            report(self._out, {"event": "ready"})
            async with asyncio.TaskGroup() as group:
                group.create_task(self._report_quiet(runtime))
                group.create_task(self._take(servers))

    async def _take(self, servers: Sequence[HttpServer]) -> None:
        async for byte, connection in Inbox(self._task.channel).messages():
            if byte == STOP:
                self._stop.ask("parent")
            elif byte & LET_GO:
                number = byte & ~LET_GO
                if not servers[number].let_one_go():
                    report(self._out, {"event": "stayed", "listener": number})
            elif connection is None:
                self._closed(byte, False)
            else:
                await servers[byte].adopt(connection)
        _log.warning("the parent has died; committing what is acknowledged, then ending")
        self._stop.ask("parent", self._orphan_seconds)

    async def _report_quiet(self, runtime: Runtime) -> None:
        while True:
            report(self._out, {"event": "quiet", "seconds": runtime.writer.quiet_seconds})
            await asyncio.sleep(_QUIET_REPORT_SECONDS)

    def _closed(self, listener: int, asked: bool) -> None:
        report(self._out, {"event": "closed", "listener": listener, "asked": asked})


def main() -> None:
    """The process: exits with 0 after an orderly end, with the error's exit code where it could not start."""
    out = os.dup(sys.stdout.fileno())
    # What a library prints is for people.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    task = Task.decode(sys.stdin.buffer.readline())
    secrets = (task.location.owner_dsn, task.location.reader_dsn or "")
    try:
        with telling(task.settings, sys.stderr, task.name, task.metrics_folder, secrets) as telemetry:
            uvloop.run(_Worker(task, out, telemetry).run())
    except TidegaugeError as error:
        report(out, {"event": "failed", "error": type(error).__name__, "message": error.message, "hint": error.hint})
        sys.exit(error.exit_code)
    leave(0)


if __name__ == "__main__":
    main()
