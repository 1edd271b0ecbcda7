"""The parts of the documents that are made from what they describe, and the way to write them anew."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
UPDATE = "TIDEGAUGE_TEST_UPDATE_DOCS"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def check(path: Path, section: str, made: str) -> None:
    """Assert that ``path`` has ``made`` between the section's markers; with the variable UPDATE set, write it there."""
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- generated: {section} -->", f"<!-- end of {section} -->"
    pattern = re.compile(re.escape(begin) + r"(.*?)" + re.escape(end), re.DOTALL)
    found = pattern.search(text)
    assert found is not None, f"{path.name} has no place for {section}"
    if os.environ.get(UPDATE):
        path.write_text(f"{text[: found.start(1)]}\n\n{made.strip()}\n\n{text[found.end(1) :]}", encoding="utf-8")
        return
    said, true = found[1].strip().splitlines(), made.strip().splitlines()
    missing = [line for line in true if line not in said]
    surplus = [line for line in said if line not in true]
    assert said == true, (
        f"{path.name}, {section}: run the tests with {UPDATE}=1 and commit the result\nmissing: {missing}\nsurplus: {surplus}"
    )
