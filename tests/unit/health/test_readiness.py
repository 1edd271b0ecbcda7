"""Whether the stores answer."""

from __future__ import annotations

import asyncio

import pytest

from tidegauge.errors import Unavailable
from tidegauge.health.readiness import Readiness, serves


class Hanging:
    """A database that hangs: it does not answer, and giving up does not end either. ``released`` ends it all."""

    def __init__(self) -> None:
        self.asked = 0
        self.released = asyncio.Event()

    async def ping(self) -> None:
        """Ask."""
        self.asked += 1
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            await self.released.wait()
            raise


async def test_a_database_that_answers_is_ok() -> None:
    async def ping() -> None:
        await asyncio.sleep(0)

    ready = Readiness({"timescaledb": ping})
    assert [await ready(), await ready()] == [{"timescaledb": "ok"}] * 2


async def test_what_is_wrong_is_told() -> None:
    async def ping() -> None:
        raise Unavailable("the database is away")

    assert "the database is away" in (await Readiness({"timescaledb": ping})())["timescaledb"]


async def test_a_database_that_hangs_is_asked_once_and_nobody_waits_until_it_has_given_up() -> None:
    database = Hanging()
    ready = Readiness({"timescaledb": database.ping}, seconds=0.01)
    answers = await asyncio.gather(ready(), ready()) + [await ready()]
    assert answers == [{"timescaledb": "no answer within 0.01 s"}] * 3
    assert database.asked == 1
    database.released.set()
    assert await ready() == {"timescaledb": "no answer within 0.01 s"}
    assert await ready() == {"timescaledb": "ok"}
    assert database.asked == 2


async def test_a_dependency_that_hangs_keeps_nobody_from_hearing_of_the_others() -> None:
    async def ping() -> None:
        await asyncio.sleep(0)

    hanging = Hanging()
    ready = Readiness({"timescaledb": hanging.ping, "elasticsearch": ping, "redis": ping}, seconds=0.01)
    assert await ready() == {"timescaledb": "no answer within 0.01 s", "elasticsearch": "ok", "redis": "ok"}
    hanging.released.set()


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ({"timescaledb": "ok"}, True),
        ({"timescaledb": "away"}, False),
        ({"timescaledb": "away", "redis": "ok"}, False),
        ({"timescaledb": "ok", "redis": "away"}, True),
        ({"timescaledb": "away", "elasticsearch": "ok"}, True),
        ({"timescaledb": "ok", "elasticsearch": "away"}, True),
        ({"timescaledb": "away", "elasticsearch": "away", "redis": "ok"}, False),
    ],
)
def test_requests_are_served_while_one_store_answers(checks: dict[str, str], expected: bool) -> None:
    assert serves(checks) is expected
