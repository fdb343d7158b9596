import assert from 'node:assert/strict';
import { test } from 'node:test';

import { axisOf, change, codeLines, MARKS } from '../../../labextension/src/comparing/runs';

test('each run has a letter of its own', () => {
  const marks = Array.from({ length: 120 }, (_, index) => MARKS(index));
  assert.deepEqual(marks.slice(0, 2), ['A', 'B']);
  assert.equal(new Set(marks).size, marks.length);
});

test('numbers lie on their axis as far as they are apart', () => {
  assert.deepEqual(axisOf('depth', 'params', [2, 4, 3, null]).places, [0, 1, 0.5, null]);
});

test('one value for all lies in the middle', () => {
  assert.deepEqual(axisOf('depth', 'params', [2, 2]).places, [0.5, 0.5]);
});

test('texts are as far apart as there are different ones', () => {
  assert.deepEqual(axisOf('kernel', 'params', ['rbf', 'linear', 'rbf', 'poly', null]).places, [1, 0, 1, 0.5, null]);
});

test('a value that is no finite number makes the axis one of texts', () => {
  assert.deepEqual(axisOf('loss', 'metrics', [NaN, 1]).marks.length, 2);
});

test('a difference is told with its sign, and none is not told', () => {
  assert.equal(change(0.75, 0.5), '+0.25');
  assert.equal(change(0.5, 0.75), '−0.25');
  assert.equal(change(0.5, 0.5), '');
  assert.equal(change('a', 0.5), '');
  assert.equal(change(Infinity, 0.5), '');
});

test('a code difference is read line by line, a removed comment of dashes, too', () => {
  const found = codeLines('--- a\n+++ b\n@@ -1,3 +1,3 @@\n x = 1\n---- rule\n+y = 2');
  assert.deepEqual(found.map(line => line.kind), ['place', 'same', 'removed', 'added']);
  assert.deepEqual(found.slice(1).map(line => line.text), ['x = 1', '--- rule', 'y = 2']);
});
