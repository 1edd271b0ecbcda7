"""TimescaleDB on this machine without an installation: PostgreSQL in WebAssembly behind a socket server of ours.

``EmbeddedDatabase`` starts and supervises the Node.js process; the ``*.mjs`` files beside it are that process:

- ``server.mjs`` accepts connections, ``client.mjs`` signs them in (``scram.mjs``), ``conversation.mjs`` and ``extended.mjs``
  run what they say, one transaction at a time (``turns.mjs``), in one shared session (``session.mjs``);
- ``database_host.mjs`` and ``database.mjs`` keep PostgreSQL in a thread that can be ended at any moment;
- ``statements.mjs``, ``reader_gate.mjs`` and ``confinement.mjs`` decide what may run, by PostgreSQL's own parser and privileges;
- ``checkpoints.mjs`` keeps the write-ahead log short.
"""

from tidegauge.embedded.connection import ConnectionInfo, running
from tidegauge.embedded.supervisor import EmbeddedDatabase

__all__ = ["ConnectionInfo", "EmbeddedDatabase", "running"]
