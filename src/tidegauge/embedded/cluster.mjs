// Makes a new database cluster. Initialising one takes seconds, and all are equal until they are used: the first is kept
// beside the npm packages, and every later one is a copy of it.
import { closeSync, cpSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { enlargeStack } from './stack.mjs';

/** Creates the cluster beside `dir` and renames it, so that a half-made one is never opened. */
export async function createCluster({ PGlite, timescaledb, wasmModule, settings, dir }) {
  const unfinished = `${dir}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  const template = join(settings.modulesDir, `cluster-${settings.ownerRole}-${settings.database}`);
  if (existsSync(template)) cpSync(template, unfinished, { recursive: true });
  else {
    await initialise({ PGlite, timescaledb, wasmModule, settings, dir: unfinished });
    keep(unfinished, template);
  }
  syncTree(unfinished);
  renameSync(unfinished, dir);
}

async function initialise({ PGlite, timescaledb, wasmModule, settings, dir }) {
  const { ownerRole, database } = settings;
  const first = await PGlite.create({ dataDir: dir, wasmModule });
  await first.exec(`CREATE ROLE "${ownerRole}" SUPERUSER LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS`);
  await first.exec(`CREATE DATABASE "${database}" OWNER "${ownerRole}"`);
  await first.close();
  const own = await PGlite.create({ dataDir: dir, wasmModule, username: ownerRole, database, extensions: { timescaledb } });
  enlargeStack(own.Module);
  await own.exec("LOAD 'timescaledb'");
  await own.exec('CREATE EXTENSION IF NOT EXISTS timescaledb');
  await own.exec('CHECKPOINT');
  await own.close();
}

/** Whoever comes first; a cache folder that cannot be written is no reason to fail. */
function keep(cluster, template) {
  const copy = `${template}.${process.pid}`;
  try {
    cpSync(cluster, copy, { recursive: true });
    syncTree(copy);
    renameSync(copy, template);
  } catch {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** PostgreSQL syncs what it writes later on, but takes what it finds for safe. */
function syncTree(path) {
  for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) syncTree(join(path, entry.name));
  else syncFile(join(path, entry.name));
  syncFile(path);
}

function syncFile(path) {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
