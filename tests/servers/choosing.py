"""What each kind of server that tests need is taken from, in this order: a URL in the environment, a container where Docker runs, the
project's own launcher, and else embedded or skipped. Where ``CI`` is set, a missing server is a failure.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Choice:
    """``kind``: url, container, launcher, embedded or none; ``what``: which one that is, or why there is none."""

    kind: str
    what: str

    def need(self, name: str) -> None:
        """Go on only where there is a server."""
        if self.kind != "none":
            return
        if os.environ.get("CI"):
            pytest.fail(f"CI tests on {name}: {self.what}", pytrace=False)
        pytest.skip(f"no {name}: {self.what}")


@functools.cache
def docker_runs() -> bool:
    """Whether a Docker engine answers; the client alone is not enough."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        return subprocess.run([docker, "info"], capture_output=True, timeout=20, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
