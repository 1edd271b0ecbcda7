import assert from 'node:assert/strict';
import test from 'node:test';
import { AnswerScanner, FrameReader, ProtocolError, errorFields, errorResponse, message, query, readCString } from '../../../../src/tidegauge/embedded/protocol.mjs';

const startup = () => {
  const bytes = Buffer.alloc(8);
  bytes.writeInt32BE(8, 0);
  bytes.writeInt32BE(196608, 4);
  return bytes;
};

test('messages come out whole, however the bytes arrive', () => {
  const sent = Buffer.concat([startup(), query('SELECT 1'), message('S'), query('x'.repeat(100_000))]);
  for (const size of [1, 3, 7, 4096, sent.length]) {
    const reader = new FrameReader({ frameLimit: 1 << 20 });
    const got = [];
    for (let at = 0; at < sent.length; at += size) {
      reader.push(sent.subarray(at, at + size));
      for (let frame = reader.next(); frame; frame = reader.next()) {
        if (frame.type === '') reader.startupDone();
        got.push(frame.type + frame.body.length);
      }
    }
    assert.deepEqual(got, ['4', 'Q9', 'S0', 'Q100001']);
    assert.equal(reader.pendingBytes, 0);
  }
});

test('hostile lengths are refused before anything is kept', () => {
  for (const length of [-1, 0, 7, 10_001, 0x7fffffff, -2147483648]) {
    const reader = new FrameReader({ frameLimit: 1000 });
    const bytes = Buffer.alloc(8);
    bytes.writeInt32BE(length, 0);
    reader.push(bytes);
    assert.throws(() => reader.next(), ProtocolError);
  }
  for (const length of [-1, 3, 1001]) {
    const reader = new FrameReader({ frameLimit: 1000 });
    reader.startupDone();
    const bytes = Buffer.from('Q\0\0\0\0');
    bytes.writeInt32BE(length, 1);
    reader.push(bytes);
    assert.throws(() => reader.next(), ProtocolError);
  }
});

test('an answer is scanned message by message', () => {
  const answer = Buffer.concat([message('D', Buffer.alloc(50)), errorResponse('ERROR', '42601', 'wrong', { H: 'hint' }), message('Z', Buffer.from('I'))]);
  for (const size of [1, 5, 13, 1000]) {
    const scanner = new AnswerScanner();
    const types = [];
    let fields = null;
    for (let at = 0; at < answer.length; at += size) {
      scanner.scan(answer.subarray(at, at + size), (type, start, end, buffer) => {
        types.push(String.fromCharCode(type));
        if (type === 0x45) fields = errorFields(buffer.subarray(start + 5, end));
      });
    }
    assert.deepEqual(types, ['D', 'E', 'Z']);
    assert.deepEqual(fields, { S: 'ERROR', V: 'ERROR', C: '42601', M: 'wrong', H: 'hint' });
  }
});

test('a string without an end', () => assert.throws(() => readCString(Buffer.from('abc'), 0), ProtocolError));
