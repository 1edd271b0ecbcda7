"""Metrics on TimescaleDB: series, values by step, rollups."""

from __future__ import annotations

import re
from asyncio import gather
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import LiteralString

import orjson
import psycopg

from tidegauge.errors import InvalidArgument
from tidegauge.model.columns import is_rising
from tidegauge.model.query import Aggregation, MatchOperator, SeriesSelector, Tier, TimeRange
from tidegauge.model.records import Epoch, Metric, Series
from tidegauge.model.tiers import Level, Reading, StepColumn
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.buckets import as_they_are, is_stretch, merged
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.planned import of_bytes, of_columns, step_parameters, tier_parameters, too_many_values, unpacked
from tidegauge.storage.postgres.reading import Row, by_name, timestamp

# In how many each tier is read: at both ends of a range, and where late data keeps rollups from being read.
_NEIGHBOURHOODS = {Level.RAW: 3, Level.HOURLY: 2, Level.DAILY: 1}
_STRETCH = {Level.RAW: 1, Level.HOURLY: 1}
_REGULAR = (MatchOperator.REGEX, MatchOperator.NOT_REGEX)
_LIKE_SPECIAL = re.compile(r"([\\%_])")


class PostgresMetricStore:
    """``MetricStore`` on ``tidegauge.series``, the points' hypertables and their continuous aggregates."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("metrics")

    async def metrics(self, tenant_id: int, name: str | None, service: str | None, limit: int) -> Sequence[Metric]:
        """See ``MetricStore``."""
        pattern = None if name is None else _LIKE_SPECIAL.sub(r"\\\1", name).replace("*", "%")
        found = await self._rows(self._sql["metrics"], {"tenant_id": tenant_id, "name": pattern, "service": service, "limit": limit})
        return [_metric(row) for row in found]

    async def series(self, tenant_id: int, wanted: SeriesSelector, group_by: Sequence[str], limit: int) -> Sequence[Series]:
        """See ``MetricStore``."""
        matchers = [
            {
                "name": one.name,
                "operator": one.operator.value,
                "value": f"^(?:{one.value})$" if one.operator in _REGULAR else one.value,
            }
            for one in wanted.matchers
        ]
        parameters = {
            "tenant_id": tenant_id,
            "metric_name": wanted.metric_name,
            "service": wanted.service,
            "type": wanted.type,
            "matchers": orjson.dumps(matchers).decode(),
            "group_by": list(group_by),
            "limit": limit,
        }
        try:
            found = await self._rows(self._sql["series"], parameters)
        except psycopg.errors.InvalidRegularExpression as error:
            reason = (error.diag.message_primary or "").removeprefix("invalid regular expression: ")
            raise InvalidArgument(
                "a matcher's regular expression is malformed", hint=reason or "PostgreSQL's syntax is expected", parameter="match"
            ) from error
        return [_series(row) for row in found]

    async def steps(
        self, tenant_id: int, series: Sequence[Series], groups: Sequence[int], reading: Reading, aggregation: Aggregation, limit: int
    ) -> Sequence[StepColumn]:
        """See ``MetricStore``."""
        found = await self._buckets(series, groups, reading, aggregation, limit)
        if found is None:
            found = await self._grouped(series, groups, reading, aggregation, limit)
        if sum(len(column.times) for column in found) > limit:
            raise too_many_values(limit)
        return found

    async def _grouped(
        self,
        series: Sequence[Series],
        groups: Sequence[int],
        reading: Reading,
        aggregation: Aggregation,
        limit: int,
        is_stretch: bool = False,
    ) -> list[StepColumn]:
        statement = self._sql[f"stretch_{aggregation.value}" if is_stretch else _steps_query(series[0].type, aggregation)]
        parameters = _steps_parameters(series, groups, reading, _STRETCH if is_stretch else _NEIGHBOURHOODS) | {"limit": limit + 1}
        return [_column(*row) for row in await self._database.read(statement, parameters, of_columns)]

    async def _buckets(
        self, series: Sequence[Series], groups: Sequence[int], reading: Reading, aggregation: Aggregation, limit: int
    ) -> list[StepColumn] | None:
        """Values that stand in buckets as they are; None where they have to be put together."""
        level = as_they_are(series, groups, reading, aggregation, limit)
        if level is None:
            return None
        # The steps bound the buckets: a limit would cost a seventh of the time.
        parameters = {"series": [one.series_id for one in series], "groups": list(groups)} | tier_parameters(reading, {level: 1})
        buckets = self._database.read(self._sql[f"gauge_{level.value}_{aggregation.value}"], parameters, of_bytes)
        rest = replace(reading, segments=tuple([one for one in reading.segments if one.level is not level]))
        if rest.segments:
            # At once: a server has a process for each.
            read, others = await gather(buckets, self._grouped(series, groups, rest, aggregation, limit, is_stretch(reading, level)))
            found = merged([_column(*one) for one in unpacked(read)], others)
        else:
            found = [_column(*one) for one in unpacked(await buckets)]
        # Most have the very same steps.
        return found if all(map(is_rising, {id(one.times): one.times for one in found}.values())) else None

    async def epochs(self, tenant_id: int, series: Sequence[Series], time: TimeRange, tier: Tier, limit: int) -> Sequence[Epoch]:
        """See ``MetricStore``."""
        is_histogram = series[0].type in ("histogram", "exponential_histogram")
        parameters = {
            "series": [one.series_id for one in series],
            "start": timestamp(time.start_ns),
            "end": timestamp(time.end_ns),
            "limit": limit,
        }
        kind = "histogram" if is_histogram else "number"
        found = await self._rows(self._sql[f"{kind}_epochs_{tier.value}"], parameters)
        return [_histogram_epoch(row) if is_histogram else _number_epoch(row) for row in found]

    async def _rows(self, statement: LiteralString, parameters: dict[str, object]) -> list[Row]:
        return await self._database.read(statement, parameters, by_name)


def _steps_query(type_: str, aggregation: Aggregation) -> str:
    """A statement for each kind and aggregation: each would cost as much as all of them in one."""
    if type_ in ("gauge", "sum"):
        return f"number_{'increase' if aggregation is Aggregation.RATE else aggregation.value}"
    counted = aggregation in (Aggregation.COUNT, Aggregation.RATE)
    return f"{'summary' if type_ == 'summary' else 'histogram'}_{'increase' if counted else aggregation.value}"


def _steps_parameters(
    series: Sequence[Series], groups: Sequence[int], reading: Reading, neighbourhoods: Mapping[Level, int]
) -> dict[str, object]:
    return {
        "series": [one.series_id for one in series],
        "groups": list(groups),
        "cumulative": [one.temporality != "delta" for one in series],
        "monotonic": [one.is_monotonic is not False for one in series],
        "scan_start": timestamp(reading.scan_start_ns),
        **step_parameters(reading),
        **tier_parameters(reading, neighbourhoods),
    }


def _column(group: int, times: tuple[int, ...], values: tuple[float, ...], untold: int = 0, below: float = 0.0) -> StepColumn:
    return StepColumn(group, times, values, untold, below)


def _metric(row: Row) -> Metric:
    return Metric(
        name=row["metric_name"],
        type=row["type"],
        unit=row["unit"],
        temporality=row["temporality"],
        is_monotonic=row["is_monotonic"],
        description=row["description"],
        label_names=tuple(row["label_names"]),
        series_count=row["series_count"],
        services=tuple(row["services"]),
    )


def _series(row: Row) -> Series:
    origin = {
        "service.name": row["service"],
        "service.namespace": row["namespace"],
        "deployment.environment.name": row["environment"],
        "service.instance.id": row["instance"],
    }
    labels = {name: value or "" for name, value in (row["labels"] or {}).items()} | {name: value for name, value in origin.items() if value}
    return Series(
        series_id=row["series_id"],
        type=row["type"],
        unit=row["unit"],
        temporality=row["temporality"],
        is_monotonic=row["is_monotonic"],
        bounds=None if row["bounds"] is None else tuple(row["bounds"]),
        labels=tuple(sorted(labels.items())),
        group=tuple(row["group_values"]),
    )


def _number_epoch(row: Row) -> Epoch:
    return Epoch(
        series_id=row["series_id"],
        bucket_unix_nano=row["bucket_us"] * 1000,
        start_unix_nano=_nanoseconds(row["start_us"]),
        count=row["count"],
        sum=row["sum"],
        min=row["min"],
        max=row["max"],
        first=row["first"],
        last=row["last"],
    )


def _histogram_epoch(row: Row) -> Epoch:
    return Epoch(
        series_id=row["series_id"],
        bucket_unix_nano=row["bucket_us"] * 1000,
        start_unix_nano=_nanoseconds(row["start_us"]),
        count=row["count"],
        sum=row["sum"],
        min=row["min"],
        max=row["max"],
        first=row["first_count"],
        last=row["last_count"],
        first_sum=row["first_sum"],
        last_sum=row["last_sum"],
        first_bucket_counts=_counts(row["first_bucket_counts"]),
        last_bucket_counts=_counts(row["last_bucket_counts"]),
        bucket_counts=_counts(row["bucket_counts"]),
    )


def _nanoseconds(microseconds: int | None) -> int | None:
    return None if microseconds is None else microseconds * 1000


def _counts(values: list[int] | None) -> tuple[int, ...] | None:
    return None if values is None else tuple(values)
