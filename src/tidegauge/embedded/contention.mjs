// A reader's statement has less time while the owner waits for the database.

/** An exporter of telemetry gives up a request after 10 s: ingest that waits for one reader must still be in time. */
export const CONTENDED_MS = 5000;

export class Contention {
  #turns;
  #cancel;
  #since = 0;
  #reads = false; // a reader's batch runs
  #timer = null;

  /** `cancel(cause)` ends the batch that runs. */
  constructor(turns, cancel) {
    this.#turns = turns;
    this.#cancel = cancel;
    turns.onWait = () => this.#look();
  }

  /** A batch of this client's starts to run. */
  started(client) {
    this.#reads = Boolean(client.isReader);
    this.#since = Date.now();
    this.#look();
  }

  ended() {
    this.#reads = false;
    clearTimeout(this.#timer);
  }

  #look() {
    clearTimeout(this.#timer);
    if (!this.#reads || !this.#turns.ownerWaits) return;
    // Who waited may have left by then; whoever comes later makes us look again.
    this.#timer = setTimeout(() => this.#turns.ownerWaits && this.#cancel('contended'), Math.max(this.#since + CONTENDED_MS - Date.now(), 0));
  }
}
