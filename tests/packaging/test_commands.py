"""The commands of a clone: tools/dev.py, the Makefile and .ci/run."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.spread import GROUPS, LAST, LONGEST, TESTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tools/dev.py, working in a folder of the test's own."""
    spec = importlib.util.spec_from_file_location("tidegauge_dev", ROOT / "tools/dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, path in {"VENV": ".venv", "BIN": ".venv/bin", "ENV_FILE": ".env"}.items():
        monkeypatch.setattr(module, name, tmp_path / path)
    return module


def test_env_is_private_random_and_never_overwritten(dev: ModuleType) -> None:
    assert dev.env([]) == 0
    first = dev.ENV_FILE.read_text()
    assert stat.S_IMODE(dev.ENV_FILE.stat().st_mode) == 0o600
    values = re.findall(r"^STACK_\w+=(\w{48})$", first, re.MULTILINE)
    assert len(values) == len(set(values)) == first.count("\nSTACK_")
    with pytest.raises(SystemExit, match="exists and is left as it is"):
        dev.env([])
    assert dev.ENV_FILE.read_text() == first


def test_a_python_without_ensurepip_is_told_what_is_missing(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        (dev.VENV / "bin").mkdir(parents=True)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(dev.subprocess, "run", refuse)
    monkeypatch.setattr(dev, "node_on_path", lambda: True)
    with pytest.raises(SystemExit, match="apt install python3-venv"):
        dev.set_up("runtime")
    assert not dev.VENV.exists()


def test_an_old_python_is_told_which_it_needs(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev.sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(dev.sys, "argv", ["dev.py", "run"])
    with pytest.raises(SystemExit, match=r"needs Python >= 3\.11"):
        dev.main()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run"], ["up"]),
        (["run", "--api", "4321"], ["up", "--api", "4321"]),
        (["run", "--", "--json"], ["up", "--json"]),
        (["run", "simulate", "--seed", "7"], ["simulate", "--seed", "7"]),
    ],
)
def test_run_passes_arguments_on(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: list[str]) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(dev, "set_up", lambda _: None)
    monkeypatch.setattr(dev.os, "execv", lambda _, command: called.append(command))
    monkeypatch.setattr(dev.sys, "argv", ["dev.py", *arguments])
    dev.main()
    assert [command[1:] for command in called] == [expected]


def test_every_make_target_is_a_command(dev: ModuleType) -> None:
    targets = set(re.findall(r"^([a-z]+): +##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets - {"help", "clean"} == set(dev.COMMANDS)


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_help_lists_every_target() -> None:
    targets = set(re.findall(r"^([a-z]+): +##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    listed = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in listed.splitlines()} == targets


def test_arguments_of_tests_are_passed_on_and_none_means_all_cores(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[object, ...]] = []
    monkeypatch.setattr(dev, "set_up", lambda _: None)
    monkeypatch.setattr(dev, "call", lambda *command: called.append(command) or 0)
    for cores in (1, 2, 64):
        monkeypatch.setattr(dev.os, "sched_getaffinity", lambda _, cores=cores: range(cores), raising=False)
        dev.test([])
    dev.test(["-k", "ledger"])
    options = [list(command[3:]) for command in called]
    assert options[0] == []
    assert [each[:2] for each in options[1:]] == [["--numprocesses", "2"], ["--numprocesses", "4"], ["-k", "ledger"]]


def test_what_is_spread_over_processes_is_there() -> None:
    named = [part for parts in (*GROUPS.values(), LONGEST, LAST) for part in parts]
    assert [part for part in named if not (TESTS / part).exists()] == []
    assert len(set(named)) == len(named)


def test_ci_calls_the_commands_of_the_readme() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert [line for line in text.splitlines() if line.startswith("make ")] == ["make lint", "make test"]
    assert "make test" in (ROOT / "README.md").read_text()


def test_hooks_are_local_and_run_what_the_lock_pins() -> None:
    import yaml

    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    for hook in repositories[0]["hooks"]:
        assert hook["language"] == "system"
        program = hook["entry"].split()[0]
        assert program.startswith(".venv/bin/")
        assert (Path(sys.executable).parent / Path(program).name).exists()
