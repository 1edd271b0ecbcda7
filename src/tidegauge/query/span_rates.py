"""Use case: spans by step, from the coarsest rollups that give the numbers of the spans themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import TimeRange
from tidegauge.model.span_rates import RateColumn, RateFilter, RateKey
from tidegauge.model.tiers import Family, Steps
from tidegauge.query.metrics import MOST_VALUES, Limits, check_points, default_step
from tidegauge.query.plan import Meta, plan
from tidegauge.query.times import steps_of
from tidegauge.storage.tier_interface import SpanRateStore, TierStore


@dataclass(frozen=True, slots=True)
class RateQuestion:
    """Spans of a filter by step and group; ``step_ns`` None for a round one, ``zone`` as for metrics."""

    wanted: RateFilter
    time: TimeRange
    step_ns: int | None
    group_by: Sequence[RateKey]
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class RateAnswer:
    """Groups, the whole steps that were read, and what the answer is worth."""

    steps: Steps
    columns: tuple[RateColumn, ...]
    meta: Meta


async def read_rates(store: SpanRateStore, tiers: TierStore, tenant_id: int, question: RateQuestion, limits: Limits) -> RateAnswer:
    """The rates.

    Raises:
        InvalidArgument: too many groups or steps.

    """
    step_ns = question.step_ns or default_step(question.time)
    check_points((question.time.end_ns - question.time.start_ns) // step_ns, limits)
    steps = steps_of(question.time, step_ns, question.zone)
    check_points(len(steps.edges) - 1, limits)
    planned = plan(steps, await tiers.states(Family.SPANS))
    found = await store.rates(tenant_id, question.wanted, planned.reading, question.group_by, MOST_VALUES)
    if len(found) > limits.series:
        hint = "narrow the spans by service=, operation=, kind= or status=, or group them by less"
        raise InvalidArgument(f"more than {limits.series} groups match", hint=hint, parameter="group_by")
    return RateAnswer(steps, tuple(found), planned.meta)
