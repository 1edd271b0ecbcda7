"""What goes into the SQL endpoint, and its answer in JSON."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class SqlRequest(BaseModel):
    """One statement that reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    sql: str = Field(
        max_length=100_000,
        description="one SELECT, VALUES, TABLE or WITH … SELECT; values as $1 … or :name",
        examples=["SELECT application, count(*) FROM traces WHERE start_time > now() - :age::interval GROUP BY application"],
    )
    parameters: dict[str, Any] | list[Any] = Field(
        default_factory=dict, description="values: an object for :name, an array for $1 …", examples=[{"age": "1 hour"}]
    )
    format: Literal["json", "csv", "arrow", "parquet"] | None = Field(None, description="of the answer; else Accept says it, else JSON")
    max_rows: int | None = Field(None, ge=1, description="most rows, not above the server's own limit")
    numeric: Literal["text", "double"] = Field("text", description="arrow, parquet: how numbers of type numeric without a size are written")


class SqlColumn(BaseModel):
    """Of an answer."""

    name: str
    type: str = Field(description="as PostgreSQL writes it", examples=["timestamp with time zone"])


class SqlAnswer(BaseModel):
    """An answer in JSON."""

    columns: list[SqlColumn]
    rows: list[list[Any]] = Field(description="values in the order of the columns, as PostgreSQL's to_json writes them; times in RFC 3339")
    row_count: int
    truncated: Literal["rows", "bytes"] | None = Field(description="which limit cut the answer short; null: these are all rows")
    cost: float = Field(description="of the plan, in EXPLAIN's units")
    elapsed_ns: int
