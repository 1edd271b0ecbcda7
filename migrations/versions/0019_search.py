"""Trace search: how spans and traces are found."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0019_search.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0019_search.down.sql", expected=revision)
