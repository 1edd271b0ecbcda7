"""Histogram rollups: buckets that add up from minute to day."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0014_histogram_rollups.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0014_histogram_rollups.down.sql", expected=revision)
