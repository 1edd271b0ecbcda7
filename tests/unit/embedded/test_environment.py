"""What the database's process gets to know of our environment."""

from __future__ import annotations

from tidegauge.embedded.environment import for_node

NEEDED = {"PATH": "/bin", "HOME": "/home/me", "LANG": "C", "LC_ALL": "C", "TMPDIR": "/var/tmp", "NODE_OPTIONS": "--max-old-space-size=4096"}
SECRETS = (
    "TIDEGAUGE_API_KEY", "DATABASE_URL", "ELASTICSEARCH_URL", "REDIS_URL", "PGPASSWORD", "PGDATABASE", "AWS_SECRET_ACCESS_KEY",
    "NODE_AUTH_TOKEN", "NPM_TOKEN", "MY_PATH", "PATHS",
)  # fmt: skip


def test_node_gets_what_it_needs_and_no_secrets() -> None:
    assert for_node(NEEDED | dict.fromkeys(SECRETS, "secret")) == NEEDED
