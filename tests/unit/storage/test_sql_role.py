"""The password of the SQL endpoint's role, and what PostgreSQL is told of it."""

from __future__ import annotations

import base64
import hashlib
import hmac

from psycopg.conninfo import conninfo_to_dict

from tidegauge.storage.postgres import sql_role

# The example of RFC 7677, section 3.
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
AUTH_MESSAGE = (
    "n=user,r=rOprNGfwEbeRWgbNEkqO,"
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
)
PROOF = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SIGNATURE = base64.b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def test_the_verifier_is_that_of_the_rfc() -> None:
    method, iterations_and_salt, keys = sql_role.verifier("pencil", SALT).split("$")
    assert (method, iterations_and_salt) == ("SCRAM-SHA-256", "4096:W22ZaJ0SNY7soEsUEjb6gQ==")
    stored_key, server_key = (base64.b64decode(key) for key in keys.split(":"))
    signature = hmac.digest(stored_key, AUTH_MESSAGE.encode(), "sha256")
    client_key = bytes(one ^ other for one, other in zip(PROOF, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == stored_key
    assert hmac.digest(server_key, AUTH_MESSAGE.encode(), "sha256") == SIGNATURE


def test_the_password_follows_from_the_owners_and_the_role() -> None:
    secret = sql_role.password("owner's", "tidegauge_sql")
    assert secret == sql_role.password("owner's", "tidegauge_sql")
    assert len({secret, sql_role.password("another", "tidegauge_sql"), sql_role.password("owner's", "other")}) == 3
    assert secret.isascii()
    assert sql_role.verifier(secret) == sql_role.verifier(secret)
    assert secret not in sql_role.verifier(secret)


def test_the_address_is_the_owners_for_the_role() -> None:
    owner = "postgresql://owner:owner%27s@db.example.com:5433/telemetry?sslmode=require"
    told = conninfo_to_dict(sql_role.address(owner, "owner's", "tidegauge_sql"))
    assert told == {
        "host": "db.example.com",
        "port": "5433",
        "dbname": "telemetry",
        "sslmode": "require",
        "user": "tidegauge_sql",
        "password": sql_role.password("owner's", "tidegauge_sql"),
    }
    assert "password" not in conninfo_to_dict(sql_role.address("postgresql://owner@/telemetry", None, "tidegauge_sql"))
