import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PAGE, Pages } from '../../../labextension/src/runs/pages';
import { sortOf, whereOf } from '../../../labextension/src/runs/search';

const MEANT: [typed: string, where: string][] = [
  ['', ''],
  ['  ', ''],
  ['forest', "name ILIKE '%forest%'"],
  ["o'brien", 'name ILIKE "%o\'brien%"'],
  ['made in spring', "name ILIKE '%made in spring%'"],
  ['auc > 0.8 and C = 0.1', 'auc > 0.8 and C = 0.1'],
  ["solver IN ('lbfgs')", "solver IN ('lbfgs')"],
  ['auc >', 'auc >']
];

test('a typed text is a filter where it compares, else a part of the name', () => {
  for (const [typed, where] of MEANT) {
    assert.equal(whereOf(typed), where);
  }
});

test('the sort of a column is that of the verb', () => {
  assert.equal(sortOf(null), '');
  assert.equal(sortOf({ column: 'started', descending: true }), '-started');
  assert.equal(sortOf({ column: 'metric:auc:train', descending: true }), '-metrics.auc:train');
  assert.equal(sortOf({ column: 'param:C', descending: false }), 'params.C');
});

/** A list of numbers on a server: what was asked of it, and how long it is. */
function served(total: number) {
  const list = { total, asked: [] as number[], failed: [] as unknown[], changes: 0 };
  const ask = async (offset: number, limit: number) => {
    list.asked.push(offset);
    const rows = Array.from({ length: Math.max(0, Math.min(limit, list.total - offset)) }, (_, index) => offset + index);
    return { rows, total: list.total };
  };
  const pages = new Pages<number>(ask, () => (list.changes += 1), error => list.failed.push(error));
  return { list, pages };
}

const settled = () => new Promise(done => setTimeout(done, 0));

test('of a long list only what is on view is asked for', async () => {
  const { list, pages } = served(10000);
  await pages.restart();
  assert.deepEqual([pages.rows.length, pages.rows[0], pages.rows[PAGE]], [10000, 0, null]);
  pages.want(5000, 5030);
  pages.want(5001, 5031);
  await settled();
  assert.deepEqual([pages.rows[5030], list.asked], [5030, [0, 5000]]);
});

test('what changed is asked for where one looks, and a list that got short is seen from its beginning', async () => {
  const { list, pages } = served(1000);
  await pages.restart();
  pages.want(900, 930);
  await settled();
  await pages.refresh();
  assert.equal(list.asked.at(-1), 900);
  list.total = 3;
  await pages.refresh();
  assert.deepEqual(pages.rows, [0, 1, 2]);
});

test('changes while an answer is on its way are one more question', async () => {
  const { list, pages } = served(5);
  await Promise.all([pages.refresh(), pages.refresh(), pages.refresh(), pages.refresh()]);
  assert.deepEqual([list.asked.length, list.changes, pages.rows.length], [2, 2, 5]);
});

test('an answer to what is no longer sought is dropped', async () => {
  const late: ((page: { rows: string[]; total: number }) => void)[] = [];
  const pages = new Pages<string>(() => new Promise(done => late.push(done)), () => undefined, () => undefined);
  const first = pages.restart();
  void pages.restart();
  late[0]({ rows: ['old'], total: 1 });
  await settled();
  assert.deepEqual(pages.rows, []);
  late[1]({ rows: ['new'], total: 1 });
  await first;
  assert.deepEqual(pages.rows, ['new']);
});
