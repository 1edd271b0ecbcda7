// What one client says after it has connected: statements, transactions, COPY. The extended protocol is in extended.mjs.
import { Fatal } from './client.mjs';
import { Extended } from './extended.mjs';
import { AnswerFilter } from './answer.mjs';
import { gatherCopy } from './copy_in.mjs';
import { LostTransaction } from './lost_transaction.mjs';
import { ProtocolError, copyInResponse, errorResponse, parameterStatus, query, readCString, readyForQuery } from './protocol.mjs';
import { REPORTED, identifier, setSql } from './session.mjs';
import { READER_SEARCH_PATH, milliseconds } from './shared.mjs';

/** Stands for a statement that is refused: PostgreSQL fails it, so that the transaction's state is right. */
export const REFUSED = 'refused by the server';

/** A client that has its answer sends its next statement within this time, or is idle. */
const BETWEEN_STATEMENTS_MS = 100;

/** Ends a statement before PostgreSQL has seen it; the connection goes on. */
class StatementError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export class Conversation {
  /** What the client was last told: I(dle), in a T(ransaction), in a failed on(E). */
  status = 'I';
  /** Settings were changed in this turn and have to be read back. */
  changed = false;
  /** A reader's statements run inside a transaction of ours; `explicit` when it has begun one itself. */
  wrapped = false;
  explicit = false;
  /** Statements without a Sync have run: the database stays this client's. */
  midBatch = false;
  /** PostgreSQL's own view; differs from `status` inside a reader's wrapping transaction. */
  backendStatus = 'I';
  /** The turn has taken longer than its limit, and others wait. */
  #late = false;
  #lateTimer = null;
  #toReport = [];
  #lost = null;
  /** What the client has set statement_timeout to, in milliseconds; 0: nothing. */
  #timeout = { session: 0, local: 0 };

  constructor(client, server) {
    this.client = client;
    this.server = server;
    this.extended = new Extended(this);
    client.overdue = () => this.#onOverdue();
    this.#readTimeout();
  }

  #readTimeout() {
    this.#timeout.session = milliseconds(this.client.settings.get('statement_timeout') ?? '0') ?? 0;
  }

  get holds() {
    return this.server.turns.holds(this.client);
  }

  async run() {
    try {
      for (;;) {
        const frame = await this.next();
        if (frame === null || frame.type === 'X') return;
        await this.#handle(frame);
      }
    } finally {
      await this.#abandon();
    }
  }

  /** The client's next message. Having the database and saying nothing has a limit, and so has having it while others wait. */
  async next() {
    const limit = this.server.config.limits.idleInTransactionTimeoutMs;
    const late = () => new Fatal('25P03', `terminating connection due to idle-in-transaction timeout (${limit / 1000} s)`,
      'Others wait while a transaction is open: the limit is TIDEGAUGE_EMBEDDED_IDLE_IN_TRANSACTION_TIMEOUT_SECONDS.');
    const frame = await this.client.next(this.holds ? limit : 0, late, () => this.#lateTimer?.over && this.#checkTurn());
    // A statement outside a transaction has its own limit, and its Sync is all that is missing.
    if (frame !== null && !(frame.type === 'S' && this.status === 'I')) this.#checkTurn();
    return frame;
  }

  /** A driver loses what arrives just behind ReadyForQuery: what it sends next is answered by the error, silence is waited for. */
  #onOverdue() {
    this.#late = true;
    const timer = { over: false };
    timer.id = setTimeout(() => {
      timer.over = true;
      this.client.wake();
    }, BETWEEN_STATEMENTS_MS);
    this.#lateTimer = timer;
    if (this.server.runs(this.client) && this.status !== 'I') this.server.host.cancel('transaction');
  }

  #checkTurn() {
    if (this.#late) throw this.#tooLong();
  }

  #tooLong() {
    const prefix = this.client.isReader ? 'TIDEGAUGE_EMBEDDED_READER_' : 'TIDEGAUGE_EMBEDDED_';
    return new Fatal('25P04', `terminating connection due to transaction timeout of ${this.client.turnLimitMs / 1000} s`,
      `Others wait while a transaction is open: the limit is ${prefix}TRANSACTION_TIMEOUT_SECONDS.`);
  }

  #release() {
    this.#late = false;
    clearTimeout(this.#lateTimer?.id);
    this.#lateTimer = null;
    this.server.turns.release(this.client);
  }

  async #handle(frame) {
    try {
      await this.#dispatch(frame);
    } catch (error) {
      if (!(error instanceof StatementError)) throw error;
      this.client.write(errorResponse('ERROR', error.code, error.message));
      if (frame.type !== 'Q' && frame.type !== 'S') return this.extended.skipToSync();
      this.extended.drop();
      await this.endBatch();
    }
  }

  async #dispatch(frame) {
    if (frame.type === 'F') {
      this.client.write(Buffer.concat([errorResponse('ERROR', '0A000', 'function calls by message are not possible here'), readyForQuery(this.status)]));
    } else if (this.#lost !== null) {
      const answer = this.#lost.answer(frame);
      if (answer.over) [this.#lost, this.status] = [null, 'I'];
      this.client.write(answer.bytes);
    } else if (frame.type === 'Q') await this.#simple(frame);
    else if ('PBDECHS'.includes(frame.type)) await this.extended.handle(frame);
    else if (!'dcf'.includes(frame.type)) throw new ProtocolError(`unexpected message type "${frame.type}"`);
  }

  /** Statement check for owner and reader alike: {refusal, copyIn, …, text: what to run}. */
  inspect(text) {
    return this.client.isReader ? this.server.gate.classify(text) : this.server.statements.classify(text);
  }

  async #simple({ body, raw }) {
    const [text, end] = readCString(body, 0);
    if (end !== body.length) throw new ProtocolError('invalid message format');
    await this.extended.flush();
    const info = this.inspect(text);
    const options = { info, override: info.refusal };
    let bytes = info.refusal ? query(REFUSED) : info.text === undefined ? raw : query(info.text);
    if (info.deallocate) bytes = query(`DEALLOCATE ${identifier(this.extended.nameOf(info.deallocate))}`);
    if (info.copyIn && this.status !== 'E') {
      Object.assign(options, await this.copyIn(info.copyIn));
      if (options.gone) return undefined;
      bytes = query(info.copyIn.sql);
    }
    await this.takeTurn();
    if (this.client.closed) return undefined;
    await this.perform(bytes, options);
    if (info.control) this.noteControl(info.control);
    return this.endBatch();
  }

  /** Answers CopyInResponse and gathers what the client sends; the result is for perform(). */
  async copyIn({ binary }) {
    this.client.write(copyInResponse(binary));
    return gatherCopy(() => this.next(), this.server.config.limits.copyBytesLimit);
  }

  /** Waits for the database and brings its session into this client's state. */
  async takeTurn() {
    const first = !this.holds;
    this.client.cancelled = false;
    const canceled = () => new StatementError('57014', 'canceling statement due to user request');
    if (first && !(await this.server.turns.acquire(this.client))) throw canceled();
    await this.server.session.enter(this.client);
    if (this.client.isReader && !this.wrapped) await this.#wrap();
    if (first && (this.client.cancelled || this.client.closed)) throw canceled();
  }

  /** A reader works as its own role in a read-only transaction; without that nothing of it may run. */
  async #wrap() {
    const { reader } = this.server.config;
    const settings = new Map([['search_path', READER_SEARCH_PATH], ...this.client.settings]);
    const { error, status } = await this.server.session.sql(
      // How text is read must be what the statement check supposes, whatever a client of the owner has done.
      `BEGIN READ ONLY; SET LOCAL standard_conforming_strings = on; SET LOCAL client_encoding = 'UTF8'; ${setSql(settings, true)}
       SET LOCAL ROLE ${identifier(reader.user)};`,
    );
    if (error || status !== 'T') throw new Fatal(error?.C ?? 'XX000', error?.M ?? 'the reader’s transaction could not be opened');
    this.wrapped = true;
  }

  /** Runs messages and passes the answer on. Returns whether PostgreSQL answered with an error. */
  async perform(bytes, { copy, info = {}, override, swallow } = {}) {
    const { limits } = this.server.config;
    const reader = this.client.isReader;
    const limit = reader ? limits.readerResultBytesLimit : limits.resultBytesLimit;
    const timeoutMs = this.#timeoutMs(info);
    const filter = new AnswerFilter({ override, swallow, limit, timeoutMs, reader });
    if (bytes[0] === 0x51) this.server.session.serial += 1;
    const result = await this.server.runFor(this.client, bytes, {
      copy, timeoutMs, resultLimit: info.copyOut ? 0 : limit, onPiece: (piece, state) => this.client.write(filter.pass(piece, state)),
    });
    if (result.cause === 'transaction' && filter.failed) throw this.#tooLong();
    if (result.outcome !== 'done') return this.#onEnded(result, filter, bytes);
    if (filter.status) this.backendStatus = filter.status;
    if (!filter.failed) this.#noteEffects(info);
    return filter.failed;
  }

  #timeoutMs({ timeout } = {}) {
    const { limits } = this.server.config;
    const most = this.client.isReader ? limits.readerStatementTimeoutMs : limits.statementTimeoutMs;
    const asked = this.#timeout.local || this.#timeout.session;
    return asked > 0 && timeout === undefined ? Math.min(asked, most) : most;
  }

  #noteEffects(info) {
    if (info.changesSession) this.changed = true;
    if (info.dropsStatements) this.server.session.epoch += 1;
    if (info.set) this.#keepSetting(info.set);
    if (info.timeout) this.#timeout[info.timeout.local ? 'local' : 'session'] = info.timeout.ms;
  }

  /** A reader's settings are kept here and set locally in each of its transactions. */
  #keepSetting({ name, value, all, local }) {
    const { settings } = this.client;
    if (local) return;
    if (all) settings.clear();
    else if (value === null) settings.delete(name);
    else settings.set(name, value);
    const reported = REPORTED.find((each) => each.toLowerCase() === name);
    if (reported) this.#toReport.push(reported);
  }

  /** The database had to be closed hard, and with it this client's transaction. */
  #onEnded(result, filter, bytes) {
    const inTransaction = this.status !== 'I';
    this.client.write(filter.ended(result));
    this.changed = this.wrapped = this.explicit = this.midBatch = false;
    this.extended.forgetPortals();
    this.backendStatus = 'I';
    this.#release();
    if (result.cause === 'transaction') throw this.#tooLong();
    if (result.outcome === 'crashed') throw new Fatal('57P02', 'the embedded database broke down and was opened again', 'Repeat the transaction.');
    if (inTransaction) this.#lost = new LostTransaction(bytes[0] !== 0x51 && bytes[bytes.length - 5] !== 0x53);
    this.status = inTransaction ? 'E' : 'I';
    return true;
  }

  /** After a Query or Sync: ends the reader's transaction or the turn, and says ReadyForQuery. */
  async endBatch() {
    this.midBatch = false;
    let notes = [];
    if (this.#lost === null) notes = await this.#settle();
    if (this.status !== 'I') this.#checkTurn();
    this.client.write(Buffer.concat([...notes, readyForQuery(this.status)]));
  }

  async #settle() {
    if (!this.holds) return [];
    const notes = await this.#readerReports();
    if (this.wrapped && !this.explicit) await this.#unwrap();
    this.status = this.backendStatus;
    if (this.status !== 'I') return notes;
    this.#timeout.local = 0;
    this.extended.forgetPortals();
    if (this.changed) notes.push(...(await this.#readBack()));
    this.#release();
    return notes;
  }

  async #readerReports() {
    const notes = [];
    for (const name of this.#toReport.splice(0)) {
      const { rows } = await this.server.session.sql(`SHOW ${identifier(name)}`);
      if (rows.length) notes.push(parameterStatus(name, rows[0][0]));
    }
    return notes;
  }

  async #readBack() {
    this.changed = false;
    const reported = await this.server.session.leave(this.client);
    this.#readTimeout();
    return [...reported].map(([name, value]) => parameterStatus(name, value));
  }

  async #unwrap() {
    this.wrapped = false;
    const { status } = await this.server.session.sql('ROLLBACK');
    if (status !== 'I') throw new Fatal('XX000', 'the reader’s transaction could not be closed');
    this.backendStatus = 'I';
  }

  /** A reader's own BEGIN, COMMIT or ROLLBACK has run. */
  noteControl(control) {
    if (control === 'begin' && this.backendStatus === 'T') this.explicit = true;
    if (control === 'end') this.wrapped = this.explicit = this.backendStatus !== 'I';
  }

  /** The client is gone, or its connection has ended with an error: leave nothing behind. */
  async #abandon() {
    if (this.holds) {
      this.wrapped = this.explicit = false;
      try {
        if (this.midBatch || this.backendStatus !== 'I' || this.client.isReader) await this.server.rollback();
        if (this.changed) await this.server.session.leave(this.client);
      } finally {
        this.#release();
      }
    }
    this.extended.forgetStatements();
  }
}
