import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LocalModel, type Action } from '../../../labextension/src/model';

test('a listener hears the new value of its name, and of no other', () => {
  const model = new LocalModel({ runs: [], sort: 'name' });
  const heard: unknown[] = [];
  model.on('change:runs', (_, value) => heard.push(value));
  model.set('sort', 'auc');
  model.set('runs', ['a']);
  assert.deepEqual(heard, [['a']]);
  assert.equal(model.get('sort'), 'auc');
});

test('the same value again is no change', () => {
  const model = new LocalModel({ selected: 'a' });
  let heard = 0;
  model.on('change', () => (heard += 1));
  model.set('selected', 'a');
  assert.equal(heard, 0);
  model.set('selected', undefined);
  model.set('selected', undefined);
  assert.equal(heard, 1);
});

test('a name that was never set is undefined, and setting it to that is told once', () => {
  const model = new LocalModel();
  assert.equal(model.get('runs'), undefined);
});

test('off forgets one handler, all of an event, or all', () => {
  const model = new LocalModel();
  const heard: string[] = [];
  const first = (): unknown => heard.push('first');
  const second = (): unknown => heard.push('second');
  model.on('change:a', first);
  model.on('change:a', second);
  model.on('change:b', first);
  model.off('change:a', first);
  model.set('a', 1);
  assert.deepEqual(heard, ['second']);
  model.off('change:a');
  model.set('a', 2);
  assert.deepEqual(heard, ['second']);
  model.off();
  model.set('b', 1);
  assert.deepEqual(heard, ['second']);
});

test('a handler that takes itself away does not keep the next from hearing', () => {
  const model = new LocalModel();
  const heard: string[] = [];
  const once = (): void => {
    heard.push('once');
    model.off('change:a', once);
  };
  model.on('change:a', once);
  model.on('change:a', () => heard.push('always'));
  model.set('a', 1);
  model.set('a', 2);
  assert.deepEqual(heard, ['once', 'always', 'always']);
});

test('what a view sends is an action for whoever made the model', () => {
  const done: Action[] = [];
  const model = new LocalModel({}, action => done.push(action));
  model.send({ do: 'replay', run: 'r1' });
  assert.deepEqual(done, [{ do: 'replay', run: 'r1' }]);
});

test('a view hears messages as from a kernel', () => {
  const model = new LocalModel();
  const heard: unknown[] = [];
  model.on('msg:custom', content => heard.push(content));
  model.receive({ verdict: 'identical' });
  assert.deepEqual(heard, [{ verdict: 'identical' }]);
});
