"""Collection of unused dictionary rows."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0017_collection.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0017_collection.down.sql", expected=revision)
