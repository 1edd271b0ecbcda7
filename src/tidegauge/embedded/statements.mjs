// What the server must know about a statement before it passes it on, read from the parse tree.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { readFromDevice } from './copy_text.mjs';
import { COPY_DEVICE, milliseconds } from './shared.mjs';

const CACHED_TEXT = 16 * 1024;
const CACHED_COUNT = 4000;

/** The parser of PostgreSQL 17 itself, in WebAssembly. */
export async function loadParser(modulesDir) {
  const libpgQuery = createRequire(join(modulesDir, 'package.json'))('libpg-query');
  await libpgQuery.loadModule();
  return (text) => libpgQuery.parseSync(text).stmts?.map((each) => each.stmt) ?? [];
}

const unsupported = (message, hint) => ({ code: '0A000', message, hint });
const SHARED = 'the embedded database runs all clients in one session';

/** Why the owner may not run this statement here, or null. `node` is [type, fields] of one statement. */
function refusal(type, node, count) {
  switch (type) {
    case 'ListenStmt':
      return unsupported(`LISTEN is not possible: ${SHARED}`, 'Poll a table instead.');
    case 'PrepareStmt':
    case 'ExecuteStmt':
      return unsupported(`PREPARE and EXECUTE are not possible: ${SHARED}`, 'Use the driver’s prepared statements, or none: prepare_threshold=None in psycopg.');
    case 'DeclareCursorStmt':
      return node.options & 0x0020 // CURSOR_OPT_HOLD
        ? unsupported(`WITH HOLD cursors are not possible: ${SHARED}`, 'Read the cursor inside its transaction.')
        : null;
    case 'CreateStmt':
    case 'CreateTableAsStmt':
      return temporary(node) ? unsupported(`temporary tables must be ON COMMIT DROP: ${SHARED}`, 'Add ON COMMIT DROP and use the table in its transaction.') : null;
    case 'SelectStmt':
      return node.intoClause?.rel?.relpersistence === 't' ? unsupported(`temporary tables must be ON COMMIT DROP: ${SHARED}`) : null;
    case 'ViewStmt':
      return node.view?.relpersistence === 't' ? unsupported(`temporary views are not possible: ${SHARED}`) : null;
    case 'CreateSeqStmt':
      return node.sequence?.relpersistence === 't' ? unsupported(`temporary sequences are not possible: ${SHARED}`) : null;
    case 'TransactionStmt':
      return /PREPARED|PREPARE$/.test(node.kind) ? unsupported('two-phase commit is not possible in the embedded database') : null;
    case 'VariableSetStmt':
      if (node.name === 'client_encoding' && !/^(utf-?8|unicode|sql_ascii)$/i.test(node.args?.[0]?.A_Const?.sval?.sval ?? 'UTF8')) {
        return unsupported('client_encoding must be UTF8 in the embedded database');
      }
      return /^(role|session_authorization)$/.test(node.name ?? '') && !node.is_local
        ? unsupported(`SET ${node.name} outside a transaction is not possible: ${SHARED}`, 'Use SET LOCAL inside a transaction.')
        : null;
    case 'CopyStmt':
      if (isCopyIn(node) && count > 1) return unsupported('COPY FROM STDIN must be sent as a statement of its own here');
      return null;
    default:
      return null;
  }
}

function temporary(node) {
  const into = node.into ?? node;
  const relation = into.rel ?? into.relation;
  const temp = relation?.relpersistence === 't' || relation?.schemaname === 'pg_temp';
  return temp && (into.onCommit ?? into.oncommit) !== 'ONCOMMIT_DROP';
}

const isCopyIn = (node) => Boolean(node.is_from) && !node.filename && !node.is_program;

/** `statement_timeout` in milliseconds from `SET … = 500` or `= '5s'`; undefined where it is something else. */
function timeoutOf(node) {
  if (node.name !== 'statement_timeout') return undefined;
  if (node.kind !== 'VAR_SET_VALUE') return 0;
  const constant = node.args?.[0]?.A_Const;
  return milliseconds(constant?.sval?.sval ?? String(constant?.ival?.ival ?? 0));
}

const constant = (node) => node?.A_Const?.sval?.sval;

/**
 * A SELECT of nothing but set_config(…, true), which is how a client limits its transaction by parameters: a list of
 * [name, value], where a value is text or the number of a parameter. Null for anything else. Such a statement leaves
 * nothing behind in the session, so that nothing has to be read back after it.
 */
function localSettings(node, text) {
  const { targetList = [], fromClause, whereClause, withClause, op } = node;
  const calls = targetList.map(({ ResTarget: { val } }) => val?.FuncCall);
  const simple = !fromClause && !whereClause && !withClause && op === 'SETOP_NONE';
  if (!simple || text.match(/set_config/gi).length !== calls.length) return null;
  const settings = [];
  for (const call of calls) {
    const [name, value, local] = call?.args ?? [];
    const known = call?.funcname.at(-1).String.sval === 'set_config' && constant(name) !== undefined && local?.A_Const?.boolval?.boolval === true;
    if (!known) return null;
    settings.push([constant(name).toLowerCase(), value.ParamRef?.number ?? constant(value)]);
  }
  return settings;
}

export class Statements {
  #parse;
  #cache = new Map();

  constructor(parse) {
    this.#parse = parse;
  }

  /** Parse tree of a text: a list of [type, fields]. Throws what the parser says. */
  tree(text) {
    if (text.trim() === '') return []; // libpg-query calls that an error, PostgreSQL does not
    return this.#parse(text).map((stmt) => Object.entries(stmt)[0]);
  }

  /**
   * What the owner's text asks for: {refusal, copyIn: {sql, binary}, copyOut, changesSession, dropsStatements,
   * deallocate, timeout: {ms, local}, timeoutParameter, transaction}. A text that does not parse is PostgreSQL's to refuse.
   */
  classify(text) {
    const known = this.#cache.get(text);
    if (known !== undefined) return known;
    const found = this.#inspect(text);
    if (text.length <= CACHED_TEXT) {
      // A Map keeps insertion order: dropping the oldest tenth is cheap and good enough.
      if (this.#cache.size >= CACHED_COUNT) for (const key of [...this.#cache.keys()].slice(0, CACHED_COUNT / 10)) this.#cache.delete(key);
      this.#cache.set(text, found);
    }
    return found;
  }

  #inspect(text) {
    let statements;
    try {
      statements = this.tree(text);
    } catch (error) {
      // A COPY FROM STDIN that reached the database would stop it, so where the parser gives up there is no way on.
      const dangerous = !error?.sqlDetails || /memory/.test(error.message);
      return dangerous ? { refusal: { code: '54001', message: `the statement is too complex to be read: ${error.message}` } } : {};
    }
    const found = {};
    for (const [type, node] of statements) {
      found.refusal ??= refusal(type, node, statements.length) ?? undefined;
      if (type === 'VariableSetStmt') this.#noteSet(found, node);
      // What these do inside cannot be seen from here: the settings are read back to be sure.
      if (type === 'DoStmt' || type === 'CallStmt') found.changesSession = true;
      if (/set_config/i.test(text)) this.#noteSetConfig(found, statements.length === 1 && type === 'SelectStmt' ? localSettings(node, text) : null);
      if (type === 'DiscardStmt') found.changesSession = found.dropsStatements = true;
      if (type === 'DeallocateStmt') {
        if (node.name === undefined) found.dropsStatements = true;
        else found.deallocate = node.name;
      }
      if (type === 'CopyStmt' && !node.is_from) found.copyOut = true;
      if (type === 'CopyStmt' && isCopyIn(node)) found.copyIn = this.#copyIn(text, node);
      if (type === 'TransactionStmt') found.transaction = node.kind;
    }
    if (found.copyIn === null) found.refusal = unsupported('this COPY FROM STDIN could not be read');
    found.single = statements.length === 1;
    return found;
  }

  #noteSetConfig(found, settings) {
    if (settings === null) found.changesSession = true;
    for (const [name, value] of settings ?? []) {
      if (name !== 'statement_timeout') continue;
      if (typeof value === 'number') found.timeoutParameter = value;
      else if (milliseconds(value ?? '0') !== undefined) found.timeout = { ms: milliseconds(value ?? '0'), local: true };
    }
  }

  #noteSet(found, node) {
    if (!node.is_local) found.changesSession = true;
    const ms = timeoutOf(node);
    if (ms !== undefined) found.timeout = { ms, local: Boolean(node.is_local) };
    if (node.kind === 'VAR_RESET_ALL') found.timeout = { ms: 0, local: false };
  }

  #copyIn(text, node) {
    const sql = readFromDevice(text);
    try {
      const [[type, copy]] = this.tree(sql);
      if (type !== 'CopyStmt' || copy.filename !== COPY_DEVICE || copy.relation.relname !== node.relation.relname) return null;
    } catch {
      return null;
    }
    const format = (node.options ?? []).find((option) => option.DefElem.defname === 'format');
    return { sql, binary: format?.DefElem.arg?.String?.sval === 'binary' };
  }
}
