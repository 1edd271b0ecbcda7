"""What questions cost at the API: the product on a database that ``fill`` made, one client, one connection, warm.

Cases take turns, with values drawn from what the database holds, so that no answer is only the last one again. Kept answers are switched
off: it is the work of the store that is measured. What answers 404 or refuses a parameter is not there (yet): the table says so.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from benchmarks import databases, product, space
from benchmarks.queries_cases import Case, cases, facts
from benchmarks.report import Report

_SETTINGS = {
    "TIDEGAUGE_CACHE_QUERIES": "false", "TIDEGAUGE_API_QUERY_TIMEOUT": "20s",
    "TIDEGAUGE_THROTTLE_LIMIT_SHORT": "0", "TIDEGAUGE_THROTTLE_LIMIT_MEDIUM": "0", "TIDEGAUGE_THROTTLE_LIMIT_LONG": "0",
    # As `fill` does: what it wrote is not to be dropped.
    "TIDEGAUGE_LIFECYCLE_TRACES_RETENTION": "60d", "TIDEGAUGE_LIFECYCLE_METRICS_RETENTION": "425d",
}  # fmt: skip
_SLOW_SECONDS, _SLOW_ROUNDS = 0.5, 3
_ONCE_SECONDS = 3.0
_OK, _REFUSED, _MISSING, _NOT_ALLOWED = 200, 400, 404, 405


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command line."""
    parser.add_argument("--url", help="the database, as `fill` left it; without it the embedded one")
    parser.add_argument("--embedded-data", type=Path, metavar="DIR", help="folder of the embedded database")
    parser.add_argument(
        "--rounds", type=int, default=20, help="times that each question is asked; those of 0.5 s three times, of 3 s once (20)"
    )
    parser.add_argument("--in-a-row", action="store_true", help="ask each question so many times before the next, not all of them in turn")
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--no-space", action="store_true", help="leave out what everything takes on disk")
    parser.add_argument("--seed", type=int, default=1)


@dataclass
class _Asked:
    """A case and what came of it."""

    case: Case
    seconds: list[float] = field(default_factory=list)
    bytes: int = 0
    refused: str = ""

    @property
    def is_done(self) -> bool:
        """Not to be asked again."""
        if self.refused or not self.seconds:
            return bool(self.refused)
        middle = statistics.median(self.seconds)
        return middle > _ONCE_SECONDS or (middle > _SLOW_SECONDS and len(self.seconds) >= _SLOW_ROUNDS)

    def shown(self) -> str:
        """Its row."""
        if self.refused or not self.seconds:
            return self.refused
        ordered = sorted(self.seconds)
        p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
        return f"{statistics.median(ordered) * 1e3:,.1f}   {p95 * 1e3:,.1f} ms   ({len(ordered)} times, {self.bytes:,} bytes)"


def measure(options: argparse.Namespace) -> Report:
    """Ask everything."""
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(product.running(options.url, 1, _SETTINGS, data=options.embedded_data))
        chance = random.Random(options.seed)
        with databases.connect(running.dsn) as connection:
            known = facts(connection, chance)
        asked = [_Asked(case) for case in cases(known, chance) if options.only in case.what]
        for together in [[each] for each in asked] if options.in_a_row else [asked]:
            _ask(together, running.api, options.rounds)
        report = Report("questions at the API: p50, p95", databases.machine(running.dsn, embedded=options.url is None))
        for each in asked:
            report.add(each.case.what, each.shown())
        if not options.no_space:
            with databases.connect(running.dsn) as connection:
                space.tell(connection, report)
    return report


def _ask(asked: list[_Asked], address: str, rounds: int) -> None:
    connection = http.client.HTTPConnection(address)
    for number in range(rounds + 1):
        for each in asked:
            if not each.is_done:
                _ask_once(each, connection, counts=number > 0)
                if number == 0:
                    print(f"{each.case.what}: {each.shown() or 'warm'}", flush=True)
    connection.close()


def _ask_once(asked: _Asked, connection: http.client.HTTPConnection, *, counts: bool) -> None:
    case = asked.case
    target = case.path()
    if parameters := case.parameters():
        target += f"?{urlencode(parameters)}"
    body = None if case.body is None else json.dumps(case.body())
    begin = time.perf_counter()
    connection.request("GET" if body is None else "POST", target, body, {} if body is None else {"content-type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    seconds = time.perf_counter() - begin
    if response.status == _OK or (response.status == _MISSING and "no such" in case.what):
        asked.bytes = len(answer)
        # The first one warms up, unless it is too slow to be asked many times.
        if counts or seconds > _ONCE_SECONDS:
            asked.seconds.append(seconds)
    elif response.status in (_MISSING, _NOT_ALLOWED):
        asked.refused = "not there"
    else:
        asked.refused = f"answers {response.status}: {answer[:160].decode(errors='replace')}"
