"""What searches for spans and traces answer with, as OpenAPI shows it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from tidegauge.api import schemas


class SearchMeta(BaseModel):
    """How far a search came."""

    complete: bool = Field(description="false where its time was up before the page was full: `next_cursor` goes on from there")
    searched_to: schemas.Time | None = Field(description="where it stopped, if it is newest first; null of one that is complete")


class SpanPage(schemas.Spans):
    """Spans, newest or slowest first."""

    meta: SearchMeta


class TracePage(schemas.Traces):
    """Traces, newest first or by their slowest span that matches."""

    meta: SearchMeta


class Services(BaseModel):
    """Services that have sent anything."""

    services: list[str] = Field(description="by name")
    truncated: bool = Field(description="whether there are more than an answer holds")


class OperationRow(BaseModel):
    """A name of spans."""

    service: str
    name: str
    last_seen: schemas.Time = Field(description="of whole hours")


class Operations(BaseModel):
    """Names of spans that a service has used."""

    operations: list[OperationRow] = Field(description="by service and name")
    truncated: bool = Field(description="whether there are more than an answer holds")
