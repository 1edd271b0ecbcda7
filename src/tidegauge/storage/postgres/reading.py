"""What the read adapters share: rows by name, ids and times between their columns and the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import orjson
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import AttributeFilter
from tidegauge.model.records import Application

Row = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Of the objects that attribute filters multiply to.
_MAX_ALTERNATIVES = 64
_FIRST = datetime.min.replace(tzinfo=UTC)
LAST_TIMESTAMP = datetime.max.replace(tzinfo=UTC)


async def rows(connection: AsyncConnection, statement: LiteralString, parameters: Mapping[str, object]) -> list[Row]:
    """All rows of a statement, which bounds them by LIMIT."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        set_json_loads(orjson.loads, cursor)
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()


def by_name(connection: AsyncConnection) -> AsyncCursor[Row]:
    """A cursor for ``Database.read`` whose rows are as :func:`rows` has them."""
    cursor = connection.cursor(row_factory=dict_row)
    set_json_loads(orjson.loads, cursor)
    return cursor


def timestamp(unix_nano: int, *, up: bool = False) -> datetime:
    """A timestamptz for nanoseconds, at the microsecond below (or, with ``up``, not below); clamped to what datetime holds."""
    microseconds = -(-unix_nano // 1000) if up else unix_nano // 1000
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return _FIRST if unix_nano < 0 else LAST_TIMESTAMP


def trace_hex(value: UUID | None) -> str:
    """32 lower-case hex digits, or "" for none."""
    return "" if value is None else value.hex


def span_hex(value: int | None) -> str:
    """16 lower-case hex digits, or "" for none."""
    return "" if value is None else f"{value & 0xFFFF_FFFF_FFFF_FFFF:016x}"


def span_number(text: str) -> int:
    """The bigint of 16 hex digits."""
    return int.from_bytes(bytes.fromhex(text), "big", signed=True)


def application(row: Row) -> Application:
    """From the columns application_id … last_seen_us."""
    return Application(
        application_id=row["application_id"],
        namespace=row["namespace"],
        name=row["name"],
        environment=row["environment"],
        created_at_unix_nano=row["created_at_us"] * 1000,
        last_seen_unix_nano=row["last_seen_us"] * 1000,
    )


def attribute_conditions(filters: Sequence[AttributeFilter]) -> dict[str, object]:
    """The parameters ``attributes`` (JSON objects, one of which must be contained) and ``present`` (keys), None for no condition.

    A filter with several values multiplies the objects: containment of any one of them is a single indexable condition.

    Raises:
        InvalidArgument: the filters have too many combinations.

    """
    combinations: list[dict[str, object]] = [{}]
    for wanted in filters:
        if wanted.values:
            # A key cannot equal two values: combinations that ask for that find nothing and are left out.
            combinations = [
                one | {wanted.name: value}
                for one in combinations
                for value in wanted.values
                if wanted.name not in one or _same(one[wanted.name], value)
            ]
        if len(combinations) > _MAX_ALTERNATIVES:
            raise InvalidArgument(
                "too many attribute conditions that are numbers or booleans", hint='quote those meant as text: name="200"'
            )
    equal = any(wanted.values for wanted in filters)
    present = [wanted.name for wanted in filters if not wanted.values]
    return {
        "attributes": [orjson.dumps(one).decode() for one in combinations] if equal else None,
        "present": present or None,
    }


def _same(one: object, other: object) -> bool:
    """Equal as JSON: ``1`` and ``True`` are not."""
    return one == other and isinstance(one, bool) is isinstance(other, bool)
