// Entry point: `node server.mjs`, one line of JSON settings on stdin, one line of JSON per event on stdout.
// Secrets come over stdin only. The end of stdin means that whoever started us is gone: then we go, too.
import net from 'node:net';
import { createInterface } from 'node:readline';
import { Client, Fatal } from './client.mjs';
import { Checkpoints } from './checkpoints.mjs';
import { Contention } from './contention.mjs';
import { confinementSql } from './confinement.mjs';
import { DatabaseHost } from './database_host.mjs';
import { ReaderGate } from './reader_gate.mjs';
import { message } from './protocol.mjs';
import { readerStartup } from './reader_settings.mjs';
import { verifier } from './scram.mjs';
import { Session } from './session.mjs';
import { Statements, loadParser } from './statements.mjs';
import { Turns } from './turns.mjs';

const CLOSE_MS = 15_000;
const SYNC = message('S');
/** How long a new connection waits for its turn, where its settings have to be tried out. */
const GREETING_MS = 10_000;
/** Names that PostgreSQL takes as they are: nothing has to be tried out. */
const PLAIN_NAME = /^[\x20-\x7e]{0,63}$/;
/** WebAssembly memory never shrinks: beyond this the database is opened anew between two turns. */
const HEAP_LIMIT = 1536 * 1024 * 1024;
/** Beyond this, three times what it begins with, it is opened anew when nobody has had or wanted it for a while: that takes a second. */
const HEAP_AT_REST = 768 * 1024 * 1024;
const REST_MS = 5000;

const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

class Server {
  turns = new Turns();
  emit = emit;
  #clients = new Map();
  #ids = 0;
  #running = null; // the client whose batch runs
  #heapBytes = 0;
  #ranAt = 0;

  constructor(config, parse) {
    this.config = config;
    this.statements = new Statements(parse);
    this.gate = new ReaderGate(this.statements);
    this.verifiers = new Map([config.owner, config.reader].map(({ user, password }) => [user, verifier(password)]));
    this.host = new DatabaseHost(
      {
        dataDir: config.dataDir, modulesDir: config.modulesDir, ownerRole: config.owner.user, database: config.database,
        openSql: confinementSql(config.reader.user), mayCreate: config.mayCreate,
      },
      emit,
    );
    this.session = new Session(this.host);
    this.checkpoints = new Checkpoints(this, config.limits);
    this.contention = new Contention(this.turns, (cause) => this.host.cancel(cause));
  }

  async start() {
    await this.host.open();
    await this.session.start();
    this.listener = net.createServer((socket) => this.#accept(socket));
    await new Promise((resolve, reject) => {
      this.listener.once('error', reject);
      this.listener.listen(this.config.port, '127.0.0.1', resolve);
    });
    this.checkpoints.start();
    emit({ event: 'ready', port: this.listener.address().port, pid: process.pid, interruptible: this.host.interruptible });
  }

  get full() {
    return [...this.#clients.values()].filter((client) => client.user !== null).length >= this.config.limits.maxConnections;
  }

  #accept(socket) {
    // Connections that have not signed in yet are bounded as well: they time out on their own.
    if (this.#clients.size >= this.config.limits.maxConnections * 2 + 16) {
      socket.destroy();
      return;
    }
    this.#ids = (this.#ids % 0x7ffffffe) + 1;
    const client = new Client(socket, this, this.#ids);
    this.#clients.set(client.id, client);
    client.run();
  }

  /** What a new client is told; its start-up settings are tried out. */
  async greeting(client, asked) {
    const settings = startupSettings(asked);
    const reported = this.session.parameters();
    try {
      checkEncoding(settings);
      const wanted = client.isReader ? readerStartup(settings) : settings;
      client.settings = new Map([...wanted].filter(([name, value]) => !this.session.isBase(name, value)));
      const tried = harmless(client.settings) ? client.settings : await this.#tryOut(client);
      for (const [name, value] of tried) reported.set(name, value);
      client.told = new Map(reported);
    } catch (error) {
      throw error.code ? new Fatal(error.code, error.message, error.hint) : error;
    }
    reported.set('session_authorization', client.user);
    if (client.isReader) reported.set('is_superuser', 'off').set('default_transaction_read_only', 'on');
    return reported;
  }

  async #tryOut(client) {
    if (!(await this.turns.acquire(client, GREETING_MS))) throw new Fatal('57P03', 'the embedded database is busy', 'Connect again: other clients’ statements run one after another.');
    try {
      await this.session.enter(client);
      return client.isReader ? await this.session.tryLocally(client.settings) : await this.session.leave(client);
    } finally {
      this.turns.release(client);
    }
  }

  /** Runs a batch of the client that has the turn. */
  async runFor(client, bytes, options) {
    this.#running = client;
    const started = Date.now();
    this.contention.started(client);
    const result = await this.host.run(bytes, options);
    this.contention.ended();
    this.#running = null;
    this.#ranAt = Date.now();
    this.checkpoints.note();
    if (result.heapBytes) this.#heapBytes = result.heapBytes;
    if (result.cause || result.overLimit || result.outcome !== 'done') {
      emit({
        event: 'statement_ended', cause: result.cause ?? (result.overLimit ? 'result' : 'crash'), outcome: result.outcome,
        user: client.user, milliseconds: Date.now() - started,
      });
    }
    return result;
  }

  /** Whether a batch of this client runs now. */
  runs(client) {
    return this.#running === client;
  }

  /** Brings the database out of whatever a client has left open. */
  async rollback() {
    await this.host.run(SYNC, { timeoutMs: 10_000, onPiece() {} });
    const { status } = await this.session.sql('ROLLBACK');
    if (status !== 'I') await this.host.renew();
  }

  /** Whether the database holds more memory than it should, for how little it is asked now. */
  get oversized() {
    if (this.#heapBytes >= HEAP_LIMIT) return true;
    return this.#heapBytes >= HEAP_AT_REST && this.turns.quiet && Date.now() - this.#ranAt >= REST_MS;
  }

  /** Opens the database anew, which gives its memory back. For whoever has the turn, outside of a transaction. */
  async trimMemory() {
    this.#heapBytes = 0;
    emit({ event: 'trimming' });
    await this.session.sql('CHECKPOINT');
    await this.host.renew();
  }

  /** A CancelRequest: ends the client's running statement, or takes it out of the queue. */
  cancel(id, secret) {
    const client = this.#clients.get(id);
    if (!client || client.secret !== secret) return;
    if (this.#running === client) this.host.cancel('client');
    else if (!this.turns.withdraw(client)) client.cancelled = true;
  }

  onGone(client) {
    this.#clients.delete(client.id);
    if (this.#running === client) this.host.cancel('gone');
    else this.turns.withdraw(client);
  }

  async stop() {
    if (this.stopping) return;
    this.stopping = true;
    setTimeout(() => process.exit(1), CLOSE_MS).unref();
    this.checkpoints.stop();
    this.listener?.close();
    for (const client of this.#clients.values()) client.socket.destroy();
    await this.host.close(CLOSE_MS - 3000);
    emit({ event: 'stopped' });
    process.exit(0);
  }
}

/** Whether these settings need not be tried out: most clients only say their name. */
function harmless(settings) {
  return [...settings].every(([name, value]) => name === 'application_name' && PLAIN_NAME.test(value));
}

/** Statements are checked as UTF-8, so PostgreSQL must read them as UTF-8. */
function checkEncoding(settings) {
  const encoding = settings.get('client_encoding');
  if (encoding === undefined) return;
  if (!/^'?(utf-?8|unicode|sql_ascii|auto)'?$/i.test(encoding)) {
    throw Object.assign(new Error(`client_encoding ${encoding} is not possible: the embedded database speaks UTF8 only`), { code: '0A000' });
  }
  settings.delete('client_encoding');
}

/** Settings among the start-up parameters, `options=-c name=value` included. */
function startupSettings(asked) {
  const settings = new Map();
  const words = (asked.get('options') ?? '').match(/(?:\\.|\S)+/g) ?? [];
  const text = words.map((word) => word.replace(/\\(.)/g, '$1')).join('\n');
  for (const [, name, value] of text.matchAll(/(?:^|\n)(?:-c\n?|--)([\w.-]+)=([^\n]*)/g)) settings.set(name.replaceAll('-', '_'), value);
  for (const [name, value] of asked) {
    if (!['user', 'database', 'options', 'replication'].includes(name) && !name.startsWith('_pq_.')) settings.set(name.toLowerCase(), value);
  }
  return settings;
}

async function main() {
  const lines = createInterface({ input: process.stdin });
  const config = JSON.parse((await lines[Symbol.asyncIterator]().next()).value ?? '{}');
  let server = null;
  const stop = () => (server ? server.stop() : process.exit(0));
  process.stdin.on('end', stop);
  process.stdin.on('close', stop);
  process.stdin.resume();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, stop);
  server = new Server(config, await loadParser(config.modulesDir));
  await server.start();
}

// Nobody reads our events any more: the end of stdin says the same, so there is nothing to do about it here.
process.stdout.on('error', () => {});

main().catch((error) => {
  emit({ event: 'fatal', message: String(error?.message ?? error) });
  process.exit(1);
});

