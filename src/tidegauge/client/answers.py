"""How values of answers are read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tidegauge.client.core import Response
from tidegauge.client.table import library

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(text: str) -> datetime:
    """RFC 3339 with nanoseconds, of which datetimes keep the microseconds."""
    seconds, _, rest = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(seconds).replace(tzinfo=UTC, microsecond=int(f"{rest[:6]:0<6}"))


def instant_of_seconds(seconds: float) -> datetime:
    """Unix seconds, to the microsecond."""
    return _EPOCH + timedelta(microseconds=round(seconds * 1e6))


def number(value: float | str | None) -> float | None:
    """A float; JSON has no NaN and no infinities, which come as their names."""
    match value:
        case "NaN":
            return math.nan
        case "Infinity":
            return math.inf
        case "-Infinity":
            return -math.inf
        case None:
            return None
        case _:
            return float(value)


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """Rows of a statement, as an Arrow stream.

    Attributes:
        stream: Arrow's IPC streaming format.
        row_count: how many rows.
        truncated: ``rows`` or ``bytes`` where a limit cut the answer short; None: these are all.
        cost: of the plan, in EXPLAIN's units.

    """

    stream: bytes
    row_count: int
    truncated: str | None
    cost: float

    def to_arrow(self) -> pyarrow.Table:
        """An Arrow table. Raises MissingLibrary."""
        table: pyarrow.Table = library("pyarrow.ipc").open_stream(self.stream).read_all()
        return table

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas frame. Raises MissingLibrary."""
        library("pandas")
        frame: pandas.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_polars(self) -> polars.DataFrame:
        """A Polars frame. Raises MissingLibrary."""
        frame: polars.DataFrame = library("polars").from_arrow(self.to_arrow())
        return frame

    def rows(self) -> list[dict[str, Any]]:
        """Each row as a dictionary. Raises MissingLibrary."""
        found: list[dict[str, Any]] = self.to_arrow().to_pylist()
        return found


def sql_answer(response: Response) -> SqlAnswer:
    """The answer of the SQL endpoint."""
    headers = response.headers
    return SqlAnswer(
        response.body, int(headers["tidegauge-rows"]), headers.get("tidegauge-truncated"), float(headers.get("tidegauge-cost", "nan"))
    )
