// The server's handle on the database thread: runs batches, ends statements, opens the database again when it broke.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { THREAD_STACK_MB } from './stack.mjs';
import { ACK_SLOT, CANCEL_SLOT, SLOTS } from './shared.mjs';

/** How long an interrupted statement may take to notice before its thread is terminated. */
const GRACE_MS = 300;

export class DatabaseHost {
  #settings;
  #emit;
  #worker = null;
  #slots;
  #running = null; // {id, onPiece, resolve, timer, cause}
  #ids = 0;
  #ready;
  #interruptible = false;
  #closing = false;

  /** Changes whenever the database was opened anew: everything a session held before is gone then. */
  generation = 0;

  constructor(settings, emit) {
    this.#settings = settings;
    this.#mayCreate = settings.mayCreate;
    this.#emit = emit;
  }

  /** Whether a missing cluster is to be made: one that was there and is gone must not be replaced by an empty one. */
  #mayCreate;

  /** Compiled once: opening again after a statement was ended hard is a third quicker by that. */
  #wasmModule = null;

  async #compile() {
    const path = join(this.#settings.modulesDir, 'node_modules', '@unni-craftsman', 'pglite', 'dist', 'pglite.wasm');
    this.#wasmModule ??= await WebAssembly.compile(await readFile(path));
  }

  /** Starts the thread and resolves when the database takes statements. */
  async open() {
    await this.#compile();
    this.generation += 1;
    const shared = new SharedArrayBuffer(SLOTS * 4);
    this.#slots = new Int32Array(shared);
    const worker = new Worker(new URL('./database.mjs', import.meta.url), {
      workerData: { settings: { ...this.#settings, mayCreate: this.#mayCreate }, shared, wasmModule: this.#wasmModule },
      resourceLimits: { stackSizeMb: THREAD_STACK_MB },
    });
    this.#worker = worker;
    let opened = false;
    this.#ready = new Promise((resolve, reject) => {
      worker.on('message', (message) => {
        if (worker !== this.#worker) return; // a thread that was given up
        if (message.op === 'ready') {
          this.#interruptible = message.interruptible;
          opened = true;
          this.#mayCreate = false;
          resolve();
        } else if (message.op === 'failed') reject(new Error(message.message));
        else this.#onMessage(message);
      });
      worker.on('error', (error) => {
        reject(error);
        if (opened && worker === this.#worker) this.#broken(String(error?.message ?? error));
      });
      worker.on('exit', () => {
        reject(new Error('the database thread ended while opening'));
        if (opened && worker === this.#worker) this.#broken('the database thread ended');
      });
    });
    this.#ready.catch(() => {});
    return this.#ready;
  }

  get interruptible() {
    return this.#interruptible;
  }

  /**
   * Runs one batch of messages. `onPiece(bytes)` gets the answer as it comes and returns a promise where the taker
   * wants to be waited for. Resolves to {outcome: 'done'|'ended'|'crashed', cause, overLimit, heapBytes}: 'ended'
   * means the database was closed hard to end the statement, and its transaction is gone.
   */
  async run(bytes, { copy, resultLimit = 0, timeoutMs = 0, onPiece }) {
    await this.#ready;
    if (this.#running !== null) throw new Error('two batches at once: the second has not waited for its turn');
    const id = (this.#ids = (this.#ids % 0x3fffffff) + 1);
    return new Promise((resolve) => {
      this.#running = { id, onPiece, resolve, cause: null, timers: [] };
      if (timeoutMs > 0) this.#running.timers.push(setTimeout(() => this.cancel('timeout'), timeoutMs));
      this.#worker.postMessage({ op: 'run', id, bytes, copy, resultLimit });
    });
  }

  /** Ends the statement that runs now, softly where possible. `cause` comes back in run()'s result. */
  cancel(cause) {
    const run = this.#running;
    if (run === null || run.cause !== null) return;
    run.cause = cause;
    Atomics.store(this.#slots, CANCEL_SLOT, run.id);
    Atomics.notify(this.#slots, ACK_SLOT);
    run.timers.push(setTimeout(() => run === this.#running && this.#end(), this.#interruptible ? GRACE_MS : 0));
  }

  /** Closes the database in order (with a checkpoint); resolves when the thread has ended, at the latest after `ms`. */
  async close(ms) {
    this.#closing = true;
    if (this.#running) this.cancel('shutdown');
    const worker = this.#worker;
    const closed = new Promise((resolve) => {
      worker.on('message', (message) => message.op === 'closed' && resolve());
      worker.on('exit', resolve);
      setTimeout(resolve, ms).unref();
    });
    worker.postMessage({ op: 'close' });
    await closed;
    this.#worker = null;
    await worker.terminate();
  }

  /** Opens the database anew, e.g. because it holds too much memory. Only between statements. */
  renew() {
    return this.#restart();
  }

  #onMessage(message) {
    if (message.op === 'event') return this.#emit(message.event);
    if (message.op === 'crashed') return this.#broken(message.message);
    const run = this.#running;
    if (run === null || message.id !== run.id) return undefined;
    const bytes = Buffer.from(message.bytes.buffer, message.bytes.byteOffset, message.bytes.byteLength);
    const taken = bytes.length ? run.onPiece(bytes, { cause: run.cause, overLimit: message.overLimit }) : undefined;
    if (message.op === 'piece') {
      const slots = this.#slots;
      const acknowledge = () => {
        Atomics.add(slots, ACK_SLOT, 1);
        Atomics.notify(slots, ACK_SLOT);
      };
      if (taken) taken.then(acknowledge);
      else acknowledge();
      return undefined;
    }
    this.#finish({ outcome: 'done', overLimit: message.overLimit, heapBytes: message.heapBytes });
    return undefined;
  }

  #finish(result) {
    const run = this.#running;
    if (run === null) return;
    this.#running = null;
    run.timers.forEach(clearTimeout);
    run.resolve({ cause: run.cause, ...result });
  }

  #end() {
    this.#restart();
    this.#finish({ outcome: 'ended' });
  }

  #broken(text) {
    if (this.#closing) return;
    this.#emit({ event: 'broken', message: text });
    this.#restart();
    this.#finish({ outcome: 'crashed' });
  }

  /** Terminates the thread and opens the database again; whoever calls run() meanwhile waits for that. */
  async #restart() {
    const worker = this.#worker;
    this.#worker = null; // its last messages are of no interest
    const started = Date.now();
    let opened;
    const again = new Promise((resolve) => (opened = resolve));
    this.#ready = again;
    await worker?.terminate();
    if (this.#closing) return;
    try {
      await this.open();
    } catch (error) {
      this.#emit({ event: 'fatal', message: `the database did not open again: ${error.message}` });
      process.exit(1); // the supervisor starts the process anew
    }
    this.#emit({ event: 'reopened', milliseconds: Date.now() - started });
    opened();
  }
}
