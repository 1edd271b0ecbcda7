"""Small files that only their owner may read, written so that nobody ever sees half of one; folders that cannot be used."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tidegauge.errors import EmbeddedDatabaseError


@contextlib.contextmanager
def usable(what: str, folder: Path, hint: str) -> Iterator[None]:
    """Work in a folder; what the operating system refuses there is told to a person.

    Args:
        what: what the folder is called, such as "data folder".
        folder: the folder.
        hint: what to do about it.

    Raises:
        EmbeddedDatabaseError: instead of any OSError.

    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.filename is not None and str(error.filename) != str(folder):
            reason += f": {error.filename}"
        raise EmbeddedDatabaseError(f"the {what} {folder} cannot be used: {reason}", hint=hint) from error


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Replace `path` by `content` as JSON, mode 0600, at once and durably."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in `path`; None where there is no such file or it is none of ours."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
