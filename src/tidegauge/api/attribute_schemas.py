"""What answers about attributes look like, for the OpenAPI document; see ``tidegauge.api.schemas``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tidegauge.api.schemas import Time

Place = Literal["resource", "scope", "span", "event"]
Type = Literal["string", "int", "double", "bool", "array", "kvlist", "empty"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AttributeKey(_Model):
    """An attribute key that has been sent."""

    key: str = Field(examples=["http.route"])
    where: Place = Field(description="whose attributes they are")
    types: list[Type] = Field(description="types that its values have had, as OTLP names them")
    values: int | None = Field(
        description="how many values the newest 2000 spans or resources of one application have, the most that any has; there may be more. "
        "Null before the first count, which is made by the hour, and for events and scopes"
    )
    sampled: int | None = Field(description="how many of these have the key")
    applications: int = Field(description="how many applications send it")
    first_seen: Time = Field(description="by the hour")
    last_seen: Time = Field(description="by the hour")


class AttributeKeys(_Model):
    """Attribute keys, by key and by where they stand."""

    attributes: list[AttributeKey]
    truncated: bool = Field(description="there are more: a longer prefix finds them")


class AttributeValue(_Model):
    """A value and how often it is in the sample."""

    value: Any = Field(description="as JSON", examples=["/cart"])
    count: int


class AttributeValues(_Model):
    """Values of a key in a sample, the most frequent first."""

    key: str
    where: Place
    values: list[AttributeValue]
    sampled: int = Field(description="how many with the key, and the prefix, were looked at: the newest, about 2000 at the most")
    distinct: int = Field(description="how many values these have")
