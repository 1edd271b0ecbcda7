"""The questions that are asked, and what they are asked about."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import psycopg

_RANDOM_TRACE = "SELECT trace_id FROM tidegauge.trace_index WHERE start_time >= %s AND start_time < %s ORDER BY start_time LIMIT 1"
_NEWEST = "SELECT max(start_time) FROM tidegauge.trace_index WHERE start_time > now() - INTERVAL '60 days'"
_OLDEST = "SELECT min(start_time) FROM tidegauge.trace_index"
_SERVICES = "SELECT name FROM tidegauge.applications WHERE name NOT LIKE 'metered-%%' ORDER BY name"
_POINTS = "SELECT max(timestamp) FROM tidegauge.metrics WHERE timestamp > now() - INTERVAL '60 days'"
_COMPRESSED = """
SELECT max(range_end) FROM timescaledb_information.chunks
WHERE hypertable_schema = 'tidegauge' AND hypertable_name = 'traces' AND is_compressed
"""
Parameters: TypeAlias = list[tuple[str, str]]
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_TRACES = 40
_METRIC = "bench.gauge.01"
_SIXTEEN = ("match", 'service.name=~"metered-(0.|1[0-5])"')


@dataclass(frozen=True)
class Facts:
    """What the database holds. ``border``: where the columnstore ends and rows begin; ``points``: the newest of them."""

    oldest: datetime
    border: datetime
    newest: datetime
    points: datetime | None
    services: list[str]
    trace_ids: list[str]

    @property
    def is_shop(self) -> bool:
        """Not Jaeger's shape."""
        return not any(service.startswith("tracegen") for service in self.services)


@dataclass(frozen=True)
class Case:
    """A question: its path and parameters, drawn anew each time; a body makes it a POST."""

    what: str
    path: Callable[[], str]
    parameters: Callable[[], Parameters] = list
    body: Callable[[], dict[str, object]] | None = None


def facts(connection: psycopg.Connection, chance: random.Random) -> Facts:
    """Ask the database."""

    def one(query: str, *parameters: object) -> datetime | None:
        row = connection.execute(query.encode(), parameters or None).fetchone()
        return None if row is None else row[0]

    oldest, newest = one(_OLDEST), one(_NEWEST)
    assert oldest is not None
    assert newest is not None
    ids = []
    for _ in range(_TRACES):
        start = oldest + chance.random() * (newest - oldest)
        if row := connection.execute(_RANDOM_TRACE, (start, start + _DAY)).fetchone():
            ids.append(row[0].hex)
    services = [row[0] for row in connection.execute(_SERVICES).fetchall()]
    return Facts(oldest, one(_COMPRESSED) or oldest, newest, one(_POINTS), services, ids)


def cases(known: Facts, chance: random.Random) -> list[Case]:
    """All of them."""
    least = Case("nothing: is it alive", lambda: "/api/health/live")
    return [least, *_of_traces(known, chance), *_of_attributes(known, chance), *_of_services(known, chance), *_of_metrics(known)]


def _between(start: datetime, end: datetime, *more: tuple[str, str]) -> Parameters:
    return [("start", start.astimezone(UTC).isoformat()), ("end", end.astimezone(UTC).isoformat()), *more]


def _of_traces(known: Facts, chance: random.Random) -> list[Case]:
    def service() -> tuple[str, str]:
        return "service", chance.choice(known.services)

    operation = "GET" if known.is_shop else "child-span-03"
    long_, very_long = ("500ms", "2s") if known.is_shop else ("400us", "2ms")
    old = known.oldest, known.border
    new = known.border, known.newest + _HOUR
    all_ = known.oldest, known.newest + _HOUR
    spans: Callable[[], str] = lambda: "/api/v1/traces"  # noqa: E731

    def search(what: str, *more: Callable[[], tuple[str, str]]) -> list[Case]:
        def asked(span: tuple[datetime, datetime]) -> Callable[[], Parameters]:
            return lambda: _between(*span, ("limit", "20"), *(each() for each in more))

        return [Case(f"{what}, {where}", spans, asked(span)) for where, span in (("all days", all_), ("columnstore", old), ("rows", new))]

    constant: Callable[[str, str], Callable[[], tuple[str, str]]] = lambda name, value: lambda: (name, value)  # noqa: E731
    return [
        Case("trace by id, no time given", lambda: f"/api/v1/traces/{chance.choice(known.trace_ids)}"),
        Case("no such trace", lambda: f"/api/v1/traces/{chance.randbytes(16).hex()}"),
        *search("newest spans"),
        *search("by service", service),
        *search("by service and operation", service, constant("operation", operation)),
        *search("by operation", constant("operation", operation)),
        *search(f"by duration of {long_} and more", constant("min_duration", long_)),
        *search(f"by duration of {very_long} and more", constant("min_duration", very_long)),
        *search("errors", constant("status", "error")),
        *search("newest traces", constant("view", "traces")),
        *search("traces by service", constant("view", "traces"), service),
        *search("slowest", constant("order", "slowest")),
    ]


def _of_attributes(known: Facts, chance: random.Random) -> list[Case]:
    all_ = known.oldest, known.newest + _HOUR

    def pair() -> str:
        number = chance.randrange(97_000)
        return f"attr_{number % 97:02d}=val_{number % 1000:02d}"

    made: dict[str, Callable[[], str]] = {
        "in 1 of 10 spans": lambda: "peer.service=tracegen-server",
        "in 1 of 9,000 spans": pair,
        "in one span": lambda: f"bench.needle=needle-{chance.randrange(10)}",
    }
    if known.is_shop:
        made = {
            "in 1 of 5 spans": lambda: "shop.region=eu-west-1",
            "in 1 of 25,000 spans": lambda: f"client.address=10.{chance.randrange(4)}.{chance.randrange(40)}.{chance.randrange(250)}",
            "in one trace": lambda: f"order.id=o-{70_000_000 + chance.randrange(1_000_000)}",
        }
    made |= {"in none": lambda: f"order.id=none-{chance.randrange(10**6)}"}

    def asked(value: Callable[[], str], *more: tuple[str, str]) -> Callable[[], Parameters]:
        return lambda: _between(*all_, ("limit", "20"), ("attribute", value()), *more)

    found = [Case(f"attribute {what}", lambda: "/api/v1/traces", asked(value)) for what, value in made.items()]
    found.append(
        Case(
            "attribute of the resource", lambda: "/api/v1/traces",
            asked(lambda: f"resource:service.version=1.{chance.randrange(5)}.0"),
        )
    )  # fmt: skip
    return found


def _of_services(known: Facts, chance: random.Random) -> list[Case]:
    end = known.newest.replace(minute=0, second=0, microsecond=0) - _HOUR
    day, month = (end - _DAY, end), (known.oldest, end)
    service: Callable[[], tuple[str, str]] = lambda: ("service", chance.choice(known.services))  # noqa: E731
    minutes = ("step", "1m")
    sql = "SELECT application, count(*) FROM traces WHERE start_time >= :start::timestamptz GROUP BY application"
    last_hour = {"start": (known.newest - _HOUR).isoformat()}
    key, prefix = ("shop.region", "eu") if known.is_shop else ("attr_42", "val_4")
    return [
        Case("applications", lambda: "/api/v1/applications"),
        Case("services", lambda: "/api/v1/services"),
        Case("operations", lambda: "/api/v1/operations", lambda: [service()]),
        Case("percentiles a minute, 24 h, a service", lambda: "/api/v1/traces/percentiles", lambda: _between(*day, minutes, service())),
        Case("percentiles a minute, 24 h, all", lambda: "/api/v1/traces/percentiles", lambda: _between(*day, minutes)),
        Case("percentiles a day, 30 d, all", lambda: "/api/v1/traces/percentiles", lambda: _between(*month, ("step", "1d"))),
        Case("rates a minute, 24 h, a service", lambda: "/api/v1/traces/rates", lambda: _between(*day, minutes, service())),
        Case("rates an hour, 30 d, all", lambda: "/api/v1/traces/rates", lambda: _between(*month, ("step", "1h"))),
        Case("RED of services, 24 h", lambda: "/api/v1/services/red", lambda: _between(*day)),
        Case("service map, 24 h", lambda: "/api/v1/service-map", lambda: _between(*day)),
        Case("slowest and failed examples, 24 h", lambda: "/api/v1/traces/examples", lambda: _between(*day, service())),
        Case("analysis of a trace", lambda: f"/api/v1/traces/{chance.choice(known.trace_ids)}/analysis"),
        Case("attribute names", lambda: "/api/v1/attributes", lambda: [("prefix", key[:5])]),
        Case("attribute values", lambda: f"/api/v1/attributes/{key}/values", lambda: [("prefix", prefix)]),
        Case("SQL: spans of the last hour", lambda: "/api/v1/sql", body=lambda: {"sql": sql, "parameters": last_hour}),
    ]


def _of_metrics(known: Facts) -> list[Case]:
    if known.points is None:
        return []
    end = known.points.replace(minute=0, second=0, microsecond=0)
    midnight = end.replace(hour=0)

    def asked(start: datetime, end: datetime, step: str, aggregation: str) -> Callable[[], Parameters]:
        return lambda: _between(start, end, ("step", step), ("aggregation", aggregation), _SIXTEEN)

    gauge: Callable[[], str] = lambda: f"/api/v1/metrics/{_METRIC}/range"  # noqa: E731
    counter: Callable[[], str] = lambda: "/api/v1/metrics/bench.counter.15/range"  # noqa: E731
    histogram: Callable[[], str] = lambda: "/api/v1/metrics/bench.histogram.22/range"  # noqa: E731
    rollups: Callable[[str], Callable[[], str]] = lambda tier: lambda: f"/api/v1/metrics/{_METRIC}/rollups/{tier}"  # noqa: E731
    return [
        Case("16 gauges, hourly, 30 d", gauge, asked(end - 30 * _DAY, end, "1h", "avg")),
        Case("16 gauges, hourly, 30 d, as rollups", rollups("hourly"), lambda: _between(end - 30 * _DAY, end, _SIXTEEN)),
        Case("16 counters, hourly increase, 30 d", counter, asked(end - 30 * _DAY, end, "1h", "increase")),
        Case("16 histograms, hourly count, 30 d", histogram, asked(end - 30 * _DAY, end, "1h", "count")),
        Case("16 gauges, daily, a year", gauge, asked(midnight - 364 * _DAY, midnight, "1d", "avg")),
        Case("16 gauges, daily, a year, as rollups", rollups("daily"), lambda: _between(midnight - 364 * _DAY, midnight, _SIXTEEN)),
        Case("16 counters, daily increase, a year", counter, asked(midnight - 364 * _DAY, midnight, "1d", "increase")),
        Case("16 gauges, points a minute, 1 h", gauge, asked(end - _HOUR, end, "1m", "avg")),
        Case("16 gauges, points a minute, 24 h of rows", gauge, asked(end - _DAY, end, "1m", "avg")),
        Case("16 gauges, points a minute, 24 h of columnstore", gauge, asked(end - 20 * _DAY, end - 19 * _DAY, "1m", "avg")),
        Case("quantiles of 16 histograms, hourly, 30 d", lambda: "/api/v1/metrics/bench.histogram.22/quantiles",
             lambda: _between(end - 30 * _DAY, end, ("step", "1h"), _SIXTEEN)),
    ]  # fmt: skip
