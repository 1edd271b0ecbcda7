"""When a load test has passed, and what it says."""

from __future__ import annotations

from collections import Counter

import pytest

from tidegauge.errors import ConfigurationError
from tidegauge.loadtest.connection import Target
from tidegauge.loadtest.report import Counted, Report, quantiles


def report(statuses: dict[int, int], errors: dict[str, int] | None = None) -> Report:
    found = Report("http://127.0.0.1:4320", 1, seconds=2.0)
    found.endpoints["spans"] = Counted(Counter(statuses), Counter(errors or {}), [0.1] * statuses.get(200, 0))
    return found


@pytest.mark.parametrize(
    ("statuses", "errors", "passed"),
    [
        ({200: 100}, {}, True),
        ({200: 95, 500: 5}, {}, True),
        ({200: 94, 500: 6}, {}, False),
        ({200: 94, 404: 6}, {}, False),
        # Refused by a limit: no failure, and not counted.
        ({200: 1, 429: 1000}, {}, True),
        ({200: 94, 429: 1000, 500: 6}, {}, False),
        ({200: 10_000, 503: 1}, {}, False),
        ({200: 10_000, 502: 1}, {}, False),
        ({200: 10_000}, {"no answer within 30 s": 1}, False),
        # Nothing was shown.
        ({429: 10}, {}, False),
        ({}, {}, False),
    ],
)
def test_what_passes(statuses: dict[int, int], errors: dict[str, int], passed: bool) -> None:
    found = report(statuses, errors)
    assert (not found.faults) == passed == found.as_dict()["ok"]


def test_the_summary_counts_all_endpoints_together() -> None:
    found = report({200: 3, 429: 1})
    found.endpoints["logs"] = Counted(Counter({200: 1, 500: 1}), Counter({"refused": 2}), [0.5], bytes=7)
    said = found.as_dict()
    assert (said["requests"], said["succeeded"], said["rate_limited"], said["bytes"]) == (8, 4, 1, 7)
    assert said["statuses"] == {"200": 4, "429": 1, "500": 1}
    assert said["connection_errors"] == {"refused": 2}
    assert said["success_rate"] == round(4 / 7, 4)
    assert said["requests_per_second"] == 4.0
    assert said["latency_ms"] == {"p50": 100.0, "p95": 500.0, "p99": 500.0, "max": 500.0}


def test_quantiles_are_values_that_were_measured() -> None:
    assert quantiles([]) == {}
    assert quantiles([3.0]) == {"p50": 3.0, "p95": 3.0, "p99": 3.0, "max": 3.0}
    assert quantiles([float(number) for number in range(100, 0, -1)]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0}


def test_addresses() -> None:
    assert Target.of("https://a.example/base/") == Target("a.example", 443, True, "/base")
    assert Target.of("http://[::1]:4320").authority == "[::1]:4320"
    for wrong in ("a.example", "ftp://a", "http://", "http://a:x", "http://a:99999"):
        with pytest.raises(ConfigurationError):
            Target.of(wrong)
