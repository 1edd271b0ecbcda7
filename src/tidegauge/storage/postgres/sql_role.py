"""The role that the SQL endpoint signs in as on a server, and its password, which is kept nowhere.

Every process that knows the owner's password can work out this one: HMAC-SHA-256 of a fixed text under it. From the outcome nothing can be
learnt about the owner's. The server is told a SCRAM verifier (RFC 5803) that is made here, so that no log of statements has the password.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from psycopg.conninfo import make_conninfo

_PURPOSE = b"tidegauge: role of the SQL endpoint, 1\0"
_ITERATIONS = 4096


def password(owner_password: str, role: str) -> str:
    """The role's; ASCII, so that SASLprep leaves it as it is."""
    key = hmac.digest(owner_password.encode(), _PURPOSE + role.encode(), "sha256")
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def verifier(secret: str, salt: bytes | None = None) -> str:
    """What PostgreSQL keeps of a password (``pg_authid.rolpassword``).

    Without a ``salt`` it follows from the password, which is random and used once: migrating again changes nothing.
    """
    salt = salt or hmac.digest(secret.encode(), b"salt", "sha256")[:16]
    salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, _ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def address(owner_dsn: str, owner_password: str | None, role: str) -> str:
    """The owner's database for the role. An owner who needs no password (trust, peer) has none to share."""
    theirs = {"password": password(owner_password, role)} if owner_password else {}
    return make_conninfo(owner_dsn, **{"user": role, "password": None, "passfile": None} | theirs)
