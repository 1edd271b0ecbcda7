// Passes the database's answer on to the client: everything but ReadyForQuery, which the server says itself when the
// turn is really over, and with errors of our own making in the place of PostgreSQL's.
import { CONTENDED_MS } from './contention.mjs';
import { AnswerScanner, errorFields, errorResponse } from './protocol.mjs';

const ERROR = 0x45;
const NOTICE = 0x4e;
const READY = 0x5a;
const NOTIFICATION = 0x41;
const PARAMETER = 0x53;
/** A trace message of PGlite's build that PostgreSQL does not have. */
const TRACE = /^# \d+: /;
const ALREADY_IN_TRANSACTION = '25001';

const mebibytes = (bytes) => `${Math.round((bytes / 1048576) * 10) / 10} MiB`;

export class AnswerFilter {
  #scanner = new AnswerScanner();
  #options;
  failed = false;
  status = '';

  constructor(options) {
    this.#options = options;
  }

  /** What of `chunk` the client gets. `state` is {overLimit, cause} of the running batch. */
  pass(chunk, state) {
    const kept = [];
    let from = 0;
    const { buffer, complete } = this.#scanner.scan(chunk, (type, start, end, whole) => {
      const instead = this.#instead(type, whole.subarray(start + 5, end), state);
      if (instead === undefined) return;
      kept.push(whole.subarray(from, start), instead);
      from = end;
    });
    if (kept.length === 0) return buffer.subarray(0, complete);
    return Buffer.concat([...kept, buffer.subarray(from, complete)]);
  }

  /** Bytes that replace a message; undefined to pass it on as it is. */
  #instead(type, body, state) {
    const nothing = Buffer.alloc(0);
    if (type === READY) {
      this.status = String.fromCharCode(body[0]);
      return nothing;
    }
    if (type === NOTIFICATION || type === PARAMETER) return nothing;
    if (this.#options.swallow?.includes(String.fromCharCode(type))) return nothing;
    if (type === NOTICE) {
      const { C, M } = errorFields(body);
      return TRACE.test(M) || (this.#options.reader && C === ALREADY_IN_TRANSACTION) ? nothing : undefined;
    }
    return type === ERROR ? this.#error(body, state) : undefined;
  }

  #error(body, state) {
    this.failed = true;
    const { override } = this.#options;
    if (override) return errorResponse('ERROR', override.code, override.message, { H: override.hint, P: override.position });
    if (errorFields(body).C !== '57014' || !(state.cause || state.overLimit)) return undefined;
    return this.#own(state.cause ?? 'result');
  }

  /** The error for a statement that we ended. */
  #own(cause) {
    const { limit, timeoutMs, reader } = this.#options;
    const prefix = reader ? 'TIDEGAUGE_EMBEDDED_READER_' : 'TIDEGAUGE_EMBEDDED_';
    if (cause === 'result') {
      return errorResponse('ERROR', '54000', `the result is larger than ${mebibytes(limit)}`, {
        H: `Narrow it by WHERE or LIMIT, read it in parts by a cursor, or raise ${prefix}RESULT_BYTES_LIMIT.`,
      });
    }
    if (cause === 'timeout') {
      return errorResponse('ERROR', '57014', `canceling statement due to statement timeout of ${timeoutMs / 1000} s`, {
        H: `The limit is ${prefix}STATEMENT_TIMEOUT_SECONDS, or a lower statement_timeout that the client has set.`,
      });
    }
    if (cause === 'contended') {
      return errorResponse('ERROR', '57014', `canceling statement due to the limit of ${CONTENDED_MS / 1000} s for readers while the owner waits`, {
        H: 'Ingest waited for this statement. Narrow it, or repeat it: while nobody waits, the limit is TIDEGAUGE_EMBEDDED_READER_STATEMENT_TIMEOUT_SECONDS.',
      });
    }
    if (cause === 'transaction') return Buffer.alloc(0); // the connection ends, and the last message says why
    if (cause === 'shutdown') return errorResponse('ERROR', '57P01', 'the embedded database is shutting down');
    return errorResponse('ERROR', '57014', 'canceling statement due to user request');
  }

  /** The error when the database had to be closed to end the statement, or broke down. */
  ended({ outcome, cause, overLimit }) {
    this.failed = true;
    return outcome === 'ended' ? this.#own(overLimit && !cause ? 'result' : (cause ?? 'client')) : Buffer.alloc(0);
  }
}
