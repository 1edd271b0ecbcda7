"""Questions and answers without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tidegauge.client import AsyncTidegaugeClient, Retries, TidegaugeClient, errors, queries
from tidegauge.client.core import Call

PROBLEM = {
    "title": "Invalid argument",
    "status": 400,
    "detail": "step='x' is not a duration",
    "hint": "expected a number and a unit",
    "errors": [{"parameter": "step", "message": "expected a number and a unit"}],
}
APPLICATIONS = {"applications": [{"application_id": 1, "service": "cart", "namespace": "", "environment": "test"}]}


class Server:
    """Answers with what it was given, one after the other; the last one again and again."""

    def __init__(self, *answers: httpx.Response | type[httpx.TransportError]) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, httpx.Response):
            # A response is read once, by one kind of client.
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        raise answer("no route", request=request)


def problem(status: int, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(
        status, headers={"Content-Type": "application/problem+json", **(headers or {})}, json={**PROBLEM, "status": status}
    )


async def asked(server: Server, call: Call[Any], **options: Any) -> Any:
    """What both clients answer, which has to be the same."""
    outcomes = []
    with TidegaugeClient("http://tide:8080", transport=httpx.MockTransport(server), **options) as client:
        try:
            outcomes.append(client.run(call))
        except errors.ClientError as error:
            outcomes.append(error)
    first, server.requests = server.requests, []
    async with AsyncTidegaugeClient("http://tide:8080", transport=httpx.MockTransport(server), **options) as other:
        try:
            outcomes.append(await other.run(call))
        except errors.ClientError as error:
            outcomes.append(error)
    assert [str(each.url) for each in server.requests[-1:]] == [str(each.url) for each in first[-1:]]
    assert [type(each) for each in outcomes[:1]] == [type(each) for each in outcomes[1:]]
    assert [str(each) for each in outcomes[:1]] == [str(each) for each in outcomes[1:]]
    return outcomes[0]


async def test_parameters_are_written_as_the_api_reads_them() -> None:
    server = Server(httpx.Response(200, json={"series": []}))
    call = queries.metric_range(
        "http.server/x",
        start=timedelta(days=1),
        end=datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC),
        step=timedelta(milliseconds=1500),
        match=['a="b"', "c!=d"],
        group_by=[],
    )
    await asked(server, call)
    (request,) = server.requests
    assert request.url.raw_path.split(b"?")[0] == b"/api/v1/metrics/http.server%2Fx/range"
    assert request.url.params.multi_items() == [
        ("start", "now-86400s"),
        ("end", "2026-01-02T03:04:05.000600Z"),
        ("step", "1500000us"),
        ("match", 'a="b"'),
        ("match", "c!=d"),
        ("group_by", ""),
    ]


async def test_the_token_is_sent() -> None:
    server = Server(httpx.Response(200, json=APPLICATIONS))
    await asked(server, queries.applications(), token="s3cret")
    assert server.requests[0].headers["authorization"] == "Bearer s3cret"


async def test_a_problem_says_what_and_what_to_do() -> None:
    error = await asked(Server(problem(400)), queries.applications())
    assert isinstance(error, errors.BadRequest)
    assert error.parameters == {"step": "expected a number and a unit"}
    assert "step='x' is not a duration" in str(error)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, errors.NotAllowed), (404, errors.NotFound), (422, errors.BadRequest), (500, errors.ServerError), (502, errors.UnexpectedAnswer)],
)
async def test_errors_are_told_apart(status: int, expected: type[errors.ClientError]) -> None:
    answer = problem(status) if status != 502 else httpx.Response(502, text="<html>Bad gateway</html>")
    assert type(await asked(Server(answer), queries.applications())) is expected


async def test_what_is_no_tidegauge_is_told() -> None:
    for answer in (httpx.Response(200, text="hello"), httpx.Response(200, json={"other": 1}), httpx.Response(200, json=[1])):
        assert isinstance(await asked(Server(answer), queries.applications()), errors.UnexpectedAnswer)


def test_busy_servers_are_asked_again() -> None:
    server = Server(
        problem(429, {"Retry-After": "0"}), httpx.ConnectError, problem(503, {"Retry-After": "0"}), httpx.Response(200, json=APPLICATIONS)
    )
    with TidegaugeClient("http://tide", transport=httpx.MockTransport(server)) as client:
        assert [each.name for each in client.run(queries.applications())] == ["cart"]
    assert len(server.requests) == 4


async def test_attempts_are_bounded() -> None:
    server = Server(problem(429, {"Retry-After": "0"}))
    error = await asked(server, queries.applications(), retries=Retries(attempts=3))
    assert isinstance(error, errors.Overloaded)
    assert len(server.requests) == 3


async def test_nobody_waits_for_longer_than_asked() -> None:
    server = Server(problem(503, {"Retry-After": "3600"}))
    error = await asked(server, queries.applications(), retries=Retries(longest_pause=1))
    assert isinstance(error, errors.Overloaded)
    assert error.retry_after == 3600
    assert len(server.requests) == 1


async def test_wrong_questions_are_asked_once() -> None:
    server = Server(problem(400))
    await asked(server, queries.applications())
    assert len(server.requests) == 1


async def test_pages_follow_each_other_in_both_clients() -> None:
    def page(number: int, cursor: str | None) -> httpx.Response:
        trace = {
            "trace_id": f"{number:032x}",
            "start_time": "2026-01-01T00:00:00.123456789Z",
            "duration_ns": 5,
            "span_count": 1,
            "error_count": 0,
            "services": ["cart"],
            "root": None,
        }
        return httpx.Response(200, json={"traces": [trace], "next_cursor": cursor})

    pages = [page(1, "a"), page(2, "b"), page(3, None)]
    server = Server(*pages, *pages)
    with TidegaugeClient("http://tide", transport=httpx.MockTransport(server)) as client:
        found = [each.trace_id for each in client.rows(queries.traces(service="cart"))]
    assert found == [f"{number:032x}" for number in (1, 2, 3)]
    assert [request.url.params.get("cursor") for request in server.requests] == [None, "a", "b"]
    async with AsyncTidegaugeClient("http://tide", transport=httpx.MockTransport(server)) as other:
        assert [each.trace_id async for each in other.rows(queries.traces(service="cart"))] == found
