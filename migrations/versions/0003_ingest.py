"""The ledger of requests, and rejections."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0003_ingest.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0003_ingest.down.sql", expected=revision)
