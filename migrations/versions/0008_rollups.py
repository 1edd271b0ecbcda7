"""Continuous aggregates."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0008_rollups.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0008_rollups.down.sql", expected=revision)
