"""When a circuit opens, lets a probe through, and closes."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest

from tidegauge.errors import (
    Busy,
    CircuitOpen,
    InvalidArgument,
    NotAsAGroup,
    Overloaded,
    RateLimited,
    StatementTimeout,
    TidegaugeError,
    Unavailable,
)
from tidegauge.health.circuits import Circuit, CircuitLimits, State, unguarded

START = 1_700_000_000.0


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit("store", CircuitLimits(3, 30.0, 2), clock, lambda: START + clock.now)


def ask(circuit: Circuit, error: BaseException | None = None) -> None:
    """One question; a failure is not raised."""
    with pytest.raises(type(error)) if error is not None else nullcontext(), circuit("question"):
        if error is not None:
            raise error


def fail(circuit: Circuit, times: int) -> None:
    for _ in range(times):
        ask(circuit, Unavailable("away"))


def test_it_opens_after_failures_in_a_row_and_says_when_to_come_again(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    assert circuit.state is State.OPEN
    clock.now += 12.5
    with pytest.raises(CircuitOpen, match="store is away") as raised:
        ask(circuit)
    assert raised.value.retry_after_seconds == 18
    assert raised.value.http_status == 503
    status = circuit.status()
    assert (status.failures, status.opened_at, status.next_probe_at, status.last_error) == (3, START + 100, START + 130, "away")


def test_failures_that_are_not_in_a_row_do_not_open_it(circuit: Circuit) -> None:
    for _ in range(3):
        fail(circuit, 2)
        ask(circuit)
    assert circuit.state is State.CLOSED


@pytest.mark.parametrize(
    "answer",
    [Busy("…"), StatementTimeout("…"), NotAsAGroup("…"), Overloaded("…"), RateLimited("…"), InvalidArgument("…"), TidegaugeError("…")],
)
def test_what_a_dependency_that_is_there_says_is_no_failure(circuit: Circuit, answer: TidegaugeError) -> None:
    fail(circuit, 2)
    ask(circuit, answer)
    assert circuit.status().failures == 0


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ValueError(), KeyboardInterrupt()])
def test_what_is_cancelled_or_our_own_defect_tells_nothing(circuit: Circuit, error: BaseException) -> None:
    fail(circuit, 2)
    for _ in range(5):
        ask(circuit, error)
    assert circuit.status().failures == 2


def test_one_probe_at_a_time_and_so_many_successes_close_it(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    clock.now += 30
    assert circuit.state is State.HALF_OPEN
    with circuit("probe"), pytest.raises(CircuitOpen) as raised:
        ask(circuit)
    assert raised.value.retry_after_seconds == 1
    assert circuit.state is State.HALF_OPEN
    ask(circuit)
    assert circuit.state is State.CLOSED
    assert circuit.status().opened_at is None
    fail(circuit, 2)
    assert circuit.state is State.CLOSED


def test_a_probe_that_fails_opens_it_for_the_whole_time(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    clock.now += 31
    fail(circuit, 1)
    assert circuit.state is State.OPEN
    assert circuit.status().opened_at == START + 131
    clock.now += 29.9
    with pytest.raises(CircuitOpen):
        ask(circuit)


def test_a_probe_that_is_cancelled_leaves_its_place_to_the_next(circuit: Circuit, clock: Clock) -> None:
    fail(circuit, 3)
    clock.now += 30
    ask(circuit, asyncio.CancelledError())
    ask(circuit)
    ask(circuit)
    assert circuit.state is State.CLOSED


def test_what_was_asked_before_it_opened_decides_nothing_afterwards(circuit: Circuit, clock: Clock) -> None:
    old = [circuit("old") for _ in range(2)]
    for one in old:
        one.__enter__()
    fail(circuit, 3)
    old[0].__exit__(None, None, None)
    assert circuit.state is State.OPEN
    clock.now += 30
    with circuit("probe"):
        old[1].__exit__(Unavailable, Unavailable("late"), None)
        # The probe is still the only one.
        with pytest.raises(CircuitOpen):
            ask(circuit)
    ask(circuit)
    assert circuit.state is State.CLOSED


def test_each_change_is_logged_once(circuit: Circuit, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    fail(circuit, 3)
    clock.now += 30
    fail(circuit, 1)
    clock.now += 30
    ask(circuit)
    ask(circuit)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "circuit of store opens after 3 failures",
        "circuit of store closes",
    ]


def test_without_a_circuit_everything_is_let_through() -> None:
    for _ in range(10):
        with pytest.raises(Unavailable), unguarded("question"):
            raise Unavailable("away")
