"""${message}."""

from tidegauge.storage.postgres.migrate import run_revision

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_revision("${up_revision}_${slug if slug is not UNDEFINED else 'name'}.up.sql", expected=down_revision)


def downgrade() -> None:
    run_revision("${up_revision}_${slug if slug is not UNDEFINED else 'name'}.down.sql", expected=revision)
