"""Logs."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0006_logs.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0006_logs.down.sql", expected=revision)
