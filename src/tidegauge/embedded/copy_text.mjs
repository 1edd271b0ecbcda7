// Rewrites `COPY … FROM STDIN` into a COPY from the device that holds the client's rows.
import { COPY_DEVICE } from './shared.mjs';

/** End of the quoted or commented stretch that begins at `at`, or `at` where none begins. */
function skipQuoted(text, at) {
  const two = text.slice(at, at + 2);
  if (two === '--') {
    const end = text.indexOf('\n', at);
    return end < 0 ? text.length : end;
  }
  if (two === '/*') return skipComment(text, at);
  if (text[at] === '"') return skipTo(text, at + 1, '"', false);
  if (text[at] === "'") return skipTo(text, at + 1, "'", /e/i.test(text[at - 1] ?? '') && !/\w/.test(text[at - 2] ?? ''));
  const tag = text[at] === '$' ? /^\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/.exec(text.slice(at, at + 64)) : null;
  if (!tag) return at;
  const end = text.indexOf(tag[0], at + tag[0].length);
  return end < 0 ? text.length : end + tag[0].length;
}

/** Comments nest in PostgreSQL. */
function skipComment(text, at) {
  let depth = 0;
  for (let i = at; i < text.length; i += 1) {
    const two = text.slice(i, i + 2);
    if (two === '/*') depth += 1;
    else if (two === '*/') depth -= 1;
    else continue;
    i += 1;
    if (depth === 0) return i + 1;
  }
  return text.length;
}

function skipTo(text, from, quote, backslashes) {
  for (let i = from; i < text.length; i += 1) {
    if (backslashes && text[i] === '\\') i += 1;
    else if (text[i] === quote && text[i + 1] === quote) i += 1;
    else if (text[i] === quote) return i + 1;
  }
  return text.length;
}

/** Bare words outside quotes, comments and parentheses: [word, start, end]. */
function* bareWords(text) {
  let depth = 0;
  for (let at = 0; at < text.length; ) {
    const after = skipQuoted(text, at);
    if (after > at) {
      at = after;
      continue;
    }
    if (text[at] === '(') depth += 1;
    if (text[at] === ')') depth -= 1;
    const word = depth === 0 ? /^[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/.exec(text.slice(at, at + 80)) : null;
    if (word) yield [word[0].toLowerCase(), at, at + word[0].length];
    at += word ? word[0].length : 1;
  }
}

/**
 * `FROM` is a reserved word, so in a COPY of a table the first bare one outside parentheses introduces the source.
 * The caller has made sure by the parser that the text is such a COPY, and checks the outcome by the parser, too.
 */
export function readFromDevice(text) {
  let previous = null;
  for (const [word, start, end] of bareWords(text)) {
    if (previous === 'from') return `${text.slice(0, start)}'${COPY_DEVICE}'${text.slice(end)}`;
    previous = word;
  }
  return null;
}
