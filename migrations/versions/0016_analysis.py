"""Trace analysis: edges between services, examples that outlive spans."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0016_analysis.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0016_analysis.down.sql", expected=revision)
