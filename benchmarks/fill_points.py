"""Metric points of a fleet: of 25 series a service 12 are gauges, 10 counters and 3 histograms.

Gauges are random walks of two or three decimals, or whole numbers of bytes. Counters and histograms are cumulative, with start times; a
service is started again every five to nine days, and its counters begin at 0 then.

All series of one moment are one request, as a Collector gathers them. A request is as long as the one before: it is one ``struct.pack`` of
constants and numbers.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from benchmarks import fill_wire as wire

SERIES_A_SERVICE = 25
_GAUGES, _COUNTERS = 12, 10
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DAY_NS = 86_400_000_000_000
_CUMULATIVE = b"\x10" + wire.varint(AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE)
_LOWEST, _HIGHEST = 0.0, 1e12


class _Gauge:
    """A walk in steps of its last decimal."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self._chance = chance
        self._digits = (2, 3, 3, 0)[number % 4]
        self._step = (0.2, 0.004, 0.05, 4096.0)[number % 4]
        self._value = (40.0, 0.5, 3.0, 5e8)[number % 4] * (1 + chance.random())

    def values(self) -> tuple[float, ...]:
        """The next one; one in four is as before, as readings often are."""
        chance = self._chance
        if chance.random() > 0.25:
            self._value = min(max(round(self._value + chance.gauss(0, self._step), self._digits), _LOWEST), _HIGHEST)
        return (self._value,)

    def restart(self) -> None:
        """Goes on as before."""


class _Counter:
    """Rises by about its own rate."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self._chance = chance
        self._rate = 3.0 ** (number % 8)
        self._value = 0

    def values(self) -> tuple[float, ...]:
        """The next one."""
        self._value += max(int(self._chance.gauss(self._rate, self._rate / 4)), 0)
        return (self._value,)

    def restart(self) -> None:
        """From 0."""
        self._value = 0


class _Histogram:
    """A few observations at a time."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self._chance = chance
        self._rate = 4 + 9 * (number % 5)
        self.restart()

    def values(self) -> tuple[float, ...]:
        """Count, sum, buckets."""
        seen = self._chance.randrange(self._rate)
        self._count += seen
        for _ in range(min(seen, 3)):
            bucket = min(int(abs(self._chance.gauss(3.5, 1.7))), len(_BOUNDS))
            self._buckets[bucket] += seen // 3
            self._sum += seen / 3 * _BOUNDS[min(bucket, len(_BOUNDS) - 1)]
        self._buckets[3] += self._count - sum(self._buckets)
        return (self._count, round(self._sum, 6), *self._buckets)

    def restart(self) -> None:
        """From nothing."""
        self._count, self._sum, self._buckets = 0, 0.0, [0] * (len(_BOUNDS) + 1)


class Fleet:
    """So many series, that go on from request to request."""

    def __init__(self, series: int, chance: random.Random, start: int) -> None:
        self._chance = chance
        self._series: list[tuple[int, _Gauge | _Counter | _Histogram]] = []
        self._constants: list[bytes | None] = []
        """None: a number goes here"""
        services = -(-series // SERIES_A_SERVICE)
        self._started = [start - chance.randrange(_DAY_NS) for _ in range(services)]
        self._restarts = [start + int(chance.uniform(1, 9) * _DAY_NS) for _ in range(services)]
        bodies = b"".join(self._service(number, min(SERIES_A_SERVICE, series - number * SERIES_A_SERVICE)) for number in range(services))
        self._build(bodies)

    def request(self, moment: int) -> bytes:
        """All series at ``moment``, in ns."""
        for service, at in enumerate(self._restarts):
            if moment >= at:
                self._restart(service, moment)
        numbers: list[float] = []
        for service, series in self._series:
            if not isinstance(series, _Gauge):
                numbers.append(self._started[service])
            numbers.append(moment)
            numbers += series.values()
        following = iter(numbers)
        return self._pack(*[next(following) if constant is None else constant for constant in self._constants])

    def _restart(self, service: int, moment: int) -> None:
        self._started[service] = moment - self._chance.randrange(1_000_000_000, 30_000_000_000)
        self._restarts[service] = moment + int(self._chance.uniform(5, 9) * _DAY_NS)
        for number, series in self._series:
            if number == service:
                series.restart()

    def _service(self, service: int, series: int) -> bytes:
        origin = wire.resource(
            {
                "service.name": f"metered-{service:02d}",
                "service.namespace": "bench",
                "service.instance.id": f"i-{service}",
                "host.name": "node",
            }
        )
        metrics = b"".join(self._metric(service, number) for number in range(series))
        return wire.field(1, origin + wire.field(2, wire.scope("bench.metrics", "1.0") + metrics))

    def _metric(self, service: int, number: int) -> bytes:
        kind = "gauge" if number < _GAUGES else "counter" if number < _GAUGES + _COUNTERS else "histogram"
        labels = [("host.name", f"node-{service % 5}"), ("series", f"s{service * SERIES_A_SERVICE + number}"), ("zone", "abc"[service % 3])]
        name = wire.field(1, f"bench.{kind}.{number:02d}".encode()) + wire.field(3, b"1")
        if kind == "gauge":
            self._series.append((service, _Gauge(number, self._chance)))
            point = wire.attributes(wire.ATTRIBUTES_OF_NUMBER, labels) + _gap(b"\x19", "Q") + _gap(b"\x21", "d")
            return wire.field(2, name + wire.field(5, wire.field(1, point)))
        if kind == "counter":
            self._series.append((service, _Counter(number, self._chance)))
            point = wire.attributes(wire.ATTRIBUTES_OF_NUMBER, labels) + _gap(b"\x11", "Q") + _gap(b"\x19", "Q") + _gap(b"\x31", "q")
            return wire.field(2, name + wire.field(7, wire.field(1, point) + _CUMULATIVE + b"\x18\x01"))
        self._series.append((service, _Histogram(number, self._chance)))
        buckets = b"".join(_gap(b"", "Q") for _ in range(len(_BOUNDS) + 1))
        point = (
            wire.attributes(wire.ATTRIBUTES_OF_SPAN, labels) + _gap(b"\x11", "Q") + _gap(b"\x19", "Q") + _gap(b"\x21", "Q")
            + _gap(b"\x29", "d") + wire.field(6, buckets) + wire.field(7, struct.pack(f"<{len(_BOUNDS)}d", *_BOUNDS))
        )  # fmt: skip
        return wire.field(2, name + wire.field(9, wire.field(1, point) + _CUMULATIVE))

    def _build(self, body: bytes) -> None:
        layout = ["<"]
        while body:
            constant, mark, body = body.partition(_MARK)
            if mark:
                kind, body = body[:1], body[1:]
            if constant:
                layout.append(f"{len(constant)}s")
                self._constants.append(constant)
            if mark:
                layout.append(kind.decode())
                self._constants.append(None)
        self._pack = struct.Struct("".join(layout)).pack


_MARK = b"\x5a\xa5\x5a\xa5\x3c\xc3\x3c"


def _gap(tag: bytes, kind: str) -> bytes:
    """A number of eight bytes that is different in each request: the field's tag, then a mark that names its kind."""
    return tag + _MARK + kind.encode()


def requests(fleet: Fleet, start: int, end: int, interval: int) -> Iterator[bytes]:
    """One for each interval of [start, end), in ns."""
    for moment in range(start, end, interval):
        yield fleet.request(moment)
