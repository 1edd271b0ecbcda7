"""Rows as records and as frames of pandas, Polars and Arrow."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from tidegauge.client.errors import MissingLibrary

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Row = TypeVar("Row")
_ARROW_TYPES: Mapping[str, str] = {"str": "string", "int": "int64", "float": "float64", "bool": "bool_"}


class Table(Sequence[Row], Generic[Row]):
    """Records of one type, and what the answer says of them all.

    Frames have a column for each field of the record, also where there is no row: strings, 64-bit integers, floats, timestamps in UTC (of
    microseconds in Arrow and Polars); what is nested is JSON's text in Arrow and Polars, and Python's objects in pandas.

    Attributes:
        meta: tiers, exactness, coverage and freshness (docs/api.md, "meta"); empty where an answer has none.
        next_cursor: where the next page begins; None at the end.

    """

    def __init__(
        self, row_type: type[Row], rows: Sequence[Row], meta: Mapping[str, Any] | None = None, next_cursor: str | None = None
    ) -> None:
        self.row_type = row_type
        self.meta: Mapping[str, Any] = meta or {}
        self.next_cursor = next_cursor
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __repr__(self) -> str:
        return f"<Table of {len(self)} {self.row_type.__name__}>"

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas frame. Raises MissingLibrary."""
        module = library("pandas")
        frame = module.DataFrame(self._columns())
        for name, kind in self._kinds().items():
            if kind == "datetime":
                frame[name] = module.to_datetime(frame[name], utc=True)
            elif kind == "int":
                # The one integer of pandas that may be missing.
                frame[name] = frame[name].astype("Int64")
            elif kind == "float":
                frame[name] = frame[name].astype("float64")
        answer: pandas.DataFrame = frame
        return answer

    def to_arrow(self) -> pyarrow.Table:
        """An Arrow table. Raises MissingLibrary."""
        arrow = library("pyarrow")
        columns = self._columns()
        schema, arrays = [], []
        for name, kind in self._kinds().items():
            values = columns[name]
            if kind == "datetime":
                type_ = arrow.timestamp("us", tz="UTC")
            elif kind in _ARROW_TYPES:
                type_ = getattr(arrow, _ARROW_TYPES[kind])()
            else:
                type_, values = arrow.string(), [None if value is None else _json(value) for value in values]
            schema.append(arrow.field(name, type_))
            arrays.append(arrow.array(values, type_))
        return arrow.Table.from_arrays(arrays, schema=arrow.schema(schema))

    def to_polars(self) -> polars.DataFrame:
        """A Polars frame. Raises MissingLibrary."""
        frame: polars.DataFrame = library("polars").from_arrow(self.to_arrow())
        return frame

    def _columns(self) -> dict[str, list[Any]]:
        return {each.name: [getattr(row, each.name) for row in self._rows] for each in fields(self.row_type)}  # type: ignore[arg-type]

    def _kinds(self) -> dict[str, str]:
        hints = get_type_hints(self.row_type)
        return {each.name: _kind(hints[each.name]) for each in fields(self.row_type)}  # type: ignore[arg-type]


def _kind(hint: Any) -> str:
    """The name of a field's type, without its None."""
    options = [option for option in getattr(hint, "__args__", ()) if option is not type(None)]
    plain = options[0] if options and type(None) in hint.__args__ else hint
    return "datetime" if plain is datetime else getattr(plain, "__name__", "")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def library(name: str) -> Any:
    """A library that not everybody has. Raises MissingLibrary."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingLibrary(f"{name} is not installed: pip install 'tidegauge[client]' brings it") from error
