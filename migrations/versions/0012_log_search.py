"""Log search: words that every log store cuts alike, records by their id."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0012_log_search.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0012_log_search.down.sql", expected=revision)
