"""Session ids: ``<tenant>.<random>``. The tenant is part of what is hashed, so that another one's name finds nothing."""

from __future__ import annotations

import re
import secrets
from hashlib import blake2b

# 256 random bits, base64url.
_SESSION = re.compile(r"(0|[1-9][0-9]{0,4})\.[A-Za-z0-9_-]{43}")


def new_session_id(tenant_id: int) -> str:
    """An id that nobody can guess."""
    return f"{tenant_id}.{secrets.token_urlsafe(32)}"


def session_key(session_id: str) -> tuple[int, str] | None:
    """Tenant and hash of an id; None for what is none."""
    match = _SESSION.fullmatch(session_id)
    return None if match is None else (int(match[1]), blake2b(session_id.encode(), digest_size=32).hexdigest())
