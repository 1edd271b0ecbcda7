"""Writes sql/catalogue.json: what the newest revision makes, for `tidegauge db validate`. Run it after adding a revision.

python tools/catalogue.py DSN    the owner's address of a database just migrated
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson
import psycopg

from tidegauge.storage.postgres import validate

TARGET = Path(__file__).resolve().parent.parent / "sql" / "catalogue.json"


def text(catalogue: validate.Catalogue) -> bytes:
    """Kind → name → definition, sorted."""
    content: dict[str, dict[str, str]] = {}
    for (kind, name), definition in catalogue.items():
        content.setdefault(kind, {})[name] = definition
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


if __name__ == "__main__":
    with psycopg.connect(sys.argv[1], prepare_threshold=None) as connection:
        TARGET.write_bytes(text(validate.structure(connection)))
