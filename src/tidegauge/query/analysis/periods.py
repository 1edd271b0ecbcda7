"""Two periods compared: what each operation's rate, errors and duration were, and what changed most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from tidegauge.model.analysis import Red

Key = tuple[str, str | None]


class Impact(Enum):
    """What changes are ordered by, the greatest first, whichever way it went.

    ``time``: seconds of work a second that requests take more (or less) by each taking longer: the later rate times the change of the
    mean; of what was or is not called at all, its whole time. ``errors``: failed requests a second. ``rate``: requests a second.
    """

    TIME = "time"
    ERRORS = "errors"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Change:
    """An operation in both periods, None where it was not called. Impacts are signed: positive is more in the later period."""

    service: str
    operation: str | None
    before: Red | None
    after: Red | None
    impacts: dict[Impact, float]


def compare(before: Iterable[Red], before_seconds: float, after: Iterable[Red], after_seconds: float, by: Impact) -> list[Change]:
    """Every operation of either period, by impact; equal ones by name."""
    ones = {_key(red): red for red in before}
    others = {_key(red): red for red in after}
    changes = [
        _change(key, ones.get(key), before_seconds, others.get(key), after_seconds)
        for key in sorted(ones.keys() | others.keys(), key=_order)
    ]
    return sorted(changes, key=lambda change: -abs(change.impacts[by]))


def _key(red: Red) -> Key:
    return red.service, red.operation


def _order(key: Key) -> tuple[str, str]:
    return key[0], key[1] or ""


def _change(key: Key, before: Red | None, before_seconds: float, after: Red | None, after_seconds: float) -> Change:
    impacts = {
        Impact.TIME: _time(before, before_seconds, after, after_seconds),
        Impact.ERRORS: _rate(after, after_seconds, "errors") - _rate(before, before_seconds, "errors"),
        Impact.RATE: _rate(after, after_seconds, "count") - _rate(before, before_seconds, "count"),
    }
    return Change(*key, before, after, impacts)


def _rate(red: Red | None, seconds: float, what: str) -> float:
    return 0.0 if red is None else getattr(red, what) / seconds


def _time(before: Red | None, before_seconds: float, after: Red | None, after_seconds: float) -> float:
    if before is None or after is None:
        return _rate(after, after_seconds, "duration_sum_ns") / 1e9 - _rate(before, before_seconds, "duration_sum_ns") / 1e9
    slower = after.duration_sum_ns / after.count - before.duration_sum_ns / before.count
    return _rate(after, after_seconds, "count") * slower / 1e9
