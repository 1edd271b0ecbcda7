"""What a user request consists of before any SDK sees it: steps in a tree, with events, logs and measurements.

A plan depends on the seed alone; its times are nanoseconds since the request's start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import TypeAlias

from tidegauge.simulate.shop import Service

Value: TypeAlias = "str | bool | int | float | Sequence[str] | Sequence[int]"
Attributes: TypeAlias = dict[str, Value]
MILLISECOND = 1_000_000


class Outcome(Enum):
    """How a request ends for its user."""

    SUCCESS = "success"
    ERROR = "error"
    SLOW = "slow"
    MALFORMED = "malformed"


class Kind(Enum):
    """OpenTelemetry's span kinds."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Severity(Enum):
    """The severities the shop logs with; values are OpenTelemetry's severity numbers."""

    DEBUG = 5
    INFO = 9
    WARN = 13
    ERROR = 17


@dataclass(frozen=True, slots=True)
class Event:
    """A span event; ``position`` is where in the step it happens, 0 to 1."""

    name: str
    attributes: Attributes
    position: float = 0.5


@dataclass(frozen=True, slots=True)
class Log:
    """A log record written during a step; ``position`` as for events."""

    severity: Severity
    body: str
    attributes: Attributes
    position: float = 0.5


@dataclass(frozen=True, slots=True)
class Measurement:
    """A value for one of the shop's own instruments, taken when its step ends."""

    instrument: str
    value: float
    attributes: Attributes


@dataclass(slots=True)
class Step:
    """A span to be: ``own_ns`` of work around its children, which run one after the other."""

    service: Service
    name: str
    kind: Kind
    own_ns: int
    span_id: int
    attributes: Attributes
    children: list[Step] = field(default_factory=list)
    error: str | None = None
    """the status message where the step failed"""
    events: list[Event] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    start_ns: int = 0
    duration_ns: int = 0

    def lay_out(self, start_ns: int) -> int:
        """Give this step and all below it their times; returns when it ends."""
        self.start_ns = start_ns
        now = start_ns + self.own_ns // 2
        for child in self.children:
            now = child.lay_out(now)
        self.duration_ns = now + self.own_ns - self.own_ns // 2 - start_ns
        return self.end_ns

    @property
    def end_ns(self) -> int:
        """When it ends."""
        return self.start_ns + self.duration_ns

    def at(self, position: float) -> int:
        """The time at a share of the step."""
        return self.start_ns + int(self.duration_ns * position)

    def walk(self) -> Iterator[Step]:
        """The step itself and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(slots=True)
class Request:
    """A trace to be. ``linked`` is (trace id, span id) of what caused it, where that was another trace."""

    trace_id: int
    outcome: Outcome
    root: Step
    offset_ns: int = 0
    """start since the start of its batch"""
    linked: tuple[int, int] | None = None

    @property
    def end_ns(self) -> int:
        """End since the start of its batch."""
        return self.offset_ns + self.root.end_ns


class Builder:
    """Makes steps with ids and durations from one random generator."""

    def __init__(self, random: Random, outcome: Outcome) -> None:
        self.random = random
        self.outcome = outcome
        self.trace_id = random.getrandbits(128) or 1
        self.user = f"user-{random.randrange(5000):04d}"

    def step(self, service: Service, name: str, kind: Kind, milliseconds: float, attributes: Attributes) -> Step:
        """A step whose own time scatters around ``milliseconds``."""
        own = max(int(self.random.lognormvariate(0, 0.35) * milliseconds * MILLISECOND), 1000)
        return Step(service, name, kind, own, self.random.getrandbits(64) or 1, attributes)

    def server(self, service: Service, method: str, route: str, path: str, status: int, *children: Step) -> Step:
        """The server side of an HTTP call (semantic conventions, "HTTP server"): 5xx is an error, 4xx is not."""
        attributes: Attributes = {
            "http.request.method": method,
            "url.scheme": "http",
            "url.path": path,
            "http.route": route,
            "http.response.status_code": status,
            "network.protocol.version": "1.1",
            "server.address": service.name,
            "server.port": service.port,
        }
        step = self.step(service, f"{method} {route}", Kind.SERVER, 2.0, attributes)
        step.children.extend(children)
        if status >= 500:
            attributes["error.type"] = str(status)
            step.error = ""
        return step

    def call(self, caller: Service, server: Step) -> Step:
        """The client side around ``server`` (semantic conventions, "HTTP client"): 4xx and 5xx are errors."""
        sent = server.attributes
        status = sent["http.response.status_code"]
        assert isinstance(status, int)
        attributes: Attributes = {
            "http.request.method": sent["http.request.method"],
            "url.full": f"http://{server.service.name}:{server.service.port}{sent['url.path']}",
            "server.address": server.service.name,
            "server.port": server.service.port,
            "http.response.status_code": status,
            "network.protocol.version": "1.1",
        }
        step = self.step(caller, str(sent["http.request.method"]), Kind.CLIENT, 1.2, attributes)
        step.children.append(server)
        if status >= 400:
            attributes["error.type"] = str(status)
            step.error = ""
        return step

    def database(self, service: Service, system: str, operation: str, target: str, milliseconds: float) -> Step:
        """A database call (semantic conventions, "Database client")."""
        attributes: Attributes = {
            "db.system.name": system,
            "db.namespace": service.name,
            "db.operation.name": operation,
            "db.collection.name": target,
            "server.address": f"{system}.shop.internal",
        }
        return self.step(service, f"{operation} {target}", Kind.CLIENT, milliseconds, attributes)


def fail(step: Step, exception: str, message: str, position: float = 0.9) -> None:
    """Let ``step`` end with an exception: event, ERROR status and a log (semantic conventions, "Exceptions")."""
    details: Attributes = {
        "exception.type": exception,
        "exception.message": message,
        "exception.stacktrace": _stacktrace(step.service, exception, message),
    }
    step.error = message
    step.attributes["error.type"] = exception
    step.events.append(Event("exception", details, position))
    step.logs.append(Log(Severity.ERROR, f"{step.name} failed: {message}", details, position))


def _stacktrace(service: Service, exception: str, message: str) -> str:
    return (
        "Traceback (most recent call last):\n"
        f'  File "/app/{service.name}/handlers.py", line 112, in handle\n'
        "    return await self.next(request)\n"
        f'  File "/app/{service.name}/backend.py", line 57, in next\n'
        "    return self.pool.run(request)\n"
        f"{exception}: {message}"
    )
