// Gathers the rows of a `COPY … FROM STDIN` before the database sees any: it cannot wait for a client.
import { ProtocolError } from './protocol.mjs';

const BLOCK = 256 * 1024;

/** Bytes in blocks that can be handed to another thread without a copy. */
class Blocks {
  parts = [];
  #block = null;
  #used = 0;

  add(bytes) {
    for (let at = 0; at < bytes.length; ) {
      if (this.#block === null || this.#used === BLOCK) {
        this.#close();
        this.#block = Buffer.allocUnsafeSlow(BLOCK);
        this.#used = 0;
      }
      const count = bytes.copy(this.#block, this.#used, at);
      this.#used += count;
      at += count;
    }
  }

  #close() {
    if (this.#block !== null) this.parts.push(this.#block.subarray(0, this.#used));
  }

  finish() {
    this.#close();
    return this.parts;
  }
}

/**
 * Reads CopyData up to CopyDone or CopyFail. Returns what Conversation.perform() takes: {copy: parts}, or
 * {copy: null, override} where the statement must fail, or {gone: true}.
 */
export async function gatherCopy(next, limit) {
  const blocks = new Blocks();
  let size = 0;
  for (;;) {
    const frame = await next();
    if (frame === null || frame.type === 'X') return { gone: true, copy: null };
    if (frame.type === 'd') {
      size += frame.body.length;
      if (size <= limit) blocks.add(frame.body);
      else blocks.parts = [];
    } else if (frame.type === 'c') return size <= limit ? { copy: blocks.finish() } : tooLarge(limit);
    else if (frame.type === 'f') {
      const reason = frame.body.toString('utf8', 0, Math.max(frame.body.length - 1, 0));
      return { copy: null, override: { code: '57014', message: `COPY from stdin failed: ${reason}` } };
    } else if (frame.type !== 'H' && frame.type !== 'S') throw new ProtocolError(`unexpected message type "${frame.type}" during COPY`);
  }
}

function tooLarge(limit) {
  return {
    copy: null,
    override: {
      code: '54000',
      message: `COPY brought more than ${limit} bytes`,
      hint: 'Send it in several COPY statements, or raise TIDEGAUGE_EMBEDDED_COPY_BYTES_LIMIT.',
    },
  };
}
