// PGlite is built with Emscripten's default stack of 64 KiB, and PostgreSQL's check of its depth does nothing there: an
// expression nested a few hundred levels, a jsonb value or a recursive function runs over the end of the stack into
// PostgreSQL's static data, and not always into a crash: some statements just answer nonsense. So the stack is moved
// to a large block of its own. What is deeper still meets the JavaScript engine's limit first (the thread's stackSizeMb),
// which ends the statement before anything is overwritten.

const STACK_BYTES = 64 * 1024 * 1024;
const CANARY_WORDS = 16;
const CANARY = 0x5afe57ac;

/** Of the thread that runs PostgreSQL; deep recursion takes about twice as much of this as of the moved stack. */
export const THREAD_STACK_MB = 16;

/** Moves the stack of an idle instance. Returns a function that throws if the new one has ever been overrun. */
export function enlargeStack(module) {
  const pointer = module.___stack_pointer;
  if (!(pointer instanceof WebAssembly.Global)) throw new Error('this build of PGlite does not let its stack be moved');
  const bottom = (module._malloc(STACK_BYTES) + 15) & ~15;
  pointer.value = (bottom + STACK_BYTES - 64) & ~15;
  const at = bottom >> 2;
  module.HEAP32.fill(CANARY, at, at + CANARY_WORDS);
  return () => {
    for (let i = at; i < at + CANARY_WORDS; i += 1) if (module.HEAP32[i] !== CANARY) throw new Error('stack overrun');
  };
}
