"""The wheel works by itself, away from the clone; the sdist is whole."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.servers import product as products
from tidegauge import compiled

ROOT = Path(__file__).resolve().parents[2]


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and sdist, built by the build backend alone: no network, no isolation."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", folder, cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (found,) = distributions.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of a fresh environment with the wheel; its dependencies are those of the tests' own environment."""
    folder = tmp_path_factory.mktemp("environment")
    _run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    _run(sys.executable, "-m", "pip", "-q", "--python", python, "install", "--no-index", "--no-deps", wheel, cwd=folder)
    # A path in a .pth file is searched, but .pth files found there are not read: the clone's editable install stays out.
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_wheel_carries_what_runs(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"tidegauge/{path.relative_to(ROOT / 'src/tidegauge')}"
        for path in (ROOT / "src/tidegauge").rglob("*")
        if path.is_file() and path.suffix in {".py", ".mjs", ".json", ".typed"} and "node_modules" not in path.parts
    }
    for folder in ("sql", "migrations"):
        expected |= {
            f"tidegauge/_{folder}/{path.relative_to(ROOT / folder)}"
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
    assert expected - names == set()
    assert {"tidegauge/embedded/server.mjs", "tidegauge/embedded/package-lock.json", "tidegauge/_migrations/env.py"} <= names
    assert [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/")) or "node_modules" in name] == []
    assert [name for name in names if name.endswith((".c", ".pyx", ".pxd"))] == []
    modules = sorted(name for name in names if name.endswith(".so"))
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert modules == (sorted(module.replace(".", "/") + suffix for module in compiled.MODULES) if is_compiled(wheel) else [])
    # What could be built for the clone can be built for a wheel.
    assert is_compiled(wheel) or compiled.missing()


def is_compiled(wheel: Path) -> bool:
    return not wheel.name.endswith("-py3-none-any.whl")


def test_sdist_can_be_tested(distributions: Path) -> None:
    (archive,) = distributions.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {
        "pyproject.toml", "hatch_build.py", "LICENSE", "README.md", "alembic.ini", "sql/schema/0001_foundation.up.sql", "migrations/env.py",
        "Makefile", "requirements/dev.txt", "tests/conftest.py", "tools/dev.py", "src/tidegauge/embedded/package-lock.json",
        "src/tidegauge/_buffer.pxd", "src/tidegauge/otlp/_spans.pyx",
    } <= names  # fmt: skip
    assert [name for name in names if name.endswith((".c", ".so"))] == []


def test_installed_commands_use_what_the_wheel_brought(wheel: Path, installed: Path, tmp_path: Path) -> None:
    found = _run(installed / "python", "-c", "import tidegauge; print(tidegauge.__file__)", cwd=tmp_path)
    assert Path(found.strip()).is_relative_to(installed.parent)
    described = "from tidegauge import compiled; print(compiled.described())"
    assert (_run(installed / "python", "-c", described, cwd=tmp_path).strip() == "compiled") is is_compiled(wheel)
    assert _run(installed / "tidegauge", "version", cwd=tmp_path).startswith("tidegauge ")
    assert json.loads(_run(installed / "tidegauge", "config", "--json", cwd=tmp_path))["TIDEGAUGE_LIFECYCLE_TRACES_RETENTION"] == "30d"


async def test_up_runs_away_from_the_clone(wheel: Path, installed: Path, tmp_path: Path) -> None:
    async with products.running(tmp_path / "data", program=[str(installed / "tidegauge")]) as product, product.api() as api:
        response = await api.get("/api/health/ready")
    assert response.status_code == 200, response.text
    assert ("decoder: compiled\n" in product.stderr) is is_compiled(wheel)
