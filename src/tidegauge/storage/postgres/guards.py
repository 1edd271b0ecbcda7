"""Cardinality guards: how many new dictionary rows a key may get, and a request without what was not let in.

A key is a metric of an application, or an application. Its rows that were seen within a day count. What is in the dictionary already is
never refused, so a restart locks nobody out, and pods that came and went for a year do not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from tidegauge.model.batch import Batch, MetricBatch, Rejection
from tidegauge.model.samples import JSON_TYPE, sample
from tidegauge.model.selecting import Row, rows, select
from tidegauge.storage.interface import IngestRequest
from tidegauge.storage.postgres.idcache import Key

K = TypeVar("K", bound=Hashable)
# How long a count is believed. A key that is full costs no count for so long; one that has room may fill a quarter of it: four processes
# that do not see one another's rows do not exceed the limit by that.
_VALID_NS = 10_000_000_000
_SHARES = 4
_MOST_KEYS = 100_000
_MOST_REJECTIONS = 100
_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why rows of a resource or series are not stored."""

    reason: str
    message: str
    service: str


class Guard(Generic[K]):
    """How much room keys have left below ``limit``."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._left: dict[K, tuple[int, int]] = {}

    def uncounted(self, wanted: Mapping[K, int], now_ns: int) -> list[K]:
        """The keys whose rows have to be counted before so many more can be let in. One caller at a time: the next call is of ``grant``."""
        if len(self._left) >= _MOST_KEYS:
            self._left.clear()
        return [key for key, rows in wanted.items() if not self._is_enough(key, rows, now_ns)]

    def grant(self, wanted: Mapping[K, int], counts: Mapping[K, int], now_ns: int) -> dict[K, int]:
        """How many more rows each key gets of those wanted; ``counts`` has those just counted."""
        return {key: self._grant(key, rows, counts.get(key), now_ns) for key, rows in wanted.items()}

    def _is_enough(self, key: K, rows: int, now_ns: int) -> bool:
        left, until_ns = self._left.get(key, (0, 0))
        return now_ns < until_ns and (not left or rows <= left)

    def _grant(self, key: K, rows: int, count: int | None, now_ns: int) -> int:
        if count is None:
            left, until_ns = self._left[key]
            granted = min(rows, left)
            if left:
                self._left[key] = (left - granted, until_ns if left > granted else 0)
            return granted
        room = max(self.limit - count, 0)
        granted = min(rows, room)
        spare = room - granted
        if rows > granted:
            self._left[key] = (0, now_ns + _VALID_NS)
        elif spare >= _SHARES:
            self._left[key] = (spare // _SHARES, now_ns + _VALID_NS)
        else:
            self._left.pop(key, None)
        return granted


def too_many_series(metric: str, service: str, limit: int) -> Refusal:
    """Of a series that its metric has no room for."""
    return Refusal(
        "too_many_series",
        f"metric {metric[:_NAME_LENGTH]!r} of service {service[:_NAME_LENGTH]!r} has {limit} series already, which is "
        "TIDEGAUGE_CARDINALITY_MAX_SERIES_PER_METRIC: points of further ones are not stored",
        service,
    )


def too_many_resources(service: str, limit: int) -> Refusal:
    """Of a resource that its application has no room for."""
    return Refusal(
        "too_many_resources",
        f"service {service[:_NAME_LENGTH]!r} has {limit} resources already, which is "
        "TIDEGAUGE_CARDINALITY_MAX_RESOURCES_PER_APPLICATION: items of further ones are not stored",
        service,
    )


def without(request: IngestRequest, resources: Mapping[Key, Refusal], series: Mapping[Key, Refusal]) -> IngestRequest:
    """The request without the rows of refused resources and series, and a rejection for each refusal."""
    if not (resources or series):
        return request
    batch, tenant = request.batch, request.tenant_id
    of_resource = [resources.get((tenant, entry.identity.int)) for entry in batch.resources]
    if isinstance(batch, MetricBatch):
        of_series = [of_resource[entry.resource] or series.get((tenant, entry.identity.int)) for entry in batch.series]
        why = [(row, of_series[getattr(batch, row[0]).series[row[1]]]) for row in rows(batch)]
    else:
        why = [(row, of_resource[batch.resource[row[1]]]) for row in rows(batch)]
    refused = [(row, refusal) for row, refusal in why if refusal is not None]
    if not refused:
        return request
    kept = [row for row, refusal in why if refusal is None]
    return replace(request, batch=select(batch, kept, refusals(batch, dict(refused))))


def refusals(batch: Batch, refused: Mapping[Row, Refusal]) -> list[Rejection]:
    """A rejection for each refusal, with the first of its rows as a sample; at most a hundred, what comes after is counted by reason.

    An exemplar counts where the refusal is of exemplars alone, otherwise it goes with its point.
    """
    first: dict[Refusal, Row] = {}
    items: Counter[Refusal] = Counter()
    for row, refusal in refused.items():
        counted = refusal if refusal in first or len(first) < _MOST_REJECTIONS else Refusal(refusal.reason, "further ones", "")
        first.setdefault(counted, row)
        items[counted] += row[0] != "exemplars" or refusal.reason.startswith("exemplar_")
    return [
        Rejection(refusal.reason, refusal.message, items[refusal], sample(batch, row), JSON_TYPE, refusal.service)
        for refusal, row in first.items()
    ]
