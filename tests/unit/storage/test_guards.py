"""How much room a guard gives, and ids that are due."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tidegauge.storage.postgres.guards import Guard
from tidegauge.storage.postgres.idcache import IdCache

SECOND = 1_000_000_000


@given(st.integers(1, 60), st.lists(st.tuples(st.integers(1, 20), st.integers(0, 8)), max_size=40))
def test_one_process_fills_a_key_to_its_limit_and_no_further(limit: int, arrivals: list[tuple[int, int]]) -> None:
    guard: Guard[str] = Guard(limit)
    stored = now_ns = 0
    for wanted, seconds in arrivals:
        now_ns += seconds * SECOND
        key = {"metric": wanted}
        counts = {"metric": min(stored, limit)} if guard.uncounted(key, now_ns) else {}
        granted = guard.grant(key, counts, now_ns)["metric"]
        assert granted == min(wanted, limit - stored)
        stored += granted


def test_what_is_full_costs_no_count_for_a_while() -> None:
    guard: Guard[str] = Guard(5)
    assert guard.uncounted({"metric": 1}, 0) == ["metric"]
    assert guard.grant({"metric": 3}, {"metric": 5}, 0) == {"metric": 0}
    assert guard.uncounted({"metric": 100}, 9 * SECOND) == []
    assert guard.grant({"metric": 100}, {}, 9 * SECOND) == {"metric": 0}
    assert guard.uncounted({"metric": 1}, 10 * SECOND) == ["metric"]


@dataclass(frozen=True)
class Entry:
    identity: UUID


ENTRIES = [Entry(UUID(int=number)) for number in range(600)]


def test_ids_are_due_once_an_hour_and_not_all_at_once() -> None:
    cache: IdCache[int] = IdCache(1000)
    cache.put({(0, entry.identity.int): entry.identity.int for entry in ENTRIES}, [], 6000 * 60 + 59)
    by_minute = []
    for minute in range(6001 * 60, 6003 * 60):
        assert cache.ids(0, ENTRIES, minute) == list(range(600))
        by_minute.append(sorted(cache.due(1000)))
    assert {len(due) for due in by_minute} == {10}
    assert sorted(number for due in by_minute[:60] for number in due) == list(range(600))
    assert by_minute[:60] == by_minute[60:]


def test_an_id_not_seen_for_hours_is_due_when_it_is_seen() -> None:
    cache: IdCache[int] = IdCache(1000)
    cache.put({(0, 7): 70}, [], 600)
    assert cache.due(10) == []
    cache.ids(0, [ENTRIES[7]], 6000)
    assert cache.due(10) == [70]
    cache.put({(0, 8): 80}, [80], 6000)
    assert cache.due(10) == [80]


def test_tenants_are_apart_and_the_cache_stays_bounded() -> None:
    cache: IdCache[int] = IdCache(3)
    cache.put({(0, 1): 10, (1, 1): 11}, [], 0)
    assert cache.ids(0, ENTRIES[1:2], 0) == [10]
    assert cache.ids(1, ENTRIES[1:2], 0) == [11]
    assert cache.ids(2, ENTRIES[1:2], 0) is None
    cache.put({(0, 2): 20, (0, 3): 30}, [], 0)
    assert cache.ids(0, ENTRIES[1:2], 0) is None
    assert cache.ids(0, ENTRIES[2:4], 0) == [20, 30]
