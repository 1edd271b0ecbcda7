"""Who gets a connection, and who is asked to let one go."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tidegauge.serving import Balance

OTLP, API = 0, 1


def joined(*workers: int) -> Balance:
    balance = Balance()
    for worker in workers:
        balance.join(worker)
    return balance


def open_some(balance: Balance, count: int, listener: int = OTLP) -> Counter[int]:
    given: Counter[int] = Counter()
    for _ in range(count):
        worker = balance.order(listener)[0]
        balance.opened(worker, listener)
        given[worker] += 1
    return given


@given(st.integers(1, 8), st.integers(0, 40))
def test_connections_are_even_whatever_their_number(workers: int, connections: int) -> None:
    given = open_some(joined(*range(workers)), connections)
    counts = [given[worker] for worker in range(workers)]
    assert sum(counts) == connections
    assert max(counts) - min(counts) <= 1


def test_connections_of_another_listener_decide_between_equals() -> None:
    balance = joined(1, 2)
    balance.opened(1, API)
    assert balance.order(OTLP) == [2, 1]


def test_a_successor_gets_its_share_back() -> None:
    balance = joined(1, 2)
    open_some(balance, 8)
    balance.drop(1)
    assert open_some(balance, 4) == {2: 4}
    balance.join(3)
    asked = 0
    while (worker := balance.too_many(OTLP)) is not None:
        assert worker == 2
        asked += 1
    assert asked == 4
    for _ in range(asked):
        balance.closed(2, OTLP, had_been_asked=True)
        assert open_some(balance, 1) == {3: 1}
    assert balance.too_many(OTLP) is None


def test_one_more_than_another_is_even() -> None:
    balance = joined(1, 2)
    open_some(balance, 3)
    assert balance.too_many(OTLP) is None


def test_a_worker_that_found_nobody_to_ask_may_be_asked_again() -> None:
    balance = joined(1, 2)
    for _ in range(2):
        balance.opened(1, OTLP)
    assert balance.too_many(OTLP) == 1
    assert balance.too_many(OTLP) is None
    balance.nobody_left(1, OTLP)
    assert balance.too_many(OTLP) == 1


def test_what_a_dead_worker_still_said_changes_nothing() -> None:
    balance = joined(1)
    balance.opened(1, OTLP)
    balance.drop(1)
    balance.closed(1, OTLP, had_been_asked=False)
    balance.nobody_left(1, OTLP)
    assert balance.order(OTLP) == []
    assert balance.too_many(OTLP) is None
