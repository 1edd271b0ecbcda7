"""Who is let in, by bytes and by time, on a clock that the test sets."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tidegauge.errors import Overloaded, Unavailable
from tidegauge.ingest.admission import Admission, Share

MIB = 1 << 20


class Clock:
    """Seconds, set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def admission(clock: Clock, *, limit: int = 256 * MIB, max_delay: float = 1.0) -> Admission:
    return Admission(limit, max_delay, clock)


def serve(found: Admission, clock: Clock, *, rate: float, seconds: float, waited: float, size: int = 100_000) -> None:
    """Requests one after the other, ``rate`` bytes a second, each answered ``waited`` seconds after it came."""
    end = clock.now + seconds
    while clock.now < end:
        with found.share(size) as share:
            share.hold(size)
            clock.now += size / rate - waited
            share.arrived()
            clock.now += waited
            share.stored()


def admitted(found: Admission, size: int = 100_000) -> int:
    """Bytes that are let in at once, in requests of ``size`` bytes."""
    with ExitStack() as stack:
        total = 0
        while True:
            try:
                share: Share = stack.enter_context(found.share(size))
                share.hold(size)
            except (Overloaded, Unavailable):
                return total
            total += size


def slow_down(found: Admission, clock: Clock, rate: float, seconds: float = 10) -> None:
    """What is answered now had waited for long: it is all that can be done."""
    size = 100_000
    with ExitStack() as stack:
        shares = [stack.enter_context(found.share()) for _ in range(3)]
        end = clock.now + seconds
        while clock.now < end:
            clock.now += size / rate
            shares[0].hold(size)
            shares[0].since = clock.now - 2
            shares[0].stored()


def test_a_server_that_has_just_started_takes_a_burst_and_has_an_end() -> None:
    assert 4 * MIB <= admitted(admission(Clock())) <= 16 * MIB


def test_no_more_is_let_in_than_can_be_stored_in_time() -> None:
    clock = Clock()
    found = admission(clock, max_delay=2.0)
    slow_down(found, clock, rate=5 * MIB)
    assert admitted(found) == pytest.approx(10 * MIB, rel=0.1)


def test_a_faster_store_gets_more() -> None:
    clock = Clock()
    found = admission(clock)
    serve(found, clock, rate=40 * MIB, seconds=20, waited=0.001)
    assert admitted(found) == pytest.approx(40 * MIB, rel=0.1)


def test_a_quiet_time_does_not_count_as_a_slow_store() -> None:
    clock = Clock()
    found = admission(clock)
    before = admitted(found)
    for _ in range(100):
        serve(found, clock, rate=10_000, seconds=0.1, waited=0.01, size=1000)
        clock.now += 10
    assert admitted(found) == before


def test_however_slow_it_was_some_may_always_wait() -> None:
    clock = Clock()
    found = admission(clock)
    slow_down(found, clock, rate=1000, seconds=10_000)
    assert admitted(found) >= MIB


def test_one_large_answer_in_a_moment_is_no_measure() -> None:
    clock = Clock()
    found = admission(clock)
    before = admitted(found)
    serve(found, clock, rate=1000 * MIB, seconds=0.01, waited=0.001, size=64 * MIB)
    clock.now += 0.3
    serve(found, clock, rate=1000 * MIB, seconds=0.01, waited=0.001, size=64 * MIB)
    assert admitted(found) < 2 * before


def test_the_hard_limit_holds_for_what_arrives_and_a_refusal_says_when_to_come_again() -> None:
    clock = Clock()
    found = admission(clock, limit=3 * MIB, max_delay=2)
    slow_down(found, clock, rate=MIB)
    with found.share() as first, found.share() as second:
        first.hold(2 * MIB)
        with pytest.raises(Overloaded) as caught:
            second.hold(2 * MIB)
        assert caught.value.http_status == 429
        assert caught.value.retry_after_seconds == pytest.approx(2, rel=0.2)
        second.hold(MIB)
    assert found.total == 0


def test_a_promise_of_bytes_keeps_room_but_not_all_of_it() -> None:
    """Who says that 64 MiB will come, and sends nothing, keeps nobody out."""
    found = admission(Clock())
    with found.share(64 * MIB):
        assert admitted(found) > 2 * MIB


def test_announced_bytes_count_before_they_come() -> None:
    found = admission(Clock())
    with ExitStack() as stack, pytest.raises(Overloaded):
        for _ in range(200):
            stack.enter_context(found.share(100_000))
    with found.share(100_000):
        pass


def test_while_the_store_is_away_the_refusal_says_so() -> None:
    found = admission(Clock(), limit=MIB)
    found.away = Unavailable("the database is away")
    with found.share() as first, found.share() as second:
        first.hold(MIB)
        with pytest.raises(Unavailable) as caught:
            second.hold(1)
    assert caught.value.http_status == 503
