"""Record of maintenance runs."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0010_maintenance.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0010_maintenance.down.sql", expected=revision)
