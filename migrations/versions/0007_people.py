"""Alerts and users."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0007_people.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0007_people.down.sql", expected=revision)
