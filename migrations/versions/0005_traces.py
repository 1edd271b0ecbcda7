"""Spans and the trace index."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0005_traces.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0005_traces.down.sql", expected=revision)
