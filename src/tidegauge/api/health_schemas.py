"""What answers about health look like, for the OpenAPI document; see ``tidegauge.api.schemas``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from tidegauge.api.schemas import Time


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Health(_Model):
    """Whether the program runs."""

    status: Literal["ok"]


class Readiness(_Model):
    """Whether the program can do its work; `degraded`: part of it, while a dependency is away."""

    status: Literal["ok", "degraded"]
    checks: dict[str, str]


class Circuit(_Model):
    """The circuit breaker of a dependency. `failures` are those in a row; `opened_at` and `next_probe_at` stand where it is not closed."""

    dependency: str
    state: Literal["closed", "open", "half_open"]
    failures: int
    opened_at: Time | None
    next_probe_at: Time | None
    last_error: str


class Circuits(_Model):
    """The circuit breakers of the process that answers; each worker has its own."""

    process: int
    circuits: list[Circuit]
