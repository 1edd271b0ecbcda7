import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import test from 'node:test';
import { ScramExchange, verifier } from '../../../../src/tidegauge/embedded/scram.mjs';

const hmac = (key, data) => createHmac('sha256', key).update(data).digest();

/** The client's side of RFC 5802, written from the RFC. */
function converse(exchange, password, tamper = {}) {
  const bare = 'n=,r=rOprNGfwEbeRWgbNEkqO';
  const serverFirst = exchange.first(`n,,${bare}`);
  const [, nonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst);
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const withoutProof = `c=${tamper.binding ?? 'biws'},r=${tamper.nonce ?? nonce}`;
  const authMessage = `${bare},${serverFirst},${withoutProof}`;
  const signature = hmac(createHash('sha256').update(clientKey).digest(), authMessage);
  const proof = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i])).toString('base64');
  const answer = exchange.final(`${withoutProof},p=${tamper.proof ?? proof}`);
  assert.equal(answer, `v=${hmac(hmac(salted, 'Server Key'), authMessage).toString('base64')}`);
}

test('the right password', () => converse(new ScramExchange(verifier('pencil')), 'pencil'));

test('everything else', () => {
  assert.throws(() => converse(new ScramExchange(verifier('pencil')), 'pen'), /authentication failed/);
  assert.throws(() => converse(new ScramExchange(undefined), 'pencil'), /authentication failed/);
  for (const tamper of [{ binding: 'eSws' }, { nonce: 'other' }, { proof: '' }, { proof: 'AAAA' }]) {
    assert.throws(() => converse(new ScramExchange(verifier('pencil')), 'pencil', tamper), /authentication failed/);
  }
  for (const first of ['', 'p=tls-unique,,n=,r=x', 'n,,n=', 'n,,r=x']) assert.throws(() => new ScramExchange(verifier('x')).first(first));
});
