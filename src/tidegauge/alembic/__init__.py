"""TimescaleDB for Alembic: operations for hypertables, policies and continuous aggregates, and autogenerate that leaves TimescaleDB alone.

For any project on SQLAlchemy and TimescaleDB 2.18 or newer; it needs nothing of a Tidegauge. In ``env.py``::

    from tidegauge.alembic import autogenerate_options, register

    register()
    ...
    context.configure(connection=connection, target_metadata=metadata, **autogenerate_options(connection))

and in a revision::

    from alembic import op

    op.create_hypertable("conditions", "time", chunk_interval="1 day")
    op.add_compression_policy("conditions", "7 days")

docs/alembic.md tells of every operation. :func:`operations` gives ``op`` with its types, for checkers and editors.
"""

from tidegauge.alembic.autogenerate import autogenerate_options
from tidegauge.alembic.registry import TimescaleOperations, operations, register

__all__ = ["TimescaleOperations", "autogenerate_options", "operations", "register"]
