"""Guards: bounded rejections and names of spans."""

from tidegauge.storage.postgres.migrate import run_revision

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("0011_guards.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("0011_guards.down.sql", expected=revision)
