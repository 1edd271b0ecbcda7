"""The table of metrics in docs/telemetry.md is the one that the program has."""

from __future__ import annotations

import re

from tests.docs.generated import DOCS, check, table
from tidegauge.telemetry.catalogue import CATALOGUE, PROCESS


def test_every_metric() -> None:
    rows = [[f"`{each.name}`", each.kind.value, ", ".join(f"`{label}`" for label in each.labels), each.help] for each in CATALOGUE]
    rows += [[f"`{each.name}`", each.kind.value, "`process`", each.help] for each in PROCESS]
    check(DOCS / "telemetry.md", "metrics", table(["metric", "kind", "labels", "what it says"], rows))


def test_expressions_name_metrics_that_there_are() -> None:
    known = {each.name for each in CATALOGUE}
    named = set(re.findall(r"tidegauge_[a-z_]+", (DOCS / "telemetry.md").read_text(encoding="utf-8")))
    assert {re.sub(r"_bucket$", "", name) for name in named} <= known
