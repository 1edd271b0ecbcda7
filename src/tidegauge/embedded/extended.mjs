// The extended protocol: Parse, Bind, Describe, Execute, Close up to Sync. Messages are gathered and handed over in one
// go. Statement names are made this client's own, and statements that the database has forgotten (it was opened again,
// or another client used the unnamed one) are parsed again unseen.
import { ProtocolError, cstring, message, readCString } from './protocol.mjs';
import { identifier } from './session.mjs';
import { REFUSED } from './conversation.mjs';
import { milliseconds } from './shared.mjs';

const HELD_BYTES = 8 * 1024 * 1024;
const STATEMENTS = 1000;
const SYNC = message('S');

/** What a bound statement asks for, where a parameter says how long the transaction's statements may take. */
function withTimeout(info, body, offset) {
  if (info.timeoutParameter === undefined) return info;
  const ms = milliseconds(textParameter(body, offset, info.timeoutParameter) ?? '0');
  return ms === undefined ? info : { ...info, timeout: { ms, local: true } };
}

/** A parameter of a Bind message, counted from 1; text has the same bytes in both formats. Null where it is null or missing. */
function textParameter(body, offset, number) {
  try {
    let at = offset + 2 + 2 * body.readUInt16BE(offset);
    const count = body.readUInt16BE(at);
    at += 2;
    for (let index = 1; index <= count; index += 1) {
      const size = body.readInt32BE(at);
      at += 4;
      if (index === number) return size < 0 ? null : body.toString('utf8', at, at + size);
      at += Math.max(size, 0);
    }
    return null;
  } catch {
    throw new ProtocolError('insufficient data left in message');
  }
}

export class Extended {
  #talk;
  #held = []; // [{bytes, needs, defines}]
  #heldBytes = 0;
  #statements = new Map(); // the client's name → {bytes, info, epoch, serial, named}
  #portals = new Map(); // name → info
  #skipping = false;
  #info = {}; // merged info of what is held

  constructor(conversation) {
    this.#talk = conversation;
  }

  /** The name that the database knows a client's statement by. */
  nameOf(name) {
    return name === '' ? '' : `c${this.#talk.client.id}.${name}`;
  }

  skipToSync() {
    this.drop();
    this.#skipping = true;
  }

  /** What is held will not run. */
  drop() {
    [this.#held, this.#heldBytes, this.#info] = [[], 0, {}];
  }

  async handle(frame) {
    if (this.#skipping && frame.type !== 'S') return;
    if (frame.type === 'P') await this.#parse(frame.body);
    else if (frame.type === 'B') await this.#bind(frame.body);
    else if (frame.type === 'E') await this.#execute(frame);
    else if (frame.type === 'S') await this.#sync();
    else if (frame.type === 'H') await this.flush();
    else await this.#describeOrClose(frame);
    if (this.#heldBytes > HELD_BYTES) await this.flush();
  }

  async #parse(body) {
    const [name, afterName] = readCString(body, 0);
    const [text, afterText] = readCString(body, afterName);
    const info = this.#talk.inspect(text);
    if (info.refusal) return this.#refuse(info.refusal);
    if (!this.#statements.has(name) && this.#statements.size >= STATEMENTS) {
      return this.#refuse({ code: '54000', message: `more than ${STATEMENTS} prepared statements`, hint: 'Close some, or use prepare_threshold=None.' });
    }
    if (info.control) await this.flush();
    let sql = info.copyIn?.sql ?? info.text ?? text;
    if (info.deallocate) sql = `DEALLOCATE ${identifier(this.nameOf(info.deallocate))}`;
    const bytes = message('P', Buffer.concat([cstring(this.nameOf(name)), cstring(sql), body.subarray(afterText)]));
    const statement = { bytes, info, epoch: -1, serial: -1, named: name !== '' };
    this.#statements.set(name, statement);
    this.#hold({ bytes, defines: statement });
    return undefined;
  }

  async #bind(body) {
    const [portal, afterPortal] = readCString(body, 0);
    const [name, afterName] = readCString(body, afterPortal);
    const statement = this.#statements.get(name);
    if (!statement) return this.#unknown(name);
    this.#portals.set(portal, withTimeout(statement.info, body, afterName));
    const bytes = message('B', Buffer.concat([cstring(portal), cstring(this.nameOf(name)), body.subarray(afterName)]));
    this.#hold({ bytes, needs: statement });
    return undefined;
  }

  async #describeOrClose({ type, body, raw }) {
    if (body[0] !== 0x53) {
      this.#hold({ bytes: raw });
      return undefined;
    }
    const [name] = readCString(body, 1);
    const statement = this.#statements.get(name);
    if (type === 'D' && !statement) return this.#unknown(name);
    if (type === 'C') this.#statements.delete(name);
    this.#hold({ bytes: message(type, Buffer.concat([Buffer.from('S'), cstring(this.nameOf(name))])), needs: type === 'D' ? statement : undefined });
    return undefined;
  }

  async #execute({ body, raw }) {
    const [portal] = readCString(body, 0);
    const info = this.#portals.get(portal) ?? {};
    if (info.copyIn) return this.#copy(raw, info);
    // Effects of exactly this one; a limit for the transaction counts from the next statement on.
    const alone = info.changesSession || info.set || info.dropsStatements || info.timeout?.local === false;
    if (alone || this.#info.timeout) await this.flush();
    if (this.#skipping) return undefined;
    this.#hold({ bytes: raw });
    this.#info = { ...this.#info, ...info, copyOut: info.copyOut && !this.#info.executed, executed: true };
    if (info.control || alone) await this.flush();
    if (info.control && !this.#skipping) await this.#control(info.control);
    return undefined;
  }

  /** PostgreSQL reports the transaction's state at Sync only, but a reader's has to be known now. */
  async #control(control) {
    const talk = this.#talk;
    if (control === 'begin') talk.backendStatus = 'T';
    if (control === 'end') talk.backendStatus = 'I';
    talk.noteControl(control);
  }

  async #copy(raw, info) {
    await this.flush();
    if (this.#skipping) return;
    const talk = this.#talk;
    const options = talk.status === 'E' ? {} : await talk.copyIn(info.copyIn);
    if (options.gone) return;
    this.#hold({ bytes: raw });
    await this.flush({ ...options, info });
  }

  /** PostgreSQL itself fails the statement, so that its transaction fails too; the client gets our reason. */
  async #refuse(reason) {
    await this.flush();
    if (this.#skipping) return;
    this.#hold({ bytes: message('P', Buffer.concat([cstring(''), cstring(REFUSED), Buffer.alloc(2)])) });
    await this.flush({ override: reason });
  }

  #unknown(name) {
    return this.#refuse({ code: '26000', message: `prepared statement "${name}" does not exist` });
  }

  #hold(item) {
    this.#held.push(item);
    this.#heldBytes += item.bytes.length;
  }

  /** Hands over what is held. After an error PostgreSQL ignores everything up to Sync, and so do we. */
  async flush(options = {}) {
    if (this.#held.length === 0) return;
    const talk = this.#talk;
    await talk.takeTurn();
    const held = this.#held;
    const info = options.info ?? this.#info;
    [this.#held, this.#heldBytes, this.#info] = [[], 0, {}];
    talk.midBatch = true;
    if (await this.#restore(held)) return;
    const bytes = Buffer.concat(held.map((item) => item.bytes));
    if (await talk.perform(bytes, { ...options, info })) this.#skipping = true;
  }

  /** Parses again what these messages need and the database no longer has. True when that failed. */
  async #restore(held) {
    const { session } = this.#talk.server;
    for (const item of held) {
      if (item.defines) this.#fresh(item.defines, session);
      const statement = item.needs;
      if (!statement || (statement.named ? statement.epoch === session.epoch : statement.serial === session.serial)) continue;
      if (await this.#talk.perform(statement.bytes, { swallow: '1' })) {
        this.#skipping = true;
        return true;
      }
      this.#fresh(statement, session);
    }
    return false;
  }

  #fresh(statement, session) {
    if (!statement.named) session.serial += 1;
    [statement.epoch, statement.serial] = [session.epoch, session.serial];
  }

  async #sync() {
    const talk = this.#talk;
    this.#skipping = false;
    if (this.#held.length > 0 || talk.midBatch) {
      this.#hold({ bytes: SYNC });
      await this.flush();
      this.#skipping = false;
    }
    return talk.endBatch();
  }

  forgetPortals() {
    this.#portals.clear();
  }

  forgetStatements() {
    const { session } = this.#talk.server;
    for (const [name, statement] of this.#statements) {
      if (name !== '' && statement.epoch === session.epoch) session.forgotten.push(this.nameOf(name));
    }
    this.#statements.clear();
  }
}

