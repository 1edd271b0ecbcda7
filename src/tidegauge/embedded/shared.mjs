// What the database thread and the server agree on.

/** Slots of the shared Int32Array: the id of the batch to cancel; how many pieces of its answer the client has taken. */
export const CANCEL_SLOT = 0;
export const ACK_SLOT = 1;
export const SLOTS = 2;

/** Pieces of 64 KiB that may be on their way to a client before the database waits for it. */
export const ANSWER_WINDOW = 32;

/** Where a COPY reads the rows that its client sent. */
export const COPY_DEVICE = '/dev/tidegauge_copy';

/**
 * PGlite starts PostgreSQL with options made for its own tests: sequential scans off, debug messages that are formatted
 * and thrown away, system tables open to changes, pg_catalog alone on the search path. It does not read the settings of
 * databases and roles, so these are set in the session, and again after whatever resets them.
 */
export const DEFAULTS = {
  search_path: '"$user", public', TimeZone: 'UTC', enable_seqscan: 'on', log_min_messages: 'fatal', allow_system_table_mods: 'off',
};

/** Where a reader's unqualified names are looked up unless it says otherwise. */
export const READER_SEARCH_PATH = 'analytics, public';

const UNITS = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time as PostgreSQL's settings have it, in milliseconds: '500', '5s', '2 min'. Undefined for anything else. */
export function milliseconds(text) {
  const match = /^\s*(\d+)\s*(ms|s|min|h|d)?\s*$/.exec(text);
  return match ? Number(match[1]) * UNITS[match[2] ?? 'ms'] : undefined;
}
