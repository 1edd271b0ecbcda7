import assert from 'node:assert/strict';
import test from 'node:test';
import { readFromDevice } from '../../../../src/tidegauge/embedded/copy_text.mjs';
import { COPY_DEVICE } from '../../../../src/tidegauge/embedded/shared.mjs';

const device = `'${COPY_DEVICE}'`;
const cases = [
  ['COPY t FROM STDIN', `COPY t FROM ${device}`],
  ['copy t from stdin;', `copy t from ${device};`],
  ['COPY "from stdin" FROM STDIN', `COPY "from stdin" FROM ${device}`],
  ['COPY "a""from stdin""" FROM STDIN', `COPY "a""from stdin""" FROM ${device}`],
  ['COPY t ("from", "STDIN") FROM STDIN', `COPY t ("from", "STDIN") FROM ${device}`],
  ['-- FROM STDIN\nCOPY t FROM/* x /* y */ */STDIN', `-- FROM STDIN\nCOPY t FROM/* x /* y */ */${device}`],
  ["COPY t FROM STDIN DELIMITER ';' NULL 'from stdin'", `COPY t FROM ${device} DELIMITER ';' NULL 'from stdin'`],
  ["COPY t FROM STDIN WHERE a = $q$from stdin$q$", `COPY t FROM ${device} WHERE a = $q$from stdin$q$`],
  ["COPY t FROM STDIN WHERE a = E'\\'from stdin'", `COPY t FROM ${device} WHERE a = E'\\'from stdin'`],
  ['COPY größe FROM STDIN', `COPY größe FROM ${device}`],
];

for (const [text, expected] of cases) test(text, () => assert.equal(readFromDevice(text), expected));

test('nothing to replace', () => {
  for (const text of ['COPY t TO STDOUT', "COPY t FROM '/x'", 'SELECT 1', '']) assert.equal(readFromDevice(text), null);
});
