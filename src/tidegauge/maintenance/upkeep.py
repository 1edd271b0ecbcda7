"""Which tables need ANALYZE or VACUUM where there is no autovacuum. No I/O.

The embedded database keeps no counters of changed rows: what a table was when last looked at stands in pg_class, what it is now is
its file's size.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

_GROWTH = 1.2
_PAGES = 50


class Kind(Enum):
    """What a relation is to maintenance."""

    OPEN_CHUNK = "open chunk"
    CLOSED_CHUNK = "closed chunk"  # of raw data, and nothing is written to its time any more
    ROLLUP_CHUNK = "rollup chunk"  # a refresh deletes and inserts
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as pg_class remembers it, and its size now; pages of 8 KiB.

    Attributes:
        name: schema-qualified.
        analyzed_pages: its size when last analyzed or vacuumed; 0 also where it never was.
        is_analyzed: whether there are statistics.
        visible_pages: those marked all-visible by the last VACUUM.

    """

    name: str
    kind: Kind
    pages: int
    analyzed_pages: int
    is_analyzed: bool
    visible_pages: int


@dataclass(frozen=True, slots=True)
class Task:
    """What to do: ANALYZE alone, or VACUUM (ANALYZE)."""

    relation: str
    vacuum: bool
    pages: int


def next_task(relations: Sequence[Relation], done_lately: Collection[tuple[str, bool]]) -> Task | None:
    """The most needed task; one of ``done_lately`` (relation, vacuum) is not repeated. None: nothing is needed."""
    tasks = [task for relation in relations if (task := _needed(relation)) is not None]
    open_tasks = [task for task in tasks if (task.relation, task.vacuum) not in done_lately]
    # ANALYZE first: chunk lengths, compression and refresh windows are planned by what it finds.
    return min(open_tasks, key=lambda task: (task.vacuum, -task.pages), default=None)


def _needed(relation: Relation) -> Task | None:
    if relation.pages == 0:
        return None
    grown = relation.pages > relation.analyzed_pages * _GROWTH + _PAGES
    if relation.kind is Kind.CLOSED_CHUNK and relation.visible_pages < relation.analyzed_pages * 0.9:
        # Once, so that the visibility map spares index scans the heap; what never was analyzed has 0 pages here and comes below.
        return Task(relation.name, vacuum=True, pages=relation.pages)
    if grown and relation.kind in {Kind.ROLLUP_CHUNK, Kind.TABLE}:
        return Task(relation.name, vacuum=True, pages=relation.pages)
    if grown or not relation.is_analyzed:
        return Task(relation.name, vacuum=False, pages=relation.pages)
    return None
