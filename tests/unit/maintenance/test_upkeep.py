"""What gets ANALYZE and VACUUM."""

from __future__ import annotations

import pytest

from tidegauge.maintenance import upkeep
from tidegauge.maintenance.upkeep import Kind, Relation, Task


def relation(kind: Kind, pages: int, analyzed: int, visible: int = 0, *, known: bool = True) -> Relation:
    return Relation("s.t", kind, pages, analyzed, known, visible)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (relation(Kind.OPEN_CHUNK, 0, 0, known=False), None),
        (relation(Kind.OPEN_CHUNK, 1, 0, known=False), "analyze"),
        (relation(Kind.OPEN_CHUNK, 1000, 990), None),
        (relation(Kind.OPEN_CHUNK, 2000, 1000), "analyze"),
        (relation(Kind.CLOSED_CHUNK, 1000, 1000), "vacuum"),
        (relation(Kind.CLOSED_CHUNK, 1000, 1000, 1000), None),
        (relation(Kind.CLOSED_CHUNK, 1000, 0, known=False), "analyze"),
        (relation(Kind.ROLLUP_CHUNK, 2000, 1000), "vacuum"),
        (relation(Kind.TABLE, 30, 10), None),
        (relation(Kind.TABLE, 300, 100), "vacuum"),
        (relation(Kind.TABLE, 3, 0, known=False), "analyze"),
    ],
)
def test_what_a_table_needs(found: Relation, expected: str | None) -> None:
    task = upkeep.next_task([found], ())
    assert (None if task is None else "vacuum" if task.vacuum else "analyze") == expected


def test_statistics_come_before_vacuum_and_large_tables_before_small() -> None:
    tables = [
        Relation("s.dead", Kind.TABLE, 9000, 100, True, 0),
        Relation("s.small", Kind.OPEN_CHUNK, 5, 0, False, 0),
        Relation("s.large", Kind.OPEN_CHUNK, 500, 0, False, 0),
    ]
    assert upkeep.next_task(tables, ()) == Task("s.large", vacuum=False, pages=500)


def test_what_did_not_help_is_not_repeated_at_once() -> None:
    assert upkeep.next_task([relation(Kind.TABLE, 300, 100)], {("s.t", True)}) is None
