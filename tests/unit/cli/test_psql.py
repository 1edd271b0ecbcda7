"""What psql and people are shown of an address."""

from __future__ import annotations

import shutil

import pytest

from tidegauge.cli import psql


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://me:se%3Acret@db:5433/t?sslmode=disable", "postgresql://me@db:5433/t?sslmode=disable"),
        ("postgresql://db/t?password=secret&user=me", "postgresql://db/t?user=me"),
        ("postgresql://a%40b:x@[::1]:5432/t", "postgresql://a%40b@[::1]:5432/t"),
        ("postgresql:///t", "postgresql:///t"),
    ],
)
def test_passwords_are_left_out(dsn: str, expected: str) -> None:
    assert psql.without_password(dsn) == expected


def test_another_user_does_not_get_the_owners_password() -> None:
    assert psql.with_user("postgresql://me:secret@db:5433/t", "reader") == "postgresql://reader@db:5433/t"


def test_without_psql_people_learn_how_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(psql.PsqlMissing) as raised:
        psql.executable("postgresql://me:secret@db:5433/t", "/data/credentials.json")
    assert "me@db:5433/t" in raised.value.hint
    assert "/data/credentials.json" in raised.value.hint
    assert "secret" not in str(raised.value)
    assert raised.value.exit_code == 127
