"""Spans as Jaeger's load generator makes them, and as a shop's services would.

``tracegen``: what Jaeger's published benchmark of its ClickHouse storage stored (internal/tracegen/worker.go, with its defaults
-attrs 11 -attr-keys 97 -attr-values 1000): a parent ``lets-go`` and nine children ``child-span-00`` and so on, all of one service;
attributes of text, key and value each counted up from span to span, so that a pair comes back every 97,000 attributes. Two things differ,
both to the store's disadvantage: the parent has 11 attributes too (there 2), and durations differ (there 123 µs, always). One trace in
100,000 has an attribute of its own, ``bench.needle``.

``shop``: ten spans of four services out of twenty, HTTP and SQL attributes, 11 a span, among them ids that never repeat (order.id) and
such that seldom do (user.id, client.address); errors with an exception event; log-normal durations.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from benchmarks import fill_wire as wire

SPANS_A_TRACE = 10
_KEYS, _VALUES, _ATTRIBUTES = 97, 1000, 11
_NEEDLE = 100_000
_FAKE_NS = 123_000
_AT = wire.ATTRIBUTES_OF_SPAN
_ERROR_RATE = 0.015


class Part(NamedTuple):
    """A span and the service that sends it."""

    service: int
    span: bytes


Maker = Callable[[int, int], list[Part]]
"""The spans of trace number n that starts at t, in ns."""


class Shape(NamedTuple):
    """Resources and scope of the services, and what makes a trace."""

    resources: list[bytes]
    scope: bytes
    trace: Maker


def requests(shape: Shape, first: int, traces: int, start: int, end: int, spans: int, chance: random.Random) -> Iterator[bytes]:
    """Traces number ``first`` and following, spread over [start, end) ns, in requests of about ``spans`` spans."""
    waiting: dict[int, list[bytes]] = {}
    count = 0
    step = (end - start) / max(traces, 1)
    for number in range(traces):
        for service, span in shape.trace(first + number, start + int((number + chance.random()) * step)):
            waiting.setdefault(service, []).append(span)
            count += 1
        if count >= spans or number == traces - 1:
            yield wire.request((shape.resources[service], shape.scope, found) for service, found in waiting.items())
            waiting, count = {}, 0


def _resource(name: str, service: int) -> bytes:
    return wire.resource(
        {
            "service.name": name, "service.namespace": "bench", "service.version": f"1.{service}.0", "deployment.environment.name": "prod",
            "host.name": f"node-{service % 5}", "telemetry.sdk.language": "go", "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": "1.38.0",
        }
    )  # fmt: skip


def tracegen(services: int, chance: random.Random) -> Shape:
    """Jaeger's."""
    pairs = [f"attr_{number % _KEYS:02d}" for number in range(_KEYS)], [f"val_{number % _VALUES:02d}" for number in range(_VALUES)]
    encoded = [
        wire.text(_AT, pairs[0][number % _KEYS].encode(), pairs[1][number % _VALUES].encode())
        for number in range(_KEYS * _VALUES + _ATTRIBUTES)
    ]
    offsets = [0]
    for each in encoded:
        offsets.append(offsets[-1] + len(each))
    pool = b"".join(encoded)
    peer = wire.attributes(_AT, [("peer.service", "tracegen-server"), ("peer.host.ipv4", "1.1.1.1")])
    parent = wire.operation("lets-go", Span.SPAN_KIND_SERVER)
    children = [wire.operation(f"child-span-{number:02d}", Span.SPAN_KIND_CLIENT) for number in range(SPANS_A_TRACE - 1)]
    own = _ATTRIBUTES - 2
    a_trace = own + _ATTRIBUTES * len(children)

    def trace(number: int, start: int) -> list[Part]:
        at = number * a_trace % (_KEYS * _VALUES)
        ids = chance.randbytes(16 + 8 * SPANS_A_TRACE)
        trace_id, root = ids[:16], ids[16:24]
        service = number % services
        rest = [parent, peer, pool[offsets[at] : offsets[at + own]]]
        if number % _NEEDLE == _NEEDLE // 2:
            rest.append(wire.text(_AT, b"bench.needle", b"needle-%d" % (number // _NEEDLE)))
        at += own
        begin, parts = start, []
        for child, operation in enumerate(children):
            at %= _KEYS * _VALUES
            end = begin + int(_FAKE_NS * chance.lognormvariate(0, 0.4))
            span_id = ids[24 + 8 * child : 32 + 8 * child]
            attributes = pool[offsets[at] : offsets[at + _ATTRIBUTES]]
            parts.append(Part(service, wire.span(trace_id, span_id, root, begin, end, (operation, attributes))))
            at += _ATTRIBUTES
            begin = end
        return [Part(service, wire.span(trace_id, root, b"", start, begin, rest)), *parts]

    return Shape([_resource(f"tracegen-{service:02d}", service) for service in range(services)], wire.scope("tracegen", ""), trace)


_NAMES = (
    "gateway", "checkout", "cart", "payment", "shipping", "inventory", "catalogue", "search", "users", "reviews", "pricing", "email", "tax",
    "recommend", "orders", "images", "sessions", "coupons", "fraud", "ledger",
)  # fmt: skip
_TREE = (-1, 0, 1, 2, 2, 3, 0, 6, 7, 0)
"""Parents of a trace's spans; the service changes at each server span."""
_SERVER, _CLIENT, _SQL, _INTERNAL = range(4)
_KINDS = (_SERVER, _CLIENT, _SERVER, _INTERNAL, _SQL, _SQL, _CLIENT, _SERVER, _SQL, _INTERNAL)
_WHERE = (0, 0, 1, 1, 1, 1, 0, 2, 2, 0)
_OTLP_KINDS = (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL)
_VERBS = ("GET", "GET", "GET", "POST", "PUT", "DELETE")
_TABLES = ("orders", "users", "products", "carts", "payments")
_AGENTS = tuple(f"Mozilla/5.0 (X11; Linux x86_64) Firefox/{number}.0" for number in range(120, 140))


class _Shop:
    """What repeats, encoded once."""

    def __init__(self, services: int, chance: random.Random) -> None:
        self.services = services
        self._chance = chance
        self._names = [_NAMES[number] if number < len(_NAMES) else f"service-{number}" for number in range(services)]
        self._kinds = [[self._pool(kind, service) for service in range(services)] for kind in range(4)]
        self._agents = [wire.text(_AT, b"user_agent.original", agent.encode()) for agent in _AGENTS]
        self._threads = [wire.attributes(_AT, [("thread.id", number), ("thread.name", f"worker-{number}")]) for number in range(16)]

    def shape(self) -> Shape:
        """Of all."""
        resources = [_resource(name, service) for service, name in enumerate(self._names)]
        return Shape(resources, wire.scope("shop.instrumentation", "2.4.1"), self.trace)

    def trace(self, number: int, start: int) -> list[Part]:
        """Ten spans."""
        chance = self._chance
        ids = chance.randbytes(16 + 8 * SPANS_A_TRACE)
        trace_id = ids[:16]
        span_ids = [ids[16 + 8 * each : 24 + 8 * each] for each in range(SPANS_A_TRACE)]
        where = [0, chance.randrange(1, self.services), chance.randrange(1, self.services)]
        failed = chance.choice((4, 5, 8)) if chance.random() < _ERROR_RATE * SPANS_A_TRACE / 3 else -1
        lasts = [int(1e6 * chance.lognormvariate(1, 1.1)) for _ in _KINDS]
        total = sum(lasts)
        parts = []
        at = start
        for each, kind in enumerate(_KINDS):
            service = where[_WHERE[each]]
            length = lasts[each] if kind in (_SQL, _INTERNAL) else total * (SPANS_A_TRACE - each) // SPANS_A_TRACE
            wrong = failed >= 0 and (each == failed or (each in (0, 2) and failed < 6) or (each in (0, 7) and failed > 6))
            rest = self._rest(kind, service, number, at, wrong)
            parent = span_ids[_TREE[each]] if each else b""
            parts.append(Part(service, wire.span(trace_id, span_ids[each], parent, at, at + length, rest)))
            at += lasts[each] // 3
        return parts

    def _rest(self, kind: int, service: int, number: int, at: int, wrong: bool) -> list[bytes]:
        chance = self._chance
        rest = [chance.choice(self._kinds[kind][service])]
        if kind == _SERVER:
            rest += (
                wire.integer(_AT, b"http.response.status_code", 500 if wrong else 200),
                wire.text(_AT, b"client.address", b"10.%d.%d.%d" % (chance.randrange(4), chance.randrange(40), chance.randrange(250))),
                chance.choice(self._agents),
                wire.text(_AT, b"user.id", b"u-%d" % int(chance.paretovariate(0.5) % 200_000)),
                wire.integer(_AT, b"http.response.body.size", chance.randrange(200, 60_000)),
            )
        elif kind == _CLIENT:
            rest += (chance.choice(self._threads), wire.integer(_AT, b"http.response.body.size", chance.randrange(200, 60_000)))
        elif kind == _SQL:
            rest += (
                chance.choice(self._threads),
                wire.integer(_AT, b"db.response.returned_rows", int(chance.paretovariate(1))),
            )
        else:
            rest += (
                chance.choice(self._threads),
                wire.text(_AT, b"order.id", b"o-%d" % (70_000_000 + number)),
                wire.integer(_AT, b"order.total_cents", chance.randrange(100, 50_000)),
            )
        if wrong:
            rest.append(_failure(at))
        return rest

    def _pool(self, kind: int, service: int) -> list[bytes]:
        """Names and the attributes that stand with them: eight operations a service and kind."""
        pool = []
        for number in range(8):
            table, verb = _TABLES[(number + service) % len(_TABLES)], _VERBS[number % len(_VERBS)]
            path = f"/api/v1/{self._names[service]}/{table}" + ("/{id}" if number % 2 else "")
            name, values = _described(kind, verb, path, table, service)
            pool.append(wire.operation(name, _OTLP_KINDS[kind]) + wire.attributes(_AT, values))
        return pool


def _described(kind: int, verb: str, path: str, table: str, service: int) -> tuple[str, list[tuple[str, wire.Value]]]:
    address: list[tuple[str, wire.Value]] = [("server.address", f"{table}.shop.internal"), ("server.port", 8080 if kind != _SQL else 5432)]
    match kind:
        case 0:
            return f"{verb} {path}", [
                ("http.request.method", verb), ("http.route", path), ("url.scheme", "https"), ("network.protocol.version", "1.1"), *address,
            ]  # fmt: skip
        case 1:
            return verb, [
                ("http.request.method", verb), ("url.full", f"http://{table}.shop.internal:8080{path}"), ("peer.service", table),
                ("network.peer.address", f"10.0.0.{service}"), ("http.response.status_code", 200), ("network.protocol.version", "1.1"),
                *address,
            ]  # fmt: skip
        case 2:
            return f"SELECT {table}", [
                ("db.system.name", "postgresql"), ("db.namespace", "shop"), ("db.operation.name", "SELECT"), ("db.collection.name", table),
                ("db.query.text", f"SELECT * FROM {table} WHERE {table}_id = $1 AND deleted_at IS NULL ORDER BY created_at DESC LIMIT 100"),
                ("network.peer.address", f"10.0.1.{service}"), *address,
            ]  # fmt: skip
        case _:
            return f"{table}.process", [
                ("code.function.name", f"shop.{table}.process"), ("code.file.path", f"/app/shop/{table}.py"),
                ("code.line.number", 42 + service), ("feature.new_prices", service % 2 == 0), ("cart.items", service % 7),
                ("user.tier", ("free", "basic", "gold")[service % 3]), ("shop.region", "eu-west-1"),
            ]  # fmt: skip


def _failure(at: int) -> bytes:
    status = Status(code=Status.STATUS_CODE_ERROR, message="upstream timed out").SerializeToString()
    event = Span.Event(time_unix_nano=at, name="exception")
    for key, value in (("exception.type", "TimeoutError"), ("exception.message", "upstream timed out after 5 s")):
        event.attributes.add(key=key).value.string_value = value
    return wire.field(11, event.SerializeToString()) + wire.field(15, status)


def shop(services: int, chance: random.Random) -> Shape:
    """The shop's."""
    return _Shop(services, chance).shape()


SHAPES: dict[str, Callable[[int, random.Random], Shape]] = {"tracegen": tracegen, "shop": shop}
SERVICES = {"tracegen": 10, "shop": 20}
