"""Ledger: requests are entered by a function, whose plan is kept."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0013_ledger.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0013_ledger.down.sql", expected=revision)
