import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ago, bytes, number, seconds, text } from '../../../labextension/src/kit/format';

const NOW = 1_800_000_000;

const CASES: [string, string][] = [
  [number(0.123456), '0.1235'],
  [number(0), '0'],
  [number(-3), '−3'],
  [number(1234567), '1\u202f234\u202f567'],
  [number(0.0000123), '1.23e-5'],
  [number(NaN), 'NaN'],
  [number(-Infinity), '−∞'],
  [number(null), ''],
  [number('0.5'), '0.5'],
  [number('<b>'), '<b>'],
  [seconds(0.0321), '32 ms'],
  [seconds(4.24), '4.2 s'],
  [seconds(200), '3 min 20 s'],
  [seconds(7500), '2 h 5 min'],
  [seconds(3 * 86400), '3 d'],
  [seconds(null), ''],
  [ago(NOW - 3, NOW), 'now'],
  [ago(NOW - 300, NOW), '5 min ago'],
  [ago(NOW - 3 * 3600, NOW), '3 h ago'],
  [ago(NOW + 7200, NOW), 'in 2 h'],
  [ago(0, NOW), ''],
  [bytes(512), '512 B'],
  [bytes(4200), '4.2 kB'],
  [bytes(11_000_000), '11 MB'],
  [bytes(999_999), '1 MB'],
  [bytes(null), ''],
  [text({ a: [1, null] }), '{"a":[1,null]}'],
  [text('x'.repeat(300)).slice(-2), 'x…'],
  [text(undefined), '']
];

for (const [told, expected] of CASES) {
  test(`${JSON.stringify(expected)} is written so`, () => assert.equal(told, expected));
}
