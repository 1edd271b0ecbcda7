// PostgreSQL wire protocol 3.0: what the server builds and takes apart itself. Everything else is passed on as bytes.

export const SSL_REQUEST = 80877103;
export const GSS_REQUEST = 80877104;
export const CANCEL_REQUEST = 80877102;
export const PROTOCOL_3 = 3 << 16;

/** A frame that breaks the protocol; the connection cannot go on. */
export class ProtocolError extends Error {
  constructor(message, code = '08P01') {
    super(message);
    this.code = code;
  }
}

const NUL = Buffer.from([0]);

/** One message: type byte, length, body. */
export function message(type, body = Buffer.alloc(0)) {
  const head = Buffer.allocUnsafe(5);
  head[0] = type.charCodeAt(0);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export const cstring = (text) => Buffer.concat([Buffer.from(text, 'utf8'), NUL]);
export const int32 = (n) => {
  const b = Buffer.allocUnsafe(4);
  b.writeInt32BE(n);
  return b;
};

export const query = (sql) => message('Q', cstring(sql));
export const readyForQuery = (status) => message('Z', Buffer.from(status, 'latin1'));
export const commandComplete = (tag) => message('C', cstring(tag));
export const parameterStatus = (name, value) => message('S', Buffer.concat([cstring(name), cstring(value)]));
export const backendKeyData = (pid, secret) => message('K', Buffer.concat([int32(pid), int32(secret)]));
export const authentication = (code, data = Buffer.alloc(0)) => message('R', Buffer.concat([int32(code), data]));
export const parseComplete = () => message('1');
export const closeComplete = () => message('3');
/** The column count is not known before the server has read the table; drivers look at the overall format only. */
export const copyInResponse = (binary) => message('G', Buffer.from([binary ? 1 : 0, 0, 0]));

/** ErrorResponse. `fields` are further one-letter fields, such as {H: hint}. */
export function errorResponse(severity, code, text, fields = {}) {
  const all = { S: severity, V: severity, C: code, M: text, ...fields };
  const parts = Object.entries(all)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([key, value]) => cstring(key + value));
  return message('E', Buffer.concat([...parts, NUL]));
}

/** The fields of an ErrorResponse or NoticeResponse body, by letter. */
export function errorFields(body) {
  const fields = {};
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const end = body.indexOf(0, at);
    if (end < 0) break;
    fields[String.fromCharCode(body[at])] = body.toString('utf8', at + 1, end);
    at = end + 1;
  }
  return fields;
}

/** Reads a NUL-terminated string at `offset`; returns it and the offset after it. */
export function readCString(body, offset) {
  const end = body.indexOf(0, offset);
  if (end < 0) throw new ProtocolError('unterminated string in message');
  return [body.toString('utf8', offset, end), end + 1];
}

/**
 * Cuts a byte stream into messages. Lengths are checked before anything is kept, so that a hostile length costs
 * nothing; chunks are joined only when a message is complete, so that a large message is copied once.
 */
export class FrameReader {
  #chunks = [];
  #size = 0;
  #startup = true;

  constructor({ startupLimit = 10_000, frameLimit }) {
    this.startupLimit = startupLimit;
    this.frameLimit = frameLimit;
  }

  /** Bytes that wait for the rest of their message. */
  get pendingBytes() {
    return this.#size;
  }

  push(chunk) {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
  }

  /** After the startup packet, messages carry a type byte. */
  startupDone() {
    this.#startup = false;
  }

  /** The next complete message {type, body, raw}, or null. Startup packets have type ''. */
  next() {
    const headSize = this.#startup ? 4 : 5;
    if (this.#size < headSize) return null;
    const head = this.#peek(headSize);
    const length = head.readInt32BE(headSize - 4);
    const limit = this.#startup ? this.startupLimit : this.frameLimit;
    const least = this.#startup ? 8 : 4;
    if (length < least || length > limit) throw new ProtocolError(`invalid message length ${length}`);
    const total = length + headSize - 4;
    if (this.#size < total) return null;
    const raw = this.#take(total);
    return { type: this.#startup ? '' : String.fromCharCode(raw[0]), body: raw.subarray(headSize), raw };
  }

  #peek(count) {
    if (this.#chunks[0].length < count) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0];
  }

  #take(count) {
    if (this.#chunks[0].length < count) this.#chunks = [Buffer.concat(this.#chunks)];
    const first = this.#chunks[0];
    const raw = first.subarray(0, count);
    if (first.length === count) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(count);
    this.#size -= count;
    return raw;
  }
}

/** Walks over complete messages in the database's answer, which arrives in arbitrary pieces. */
export class AnswerScanner {
  #rest = Buffer.alloc(0);

  /** Calls `each(type, start, end, buffer)` for each complete message; keeps the remainder for the next piece. */
  scan(chunk, each) {
    const buffer = this.#rest.length ? Buffer.concat([this.#rest, chunk]) : chunk;
    let at = 0;
    while (buffer.length - at >= 5) {
      const end = at + 1 + buffer.readInt32BE(at + 1);
      if (end > buffer.length) break;
      each(buffer[at], at, end, buffer);
      at = end;
    }
    this.#rest = buffer.subarray(at);
    return { buffer, complete: at };
  }
}
