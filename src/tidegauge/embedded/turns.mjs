// Whose turn it is: one client at a time has the database, in order of asking. Whoever has it for longer than its
// `turnLimitMs` while another client waits is told by `overdue()`; without a `turnLimitMs` nobody is told, and nobody
// has to hurry for it.

export class Turns {
  #holder = null;
  #waiting = [];
  #since = 0;
  #timer = null;

  /** Whether nobody has or wants the database. */
  get quiet() {
    return this.#holder === null && this.#waiting.length === 0;
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
      this.#waiting.push({ client, resolve: done });
      this.#watch();
    });
  }

  release(client) {
    if (this.#holder !== client) return;
    const next = this.#waiting.shift();
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
