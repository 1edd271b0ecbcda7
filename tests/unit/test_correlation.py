"""Ids of a request: taken, made, passed on."""

from __future__ import annotations

import asyncio
import re

import pytest

from tidegauge import correlation
from tidegauge.correlation import Correlation

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def of(**headers: str) -> Correlation:
    return correlation.of_headers([(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()])


def test_what_a_caller_names_is_taken() -> None:
    found = of(traceparent=f"00-{TRACE}-{SPAN}-01", x_correlation_id="order/4711", x_request_id="r-1")
    assert (found.trace_id, found.parent_span_id, found.sampled) == (TRACE, SPAN, True)
    assert (found.correlation_id, found.request_id) == ("order/4711", "r-1")
    assert found.span_id != SPAN


def test_what_is_missing_is_made_and_differs_each_time() -> None:
    one, another = of(), of()
    assert re.fullmatch("[0-9a-f]{32}", one.trace_id)
    assert re.fullmatch("[0-9a-f]{16}", one.span_id)
    assert one.sampled is None
    assert not {one.trace_id, one.span_id, one.request_id} & {another.trace_id, another.span_id, another.request_id}


def test_the_request_is_its_own_correlation_where_the_caller_names_none() -> None:
    assert of(x_request_id="r-1").correlation_id == "r-1"
    assert of(x_correlation_id="c-1").request_id != "c-1"


@pytest.mark.parametrize("value", ["", " ", "a b", "x" * 129, "ä", "a\r\nset-cookie: b", '"quoted"', "<b>", "\x1b[31m", "a,b"])
def test_an_id_that_could_do_harm_is_replaced(value: str) -> None:
    found = of(x_correlation_id=value, x_request_id=value)
    assert value not in (found.correlation_id, found.request_id)
    assert re.fullmatch("[0-9a-f]{32}", found.request_id)


@pytest.mark.parametrize(
    "value",
    [
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        TRACE,
    ],
)
def test_a_malformed_traceparent_begins_a_trace_of_its_own(value: str) -> None:
    found = of(traceparent=value)
    assert found.trace_id != TRACE
    assert found.parent_span_id == ""


def test_a_later_version_of_traceparent_is_read_as_far_as_it_is_known() -> None:
    assert of(traceparent=f"01-{TRACE}-{SPAN}-00-more").trace_id == TRACE


def test_a_header_that_stands_twice_is_none() -> None:
    found = correlation.of_headers([(b"x-request-id", b"a"), (b"x-request-id", b"b")])
    assert found.request_id not in ("a", "b")


def test_what_is_asked_in_turn_carries_it_all() -> None:
    assert correlation.outgoing() == {}
    found = of(traceparent=f"00-{TRACE}-{SPAN}-00", x_correlation_id="c")
    with correlation.correlated(found):
        sent = correlation.outgoing()
    assert sent == {"traceparent": f"00-{TRACE}-{found.span_id}-00", "x-correlation-id": "c", "x-request-id": found.request_id}
    assert correlation.current() is None


async def test_requests_at_the_same_time_do_not_see_one_another() -> None:
    async def work(number: int) -> str:
        with correlation.correlated(of(x_request_id=f"r-{number}")):
            await asyncio.sleep(0)
            return correlation.outgoing()["x-request-id"]

    assert await asyncio.gather(*map(work, range(3))) == ["r-0", "r-1", "r-2"]
