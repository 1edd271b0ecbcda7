"""Index of span attributes, and their catalogue."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0015_attribute_index.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0015_attribute_index.down.sql", expected=revision)
