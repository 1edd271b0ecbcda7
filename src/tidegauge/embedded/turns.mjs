// Whose turn it is: one client at a time has the database. Readers wait until nobody else does, the others go in order of
// asking, so that a queue of slow queries does not hold up ingest; a reader that has waited for long goes between two of
// them, so that steady ingest does not shut readers out. Whoever has it for longer than its
// `turnLimitMs` while another client waits is told by `overdue()`; without a `turnLimitMs` nobody is told, and nobody
// has to hurry for it.

/** A reader that has waited for so long is the next one after an owner's turn. */
const PATIENCE_MS = 1000;

export class Turns {
  /** Called when somebody starts to wait. */
  onWait = () => {};
  #holder = null;
  #waiting = [];
  #since = 0;
  #timer = null;

  /** Whether nobody has or wants the database. */
  get quiet() {
    return this.#holder === null && this.#waiting.length === 0;
  }

  /** Whether the owner waits; housekeeping, which has no limit, does not count. */
  get ownerWaits() {
    return this.#waiting.some(({ client }) => !client.isReader && client.turnLimitMs !== undefined);
  }

  holds(client) {
    return this.#holder === client;
  }

  /** Resolves to true when it is the client's turn, to false when it was taken out of the queue or has waited for `ms`. */
  acquire(client, ms = 0) {
    if (this.#holder === client) return Promise.resolve(true);
    if (this.#holder === null) {
      this.#give(client);
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const timer = ms > 0 ? setTimeout(() => this.withdraw(client), ms) : null;
      const done = (got) => {
        clearTimeout(timer);
        resolve(got);
      };
      this.#waiting.push({ client, resolve: done, since: Date.now() });
      this.#watch();
      this.onWait();
    });
  }

  release(client) {
    if (this.#holder !== client) return;
    const next = this.#next(client.isReader);
    this.#give(next?.client ?? null);
    next?.resolve(true);
  }

  /** Takes a waiting client out of the queue; false where it did not wait. */
  withdraw(client) {
    const at = this.#waiting.findIndex((each) => each.client === client);
    if (at < 0) return false;
    this.#waiting.splice(at, 1)[0].resolve(false);
    this.#watch();
    return true;
  }

  /** Takes out of the queue who goes next. */
  #next(afterReader) {
    const reader = this.#waiting.findIndex(({ client }) => client.isReader);
    const other = this.#waiting.findIndex(({ client }) => !client.isReader);
    const impatient = reader >= 0 && !afterReader && Date.now() - this.#waiting[reader].since > PATIENCE_MS;
    return this.#waiting.splice(impatient || other < 0 ? Math.max(reader, 0) : other, 1)[0];
  }

  #give(client) {
    this.#holder = client;
    this.#since = Date.now();
    this.#watch();
  }

  #watch() {
    clearTimeout(this.#timer);
    const limit = this.#holder?.turnLimitMs;
    if (limit === undefined || !this.#waiting.some(({ client }) => client.turnLimitMs !== undefined)) return;
    this.#timer = setTimeout(() => this.#holder.overdue(), Math.max(this.#since + limit - Date.now(), 0));
  }
}
