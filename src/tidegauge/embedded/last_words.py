"""The end of what the database's process writes to its standard error: why it died, where it could still say so."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import StreamReader
from collections.abc import Sequence

_LINES = 20
_BYTES = 8192
# A process that has ended leaves its error output open only where a child of it lives on.
_END_SECONDS = 1.0


class LastWords:
    """Reads a stream to its end, so that the writer never blocks, and keeps its last lines."""

    def __init__(self, stream: StreamReader, secrets: Sequence[str] = ()) -> None:
        """Begin to read; `secrets` are never shown."""
        self._kept = b""
        self._secrets = secrets
        self._reading = asyncio.create_task(self._read(stream), name="embedded-database-stderr")

    async def _read(self, stream: StreamReader) -> None:
        # What a secret is cut by must not show the rest of it: more is kept than is shown.
        while chunk := await stream.read(_BYTES):
            self._kept = (self._kept + chunk)[-2 * _BYTES :]

    async def text(self) -> str:
        """The last lines, at most 20 of them and 8 KiB; for a process that has ended."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._reading), _END_SECONDS)
        said = self._kept.decode(errors="replace")
        for secret in self._secrets:
            said = said.replace(secret, "***")
        return "\n".join(said[-_BYTES:].strip().splitlines()[-_LINES:])
