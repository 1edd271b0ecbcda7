"""One entry for every command of a clone: sets up the virtual environment under the lock's hashes, then runs the command.

Needs nothing but Python >= 3.11. ``python3 tools/dev.py --help`` lists the commands; the Makefile calls this file.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
SRC = ROOT / "src"
ENV_FILE = ROOT / ".env"
ENV_EXAMPLE = ROOT / ".env.example"
MINIMUM_PYTHON = (3, 11)
MINIMUM_NODE = 20
MOST_PROCESSES = 4
"""Of the tests; each takes up to 2 GB of memory with the servers that it starts."""


def main() -> int:
    """Parse the command line, set up what the command needs, run it and return its exit code."""
    parser = argparse.ArgumentParser(description="Commands of a Tidegauge clone.")
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="passed on to the command; for `run`, options of `tidegauge up`")
    arguments = parser.parse_args()
    rest = arguments.rest[1:] if arguments.rest[:1] == ["--"] else arguments.rest
    if sys.version_info < MINIMUM_PYTHON:
        sys.exit(f"tidegauge needs Python >= 3.11, this is {sys.version.split()[0]}: call this file with a newer python3")
    try:
        return COMMANDS[arguments.command](rest)
    except KeyboardInterrupt:
        return 130


def run(rest: Sequence[str]) -> int:
    """``tidegauge up`` in an environment that holds the runtime lock; ``run simulate …`` is another of its commands."""
    set_up("runtime")
    arguments = rest if rest and not rest[0].startswith("-") else ["up", *rest]
    # exec, so that signals and the exit code are the product's own.
    os.execv(BIN / "tidegauge", [str(BIN / "tidegauge"), *arguments])


def test(rest: Sequence[str]) -> int:
    """All tests, in as many processes as there are cores; or what ``rest`` tells pytest, in one."""
    set_up("dev")
    return call(BIN / "python", "-m", "pytest", *(rest or spread_tests()))


def spread_tests() -> list[str]:
    """Options of pytest-xdist; tests/spread.py says what is done together and in which order."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2:
        return []
    return ["--numprocesses", str(min(cores, MOST_PROCESSES))]


def lint(_: Sequence[str]) -> int:
    """Formatting, lint, types and import rules; all of them, then the worst exit code."""
    set_up("dev")
    codes = [
        call(BIN / "ruff", "format", "--check", "."),
        call(BIN / "ruff", "check", "."),
        call(BIN / "mypy"),
        call(BIN / "lint-imports"),
    ]
    return max(codes)


def bench(rest: Sequence[str]) -> int:
    """The benchmarks, one table each."""
    set_up("dev")
    return call(BIN / "python", "-m", "benchmarks", *rest)


def build(rest: Sequence[str]) -> int:
    """Wheel and sdist into dist/. ``rest`` goes to hatchling, such as ``-d FOLDER``."""
    set_up("dev")
    return call(BIN / "python", "-m", "hatchling", "build", *rest)


def env(_: Sequence[str]) -> int:
    """Write .env for docker-compose.yml: what .env.example names, each empty value replaced by a random one. Never overwrites."""
    lines = []
    for line in ENV_EXAMPLE.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        lines.append(f"{name}={secrets.token_hex(24)}" if equals and not value and not name.startswith("#") else line)
    try:
        # Made with its final mode: at no moment can another user read it.
        descriptor = os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.exit(f"{ENV_FILE} exists and is left as it is; delete it to get new values (volumes keep the old passwords)")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    say(f"wrote {ENV_FILE}")
    return 0


def lock(_: Sequence[str]) -> int:
    """Resolve pyproject.toml into requirements/*.txt: hashes, no index addresses."""
    uv = shutil.which("uv")
    if uv is None:
        sys.exit("uv makes the lock files: `pip install uv`, then call this again")
    common = [
        "pip",
        "compile",
        "-q",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-emit-index-url",
        "--no-header",
    ]
    extras = [part for name in ("arrow", "elasticsearch", "redis", "sentry", "simulate", "tracing") for part in ("--extra", name)]
    variants = {
        "runtime": [*extras, "--group", "build"],
        "dev": [*extras, "--group", "dev"],
        "node": ["--extra", "node"],
    }
    for name, options in variants.items():
        code = call(uv, *common, *options, "pyproject.toml", "-o", f"requirements/{name}.txt")
        if code:
            return code
    return 0


COMMANDS = {"run": run, "test": test, "lint": lint, "bench": bench, "build": build, "lock": lock, "env": env}


def set_up(lock_name: str) -> None:
    """Make ``.venv`` hold at least what ``requirements/<lock_name>.txt`` says; does nothing where it already does."""
    locks = ["dev"] if lock_name == "dev" else ["runtime"]
    if not node_on_path():
        locks.append("node")
    sources = build_sources()
    wanted = hashlib.sha256(b"".join((ROOT / f"requirements/{name}.txt").read_bytes() for name in locks) + sources).hexdigest()
    stamps = VENV / ".tidegauge-locks"
    if stamps.exists() and wanted in stamps.read_text().split():
        return
    if not (BIN / "python").exists():
        say("creating .venv")
        if subprocess.run([sys.executable, "-m", "venv", str(VENV)]).returncode:
            shutil.rmtree(VENV, ignore_errors=True)
            sys.exit(
                f"could not create .venv: {sys.executable} lacks the modules venv or ensurepip; "
                "on Debian and Ubuntu `apt install python3-venv` brings them"
            )
    for name in locks:
        say(f"installing requirements/{name}.txt")
        pip("install", "--require-hashes", "-r", str(ROOT / f"requirements/{name}.txt"))
    say("installing the clone, with its compiled part")
    pip("install", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    # pip keeps what a build says to itself.
    described = "import sys; from tidegauge import compiled; print('tidegauge: decoder:', compiled.described(), file=sys.stderr)"
    call(BIN / "python", "-c", described)
    # A dev environment serves `run` too, so that switching between the two installs nothing.
    with stamps.open("a") as file:
        file.write(wanted + "\n")
        if lock_name == "dev":
            runtime = (ROOT / "requirements/runtime.txt").read_bytes()
            extra = b"" if len(locks) == 1 else (ROOT / "requirements/node.txt").read_bytes()
            file.write(hashlib.sha256(runtime + extra + sources).hexdigest() + "\n")


def build_sources() -> bytes:
    """What the clone is installed from; and whether there are a compiler and headers, so that those that come later are noticed."""
    paths = [ROOT / "pyproject.toml", ROOT / "hatch_build.py", *sorted(path for kind in ("pyx", "pxd") for path in SRC.rglob(f"*.{kind}"))]
    headers = str(Path(sysconfig.get_path("include"), "Python.h").exists())
    switches = [shutil.which("cc") or shutil.which("gcc") or "", headers, os.environ.get("TIDEGAUGE_BUILD_COMPILED", "")]
    return b"".join([path.read_bytes() for path in paths]) + "\n".join(switches).encode()


def node_on_path() -> bool:
    """Whether a Node.js new enough for the embedded database is on PATH."""
    node = shutil.which("node")
    if node is None:
        return False
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip().lstrip("v")
    return version.split(".")[0].isdigit() and int(version.split(".")[0]) >= MINIMUM_NODE


def pip(*arguments: str) -> None:
    """Run pip in .venv; end with its code where it fails."""
    code = call(BIN / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)
    if code:
        sys.exit(code)


def call(*command: str | Path) -> int:
    """Run a command in the clone's root, its output going where ours goes."""
    return subprocess.run([str(part) for part in command], cwd=ROOT).returncode


def say(text: str) -> None:
    """A line of progress on stderr: stdout belongs to the command."""
    print(f"tidegauge: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
