"""What the database's process gets of our environment: what Node.js needs to run, and no secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

# LD_LIBRARY_PATH: a Node.js of an environment manager may not start without it.
_NEEDED = re.compile(r"PATH|HOME|LANG|LC_\w+|TMPDIR|LD_LIBRARY_PATH|NODE_(OPTIONS|EXTRA_CA_CERTS|NO_WARNINGS|V8_COVERAGE)")


def for_node(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of `environ` (default: this process') that Node.js is started with."""
    # No setting of ours is read here: what is there is passed on or kept back.
    found = os.environ if environ is None else environ  # noqa: TID251
    return {name: value for name, value in found.items() if _NEEDED.fullmatch(name)}
