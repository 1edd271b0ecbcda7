// What the reader may say. Everything runs in one superuser's session, so a reader's statement is let through only when
// PostgreSQL's own parser says that it is exactly one statement that reads. It then runs in a READ ONLY transaction
// under the reader's role (conversation.mjs), whose privileges confinement.mjs has cut: three layers, each enough for
// the attacks that we know.
import { readerSetting } from './reader_settings.mjs';

const CURSOR_HOLD = 0x0020;
/** Functions with side effects, of files, of other sessions, or that run SQL given as text; in any schema. */
const FORBIDDEN = new RegExp(
  `^(${[
    'set_config', 'pg_sleep.*', 'lo_.*', 'lowrite', 'loread', 'pg_read_.*', 'pg_ls_.*', 'pg_stat_file', 'pg_file_.*', 'dblink.*',
    '(query|table|schema|database|cursor)_to_xml.*', 'ts_stat', 'ts_rewrite', 'pg_(terminate|cancel)_backend', 'pg_log_.*', 'pg_notify',
    'pg_reload_conf', 'pg_rotate_logfile.*', 'pg_switch_wal', 'pg_create_.*', 'pg_drop_.*', 'pg_(logical|replication|backup|promote|wal_replay).*',
    'pg_export_snapshot', 'pg_(try_)?advisory_(xact_)?lock.*', 'pg_stat_reset.*', 'pg_stat_force_.*', 'nextval', 'setval', 'pg_import_.*',
    'pg_extension_config_dump', 'pg_nextoid', 'pg_stop_making_pinned_objects', 'binary_upgrade_.*', 'pg_current_logfile', 'pg_hba_file_rules',
    'pg_ident_file_mappings', 'pg_show_all_file_settings', 'pg_control_.*', 'brin_.*', 'gin_clean_pending_list', 'txid_current',
    'pg_current_xact_id', 'run_job', '(add|alter|delete)_job', '(add|remove|alter)_.*policy.*', '.*_chunks?_?policy', 'drop_chunks?', '(de)?compress_chunk',
    'recompress_chunk', 'convert_to_.*', 'create_hypertable', 'refresh_continuous_aggregate', 'move_chunk', 'merge_chunks', 'split_chunk',
    'reorder_chunk', 'attach_chunk', 'detach_chunk', 'create_chunk.*', 'freeze_chunk', 'unfreeze_chunk', 'set_.*', 'add_dimension', 'timescaledb_.*restore',
    'enable_.*', 'disable_.*', 'attach_tablespaces?', 'detach_tablespaces?', 'policy_.*', 'cagg_migrate.*',
  ].join('|')})$`,
);

const denied = (message, hint) => ({ refusal: { code: '42501', message, hint } });
const HINT = 'The reader’s connection takes one SELECT, EXPLAIN or SHOW at a time.';

/** Why this part of a query may not run for the reader, or null. Walks without recursion: trees may be deep. */
export function forbiddenPart(root) {
  const open = [root];
  while (open.length) {
    const node = open.pop();
    if (Array.isArray(node)) {
      for (const each of node) if (each !== null && typeof each === 'object') open.push(each);
      continue;
    }
    for (const [key, value] of Object.entries(node)) {
      if (key.endsWith('Stmt') && key !== 'SelectStmt') return `${key.slice(0, -4).toUpperCase()} is not for readers`;
      if (key === 'intoClause') return 'SELECT INTO is not for readers';
      if (key === 'lockingClause' || key === 'LockingClause') return 'locking rows is not for readers';
      if (key === 'FuncCall') {
        const name = value.funcname?.at(-1)?.String?.sval ?? '';
        if (FORBIDDEN.test(name)) return `the function ${name} is not for readers`;
      }
      if (value !== null && typeof value === 'object') open.push(value);
    }
  }
  return null;
}

function query(node) {
  const why = forbiddenPart({ SelectStmt: node });
  return why ? denied(why, HINT) : {};
}

function explain(node) {
  const [type, inner] = Object.entries(node.query ?? {})[0] ?? [];
  return type === 'SelectStmt' ? query(inner) : denied('EXPLAIN is for SELECT only here', HINT);
}

function declareCursor(node) {
  if (node.options & CURSOR_HOLD) return denied('WITH HOLD cursors are not for readers', 'Read the cursor inside its transaction.');
  return query(node.query?.SelectStmt ?? { InvalidStmt: {} });
}

function copy(node) {
  if (node.is_from || node.filename || node.is_program) return denied('only COPY … TO STDOUT is for readers');
  if (!node.query) return {};
  return node.query.SelectStmt ? query(node.query.SelectStmt) : denied('COPY takes a SELECT here', HINT);
}

/** Transactions of a reader are always read only, and there is only one at a time: options mean nothing. */
function transaction(node) {
  if (node.chain) return denied('AND CHAIN is not for readers', 'Begin the next transaction by BEGIN.');
  switch (node.kind) {
    case 'TRANS_STMT_BEGIN':
      return { control: 'begin', text: 'BEGIN' };
    case 'TRANS_STMT_START':
      return { control: 'begin', text: 'START TRANSACTION' };
    case 'TRANS_STMT_COMMIT':
      return { control: 'end', text: 'COMMIT' };
    case 'TRANS_STMT_ROLLBACK':
      return { control: 'end', text: 'ROLLBACK' };
    case 'TRANS_STMT_SAVEPOINT':
    case 'TRANS_STMT_RELEASE':
    case 'TRANS_STMT_ROLLBACK_TO':
      return {};
    default:
      return denied('two-phase commit is not for readers');
  }
}

const ALLOWED = {
  SelectStmt: query,
  ExplainStmt: explain,
  VariableShowStmt: () => ({}),
  VariableSetStmt: readerSetting,
  TransactionStmt: transaction,
  DeclareCursorStmt: declareCursor,
  FetchStmt: () => ({}),
  ClosePortalStmt: () => ({}),
  CopyStmt: copy,
  DeallocateStmt: (node) => (node.name === undefined ? { dropsStatements: true } : { deallocate: node.name }),
};

const CACHED_TEXT = 4 * 1024;
const CACHED_COUNT = 500;

export class ReaderGate {
  #statements;
  #cache = new Map();

  constructor(statements) {
    this.#statements = statements;
  }

  /** Like Statements.classify(), but whatever is not known to be harmless is refused. */
  classify(text) {
    const known = this.#cache.get(text);
    if (known !== undefined) return known;
    const found = this.#inspect(text);
    if (text.length <= CACHED_TEXT) {
      if (this.#cache.size >= CACHED_COUNT) this.#cache.clear();
      this.#cache.set(text, found);
    }
    return found;
  }

  #inspect(text) {
    let statements;
    try {
      statements = this.#statements.tree(text);
    } catch (error) {
      const position = error?.sqlDetails?.cursorPosition;
      return { refusal: { code: '42601', message: String(error?.message ?? error), position: position >= 0 ? position + 1 : undefined } };
    }
    if (statements.length === 0) return { text: '' };
    if (statements.length > 1) return denied('readers send one statement at a time', HINT);
    const [[type, node]] = statements;
    if (!Object.hasOwn(ALLOWED, type)) return denied(`${type.replace(/Stmt$/, '')} is not for readers`, HINT);
    return ALLOWED[type](node);
  }
}
