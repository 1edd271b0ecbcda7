// Settings that a reader may change, for itself alone. Nothing that changes how text is read (standard_conforming_strings,
// client_encoding): the check must see what PostgreSQL will see. Nothing that takes more memory.

import { DEFAULTS, READER_SEARCH_PATH, milliseconds } from './shared.mjs';

const FREE = new Set([
  'application_name', 'bytea_output', 'client_min_messages', 'constraint_exclusion', 'cursor_tuple_fraction', 'datestyle',
  'default_text_search_config', 'extra_float_digits', 'from_collapse_limit', 'geqo', 'gin_fuzzy_search_limit', 'idle_in_transaction_session_timeout',
  'idle_session_timeout', 'intervalstyle', 'jit', 'join_collapse_limit', 'lock_timeout', 'plan_cache_mode', 'random_page_cost', 'search_path',
  'seq_page_cost', 'statement_timeout', 'timezone', 'transaction_timeout', 'xmlbinary', 'xmloption',
]);
const PLANNER = /^enable_[a-z_]+$/;
/** Accepted where they say what is true anyway. */
const FIXED = {
  client_encoding: /^'?(utf-?8|unicode|sql_ascii)'?$/i,
  standard_conforming_strings: /^(on|true|yes|1)$/i,
  default_transaction_read_only: /^(on|true|yes|1)$/i,
  transaction_read_only: /^(on|true|yes|1)$/i,
  row_security: /^(on|true|yes|1)$/i,
};
/** Does nothing here, and PostgreSQL answers SET. */
const NOTHING = 'SET TRANSACTION READ ONLY';

/** What RESET means, where it is not PostgreSQL's own default. */
const RESET_TO = new Map([['search_path', READER_SEARCH_PATH], ['timezone', `'${DEFAULTS.TimeZone}'`], ['enable_seqscan', DEFAULTS.enable_seqscan]]);

const quoted = (text) => `'${text.replace(/'/g, "''")}'`;
const denied = (message) => ({ refusal: { code: '42501', message, hint: 'Readers may change how values are shown, and timeouts.' } });

/** What SET may be given: numbers, strings, booleans. Undefined for anything else. */
function constant(argument) {
  const value = argument.A_Const;
  if (value === undefined || value.isnull) return undefined;
  if (value.sval !== undefined) return value.sval.sval ?? '';
  if (value.boolval !== undefined) return value.boolval.boolval ? 'on' : 'off';
  if (value.fval !== undefined) return value.fval.fval;
  return String(value.ival?.ival ?? 0);
}

/** Whether a reader may have this setting at this value; only FREE ones are kept. */
function standing(name, value) {
  if (FREE.has(name) || PLANNER.test(name)) return 'free';
  if (Object.hasOwn(FIXED, name) && FIXED[name].test(value)) return 'fixed';
  return 'no';
}

function timeout(name, value, local) {
  const ms = name === 'statement_timeout' ? milliseconds(value) : undefined;
  return ms === undefined ? undefined : { ms, local };
}

/** SET, SET LOCAL, RESET: {text, set: {name, value, all, local}} — always run as SET LOCAL, kept by us. */
export function readerSetting(node) {
  const name = (node.name ?? '').toLowerCase();
  const local = Boolean(node.is_local);
  switch (node.kind) {
    case 'VAR_RESET_ALL':
      return { text: NOTHING, set: { all: true }, timeout: { ms: 0, local: false } };
    case 'VAR_SET_MULTI':
      return characteristics(node);
    case 'VAR_RESET':
    case 'VAR_SET_DEFAULT':
      if (standing(name, '') !== 'free') return Object.hasOwn(FIXED, name) ? { text: NOTHING } : denied(`readers may not reset ${name}`);
      return { text: `SET LOCAL ${name} TO ${RESET_TO.get(name) ?? 'DEFAULT'}`, set: { name, value: null, local }, timeout: timeout(name, '0', local) };
    case 'VAR_SET_VALUE':
      return setValue(name, (node.args ?? []).map(constant), local);
    default:
      return denied(`readers may not set ${name}`);
  }
}

function setValue(name, values, local) {
  if (values.length === 0 || values.includes(undefined)) return denied(`readers may set ${name} to a constant only`);
  const kind = standing(name, values[0]);
  if (kind === 'no') return denied(`readers may not set ${name} to this value`);
  if (kind === 'fixed') return { text: NOTHING };
  // A list (search_path, DateStyle) is kept in the form that set_config() takes: identifiers, separated by commas.
  const value = name === 'search_path' ? values.map((each) => `"${each.replace(/"/g, '""')}"`).join(', ') : values.join(', ');
  return { text: `SET LOCAL ${name} TO ${values.map(quoted).join(', ')}`, set: { name, value, local }, timeout: timeout(name, value, local) };
}

/** SET TRANSACTION and SET SESSION CHARACTERISTICS: isolation means nothing here, and READ WRITE is refused. */
function characteristics(node) {
  if (!/^(TRANSACTION|SESSION CHARACTERISTICS)$/.test(node.name ?? '')) return denied(`readers may not set ${node.name}`);
  for (const { DefElem: option } of node.args ?? []) {
    const writes = option.defname === 'transaction_read_only' && (option.arg?.A_Const?.ival?.ival ?? 0) === 0;
    if (writes) return denied('readers’ transactions are read only');
  }
  return { text: NOTHING };
}

/** Start-up parameters: those that may be kept; throws {code, message} for others. */
export function readerStartup(asked) {
  const kept = new Map();
  for (const [given, value] of asked) {
    const name = given.toLowerCase();
    const kind = standing(name, value);
    if (kind === 'no') throw Object.assign(new Error(`readers may not set ${name} to this value`), { code: '42501' });
    if (kind === 'free') kept.set(name, value);
  }
  return kept;
}
