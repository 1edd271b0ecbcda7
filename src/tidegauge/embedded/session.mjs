// PGlite has one session, and all clients share it. This module gives each client its own settings all the same: what
// a client SET is read back when its turn ends, removed, and set again before its next turn. Clients without settings
// of their own cost nothing. Prepared statements are told apart by name (extended.mjs); `epoch` says when they are gone.
import { AnswerScanner, errorFields, query } from './protocol.mjs';
import { DEFAULTS } from './shared.mjs';

export const REPORTED = [
  'server_version', 'server_encoding', 'client_encoding', 'application_name', 'default_transaction_read_only',
  'in_hot_standby', 'is_superuser', 'session_authorization', 'DateStyle', 'IntervalStyle', 'TimeZone',
  'integer_datetimes', 'standard_conforming_strings', 'scram_iterations',
];
/** Not settings of a session, though pg_settings lists them. */
const TRANSIENT = /^transaction_/;
const OWN_LIMIT_MS = 60_000;

export const literal = (text) => `E'${text.replace(/\\/g, '\\\\').replace(/'/g, "''")}'`;
export const identifier = (text) => `"${text.replace(/"/g, '""')}"`;

export class Session {
  #host;
  #generation = -1;
  #applied = ''; // key of the settings in force
  #base = new Map();

  /** Changes when all prepared statements are gone. */
  epoch = 0;
  /** Changes when the unnamed prepared statement is gone or another's. */
  serial = 0;
  /** Statements of clients that went away. */
  forgotten = [];

  constructor(host) {
    this.#host = host;
  }

  /** Runs SQL of the server itself. Resolves to {rows, error, status}; rows are arrays of text or null. */
  async sql(text, timeoutMs = OWN_LIMIT_MS) {
    const scanner = new AnswerScanner();
    const answer = { rows: [], error: null, status: '' };
    this.serial += 1;
    const result = await this.#host.run(query(text), {
      timeoutMs,
      onPiece: (bytes) => {
        scanner.scan(bytes, (type, start, end, buffer) => {
          if (type === 0x44) answer.rows.push(readRow(buffer.subarray(start + 5, end)));
          if (type === 0x45) answer.error ??= errorFields(buffer.subarray(start + 5, end));
          if (type === 0x5a) answer.status = String.fromCharCode(buffer[start + 5]);
        });
      },
    });
    if (result.outcome !== 'done') answer.error = { C: '57P01', M: 'the embedded database was opened again' };
    return answer;
  }

  /** Brings the session into the client's state. Throws {code, message} of a setting that PostgreSQL refuses. */
  async enter(client) {
    if (this.#generation !== this.#host.generation) await this.#begin();
    if (this.forgotten.length) await this.sql(this.forgotten.splice(0).map((name) => `DEALLOCATE ${identifier(name)}`).join(';'));
    if (client.settingsKey === this.#applied) return;
    const { error } = await this.sql(`${this.#resetSql()}${setSql(client.settings, false)}`);
    this.#applied = error ? 'unknown' : client.settingsKey;
    if (error) throw Object.assign(new Error(error.M), { code: error.C });
  }

  /** Reads back what the client has changed; returns what of that it is to be told, as ParameterStatus. */
  async leave(client) {
    const before = client.told ?? new Map();
    const { rows } = await this.sql("SELECT name, setting FROM pg_catalog.pg_settings WHERE source = 'session'");
    client.settings = new Map(rows.filter(([name, value]) => !TRANSIENT.test(name) && this.#base.get(name) !== value));
    // After a RESET of the client's, our defaults are not in force: the next turn, whoever has it, sets them again.
    const set = new Set(rows.map(([name]) => name));
    this.#applied = Object.keys(DEFAULTS).every((name) => set.has(name)) ? client.settingsKey : 'unknown';
    client.told = new Map(REPORTED.map((name) => [name, client.settings.get(name) ?? this.#base.get(name)]));
    return new Map([...client.told].filter(([name, value]) => value !== (before.get(name) ?? this.#base.get(name))));
  }

  /** A reader's start-up settings: tried in a transaction; returns those that are reported. */
  async tryLocally(settings) {
    const names = REPORTED.map(literal).join(', ');
    const { rows, error, status } = await this.sql(
      `BEGIN READ ONLY; ${setSql(settings, true)} SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN (${names})`,
    );
    if (status !== 'I') await this.sql('ROLLBACK');
    if (error) throw Object.assign(new Error(error.M), { code: error.C });
    return new Map(rows.filter((row) => row.length === 2 && settings.has(row[0].toLowerCase())));
  }

  /** Looks around in a database that has just been opened. */
  async start() {
    await this.#begin();
  }

  /** Settings that a client is told when it connects. Asks nobody: the client does not have the turn. */
  parameters() {
    return new Map(REPORTED.map((name) => [name, this.#base.get(name)]).filter(([, value]) => value !== undefined));
  }

  /** Whether a setting has this value without being set. */
  isBase(name, value) {
    return this.#base.get(name) === value;
  }

  async #begin() {
    this.#generation = this.#host.generation;
    this.epoch += 1;
    this.forgotten = [];
    await this.sql(this.#resetSql());
    const { rows } = await this.sql('SELECT name, setting FROM pg_catalog.pg_settings');
    this.#base = new Map(rows);
    const { rows: [[user]] } = await this.sql('SELECT session_user');
    this.#base.set('session_authorization', user);
    this.#applied = '';
  }

  #resetSql() {
    return `RESET ALL;${setSql(new Map(Object.entries(DEFAULTS)), false)}`;
  }
}

/** One SELECT that sets all of `settings`; set_config takes the text form that pg_settings shows. */
export function setSql(settings, local) {
  const calls = [...settings].map(([name, value]) => `pg_catalog.set_config(${literal(name)}, ${literal(value)}, ${local})`);
  return calls.length ? `SELECT ${calls.join(', ')};` : '';
}

function readRow(body) {
  const values = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left -= 1) {
    const size = body.readInt32BE(at);
    at += 4;
    values.push(size < 0 ? null : body.toString('utf8', at, at + size));
    at += Math.max(size, 0);
  }
  return values;
}
