// PostgreSQL's own checkpointer does not run here: without CHECKPOINT, write-ahead log is never recycled and the next
// start has to replay all of it.

const LOOK_MS = 1000;
const SINCE = 'SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), redo_lsn)::bigint FROM pg_catalog.pg_control_checkpoint()';
/** Log that a checkpoint itself writes; below this there is nothing to save. */
const IDLE_BYTES = 64 * 1024;
const CHECKPOINT_MS = 60_000;

export class Checkpoints {
  #server;
  #limits;
  #timer = null;
  #active = false;
  #looking = false;
  #last = Date.now();

  constructor(server, limits) {
    this.#server = server;
    this.#limits = limits;
  }

  /** A client's batch has run. */
  note() {
    this.#active = true;
  }

  start() {
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** Takes a turn like a client, so that it never comes between the statements of a transaction. */
  async #look() {
    const { turns, session, oversized } = this.#server;
    if (!(this.#active || oversized) || this.#looking) return;
    this.#looking = true;
    this.#active = false;
    try {
      await turns.acquire(this);
      const { rows, error } = await session.sql(SINCE);
      if (!error && this.#due(Number(rows[0][0]))) {
        const started = Date.now();
        await session.sql('CHECKPOINT', CHECKPOINT_MS);
        this.#last = Date.now();
        this.#server.emit({ event: 'checkpoint', wal_bytes: Number(rows[0][0]), milliseconds: this.#last - started });
      }
      if (oversized) await this.#server.trimMemory();
    } finally {
      this.#looking = false;
      turns.release(this);
    }
  }

  #due(bytes) {
    if (bytes >= this.#limits.checkpointWalBytes) return true;
    const late = Date.now() - this.#last >= this.#limits.checkpointSeconds * 1000;
    if (!late || bytes < IDLE_BYTES) {
      this.#active ||= bytes >= IDLE_BYTES; // look again: there is something to save, but not yet
      return false;
    }
    return true;
  }
}
