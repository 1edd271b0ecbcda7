"""``meta`` of answers over rollups: how an answer was made, and what it is worth."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from tidegauge.api import formats
from tidegauge.model.query import TimeRange
from tidegauge.query.plan import Meta

# Of a plan whose parts alternate within every step.
_MOST_RANGES = 100


class MetaRange(BaseModel):
    """A range of time."""

    start: str
    end: str


class MetaSegment(MetaRange):
    """A part of the range and the tier it was read from."""

    tier: Literal["raw", "minutely", "hourly", "daily"]


class MetaBound(BaseModel):
    """By how much values may be off."""

    reason: str
    relative: float | None = Field(description="at most this part of the value")
    below: float | str | None = Field(description="the true value may be greater by at most this; `Infinity` where that is not known")


class MetaExactness(BaseModel):
    """How far the values are those that all data that was ever sent would give."""

    kind: Literal["exact", "bounded", "partial"] = Field(
        description="`exact`; `bounded`: off by no more than `bounds` say; `partial`: retention dropped some of what they would be made of"
    )
    bounds: list[MetaBound]


class MetaCoverage(BaseModel):
    """What retention left."""

    missing: list[MetaRange] = Field(description="parts of the range that nothing could be read for")
    dropped_through: dict[str, str | None] = Field(description="per tier: what is older was dropped; null for nothing")


class MetaFreshness(BaseModel):
    """Of a rollup: how far it is made, and where in the range it waited for a refresh and finer tiers were read."""

    tier: Literal["minutely", "hourly", "daily"]
    watermark: str | None
    pending: list[MetaRange]


class AnswerMeta(BaseModel):
    """How an answer was made, and what it is worth."""

    tiers: list[MetaSegment] = Field(description=f"by time; the first {_MOST_RANGES} where they alternate within steps")
    exactness: MetaExactness
    coverage: MetaCoverage
    freshness: list[MetaFreshness]


def document(meta: Meta) -> formats.Json:
    """As :class:`AnswerMeta` describes it."""
    return {
        "tiers": [{"tier": one.level.value, **_range(one.time)} for one in meta.segments[:_MOST_RANGES]],
        "exactness": {
            "kind": meta.exactness.value,
            "bounds": [{"reason": one.reason, "relative": one.relative, "below": formats.number(one.below)} for one in meta.bounds],
        },
        "coverage": {
            "missing": [_range(one) for one in meta.missing[:_MOST_RANGES]],
            "dropped_through": {level.value: _time(time) for level, time in meta.dropped_through},
        },
        "freshness": [
            {
                "tier": one.level.value,
                "watermark": _time(one.watermark_ns),
                "pending": [_range(late) for late in one.pending[:_MOST_RANGES]],
            }
            for one in meta.freshness
        ],
    }


def _range(time: TimeRange) -> formats.Json:
    return {"start": formats.time(time.start_ns), "end": formats.time(time.end_ns)}


def _time(time_ns: int) -> str | None:
    return formats.time(time_ns) if time_ns else None
