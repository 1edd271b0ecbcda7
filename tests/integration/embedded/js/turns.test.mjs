import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONTENDED_MS, Contention } from '../../../../src/tidegauge/embedded/contention.mjs';
import { Turns } from '../../../../src/tidegauge/embedded/turns.mjs';

const client = (turnLimitMs) => ({ turnLimitMs, told: 0, overdue() { this.told += 1; } });
const reader = () => ({ ...client(60_000), isReader: true });

test('turns go round in order of asking', async () => {
  const turns = new Turns();
  const [one, two, three] = [client(1000), client(1000), client(1000)];
  assert.equal(await turns.acquire(one), true);
  const [second, third] = [turns.acquire(two), turns.acquire(three)];
  assert.equal(turns.withdraw(two), true);
  assert.equal(await second, false);
  turns.release(one);
  assert.equal(await third, true);
  assert.equal(turns.holds(three), true);
  turns.release(three);
  assert.equal(turns.quiet, true);
});

test('who waits with a limit leaves the queue after it', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const turns = new Turns();
  const [one, two] = [client(60_000), client(60_000)];
  await turns.acquire(one);
  const waiting = turns.acquire(two, 10_000);
  t.mock.timers.tick(10_000);
  assert.equal(await waiting, false);
  turns.release(one);
  assert.equal(turns.quiet, true);
});

test('a turn has a limit while another client waits', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const turns = new Turns();
  const [long, next, housekeeping] = [client(5000), client(5000), client(undefined)];
  await turns.acquire(long);
  turns.acquire(housekeeping);
  t.mock.timers.tick(20_000);
  assert.equal(long.told, 0); // nobody has to hurry
  turns.acquire(next);
  t.mock.timers.tick(1);
  assert.equal(long.told, 1);
  turns.release(long);
  t.mock.timers.tick(20_000);
  assert.equal(housekeeping.told, 0);
  turns.release(housekeeping);
  t.mock.timers.tick(20_000);
  assert.equal(next.told, 0);
});

test('the owner goes before readers that have asked earlier', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const turns = new Turns();
  const [holder, early, late, owner] = [reader(), reader(), reader(), client(60_000)];
  for (const each of [holder, early, late, owner]) turns.acquire(each);
  t.mock.timers.tick(60_000);
  for (const expected of [owner, early, late]) {
    turns.release([holder, owner, early, late].find((each) => turns.holds(each)));
    assert.equal(turns.holds(expected), true);
  }
  turns.release(late);
  assert.equal(turns.quiet, true);
});

test('a reader goes between two turns of an owner that never rests', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const turns = new Turns();
  const owners = [client(60_000), client(60_000), client(60_000)];
  const waiting = reader();
  for (const each of [owners[0], waiting, owners[1], owners[2]]) turns.acquire(each);
  t.mock.timers.tick(500);
  turns.release(owners[0]);
  assert.equal(turns.holds(owners[1]), true);
  turns.acquire(owners[0]);
  t.mock.timers.tick(501);
  turns.release(owners[1]);
  assert.equal(turns.holds(waiting), true);
  turns.release(waiting);
  assert.equal(turns.holds(owners[2]), true);
});

test('a reader has less time while the owner waits', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const turns = new Turns();
  const ended = [];
  const contention = new Contention(turns, (cause) => ended.push(cause));
  const [reads, housekeeping, owner] = [reader(), client(undefined), client(60_000)];
  turns.acquire(reads);
  contention.started(reads);
  for (const each of [reader(), housekeeping]) turns.acquire(each);
  t.mock.timers.tick(CONTENDED_MS - 1000);
  assert.deepEqual(ended, []);
  turns.acquire(owner);
  turns.withdraw(owner);
  t.mock.timers.tick(60_000);
  assert.deepEqual(ended, []); // nobody waits any more
  turns.acquire(owner);
  t.mock.timers.tick(0);
  assert.deepEqual(ended, ['contended']);
  contention.ended();
  contention.started(owner); // as if it had the turn
  t.mock.timers.tick(60_000);
  assert.equal(ended.length, 1);
});

test('a reader that starts while the owner waits has all of the lesser time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const turns = new Turns();
  const ended = [];
  const contention = new Contention(turns, (cause) => ended.push(cause));
  const reads = reader();
  turns.acquire(reads);
  turns.acquire(client(60_000));
  contention.started(reads);
  t.mock.timers.tick(CONTENDED_MS - 1);
  assert.deepEqual(ended, []);
  t.mock.timers.tick(1);
  assert.deepEqual(ended, ['contended']);
});
