"""Spans by step of time: how many, how many failed, how long."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class RateKey(Enum):
    """What spans are grouped by."""

    SERVICE = "service"
    OPERATION = "operation"
    KIND = "kind"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class RateFilter:
    """Which spans; None for any. ``operation`` is a name as rollups have it: names beyond the limit of an application are ``_other``."""

    service: str | None = None
    operation: str | None = None
    kind: int | None = None
    status_code: int | None = None


@dataclass(frozen=True, slots=True)
class RateColumn:
    """A group's steps in order, those without spans left out; what it is not grouped by is "" or 0. Durations below 0 count as 0."""

    service: str
    operation: str
    kind: int
    status_code: int
    times: tuple[int, ...]
    counts: tuple[int, ...]
    errors: tuple[int, ...]
    duration_sums_ns: tuple[int, ...]
    duration_mins_ns: tuple[int, ...]
    duration_maxs_ns: tuple[int, ...]
