"""Everything acknowledged is there exactly once, whatever is killed: the short form of ``python -m tests.faults``."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

from tests.faults.run import Plan, run

SECONDS = 35
KILLS = 12


def test_nothing_is_lost_or_doubled() -> None:
    # Not pytest's folder, which goes away some runs later: a failure's data should stay.
    folder = Path(tempfile.mkdtemp(prefix="tidegauge-faults-"))
    report = run(Plan(SECONDS, KILLS, seed=random.randrange(1_000_000), workers=2), folder)
    print("\n".join(report.lines()))
    assert report.faults == [], f"data and log are in {folder}"
    for signal, count in report.found.counts.items():
        assert count.acknowledged > 0, signal
    shutil.rmtree(folder)
