// A client whose transaction was lost because the database had to be closed to end its statement. PostgreSQL knows
// nothing of that transaction any more; until the client ends it, it gets the answers of a failed one.
import { commandComplete, errorResponse, message, readCString, readyForQuery } from './protocol.mjs';

const ENDS = /^\s*(?:rollback|commit|abort|end)(?:\s+(?:work|transaction))?\s*;?\s*$/i;
const REPLIES = { B: '2', D: 'n', C: '3' };

export class LostTransaction {
  #ending = false;
  #skipping;

  /** `skipping`: the statement was ended before its Sync, so what comes up to it is ignored. */
  constructor(skipping) {
    this.#skipping = skipping;
  }

  /** The answer to one message: {bytes, over}; `over` when the client has ended the transaction. */
  answer({ type, body }) {
    if (type === 'Q') {
      const ends = ENDS.test(body.toString('utf8', 0, body.length - 1));
      const first = ends ? commandComplete('ROLLBACK') : this.#aborted();
      return { bytes: Buffer.concat([first, readyForQuery(ends ? 'I' : 'E')]), over: ends };
    }
    if (type === 'S') {
      this.#skipping = false;
      return { bytes: readyForQuery(this.#ending ? 'I' : 'E'), over: this.#ending };
    }
    return { bytes: this.#skipping ? Buffer.alloc(0) : this.#extended(type, body), over: false };
  }

  #extended(type, body) {
    if (type === 'P') {
      const [, after] = readCString(body, 0);
      const [text] = readCString(body, after);
      this.#ending = ENDS.test(text);
      if (this.#ending) return message('1');
    }
    if (type === 'E' && this.#ending) return commandComplete('ROLLBACK');
    if (REPLIES[type] && (this.#ending || type === 'C')) return message(REPLIES[type]);
    if (type === 'H' || 'dcf'.includes(type)) return Buffer.alloc(0);
    this.#skipping = true;
    return this.#aborted();
  }

  #aborted() {
    return errorResponse('ERROR', '25P02', 'current transaction is aborted, commands ignored until end of transaction block');
  }
}
