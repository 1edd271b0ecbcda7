"""The compiled part is there where it can be, and nothing needs it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.decoders import Decoder as Both
from tidegauge import compiled
from tidegauge.compiled import MODULES

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.pyx"))
COMPILER = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0])


def test_it_is_built_where_there_is_a_compiler() -> None:
    reason = compiled.missing()
    if reason and not (COMPILER and os.environ.get("CI")):
        pytest.skip(f"tests of the compiled part test Python alone: {reason}")
    assert reason == ""
    assert compiled.described() == "compiled"


def test_every_source_is_named_and_has_its_types() -> None:
    assert {".".join(path.relative_to(ROOT / "src").with_suffix("").parts) for path in SOURCES} == set(MODULES)
    assert [path.name for path in SOURCES if not path.with_suffix(".pyi").exists()] == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TIDEGAUGE_BUILD_COMPILED": "0"}, "no compiled part, as TIDEGAUGE_BUILD_COMPILED=0 says"),
        # A compiler that is not there, and one that refuses everything.
        ({"CC": "/nowhere/cc"}, "no compiled part (there is no C compiler: /nowhere/cc was not found)"),
        ({"TIDEGAUGE_BUILD_FLAGS": "-no-such-flag"}, "no compiled part ("),
    ],
)
def test_a_wheel_without_it_is_pure_python(settings: dict[str, str], said: str, tmp_path: Path) -> None:
    # A copy, whose folder of objects is empty.
    for name in ("LICENSE", "README.md", "pyproject.toml", "hatch_build.py"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("src", "sql", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.so", "node_modules", "__pycache__"))
    for path in SOURCES[1:]:
        (tmp_path / path.relative_to(ROOT)).unlink()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"]
    built = subprocess.run(command, cwd=tmp_path, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert said in built.stdout + built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith((".so", ".pyx", ".c"))] == []


def test_without_headers_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    monkeypatch.setenv("CC", sys.executable)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: "/nowhere")
    said = hook._reason(RuntimeError("Command '['cc', '-c', 'x.c']' returned non-zero exit status 1."))
    assert said.startswith("Python's headers are missing: ")


def test_a_module_that_cannot_be_loaded_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As one built for another machine."""
    (tmp_path / "broken").mkdir()
    (tmp_path / f"broken/{MODULES[0].rpartition('.')[2]}{sysconfig.get_config_var('EXT_SUFFIX')}").write_bytes(b"no machine's code")
    monkeypatch.syspath_prepend(tmp_path)
    name = f"broken.{MODULES[0].rpartition('.')[2]}"
    assert compiled.module(name) is None
    monkeypatch.setattr(compiled, "MODULES", (name,))
    assert compiled.described().startswith("python (no compiled part: ")
    assert "it was not built" not in compiled.described()


def test_both_ways_are_compared() -> None:
    """The decoder of the tests is no comparison of Python with itself."""
    if compiled.missing():
        pytest.skip("there is one way alone")
    both = Both()
    assert both._compiled
    assert not both._python._compiled
