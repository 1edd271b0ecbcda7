"""Every SQL example of the documents runs, as the reader role; blocks marked ``sql owner`` as the owner, before."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.servers.product import Product
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


# Parts of the views: nobody calls them by themselves.
_HELPERS = {
    "between_bounds", "bucket_duration_ms", "bucket_ranks", "exponential_bound", "finite", "label", "severity", "signal", "span_hex",
    "span_kind", "span_status", "tenant_id", "trace_hex",
}  # fmt: skip


def test_every_view_and_function_has_an_example(database: TestDatabase) -> None:
    with psycopg.connect(database.owner_dsn, autocommit=True, prepare_threshold=None) as connection:
        found = connection.execute(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'analytics'::regnamespace AND relkind IN ('r', 'v', 'm') "
            "UNION SELECT proname::text FROM pg_proc WHERE pronamespace = 'analytics'::regnamespace AND prokind = 'f' "
        ).fetchall()
    shown = set(re.findall(r"\w+", " ".join(statement for path in DOCUMENTS for statement in examples(path))))
    assert {name for (name,) in found} - shown - _HELPERS == set()


async def test_examples_over_http_are_answered(product: Product) -> None:
    text = (ROOT / "docs/sql.md").read_text(encoding="utf-8")
    commands = re.findall(r"^```console\n\$ (curl .*?)\n```", text, re.MULTILINE | re.DOTALL)
    assert commands
    async with httpx.AsyncClient(base_url=product.api_url) as http:
        for command in commands:
            words = shlex.split(command)
            headers = dict(word.split(": ", 1) for flag, word in pairwise(words) if flag == "-H")
            (body,) = (word for flag, word in pairwise(words) if flag == "-d")
            answer = await http.post("/api/v1/sql", content=body, headers=headers)
            assert answer.status_code == 200, f"{command}: {answer.text}"
            asked = json.loads(body).get("format")
            assert {None: headers.get("Accept", "application/json"), "parquet": "parquet"}[asked] in answer.headers["content-type"]
