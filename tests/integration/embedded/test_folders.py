"""Folders that cannot be used: which one, why, and what to do about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tidegauge.config import EmbeddedSettings
from tidegauge.embedded import EmbeddedDatabase, running
from tidegauge.embedded.install import Node, ensure_modules
from tidegauge.errors import EmbeddedDatabaseError

DATA = r"(?s)data folder {} cannot be used: {}.*--data or TIDEGAUGE_EMBEDDED_DATA_DIR"


async def refused(folder: Path, reason: str) -> None:
    with pytest.raises(EmbeddedDatabaseError, match=DATA.format(folder, reason)):
        await EmbeddedDatabase(EmbeddedSettings(data_dir=folder)).start()


async def test_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    await refused(file, "File exists")
    await refused(file / "below", "Not a directory")
    assert file.read_text() == "mine"
    assert running(file) is None


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
async def test_a_data_folder_that_cannot_be_made() -> None:
    await refused(Path("/dev/null/x"), "Not a directory")
    await refused(Path("/proc/x"), "No such file or directory")


async def test_a_lock_file_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "tidegauge.lock").mkdir()
    await refused(tmp_path, "Is a directory: .*tidegauge.lock")


async def test_a_data_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def denied(path: Any, *args: Any, **kwargs: Any) -> int:
        if str(path).startswith(str(tmp_path)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", denied)  # root may write everywhere, so that modes alone show nothing
    await refused(tmp_path, "Permission denied: .*tidegauge.lock")


async def test_a_cache_folder_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for folder in (file, Path("/dev/null/x")):
        with pytest.raises(EmbeddedDatabaseError, match=rf"(?s)cache folder {folder} cannot be used.*TIDEGAUGE_EMBEDDED_CACHE_DIR"):
            await ensure_modules(folder, Node(Path("/nonexistent/node"), ()), lambda _: None)
