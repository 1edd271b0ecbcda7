"""Puts a run together: exporters for every service, the clock, and what ends it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tidegauge.errors import ConfigurationError, Unavailable
from tidegauge.simulate.engine import Engine, Options, Refresh, close_account
from tidegauge.simulate.exporters import Account, make_outlet, quiet_sdk
from tidegauge.simulate.malformed import BrokenSender
from tidegauge.simulate.report import Progress, Summary
from tidegauge.simulate.shop import SERVICES

EXPORT_TIMEOUT_SECONDS = 10.0  # the SDK's default


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send and how. ``endpoint`` is the base address without /v1/…; ``wait_seconds`` is for it to come up."""

    endpoint: str
    token: str | None = None
    protocol: str = "http/protobuf"
    wait_seconds: float = 10.0

    def headers(self) -> Mapping[str, str]:
        """Request headers."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@dataclass(slots=True)
class WallClock:
    """Real time; ``stop`` ends every wait."""

    stop: threading.Event = field(default_factory=threading.Event)

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()

    def wait_until(self, at_ns: int) -> bool:
        """Wait; whether the run is to stop."""
        return self.stop.wait(max(at_ns - time.time_ns(), 0) / 1e9)


def run(
    target: Target,
    options: Options,
    seed: int,
    *,
    malformed_otlp: bool = False,
    stop: threading.Event | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    refresh: Refresh | None = None,
) -> Summary:
    """Simulate; returns when it is over or ``stop`` is set. Not on an event loop's thread.

    Raises:
        ConfigurationError: the address or the protocol cannot be used.
        Unavailable: nothing answers at the address.

    """
    clock = WallClock(stop or threading.Event())
    endpoint = target.endpoint.rstrip("/")
    summary, account = Summary(seed, endpoint), Account()
    outlets = {service: make_outlet(endpoint, target.headers(), target.protocol, EXPORT_TIMEOUT_SECONDS, account) for service in SERVICES}
    wait_for(target, clock)
    broken = BrokenSender(endpoint, target.headers(), EXPORT_TIMEOUT_SECONDS, summary) if malformed_otlp else None
    engine = Engine(options, summary, outlets, account, clock, on_progress, broken.send if broken else None)
    with quiet_sdk():
        engine.run(refresh)
    close_account(summary, account)
    return summary


def wait_for(target: Target, clock: WallClock) -> None:
    """Return once something listens at the address.

    Raises:
        ConfigurationError: it is not an http or https address.
        Unavailable: nothing listened in time.

    """
    host, port = address(target.endpoint)
    ends_ns = clock.now_ns() + int(target.wait_seconds * 1e9)
    while True:
        try:
            socket.create_connection((host, port), timeout=max(target.wait_seconds, 1)).close()
        except OSError as error:
            if clock.wait_until(min(clock.now_ns() + 250_000_000, ends_ns)) or clock.now_ns() >= ends_ns:
                raise Unavailable(f"nothing answers at {target.endpoint}: {error}", hint="is `tidegauge up` running?") from error
        else:
            return


def address(endpoint: str) -> tuple[str, int]:
    """Host and port of an OTLP/HTTP base address. Raises ConfigurationError."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (KeyError, ValueError) as error:
        raise ConfigurationError(f"--endpoint={endpoint}: expected an address like http://127.0.0.1:4318") from error
    if not parts.hostname:
        raise ConfigurationError(f"--endpoint={endpoint}: expected an address like http://127.0.0.1:4318")
    return parts.hostname, port
