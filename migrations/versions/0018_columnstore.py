"""Columnstore: what compressed chunks are ordered and found by."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0018_columnstore.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0018_columnstore.down.sql", expected=revision)
