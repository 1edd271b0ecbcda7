"""What the two paths know of attributes' index and catalogue: Protocols beside those of ``interface``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tidegauge.model.query import TimeRange
from tidegauge.model.search import AttributeCondition, Where


class AttributeIndex(Protocol):
    """Tells where spans with certain attributes may be."""

    async def attribute_candidates(
        self, tenant_id: int, time: TimeRange, application_ids: Sequence[int] | None, conditions: Sequence[AttributeCondition]
    ) -> Sequence[tuple[int, TimeRange]] | None:
        """Stretches of time of an application in which spans that meet all conditions may have started, the newest first.

        No span that was committed before the call is missed. Those of one application do not overlap. Conditions that the index cannot help
        with (on resources, on what is absent) are left out of account. ``application_ids`` None: all of the tenant's.

        Returns:
            None where the index tells nothing: then all of ``time`` is to be searched.

        """
        ...


@dataclass(frozen=True, slots=True)
class AttributeKey:
    """A key in the catalogue, of all applications asked for.

    Attributes:
        key: the key.
        where: whose attributes they are.
        types: names of the types seen, as OTLP has them: string, int, double, bool, array, kvlist, empty.
        first_seen_unix_nano, last_seen_unix_nano: by the hour.
        applications: how many applications send it.
        values: how many different values a sample of the newest spans (or resources) of one application had, the most that any had; None
            where none was taken yet. There may be more.
        sampled: how many of the sample had the key.

    """

    key: str
    where: Where
    types: Sequence[str]
    first_seen_unix_nano: int
    last_seen_unix_nano: int
    applications: int
    values: int | None
    sampled: int | None


@dataclass(frozen=True, slots=True)
class AttributeValue:
    """A value of an attribute (a string, number, boolean, or whatever JSON it has) and how often it is in a sample."""

    value: object
    count: int


@dataclass(frozen=True, slots=True)
class AttributeValues:
    """Values in a sample: of so many spans, events or resources with the key, of which ``distinct`` values were found."""

    values: Sequence[AttributeValue]
    sampled: int
    distinct: int


class AttributeCatalogueStore(Protocol):
    """Reads what attributes there are. Both methods may raise ``Unavailable``."""

    async def attribute_keys(
        self, tenant_id: int, prefix: str, where: Where | None, service: str | None, limit: int
    ) -> Sequence[AttributeKey]:
        """Keys that begin so, by key and by where they stand."""
        ...

    async def attribute_values(
        self, tenant_id: int, key: str, where: Where, prefix: str, service: str | None, time: TimeRange, limit: int
    ) -> AttributeValues:
        """The most frequent values that begin so (as text), among the newest in the time range: a sample of bounded size."""
        ...


class NoAttributes:
    """A catalogue without anything in it."""

    async def attribute_keys(
        self, tenant_id: int, prefix: str, where: Where | None, service: str | None, limit: int
    ) -> Sequence[AttributeKey]:
        """None."""
        return ()

    async def attribute_values(
        self, tenant_id: int, key: str, where: Where, prefix: str, service: str | None, time: TimeRange, limit: int
    ) -> AttributeValues:
        """None."""
        return AttributeValues((), 0, 0)
