"""The API token in a gRPC call's metadata."""

from __future__ import annotations

import hmac
from typing import Any

from tidegauge.errors import Unauthenticated


class Token:
    """Lets through calls that carry the token; without one everything is let through."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()

    def check(self, metadata: Any) -> None:
        """Check a call's metadata, (name, value) pairs; tokens are compared in constant time.

        Raises:
            Unauthenticated: there is no ``authorization: Bearer …``, more than one, or it is another token.

        """
        if self._token is None:
            return
        values = [value for name, value in metadata or () if name == "authorization"]
        scheme, _, given = values[0].strip().partition(" ") if len(values) == 1 else ("", "", "")
        if scheme.lower() != "bearer":
            raise Unauthenticated("no API token was sent", hint="send authorization: Bearer <token> as metadata")
        if not hmac.compare_digest(given.strip().encode(), self._token):
            raise Unauthenticated("the API token is not the right one", hint="send authorization: Bearer <token> as metadata")
