"""Searches for spans and traces against a slow reference over the spans that were sent: any filters, orders and page sizes."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.query.conftest import HOUR_NS, Client, resource, span, text

SEARCH = "/api/v1/traces"
MINUTE_NS = 60_000_000_000
Sent = dict[str, Any]


@dataclass
class Reference:
    """What was sent, and what a search for it finds."""

    prefix: str
    start_ns: int
    spans: list[Sent] = field(default_factory=list)

    @property
    def time(self) -> dict[str, str]:
        """Parameters."""
        return {"start": str(self.start_ns), "end": str(self.start_ns + 4 * HOUR_NS)}

    def find(self, accepts: Callable[[Sent], bool], order: str) -> list[Sent]:
        """Spans in order."""
        found = [one for one in self.spans if accepts(one)]
        by_time = {"key": lambda one: (one["start"] // 1000, one["start"] % 1000, one["trace"], _signed(one["span"])), "reverse": True}
        found.sort(**by_time)
        if order == "slowest":
            found.sort(key=lambda one: one["duration"], reverse=True)
        return found

    def traces(self, accepts: Callable[[Sent], bool], order: str) -> list[str]:
        """Trace ids in order."""
        found = list(dict.fromkeys(one["trace"] for one in self.find(accepts, order)))
        if order == "newest":
            began = {one: min(each["start"] // 1000 for each in self.spans if each["trace"] == one) for one in found}
            found.sort(key=lambda one: (began[one], one), reverse=True)
        return found


def _signed(span_id: int) -> int:
    return span_id - (1 << 64) if span_id >> 63 else span_id


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": value}


def _attributes(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in found.items()]


def _random_span(rng: random.Random, reference: Reference, trace: str, began: int) -> Sent:
    choices = {
        "code": [200, 404, 500, "200", 500.5],
        "route": ["/cart", "/cart/1", "/über", 'a"b\\c', "line\nbreak"],
        "ok": [True, False, "true"],
        "list": [[200, 404]],
        "resource:x": ["odd"],
    }
    events = [
        {
            "name": "exception",
            "exception.type": rng.choice(["TimeoutError", "KeyError"]),
            "exception.message": rng.choice(["no answer", "x"]),
        }
        for _ in range(rng.choice([0, 0, 1, 2]))
    ]
    # Few durations and times, so that there are ties.
    return {
        "trace": trace,
        "span": rng.getrandbits(64) or 1,
        "service": f"{reference.prefix}-{rng.randrange(3)}",
        "host": rng.choice(["web-1", "web-2"]),
        "scope": rng.choice(["lib-a", "lib-b"]),
        "name": rng.choice(["GET /cart", "work", "Save"]),
        "kind": rng.randrange(1, 4),
        "status": rng.choice([0, 0, 1, 2]),
        "message": rng.choice(["", "Timeout of gateway"]),
        "start": began + rng.choice([0, 1000, 1500, rng.randrange(10_000_000_000)]),
        "duration": rng.choice([1000, 5000, 5000, rng.randrange(1, 10_000_000_000)]),
        "attributes": {key: rng.choice(values) for key, values in choices.items() if rng.random() < 0.6},
        "events": events,
    }


def _otlp(one: Sent) -> dict[str, Any]:
    sent = span(one["trace"], one["span"], one["start"], name=one["name"], kind=one["kind"])
    sent["endTimeUnixNano"] = str(one["start"] + one["duration"])
    sent["status"] = {"code": one["status"], "message": one["message"]}
    sent["attributes"] = _attributes(one["attributes"])
    sent["events"] = [
        {
            "timeUnixNano": str(one["start"]),
            "name": event["name"],
            "attributes": _attributes({k: v for k, v in event.items() if k != "name"}),
        }
        for event in one["events"]
    ]
    attributes = [*resource(one["service"])["attributes"], text("host.name", one["host"])]
    scope = {"name": "s", "attributes": [text("lib", one["scope"])]}
    return {"resource": {"attributes": attributes}, "scopeSpans": [{"scope": scope, "spans": [sent]}]}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sent(client: Client, base_ns: int) -> Reference:
    """Traces of up to nine spans over four hours, some with parts hours apart; a part of it comes when rollups are made already."""
    rng = random.Random(11)
    reference = Reference(f"s{uuid.uuid4().hex[:8]}", base_ns)
    for number in range(60):
        began = base_ns + rng.choice([0, 13 * MINUTE_NS, HOUR_NS, 3 * HOUR_NS]) + rng.choice([0, 0, number * 1_000_000_000])
        trace = uuid.UUID(int=rng.getrandbits(128)).hex
        for _ in range(rng.randrange(1, 9)):
            reference.spans.append(_random_span(rng, reference, trace, began))
        if number % 10 == 0:
            reference.spans.append(_random_span(rng, reference, trace, base_ns + rng.choice([2, 3]) * HOUR_NS))
    rng.shuffle(reference.spans)
    for part in range(0, len(reference.spans), 40):
        await client.send("traces", [_otlp(one) for one in reference.spans[part : part + 40]])
        if part == 160:
            await client.refresh(base_ns - HOUR_NS, base_ns + 4 * HOUR_NS)
    return reference


async def pages(client: Client, listed: str, limit: int, **parameters: Any) -> list[dict[str, Any]]:
    """All rows, page by page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await client.get(SEARCH, limit=limit, **parameters, **cursor)
        assert page["meta"]["complete"]
        assert len(page[listed]) == limit or page["next_cursor"] is None
        found += page[listed]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equals(*wanted: Any) -> Callable[[Any], bool]:
    return lambda value: any(value == one and isinstance(value, bool) is isinstance(one, bool) for one in wanted)


def _on_span(key: str, holds: Callable[[Any], bool]) -> Callable[[Sent], bool]:
    return lambda one: key in one["attributes"] and holds(one["attributes"][key])


def _on_events(conditions: list[tuple[str, str, Callable[[Any], bool]]]) -> Callable[[Sent], bool]:
    return lambda one: any(all(holds(event[key]) for _, key, holds in conditions) for event in one["events"])


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value, re.DOTALL) is not None


CONDITIONS: list[tuple[str, Callable[[Sent], bool]]] = [
    ("code=200", _on_span("code", _equals(200, "200"))),
    ('code="200"', _on_span("code", _equals("200"))),
    ("code!=200", _on_span("code", lambda value: not _equals(200, "200")(value))),
    ("code>=500", _on_span("code", lambda value: _number(value) and value >= 500)),
    ("code<404.5", _on_span("code", lambda value: _number(value) and value < 404.5)),
    ("code", _on_span("code", lambda _: True)),
    ("!code", lambda one: "code" not in one["attributes"]),
    ("route=~/cart.*", _on_span("route", _matches("/cart.*"))),
    ("route=~.*[bü].*", _on_span("route", _matches(".*[bü].*"))),
    ("route!~/.*", _on_span("route", lambda value: not _matches("/.*")(value))),
    ('route="a\\"b\\\\c"', _on_span("route", _equals('a"b\\c'))),
    ("ok=true", _on_span("ok", _equals(True, "true"))),
    ("span:ok!=true", _on_span("ok", lambda value: not _equals(True, "true")(value))),
    ("list=200", lambda _: False),
    ('"resource:x"=odd', _on_span("resource:x", _equals("odd"))),
    ("resource:host.name=web-1", lambda one: one["host"] == "web-1"),
    ("resource:host.name!=web-1", lambda one: one["host"] != "web-1"),
    ("scope:lib=~lib-[ab]", lambda _: True),
    ("scope:lib=lib-b", lambda one: one["scope"] == "lib-b"),
]
EVENTS: list[tuple[str, str, Callable[[Any], bool]]] = [
    ("event:exception.type=KeyError", "exception.type", _equals("KeyError")),
    ("event:exception.message=~no .*", "exception.message", _matches("no .*")),
]
FIELDS: list[tuple[dict[str, str], Callable[[Sent], bool]]] = [
    ({"operation": "work"}, lambda one: one["name"] == "work"),
    ({"kind": "server"}, lambda one: one["kind"] == 2),
    ({"status": "error"}, lambda one: one["status"] == 2),
    ({"min_duration": "5000ns"}, lambda one: one["duration"] >= 5000),
    ({"min_duration": "5s"}, lambda one: one["duration"] >= 5_000_000_000),
    ({"max_duration": "5us"}, lambda one: one["duration"] <= 5000),
    (
        {"text": "TIMEOUT"},
        lambda one: "timeout" in one["message"].lower() or any("timeout" in event["exception.type"].lower() for event in one["events"]),
    ),
    ({"text": "no answer"}, lambda one: any("no answer" in event["exception.message"] for event in one["events"])),
    ({"text": "get /"}, lambda one: one["name"] == "GET /cart"),
]


def _question(rng: random.Random, reference: Reference) -> tuple[dict[str, Any], Callable[[Sent], bool]]:
    service = f"{reference.prefix}-{rng.randrange(3)}"
    chosen = rng.sample(CONDITIONS, rng.choice([0, 0, 1, 1, 2]))
    events = rng.sample(EVENTS, rng.choice([0, 0, 0, 1, 2]))
    fields = rng.sample(FIELDS, rng.choice([0, 1, 1, 2]))
    if {"min_duration": "5s"} in [given for given, _ in fields]:
        # A least duration above the greatest is refused.
        fields = [(given, holds) for given, holds in fields if "max_duration" not in given]
    parameters: dict[str, Any] = {"service": service, "attribute": [one[0] for one in chosen] + [one[0] for one in events]}
    for given, _ in fields:
        parameters |= given
    # Of two fields of the same name the later one counts.
    kept = {next(iter(given)): holds for given, holds in fields}
    tests = [holds for _, holds in chosen] + list(kept.values()) + ([_on_events(events)] if events else [])
    return parameters, lambda one: one["service"] == service and all(holds(one) for holds in tests)


@pytest.mark.parametrize("order", ["newest", "slowest"])
async def test_spans_are_those_of_a_slow_reference(client: Client, sent: Reference, order: str) -> None:
    rng = random.Random(f"spans {order}")
    for _ in range(30):
        parameters, accepts = _question(rng, sent)
        found = await pages(client, "spans", rng.choice([2, 7, 50, 50]), order=order, **sent.time, **parameters)
        wanted = [(one["trace"], f"{one['span']:016x}") for one in sent.find(accepts, order)]
        assert [(one["trace_id"], one["span_id"]) for one in found] == wanted, parameters


@pytest.mark.parametrize("order", ["newest", "slowest"])
async def test_traces_are_those_of_a_slow_reference(client: Client, sent: Reference, order: str) -> None:
    rng = random.Random(f"traces {order}")
    for _ in range(12):
        parameters, accepts = _question(rng, sent)
        found = await pages(client, "traces", rng.choice([2, 7, 50]), order=order, view="traces", **sent.time, **parameters)
        assert [one["trace_id"] for one in found] == sent.traces(accepts, order), parameters


async def test_a_summary_tells_of_the_whole_trace(client: Client, sent: Reference) -> None:
    for row in await pages(client, "traces", 50, view="traces", service=f"{sent.prefix}-1", **sent.time):
        spans = [one for one in sent.spans if one["trace"] == row["trace_id"]]
        assert (row["span_count"], row["error_count"]) == (len(spans), sum(one["status"] == 2 for one in spans))
        assert row["services"] == sorted({one["service"] for one in spans})
        # Parts of the index are of whole microseconds.
        lasted = max(one["start"] + one["duration"] for one in spans) - min(one["start"] for one in spans)
        assert abs(row["duration_ns"] - lasted) <= 2000


async def test_filters_of_whole_traces(client: Client, sent: Reference) -> None:
    def traces(holds: Callable[[list[Sent]], bool]) -> set[str]:
        ids = {one["trace"] for one in sent.spans}
        return {trace for trace in ids if holds([one for one in sent.spans if one["trace"] == trace])}

    everything = {"view": "traces", **sent.time}
    ours = {one["trace"] for one in sent.spans}
    for parameters, holds in (
        ({"errors": "true"}, lambda spans: any(one["status"] == 2 for one in spans)),
        ({"errors": "false"}, lambda spans: all(one["status"] != 2 for one in spans)),
        (
            {"min_trace_duration": "1h"},
            lambda spans: max(one["start"] + one["duration"] for one in spans) - min(one["start"] for one in spans) >= HOUR_NS,
        ),
    ):
        found = [row["trace_id"] for row in await pages(client, "traces", 50, **everything, **parameters)]
        assert len(found) == len(set(found))
        assert set(found) & ours == traces(holds)


async def test_what_arrives_between_two_pages_neither_repeats_nor_hides_anything(client: Client, name: str, base_ns: int) -> None:
    traces = [f"{number:032x}" for number in range(1, 13)]
    start = base_ns + HOUR_NS
    await client.send_spans(name, [span(trace, 1, start + number * 1_000_000) for number, trace in enumerate(traces)])
    for order in ("newest", "slowest"):
        spans, listed, late = [], [], 100
        of_spans: dict[str, str] = {}
        of_traces: dict[str, str] = {}
        common = {"service": name, "start": str(base_ns), "order": order, "limit": 2}
        for _ in range(6):
            page = await client.get(SEARCH, **common, **of_spans)
            spans += [(one["trace_id"], one["span_id"]) for one in page["spans"]]
            of_spans = {"cursor": page["next_cursor"]}
            page = await client.get(SEARCH, view="traces", **common, **of_traces)
            listed += [one["trace_id"] for one in page["traces"]]
            of_traces = {"cursor": page["next_cursor"]}
            # Earlier spans of a trace that was listed and of one that was not, and new traces, which are newer (and slower).
            late += 10
            known = listed[0], next((one for one in traces if one not in listed), traces[0])
            older = [
                span(trace, late + at, start - HOUR_NS // 2, endTimeUnixNano=str(start - HOUR_NS // 2)) for at, trace in enumerate(known)
            ]
            newer = span(uuid.uuid4().hex, late, start + HOUR_NS, endTimeUnixNano=str(start + 2 * HOUR_NS))
            await client.send_spans(name, [*older, newer])
        expected = [one for one in listed if one in traces]
        assert len(listed) == len(set(listed)), order
        if order == "newest":
            assert expected == traces[::-1]
            assert [one for one in spans if one[1] == f"{1:016x}"] == [(trace, f"{1:016x}") for trace in traces[::-1]]


async def test_a_search_whose_time_is_up_goes_on_with_the_next_page(client: Client, sent: Reference, settings_of_no_time: Client) -> None:
    for kind, order in (("spans", "newest"), ("spans", "slowest"), ("traces", "newest"), ("traces", "slowest")):
        parameters = {"view": kind, "order": order, "attribute": "code>=500", "limit": 50, **sent.time}
        whole = await pages(client, kind, **parameters)
        assert whole
        found, cursor, stopped = [], {}, 0
        while cursor is not None:
            page = await settings_of_no_time.get(SEARCH, **parameters, **cursor)
            stopped += not page["meta"]["complete"]
            assert (page["meta"]["searched_to"] is not None) == (order == "newest" and not page["meta"]["complete"])
            found += page[kind]
            cursor = None if page["next_cursor"] is None else {"cursor": page["next_cursor"]}
        assert [one["trace_id"] for one in found] == [one["trace_id"] for one in whole], (kind, order)
        assert found == whole
        assert stopped or order == "slowest"


@pytest.mark.parametrize(
    "parameters",
    [
        {"attribute": "a=~("},
        {"attribute": r"a=~(a)\1"},
        {"attribute": "a=~(?=x)"},
        {"attribute": "a=~(((x{50}){50}){50})"},
        {"attribute": "a=~" + "x" * 300},
        {"attribute": "a>x"},
        {"attribute": "!a=1"},
        {"attribute": "=1"},
        {"text": ""},
        {"order": "oldest"},
        {"errors": "true"},
        {"min_trace_duration": "1s"},
    ],
)
async def test_what_cannot_be_searched_is_named(client: Client, parameters: dict[str, str]) -> None:
    problem = await client.refused(SEARCH, **parameters)
    assert [fault["parameter"] for fault in problem["errors"]] == list(parameters)


async def test_durations_the_wrong_way_round_are_refused(client: Client) -> None:
    for name in ("duration", "trace_duration"):
        problem = await client.refused(SEARCH, view="traces", **{f"min_{name}": "2s", f"max_{name}": "1s"})
        assert [fault["parameter"] for fault in problem["errors"]] == [f"min_{name}"]


async def test_a_cursor_of_another_order_is_refused(client: Client, sent: Reference) -> None:
    page = await client.get(SEARCH, limit=1, **sent.time)
    for other in ({"order": "slowest"}, {"view": "traces"}):
        problem = await client.refused(SEARCH, limit="1", cursor=page["next_cursor"], **other, **sent.time)
        assert problem["errors"][0]["parameter"] == "cursor"


async def test_slow_traces_side_by_side_are_listed_once(client: Client, name: str, base_ns: int) -> None:
    traces = [uuid.uuid4().hex for _ in range(400)]
    spans = [
        span(trace, number, base_ns + number, endTimeUnixNano=str(base_ns + HOUR_NS // number + at * 1000))
        for at, trace in enumerate(traces)
        for number in (1, 2)
    ]
    await client.send_spans(name, spans)
    time = {"start": str(base_ns), "end": str(base_ns + HOUR_NS)}
    found = await pages(client, "traces", 50, view="traces", order="slowest", service=name, **time)
    assert [one["trace_id"] for one in found] == traces[::-1]
