"""Parameters of log queries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import Field

from tidegauge.api.formats import AttributesForm
from tidegauge.api.parameters import DURATIONS, TIMES, PageParameters, Parameters, TimeParameters
from tidegauge.errors import InvalidArgument
from tidegauge.model.query import LogFilter, Order, TimeRange, check_step
from tidegauge.query import logs, times
from tidegauge.query.matchers import ATTRIBUTE_FORM, parse_attributes
from tidegauge.query.traces import parse_span_id, parse_trace_id

_MAX_TEXT = 2000


class OrderForm(Enum):
    """Which way a page goes."""

    DESC = "desc"
    ASC = "asc"

    @property
    def order(self) -> Order:
        """As stores know it."""
        return Order(self.value)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a filter asks for, but for its time."""

    values: dict[str, Any]

    def within(self, time: TimeRange) -> LogFilter:
        """The filter in a time range."""
        return LogFilter(time=time, **self.values)


class SpanlessParameters(Parameters):
    """Conditions on log records, but for the trace and span that a path may name."""

    text: str | None = Field(
        None,
        max_length=_MAX_TEXT,
        description='words that the body must hold, in any order; "several words" in quotes as a phrase; or; -not',
        examples=["payment declined"],
    )
    severity: str | None = Field(
        None, description="trace, debug, info, warn, error or fatal (each four of OTLP's numbers), error2, or a number", examples=["error"]
    )
    min_severity: str | None = Field(None, description="this severity or above; forms as for severity", examples=["warn"])
    service: str | None = Field(None, description="service.name", examples=["cart"])
    correlation_id: str | None = Field(
        None, description="value of the attribute correlation_id, correlation.id or x-correlation-id", examples=["b7c1"]
    )
    attribute: list[str] = Field(
        default_factory=list, description=f"may be repeated, then all must hold: {ATTRIBUTE_FORM}", examples=[["http.route=/cart"]]
    )

    def conditions(self, trace_id: str | None = None, span_id: str | None = None) -> Conditions:
        """The conditions; ids are hexadecimal. Raises InvalidArgument where one cannot be read."""
        lowest, highest = self._severities()
        return Conditions(
            {
                "text": self._text(),
                "min_severity": lowest,
                "max_severity": highest,
                "service": self.service,
                "trace_id": None if trace_id is None else parse_trace_id(trace_id),
                "span_id": None if span_id is None else parse_span_id(span_id),
                "correlation_id": self.correlation_id,
                "attributes": parse_attributes(self.attribute),
            }
        )

    def _severities(self) -> tuple[int | None, int | None]:
        if self.severity is not None and self.min_severity is not None:
            raise InvalidArgument("severity and min_severity exclude each other", hint="leave one of them out", parameter="min_severity")
        if self.severity is not None:
            return logs.parse_severity(self.severity, "severity")
        return (None if self.min_severity is None else logs.parse_severity(self.min_severity, "min_severity")[0]), None

    def _text(self) -> str | None:
        if self.text is not None and not self.text.strip():
            raise InvalidArgument("text holds no word", hint="leave it out, or say what to look for", parameter="text")
        return self.text


class FilterParameters(SpanlessParameters):
    """Conditions on log records."""

    trace_id: str | None = Field(None, description="32 hexadecimal digits")
    span_id: str | None = Field(None, description="16 hexadecimal digits")

    def filter(self) -> Conditions:
        """All conditions. Raises InvalidArgument where one cannot be read."""
        return self.conditions(self.trace_id, self.span_id)


class FormParameters(Parameters):
    """How attributes are written."""

    attributes: AttributesForm = Field(AttributesForm.TYPED, description="`typed`: OTLP/JSON, lossless; `map`: plain JSON, for convenience")


class SearchParameters(PageParameters, FilterParameters, FormParameters):
    """Parameters of a search."""

    order: OrderForm = Field(
        OrderForm.DESC, description="`desc`: newest first; `asc`: oldest first. With `cursor` and the other order, a search goes back"
    )


class TraceLogsParameters(PageParameters, SpanlessParameters, FormParameters):
    """Parameters of the records of a trace, which is looked for at all times."""

    start: str = Field("1970-01-01", description=f"first moment: {TIMES}")
    end: str = Field("now+1d", description="first moment behind the range; forms as for start")
    order: OrderForm = Field(OrderForm.ASC, description="`asc`: oldest first; `desc`: newest first")


class CountParameters(TimeParameters, FilterParameters):
    """Parameters of counts."""

    step: str | None = Field(
        None,
        description=f"{DURATIONS}, in whole milliseconds. Steps begin at its multiples since the Unix epoch; the range is widened to whole "
        "steps. By default one that makes some 250 steps",
        examples=["1m"],
    )

    def step_ns(self) -> int | None:
        """The step, None for a fitting one."""
        return None if self.step is None else check_step(times.parse_duration(self.step, "step"))


class TopParameters(TimeParameters, FilterParameters):
    """Parameters of the most frequent values."""

    field: str = Field(description=logs.FIELD_FORM, examples=["service", "attributes.http.route"])
    limit: int = Field(10, ge=1, le=1000, description="most values")


class ContextParameters(FilterParameters, FormParameters):
    """Parameters of a record's neighbours."""

    before: int = Field(10, ge=0, le=1000, description="how many records before it")
    after: int = Field(10, ge=0, le=1000, description="how many records after it")


class DeleteParameters(FilterParameters):
    """Parameters of a deletion: a time range has to be named."""

    start: str = Field(description=f"first moment: {TIMES}", examples=["2026-01-31T12:00:00Z"])
    end: str = Field(description="first moment behind the range; forms as for start", examples=["now-1d"])

    def time(self, now_ns: int) -> TimeRange:
        """The range."""
        return times.parse_range(self.start, self.end, now_ns)


class TailParameters(FilterParameters, FormParameters):
    """Parameters of a live tail."""
