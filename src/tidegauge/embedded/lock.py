"""One process at a time works on a data folder.

The lock is a ``flock`` on an open file that the Node.js process inherits: the folder stays locked until the last of both has ended,
however they end, and nothing has to be cleaned up after a crash.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tidegauge.errors import DataFolderInUse

_NAME = "tidegauge.lock"
_RETRY_SECONDS = 0.05
# Someone who only looks (`is_locked`) holds the lock for microseconds.
_LOOKED_AT_SECONDS = 0.5
# A database whose parent was killed ends by itself within this time.
_ENDING_SECONDS = 25.0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's, but there
    return True


def _holder(path: Path) -> Mapping[str, Any]:
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    return {}


def _in_use(folder: Path, holder: Mapping[str, Any]) -> DataFolderInUse:
    who = f"process {holder.get('pid', '?')}"
    if holder.get("command"):
        who += f" ({holder['command']})"
    if holder.get("since"):
        who += f", since {holder['since']}"
    if holder.get("ports"):
        who += f", on port {', '.join(str(port) for port in holder['ports'])}"
    return DataFolderInUse(
        f"the data folder {folder} is in use by {who}",
        hint="use that one, stop it, or give another folder by --data",
    )


class FolderLock:
    """The exclusive lock on a data folder, held from `acquire` to `release` and by every process that inherits `fd`.

    Attributes:
        fd: file descriptor to pass on to the child.

    """

    def __init__(self, folder: Path, fd: int) -> None:
        self.fd = fd
        self._folder = folder
        self._content: dict[str, Any] = {}

    @classmethod
    async def acquire(cls, folder: Path, command: str, report: Callable[[str], None]) -> FolderLock:
        """Lock the folder, which exists.

        Waits for a database whose parent has died: it is about to end.

        Raises:
            DataFolderInUse: another process holds it; names that process.

        """
        path = folder / _NAME
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await cls._lock(fd, folder, report)
        except BaseException:
            os.close(fd)
            raise
        lock = cls(folder, fd)
        lock.describe(command=command, pid=os.getpid(), since=datetime.now(UTC).isoformat(timespec="seconds"))
        return lock

    @staticmethod
    async def _lock(fd: int, folder: Path, report: Callable[[str], None]) -> None:
        started = time.monotonic()
        waiting = False
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _holder(folder / _NAME)
                orphaned = isinstance(holder.get("pid"), int) and not _alive(holder["pid"])
                if time.monotonic() - started > (_ENDING_SECONDS if orphaned else _LOOKED_AT_SECONDS):
                    raise _in_use(folder, holder) from None
                if orphaned and not waiting:
                    waiting = True
                    report("Waiting for the database of a process that has died to close")
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    def describe(self, **facts: Any) -> None:
        """Tell others who holds the lock and since when (pid, command, since, ports)."""
        self._content |= facts
        content = json.dumps(self._content).encode()
        os.pwrite(self.fd, content, 0)
        os.ftruncate(self.fd, len(content))

    def release(self) -> None:
        """Let go; the folder stays locked while a child that inherited the descriptor lives."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def is_locked(folder: Path) -> bool:
    """Whether some process works on the folder now."""
    try:
        fd = os.open(folder / _NAME, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
