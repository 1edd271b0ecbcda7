"""docs/conformance.md names tests that exist, and every requirement that is met names one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/conformance.md"
NAMED = re.compile(r"`((?:[\w/]+/)?test_\w+\.py)(?:::(\w+))?`")


def functions(path: Path) -> set[str]:
    """The tests in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")}


def located(name: str) -> Path:
    """Names without a folder are of tests/conformance."""
    return ROOT / (name if "/" in name else f"tests/conformance/{name}")


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall(DOCUMENT.read_text(encoding="utf-8"))
    assert named
    missing = [f"{file}::{test}" for file, test in named if not located(file).is_file() or (test and test not in functions(located(file)))]
    assert missing == []


def test_every_conformance_test_shows_a_requirement() -> None:
    named = {(located(file), test) for file, test in NAMED.findall(DOCUMENT.read_text(encoding="utf-8"))}
    tests = [(path, test) for path in sorted((ROOT / "tests/conformance").glob("test_*.py")) for test in sorted(functions(path))]
    assert [f"{path.name}::{test}" for path, test in tests if (path, test) not in named] == []


def test_every_requirement_says_what_is_done_and_what_shows_it() -> None:
    """But for what Tidegauge says that it does not do."""
    rows = [line.split(" | ") for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    requirements = [row for row in rows if row[0] not in {"| specification", "| ---"}]
    assert len(requirements) > 40
    bare = [row[0] for row in requirements if not NAMED.search(row[-1]) and not row[2].startswith("no")]
    assert bare == []
