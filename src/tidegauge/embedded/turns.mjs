// Whose turn it is: one client at a time has the database, in order of asking.

export class Turns {
  #holder = null;
  #waiting = [];

  /** Whether nobody has or wants the database. */
  get quiet() {
    return this.#holder === null && this.#waiting.length === 0;
  }

  holds(client) {
    return this.#holder === client;
  }

  /** Resolves to true when it is the client's turn, to false when it was taken out of the queue. */
  acquire(client) {
    if (this.#holder === client) return Promise.resolve(true);
    if (this.#holder === null) {
      this.#holder = client;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => this.#waiting.push({ client, resolve }));
  }

  release(client) {
    if (this.#holder !== client) return;
    const next = this.#waiting.shift();
    this.#holder = next?.client ?? null;
    next?.resolve(true);
  }

  /** Takes a waiting client out of the queue; false where it did not wait. */
  withdraw(client) {
    const at = this.#waiting.findIndex((each) => each.client === client);
    if (at < 0) return false;
    this.#waiting.splice(at, 1)[0].resolve(false);
    return true;
  }
}
