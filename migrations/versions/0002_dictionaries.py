"""Applications, resources, scopes, series."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0002_dictionaries.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0002_dictionaries.down.sql", expected=revision)
