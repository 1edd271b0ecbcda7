"""``queries`` asks what the API has: paths, methods and parameters are those of its own description."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from benchmarks.queries_cases import Facts, cases
from tidegauge.api.app import create_app
from tidegauge.config import ApiSettings

NOW = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize("service", ["tracegen-00", "gateway"])
def test_every_question_can_be_asked(service: str) -> None:
    described = create_app(Mock(), ApiSettings()).openapi()["paths"]
    paths = {re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path)): methods for path, methods in described.items()}
    known = Facts(NOW - timedelta(days=30), NOW - timedelta(days=7), NOW, NOW, [service], ["ab" * 16])
    asked = cases(known, random.Random(1))
    assert len({case.what for case in asked}) == len(asked)
    for case in asked:
        found = [methods for path, methods in paths.items() if path.fullmatch(case.path())]
        assert found, case.what
        operations = [methods["post" if case.body else "get"] for methods in found]
        parameters = {parameter["name"] for operation in operations for parameter in operation.get("parameters", [])}
        assert {name for name, _ in case.parameters()} <= parameters, case.what
