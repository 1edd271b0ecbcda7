"""Metric points, histograms, summaries, exemplars."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0004_metrics.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0004_metrics.down.sql", expected=revision)
