import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from '../../../../src/tidegauge/embedded/turns.mjs';

const client = (turnLimitMs) => ({ turnLimitMs, told: 0, overdue() { this.told += 1; } });

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
