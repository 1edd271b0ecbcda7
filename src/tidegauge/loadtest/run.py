"""Asks a server's query API, many clients at a time, for so long."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import orjson

from tidegauge.errors import TidegaugeError, Unauthenticated, Unavailable
from tidegauge.loadtest.connection import Answer, Connection, ConnectionLost, Target
from tidegauge.loadtest.pace import Pace
from tidegauge.loadtest.report import Counted, Report

_FAILURE_PAUSE_SECONDS = 0.05
_INGEST_RECORDS = 20
_MESSAGES = ("payment accepted", "cart updated", "cache miss, asking the database", "slow answer from shipping")


@dataclass(frozen=True, slots=True)
class Question:
    """A request to be made again and again; ``name`` stands for it in the report."""

    name: str
    path: str
    method: str = "GET"


@dataclass(frozen=True, slots=True)
class Options:
    """How to load. ``timeout_seconds`` is of one request; a server that does not answer by then has failed it."""

    concurrency: int
    seconds: float
    paced: bool = True
    ingests: bool = False
    timeout_seconds: float = 30.0


async def run(endpoint: str, token: str | None, options: Options, stop: asyncio.Event) -> Report:
    """Load the server until the time is over or ``stop`` is set, and say what came of it.

    Raises:
        ConfigurationError: the endpoint is no URL.
        Unavailable: the server cannot be reached at all.
        Unauthenticated: it wants another token.

    """
    target = Target.of(endpoint)
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    report = Report(endpoint, options.concurrency)
    pace = Pace(time.monotonic)
    load = _Load(target, headers, options, report, pace)
    questions = await load.explore()
    began = time.monotonic()
    clients = [asyncio.create_task(load.client(_around(questions, first)), name=f"client-{first}") for first in range(options.concurrency)]
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([stopped], timeout=options.seconds)
        load.ended = True
        # What is under way gets its answer: it counts, and a server that is asked and not listened to would be loaded for nothing.
        waiting = [client for client in clients if client not in load.pausing]
        for client in load.pausing:
            client.cancel()
        if waiting and not stop.is_set():
            await asyncio.wait(waiting, timeout=options.timeout_seconds)
    finally:
        report.seconds = time.monotonic() - began
        for task in (*clients, stopped):
            task.cancel()
        await asyncio.gather(*clients, stopped, return_exceptions=True)
    report.paused_seconds = load.paused_seconds / options.concurrency
    return report


class _Load:
    def __init__(self, target: Target, headers: Mapping[str, str], options: Options, report: Report, pace: Pace) -> None:
        self._target = target
        self._headers = headers
        self._options = options
        self._report = report
        self._pace = pace
        self.ended = False
        self.paused_seconds = 0.0
        self.pausing: set[asyncio.Task[object]] = set()

    async def explore(self) -> Sequence[Question]:
        """What there is to ask for: the endpoints, with a trace and a metric that are there."""
        connection = self._connection()
        try:
            applications = await self._first(connection)
            found = [Question("applications", "/api/v1/applications"), Question("spans", "/api/v1/traces?limit=50&start=now-24h")]
            found.append(Question("traces", "/api/v1/traces?view=traces&limit=20&start=now-24h"))
            found += [
                Question("logs", "/api/v1/logs?limit=50&start=now-24h"),
                Question("logs by severity", "/api/v1/logs?limit=50&min_severity=warn"),
            ]
            found.append(Question("metrics", "/api/v1/metrics?limit=50"))
            if applications.get("applications"):
                if name := await self._value(connection, "/api/v1/metrics?limit=1", "metrics", "name"):
                    path = f"/api/v1/metrics/{quote(name, safe='')}/range?start=now-1h&step=1m"
                    found.append(Question("values of a metric", path))
                if trace_id := await self._value(connection, "/api/v1/traces?limit=1&start=now-24h", "spans", "trace_id"):
                    found.append(Question("a trace", f"/api/v1/traces/{quote(trace_id, safe='')}"))
        except ConnectionLost as error:
            raise Unavailable(
                f"{self._report.endpoint} does not answer: {error}", hint="is `tidegauge up` running? --endpoint names another"
            ) from error
        finally:
            connection.close()
        if self._options.ingests:
            found.append(Question("ingest of logs", "/api/v1/logs", "POST"))
        return found

    async def client(self, questions: Iterator[Question]) -> None:
        """One client, until the test has ended."""
        connection = self._connection()
        try:
            while not self.ended:
                await self._pause()
                if not self.ended:
                    await self._ask(connection, next(questions))
        finally:
            connection.close()

    async def _pause(self) -> None:
        if not self._options.paced:
            return
        task = asyncio.current_task()
        assert task is not None
        self.pausing.add(task)
        began = time.monotonic()
        try:
            await self._pace.turn()
        finally:
            self.pausing.discard(task)
            self.paused_seconds += time.monotonic() - began

    async def _ask(self, connection: Connection, question: Question) -> None:
        counted = self._report.endpoints.setdefault(question.name, Counted())
        body = _records() if question.method == "POST" else b""
        began = time.monotonic()
        try:
            answer = await connection.ask(question.method, question.path, body, "application/json" if body else "")
        except ConnectionLost as error:
            counted.errors[str(error)] += 1
            self._pace.lost()
            # A server that is gone is not asked thousands of times a second.
            await asyncio.sleep(_FAILURE_PAUSE_SECONDS)
            return
        counted.statuses[answer.status] += 1
        counted.bytes += len(answer.body)
        if 200 <= answer.status < 300:
            counted.latencies.append(time.monotonic() - began)
        self._pace.learn(answer.status, answer.headers)

    async def _first(self, connection: Connection) -> dict[str, object]:
        answer = await self._explored(connection, "/api/v1/applications")
        if answer.status == 401:
            raise Unauthenticated("the server wants an API token", hint="--token, or TIDEGAUGE_API_TOKEN")
        if answer.status == 404:
            raise TidegaugeError(f"at {self._report.endpoint} there is no query API", hint="its port is 4320 by default")
        return _object(answer)

    async def _value(self, connection: Connection, path: str, rows: str, member: str) -> str:
        found = _object(await self._explored(connection, path)).get(rows)
        first = found[0] if isinstance(found, list) and found else None
        value = first.get(member) if isinstance(first, dict) else None
        return value if isinstance(value, str) else ""

    async def _explored(self, connection: Connection, path: str) -> Answer:
        await self._pace.turn()
        answer = await connection.ask("GET", path)
        self._pace.learn(answer.status, answer.headers)
        return answer

    def _connection(self) -> Connection:
        return Connection(self._target, self._headers, self._options.timeout_seconds)


def _around(questions: Sequence[Question], first: int) -> Iterator[Question]:
    """All in turn, each client beginning with another."""
    return itertools.islice(itertools.cycle(questions), first % len(questions), None)


def _object(answer: Answer) -> dict[str, object]:
    try:
        found = orjson.loads(answer.body) if answer.status == 200 else {}
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _records() -> bytes:
    now = time.time_ns()
    return orjson.dumps(
        [
            {
                "timestamp": now + place,
                "level": "info",
                "service": "tidegauge-loadtest",
                "message": _MESSAGES[place % len(_MESSAGES)],
                "n": place,
            }
            for place in range(_INGEST_RECORDS)
        ]
    )
