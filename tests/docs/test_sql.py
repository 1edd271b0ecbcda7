"""Every SQL example of the documents runs, as the reader role; blocks marked ``sql owner`` as the owner, before."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from tests.servers.timescaledb import TestDatabase
from tidegauge.storage.postgres import scripts

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "docs/data-model.md", ROOT / "docs/operations.md", ROOT / "docs/sql.md"]


def examples(path: Path, mark: str = "sql") -> list[str]:
    """The statements of a document's ``sql`` blocks."""
    blocks = re.findall(rf"^```{mark}\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [statement for block in blocks for _, statement in scripts.statements(block)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_examples_run(path: Path, database: TestDatabase) -> None:
    assert database.reader_dsn is not None
    found = examples(path)
    assert found
    with psycopg.connect(database.owner_dsn, autocommit=True, prepare_threshold=None) as connection:
        for statement in examples(path, "sql owner"):
            connection.execute(statement)  # type: ignore[call-overload]
    with psycopg.connect(database.reader_dsn, autocommit=True, prepare_threshold=None) as connection:
        for statement in found:
            try:
                connection.execute(statement)  # type: ignore[call-overload]
            except psycopg.Error as error:
                pytest.fail(f"{path.name}: {statement}\n{error}")
