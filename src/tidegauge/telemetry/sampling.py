"""Gauges: how to read each part of the program, every second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from tidegauge.health.circuits import Circuit, State
from tidegauge.telemetry import catalogue
from tidegauge.telemetry.metrics import Metrics, Sample


class Pool(Protocol):
    """Connections in use, idle and wanted; the most there may be."""

    @property
    def limit(self) -> int:
        """The most there may be."""

    def usage(self) -> tuple[int, int, int]:
        """(in use, idle, waiting for one)."""
        ...


def pool_sample(metrics: Metrics, name: str, pool: Pool) -> Sample:
    """What tells of a pool of connections."""
    in_use, idle = (metrics.gauge(catalogue.POOL_CONNECTIONS, name, state) for state in ("in_use", "idle"))
    waiting = metrics.gauge(catalogue.POOL_WAITING, name)
    metrics.gauge(catalogue.POOL_LIMIT, name).set(pool.limit)

    def sample() -> None:
        for gauge, value in zip((in_use, idle, waiting), pool.usage(), strict=True):
            gauge.set(value)

    return sample


def circuit_sample(metrics: Metrics, circuits: Iterable[Circuit]) -> Sample:
    """What tells of circuit breakers."""
    circuits = tuple(circuits)
    opened = dict.fromkeys(circuits, 0)

    def sample() -> None:
        for circuit in circuits:
            for state in State:
                metrics.gauge(catalogue.CIRCUIT_STATE, circuit.dependency, state.value).set(state is circuit.state)
            metrics.counter(catalogue.CIRCUIT_OPENED, circuit.dependency).inc(circuit.opened - opened[circuit])
            opened[circuit] = circuit.opened

    return sample


class Queue(Protocol):
    """What waits for its commit."""

    @property
    def pending_bytes(self) -> int:
        """Between arrival and commit."""

    @property
    def queued_requests(self) -> int:
        """Of which no commit has begun."""


class Listening(Protocol):
    """A server."""

    @property
    def open_connections(self) -> int:
        """How many there are."""


def connections_sample(metrics: Metrics, servers: Mapping[str, Listening]) -> Sample:
    """What tells how many connections servers, by their names, have."""
    gauges = {name: metrics.gauge(catalogue.HTTP_CONNECTIONS, name) for name in servers}

    def sample() -> None:
        for name, server in servers.items():
            gauges[name].set(server.open_connections)

    return sample


def ingest_sample(metrics: Metrics, queues: Iterable[Queue]) -> Sample:
    """What tells how much waits for its commit."""
    pending, queued = metrics.gauge(catalogue.INGEST_PENDING), metrics.gauge(catalogue.INGEST_QUEUED)
    queues = tuple(queues)

    def sample() -> None:
        pending.set(sum(queue.pending_bytes for queue in queues))
        queued.set(sum(queue.queued_requests for queue in queues))

    return sample


class Tail(Protocol):
    """Those who follow logs."""

    @property
    def followers(self) -> int:
        """How many there are."""


def tail_sample(metrics: Metrics, tail: Tail) -> Sample:
    """What tells how many follow logs."""
    gauge = metrics.gauge(catalogue.TAILS)
    return lambda: gauge.set(tail.followers)
