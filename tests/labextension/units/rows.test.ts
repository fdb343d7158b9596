import assert from 'node:assert/strict';
import { test } from 'node:test';

import { compare, nextSort, RowPlaces } from '../../../labextension/src/kit/rows';

function places(extras: [number, number][]): RowPlaces {
  const made = new RowPlaces(28);
  made.setExtras(new Map(extras));
  return made;
}

test('each row begins where the one before it ends', () => {
  for (const extras of [[], [[0, 100]], [[3, 7], [2, 400]], [[9, 1]]] as [number, number][][]) {
    const made = places(extras);
    for (let row = 0; row < 12; row++) {
      assert.equal(made.top(row + 1), made.top(row) + made.height(row));
    }
  }
});

test('the row at a height is the one that lies there', () => {
  const made = places([[2, 50], [5, 10]]);
  for (let row = 0; row < 10; row++) {
    for (let y = made.top(row); y < made.top(row + 1); y++) {
      assert.equal(made.at(y, 10), row, `${y} px`);
    }
  }
  assert.equal(made.at(-5, 10), 0);
  assert.equal(made.at(1e9, 10), 9);
});

test('a window over ten thousand rows shows few, and all that lie in it', () => {
  const made = places([[4000, 120]]);
  for (const y of [0, 1234, 28 * 4000 - 60, 28 * 9990]) {
    const [first, end] = made.window(y, 400, 10_000);
    assert.ok(end - first <= 16 + 14, `${end - first} rows`);
    assert.ok(made.top(first) <= y);
    assert.ok(end === 10_000 || made.top(end) >= y + 400);
  }
  assert.deepEqual(made.window(0, 400, 0), [0, 0]);
});

test('a header pressed again turns the order; numbers begin with the largest', () => {
  const first = nextSort(null, 'auc', true);
  assert.deepEqual(first, { column: 'auc', descending: true });
  assert.deepEqual(nextSort(first, 'auc', true), { column: 'auc', descending: false });
  assert.deepEqual(nextSort(first, 'name', false), { column: 'name', descending: false });
});

test('what is missing comes last in either order', () => {
  for (const descending of [false, true]) {
    const sorted = [null, 0.5, undefined, NaN, 0.1, '', 10].sort((a, b) => compare(a, b, descending));
    assert.deepEqual(sorted.slice(0, 3), descending ? [10, 0.5, 0.1] : [0.1, 0.5, 10]);
  }
});

test('texts are ordered by their words and numbers', () => {
  assert.deepEqual(['run 10', 'run 9', 'Run 1'].sort((a, b) => compare(a, b, false)), ['Run 1', 'run 9', 'run 10']);
});
