import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FactBook } from '../../../labextension/src/cells/facts';
import { asTold, type Told, type ToldRun } from '../../../labextension/src/cells/told';

const SAID = { tracking: 'on', session: 's' } as const;

function run(id: string, cell: string): ToldRun {
  return { id, name: `run ${id}`, status: 'FINISHED', cell, metrics: {}, replay: null };
}

function book(...told: Told[]): FactBook {
  const made = new FactBook();
  told.forEach(each => made.take(each));
  return made;
}

function ids(facts: { runs: readonly { id: string }[] }): string[] {
  return facts.runs.map(item => item.id);
}

test('a run stands at the cell that made it, though a later cell adds to it', () => {
  const made = book(
    { kind: 'cell', cell: 'fit', seq: 1, status: 'ok', runs: [run('a', 'fit')], ...SAID },
    { kind: 'cell', cell: 'score', seq: 2, status: 'ok', runs: [run('a', 'fit')], ...SAID }
  );
  assert.deepEqual(ids(made.of('fit', false, '')), ['a']);
  assert.deepEqual(ids(made.of('score', false, '')), []);
});

test('a cell run again shows its new run only', () => {
  const made = book(
    { kind: 'cell', cell: 'fit', seq: 1, status: 'ok', runs: [run('a', 'fit')], ...SAID },
    { kind: 'cell', cell: 'fit', seq: 2, status: 'ok', runs: [run('b', 'fit')], ...SAID }
  );
  assert.deepEqual(ids(made.of('fit', false, '')), ['b']);
});

test('a stale cell is so until it is run', () => {
  const made = book({ kind: 'status', stale: { fit: ['x is another'] }, hidden: {}, notes: [], ...SAID });
  assert.deepEqual(made.of('fit', false, '').stale, ['x is another']);
  made.take({ kind: 'cell', cell: 'fit', seq: 3, status: 'ok', runs: [], ...SAID });
  assert.deepEqual(made.of('fit', false, '').stale, []);
});

test('an edited cell is stale at once where it was run, and not where it never was', () => {
  const made = book({ kind: 'cell', cell: 'fit', seq: 1, status: 'ok', runs: [], ...SAID });
  assert.deepEqual(made.of('fit', true, 'edited').stale, ['edited']);
  assert.deepEqual(made.of('other', true, 'edited').stale, []);
});

test('after a restart only what was saved is known', () => {
  const made = book({ kind: 'cell', cell: 'fit', seq: 1, status: 'ok', runs: [run('new', 'fit')], ...SAID });
  made.keep('fit', [{ id: 'old', name: 'old' }]);
  assert.deepEqual(ids(made.of('fit', false, '')), ['new']);
  made.forgetKernel();
  assert.deepEqual(ids(made.of('fit', false, '')), ['old']);
});

test('the verdict is that of the last run of the cell', () => {
  const made = book({ kind: 'cell', cell: 'fit', seq: 1, status: 'ok', runs: [run('a', 'fit'), run('b', 'fit')], ...SAID });
  made.judge(new Map([['a', 'different'], ['b', 'identical']]));
  assert.equal(made.of('fit', false, '').verdict, 'identical');
});

test('what no kernel of ours tells is not listened to', () => {
  assert.equal(asTold(null), null);
  assert.equal(asTold('cell'), null);
  assert.equal(asTold({ kind: 'later' }), null);
  assert.deepEqual(asTold({ kind: 'tracking', ...SAID }), { kind: 'tracking', ...SAID });
});
