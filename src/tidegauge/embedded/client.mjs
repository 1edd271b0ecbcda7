// One client connection: start-up, then message by message. What a client sends is run by `Conversation`.
import { randomBytes } from 'node:crypto';
import {
  CANCEL_REQUEST, FrameReader, GSS_REQUEST, PROTOCOL_3, ProtocolError, SSL_REQUEST, authentication, backendKeyData, cstring,
  errorResponse, parameterStatus, readCString, readyForQuery,
} from './protocol.mjs';
import { ScramExchange } from './scram.mjs';
import { Conversation } from './conversation.mjs';

const STARTUP_MS = 10_000;
const UNREAD_BYTES = 4 * 1024 * 1024;
const MESSAGE_LIMIT = { startup: 64 * 1024, reader: 2 * 1024 * 1024, owner: 256 * 1024 * 1024 };
const MECHANISM = 'SCRAM-SHA-256';

/** Ends the connection with a message to the client. */
export class Fatal extends Error {
  constructor(code, message, hint) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

export class Client {
  #reader = new FrameReader({ frameLimit: MESSAGE_LIMIT.startup });
  #wake = () => {};
  closed = false;
  /** A CancelRequest came while nothing ran: it is for the statement that is about to. */
  cancelled = false;
  /** Called when this client's turn takes too long for those who wait. */
  overdue = () => {};
  user = null;
  #settings = new Map();
  #settingsKey = null;
  #startupTimer = null;

  constructor(socket, server, id) {
    this.socket = socket;
    this.server = server;
    this.id = id;
    this.secret = randomBytes(4).readInt32BE();
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.#reader.push(chunk);
      if (this.#reader.pendingBytes > UNREAD_BYTES) socket.pause();
      this.#wake();
    });
    for (const event of ['end', 'close', 'error']) socket.on(event, () => this.#onClose());
  }

  get isReader() {
    return this.user === this.server.config.reader.user;
  }

  /** How long its turn may take while others wait. */
  get turnLimitMs() {
    const { limits } = this.server.config;
    return this.isReader ? limits.readerTransactionTimeoutMs : limits.transactionTimeoutMs;
  }

  /** What this client has SET: name → text. */
  get settings() {
    return this.#settings;
  }

  set settings(settings) {
    this.#settings = settings;
    this.#settingsKey = null;
  }

  /** Equal keys mean equal settings of the session; a reader's are local to its transactions. */
  get settingsKey() {
    this.#settingsKey ??= this.settings.size && !this.isReader ? JSON.stringify([...this.settings]) : '';
    return this.#settingsKey;
  }

  #onClose() {
    if (this.closed) return;
    this.closed = true;
    this.#wake();
    this.server.onGone(this);
  }

  /** The whole life of the connection. */
  async run() {
    this.#startupTimer = setTimeout(() => this.socket.destroy(), STARTUP_MS);
    try {
      if (await this.#startup()) await new Conversation(this, this.server).run();
    } catch (error) {
      this.#sayGoodbye(error);
    } finally {
      clearTimeout(this.#startupTimer);
      this.socket.end();
      this.#onClose();
    }
  }

  #sayGoodbye(error) {
    const known = error instanceof Fatal || error instanceof ProtocolError;
    if (!known) this.server.emit({ event: 'client_error', message: String(error?.stack ?? error) });
    if (this.closed) return;
    const text = known ? error.message : 'internal error of the embedded database server';
    this.socket.write(errorResponse('FATAL', error.code ?? 'XX000', text, { H: error.hint }));
  }

  /** Writes; the returned promise, if any, resolves when the client has taken enough to write on. */
  write(bytes) {
    if (this.closed || this.socket.write(bytes)) return undefined;
    return new Promise((resolve) => {
      const done = () => {
        this.socket.off('drain', done);
        this.socket.off('close', done);
        resolve();
      };
      this.socket.on('drain', done);
      this.socket.on('close', done);
    });
  }

  /** Lets `next` look again whether to wait on. */
  wake() {
    this.#wake();
  }

  /** The next message, or null when the client is gone. After `ms` without one, throws `late()`; `check` may throw earlier. */
  async next(ms = 0, late = null, check = () => {}) {
    const started = Date.now();
    for (;;) {
      const frame = this.#reader.next();
      if (this.socket.isPaused() && this.#reader.pendingBytes < UNREAD_BYTES) this.socket.resume();
      if (frame) return frame;
      if (this.closed) return null;
      check();
      const left = ms > 0 ? Math.max(started + ms - Date.now(), 0) : 0;
      await new Promise((resolve) => {
        const timer = ms > 0 ? setTimeout(resolve, left) : null;
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
        // A message larger than the limit for unread bytes must be read to its end.
        if (this.socket.isPaused()) this.socket.resume();
      });
      this.#wake = () => {};
      if (ms > 0 && Date.now() - started >= ms && !this.closed) throw late();
    }
  }

  async #startup() {
    for (;;) {
      const frame = await this.next();
      if (frame === null) return false;
      const code = frame.body.readInt32BE(0);
      if (code === SSL_REQUEST || code === GSS_REQUEST) this.socket.write('N');
      else if (code === CANCEL_REQUEST) {
        if (frame.body.length >= 12) this.server.cancel(frame.body.readInt32BE(4), frame.body.readInt32BE(8));
        return false;
      } else return this.#begin(code, frame.body);
    }
  }

  async #begin(version, body) {
    if (version >> 16 !== 3) throw new Fatal('0A000', 'unsupported protocol version; this server speaks 3.0');
    const parameters = startupParameters(body);
    this.#reader.startupDone();
    const minor = [...parameters.keys()].filter((name) => name.startsWith('_pq_.'));
    if (version !== PROTOCOL_3 || minor.length) this.socket.write(negotiate(minor));
    if (this.server.full) throw new Fatal('53300', `too many clients: the embedded database takes ${this.server.config.limits.maxConnections}`);
    const replication = parameters.get('replication');
    if (replication && !/^(0|off|false|no)$/i.test(replication)) throw new Fatal('0A000', 'replication is not possible in the embedded database');
    await this.#authenticate(parameters.get('user') ?? '');
    clearTimeout(this.#startupTimer); // from here on it is for us to hurry
    this.user = parameters.get('user');
    this.#reader.frameLimit = this.isReader ? MESSAGE_LIMIT.reader : MESSAGE_LIMIT.owner;
    await this.#greet(parameters);
    return true;
  }

  async #authenticate(user) {
    const exchange = new ScramExchange(this.server.verifiers.get(user));
    const refuse = () => new Fatal('28P01', `password authentication failed for user "${user}"`);
    this.socket.write(authentication(10, Buffer.concat([cstring(MECHANISM), Buffer.from([0])])));
    const first = await this.#password();
    const [mechanism, after] = readCString(first, 0);
    if (mechanism !== MECHANISM || first.length < after + 4) throw refuse();
    try {
      this.socket.write(authentication(11, Buffer.from(exchange.first(first.toString('utf8', after + 4)))));
      const proof = await this.#password();
      this.socket.write(authentication(12, Buffer.from(exchange.final(proof.toString('utf8')))));
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      throw refuse();
    }
    this.socket.write(authentication(0));
  }

  async #password() {
    const frame = await this.next();
    if (frame?.type !== 'p') throw new ProtocolError('expected a password message');
    return frame.body;
  }

  async #greet(parameters) {
    const reported = await this.server.greeting(this, parameters);
    const parts = [...reported].map(([name, value]) => parameterStatus(name, value));
    this.socket.write(Buffer.concat([...parts, backendKeyData(this.id, this.secret), readyForQuery('I')]));
  }
}

function startupParameters(body) {
  const parameters = new Map();
  for (let at = 4; at < body.length && body[at] !== 0; ) {
    const [name, afterName] = readCString(body, at);
    const [value, afterValue] = readCString(body, afterName);
    parameters.set(name, value);
    at = afterValue;
  }
  return parameters;
}

/** NegotiateProtocolVersion: 3.0 is what there is, without the protocol options asked for. */
function negotiate(options) {
  const numbers = Buffer.alloc(8);
  numbers.writeInt32BE(PROTOCOL_3, 0);
  numbers.writeInt32BE(options.length, 4);
  const body = Buffer.concat([numbers, ...options.map(cstring)]);
  const head = Buffer.alloc(5);
  head[0] = 'v'.charCodeAt(0);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
