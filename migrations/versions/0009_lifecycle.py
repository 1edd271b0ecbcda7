"""What is kept how long."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0009_lifecycle.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0009_lifecycle.down.sql", expected=revision)
