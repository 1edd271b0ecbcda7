"""Conditions on attributes that have a column of their own (docs/adr/0027), in a search's statements.

They stand beside the conditions on ``attributes``, which they imply: a span they leave out does not match, one they leave may. So values
that the column cannot hold, or holds in another form, never change what is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from psycopg import AsyncConnection, sql

from tidegauge.model.search import NUMERIC, AttributeCondition, Comparison, Where
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.observed import Variant
from tidegauge.storage.postgres.reading import rows

_MARK = "-- promoted: conditions on columns"
_TYPES = {"text": "text", "bigint": "bigint", "double": "double precision", "boolean": "boolean"}
# A column holds doubles that are rounded: what is less may be equal there.
_OPERATORS = {Comparison.LESS: "<=", Comparison.LESS_OR_EQUAL: "<=", Comparison.GREATER: ">=", Comparison.GREATER_OR_EQUAL: ">="}


@dataclass(frozen=True, slots=True)
class PromotedCondition:
    """On a column: ``values`` as text, of which it is one, or which it is held against.

    Attributes:
        filled_from_us: every span that begins there or later has its value in the column; None: all have.

    """

    column: str
    type: str
    comparison: Comparison
    values: Sequence[str]
    filled_from_us: int | None

    def holds_from(self, start_us: int) -> bool:
        """Whether all spans that begin there or later have it in the column."""
        return self.filled_from_us is None or start_us >= self.filled_from_us


async def promoted_conditions(connection: AsyncConnection, conditions: Sequence[AttributeCondition]) -> list[PromotedCondition]:
    """What columns tell of conditions, of those that they can tell of."""
    asked = [one for one in conditions if one.where is Where.SPAN and one.values and one.comparison in {Comparison.EQUAL, *NUMERIC}]
    if not asked:
        return []
    parameters = {
        "keys": [one.name for one in asked],
        "numeric": [one.comparison in NUMERIC for one in asked],
        "values": [orjson.dumps(one.values).decode() for one in asked],
    }
    found = await rows(connection, sqlfiles.queries("traces")["promoted_conditions"], parameters)
    return [
        PromotedCondition(row["column_name"], row["type"], asked[row["place"] - 1].comparison, row["held"], row["filled_from_us"])
        for row in found
    ]


def with_columns(statement: str, conditions: Sequence[PromotedCondition]) -> tuple[str, dict[str, object]]:
    """The statement with these conditions as well, and their parameters."""
    if not conditions:
        return statement, {}
    parameters: dict[str, object] = {}
    lines = []
    for place, one in enumerate(conditions):
        name = f"promoted_{place}"
        column, kind = sql.Identifier(one.column).as_string(None), _TYPES[one.type]
        several = len(one.values) > 1
        held = f"ANY (%({name})s::text[]::{kind}[])" if several else f"%({name})s::text::{kind}"
        lines.append(f"AND t.{column} {_OPERATORS.get(one.comparison, '=')} {held}")
        parameters[name] = list(one.values) if several else one.values[0]
    return Variant(statement.replace(_MARK, "\n        ".join(lines)), statement), parameters
