// SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side, without channel binding: connections are loopback only.
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

// Passwords are random and 32 bytes long: the iteration count protects nothing here, it only costs time at connect.
const ITERATIONS = 4096;

const hmac = (key, data) => createHmac('sha256', key).update(data).digest();
const xor = (a, b) => Buffer.from(a.map((byte, i) => byte ^ b[i]));

/** What the server keeps of a password: salt, stored key and server key. */
export function verifier(password) {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, ITERATIONS, 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  return { salt, storedKey: createHash('sha256').update(clientKey).digest(), serverKey: hmac(salted, 'Server Key') };
}

const attributes = (text) => Object.fromEntries(text.split(',').map((part) => [part[0], part.slice(2)]));

/** One exchange. `first()` answers the client's first message, `final()` its proof; both throw when it is wrong. */
export class ScramExchange {
  #known;
  #nonce;
  #firstBare;
  #serverFirst;
  #gs2;

  /** An unknown user gets a throw-away verifier, so that the exchange does not tell which users exist. */
  constructor(known) {
    this.#known = known ?? verifier(randomBytes(16).toString('hex'));
    this.accepted = known !== undefined;
  }

  first(text) {
    const match = /^((?:n|y),(?:a=[^,]*)?,)((?:n=[^,]*),r=([^,]+)(?:,.*)?)$/s.exec(text);
    if (!match) throw new Error('malformed SCRAM message');
    this.#gs2 = match[1];
    this.#firstBare = match[2];
    this.#nonce = match[3] + randomBytes(18).toString('base64');
    this.#serverFirst = `r=${this.#nonce},s=${this.#known.salt.toString('base64')},i=${ITERATIONS}`;
    return this.#serverFirst;
  }

  final(text) {
    const cut = text.lastIndexOf(',p=');
    if (cut < 0) throw new Error('malformed SCRAM message');
    const withoutProof = text.slice(0, cut);
    const { c, r } = attributes(withoutProof);
    const proof = Buffer.from(text.slice(cut + 3), 'base64');
    const authMessage = `${this.#firstBare},${this.#serverFirst},${withoutProof}`;
    const bound = c === Buffer.from(this.#gs2).toString('base64') && r === this.#nonce && proof.length === 32;
    const clientKey = bound ? xor(proof, hmac(this.#known.storedKey, authMessage)) : Buffer.alloc(32);
    const right = timingSafeEqual(createHash('sha256').update(clientKey).digest(), this.#known.storedKey);
    if (!bound || !right || !this.accepted) throw new Error('password authentication failed');
    return `v=${hmac(this.#known.serverKey, authMessage).toString('base64')}`;
  }
}
