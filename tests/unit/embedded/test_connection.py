"""Connection info and errors: what people and drivers get to see."""

from __future__ import annotations

from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from tidegauge.embedded.connection import ConnectionInfo
from tidegauge.embedded.credentials import Credentials
from tidegauge.embedded.lock import _in_use

INFO = ConnectionInfo(
    pid=1, node_pid=2, port=5433, database="tide", owner_role="own", owner_password="a/b@c:d?e", reader_role="read", reader_password="p%20",
    since="2026-01-01T00:00:00+00:00",
)  # fmt: skip


def test_dsns_carry_any_password() -> None:
    expected = {"host": "127.0.0.1", "port": "5433", "dbname": "tide", "sslmode": "disable"}
    assert conninfo_to_dict(INFO.owner_dsn) == {**expected, "user": "own", "password": "a/b@c:d?e"}
    assert conninfo_to_dict(INFO.reader_dsn) == {**expected, "user": "read", "password": "p%20"}


def test_passwords_do_not_show() -> None:
    assert "a/b@c" not in repr(INFO)
    assert "secret" not in repr(Credentials("secret", "secret"))


def test_the_holder_of_a_folder_is_named() -> None:
    error = _in_use(Path("/data"), {"pid": 7, "command": "tidegauge up", "since": "2026-01-01T00:00:00+00:00", "ports": [5433]})
    assert str(error) == (
        "the data folder /data is in use by process 7 (tidegauge up), since 2026-01-01T00:00:00+00:00, on port 5433"
        " (use that one, stop it, or give another folder by --data)"
    )
    assert "process ?" in str(_in_use(Path("/data"), {}))
