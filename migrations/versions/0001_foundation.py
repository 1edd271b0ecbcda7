"""Schemas, extension and types."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0001_foundation.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0001_foundation.down.sql", expected=revision)
