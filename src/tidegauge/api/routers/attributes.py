"""Which attributes there are, for suggestions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import Field

from tidegauge.api import answers, attribute_schemas, formats
from tidegauge.api.context import InContext
from tidegauge.api.formats import Json
from tidegauge.api.parameters import Parameters, TimeParameters
from tidegauge.model.search import Where
from tidegauge.query.paging import page_size
from tidegauge.storage.attribute_interface import AttributeKey

router = APIRouter(prefix="/api/v1/attributes", tags=["attributes"])


class KeyParameters(Parameters):
    """Parameters of the list of keys."""

    prefix: str = Field("", max_length=255, description="what the key begins with", examples=["http."])
    where: Where | None = Field(None, description="whose attributes: `resource`, `scope`, `span` or `event`")
    service: str | None = Field(None, description="of this service alone", examples=["cart"])
    limit: int | None = Field(None, description="most keys; 100 by default")


class ValueParameters(TimeParameters):
    """Parameters of the list of a key's values."""

    start: str = Field("now-1d", description="first moment; of spans and events alone", examples=["now-1d"])
    prefix: str = Field("", max_length=1000, description="what the value, as text, begins with", examples=["/c"])
    where: Where = Field(Where.SPAN, description="whose attributes: `resource`, `scope`, `span` or `event`")
    service: str | None = Field(None, description="of this service alone; scopes are everyone's", examples=["cart"])
    limit: int | None = Field(None, description="most values; 100 by default")


@router.get(
    "",
    response_class=Response,
    responses={200: {"model": attribute_schemas.AttributeKeys, "description": "Keys that match."}, **answers.problems()},
)
async def list_attributes(context: InContext, query: Annotated[KeyParameters, Query()]) -> Response:
    """List attribute keys of resources, scopes, spans and events that have been sent, with their types, by key."""
    limit = page_size(query.limit, context.settings.max_page)
    found = await context.services.attributes.attribute_keys(context.tenant_id, query.prefix, query.where, query.service, limit + 1)
    return answers.json({"attributes": [_key(row) for row in found[:limit]], "truncated": len(found) > limit})


@router.get(
    "/{key:path}/values",
    response_class=Response,
    responses={200: {"model": attribute_schemas.AttributeValues, "description": "Values that match."}, **answers.problems()},
)
async def list_attribute_values(
    context: InContext,
    key: Annotated[str, Path(max_length=4096, description="the attribute's key")],
    query: Annotated[ValueParameters, Query()],
) -> Response:
    """List values of an attribute, the most frequent first, in a sample of the newest spans (or resources …) that have it.

    It is for suggestions: of spans and events about 2000 of the time range are looked at.
    """
    limit = page_size(query.limit, context.settings.max_page)
    time = query.time(context.services.now_ns())
    found = await context.services.attributes.attribute_values(
        context.tenant_id, key.replace("\0", "\ufffd"), query.where, query.prefix, query.service, time, limit
    )
    return answers.json(
        {
            "key": key,
            "where": query.where.value,
            "values": [{"value": each.value, "count": each.count} for each in found.values],
            "sampled": found.sampled,
            "distinct": found.distinct,
        }
    )


def _key(row: AttributeKey) -> Json:
    return {
        "key": row.key,
        "where": row.where.value,
        "types": list(row.types),
        "values": row.values,
        "sampled": row.sampled,
        "applications": row.applications,
        "first_seen": formats.time(row.first_seen_unix_nano),
        "last_seen": formats.time(row.last_seen_unix_nano),
    }
