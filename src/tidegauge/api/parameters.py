"""Parameters that endpoints share. A parameter that an endpoint does not have is refused: a typo must not be ignored."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tidegauge.model.query import TimeRange
from tidegauge.query import times
from tidegauge.query.paging import Listing, Place, decode_cursor

TIMES = f"{times.TIME_FORMS}; a date alone is its midnight in UTC"
DURATIONS = times.DURATION_FORMS


class Parameters(BaseModel):
    """A query string."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _without_nul(cls, value: object) -> object:
        if any(isinstance(text, str) and "\0" in text for text in (value if isinstance(value, list) else (value,))):
            # PostgreSQL has no text with NUL: what is stored has U+FFFD in its place.
            raise ValueError("no NUL character is expected here")
        return value


class TimeParameters(Parameters):
    """A time range."""

    start: str = Field("now-1h", description=f"first moment: {TIMES}", examples=["now-1h", "2026-01-31T12:00:00Z"])
    end: str = Field("now", description="first moment behind the range; forms as for start")

    def time(self, now_ns: int) -> TimeRange:
        """The range."""
        return times.parse_range(self.start, self.end, now_ns)


class PageParameters(TimeParameters):
    """A time range and a page."""

    limit: int | None = Field(None, description="most rows of the page; 100 by default")
    cursor: str | None = Field(
        None,
        description="`next_cursor` of the page before, with the other parameters unchanged; it carries the time range of the first page",
    )

    def place(self, listing: Listing, now_ns: int) -> Place:
        """Where the page begins."""
        return Place(self.time(now_ns), None) if self.cursor is None else decode_cursor(listing, self.cursor)
