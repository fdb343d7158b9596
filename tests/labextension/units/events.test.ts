import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EventSplitter, eventsOf } from '../../../labextension/src/events';

const STREAM = ': hello\n\ndata: {"event": "started"}\n\ndata: {"event": "log", "text": "größer\\n"}\r\n\r\ndata: {"event": "end", "status": 0}\n\n';

const MESSAGES = [{ event: 'started' }, { event: 'log', text: 'größer\n' }, { event: 'end', status: 0 }];

test('messages are the same wherever the stream is cut', () => {
  for (let size = 1; size <= STREAM.length; size++) {
    const splitter = new EventSplitter();
    const found: unknown[] = [];
    for (let start = 0; start < STREAM.length; start += size) {
      found.push(...splitter.add(STREAM.slice(start, start + size)));
    }
    assert.deepEqual(found, MESSAGES, `in pieces of ${size}`);
  }
});

test('a message that is not complete yet is not told', () => {
  assert.deepEqual(new EventSplitter().add('data: {"event": "end"}\n'), []);
});

test('what is no JSON object is left out', () => {
  assert.deepEqual(new EventSplitter().add('data: {oops\n\ndata: 3\n\nevent: ping\n\ndata: {"a": 1}\n\n'), [{ a: 1 }]);
});

test('a response is read in whatever bytes it comes', async () => {
  const bytes = new TextEncoder().encode(STREAM);
  for (const size of [1, 7, bytes.length]) {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let start = 0; start < bytes.length; start += size) {
          controller.enqueue(bytes.slice(start, start + size));
        }
        controller.close();
      }
    });
    const found: unknown[] = [];
    for await (const message of eventsOf(new Response(body))) {
      found.push(message);
    }
    assert.deepEqual(found, MESSAGES);
  }
});

test('who stops listening ends the connection', async () => {
  let ended = false;
  const body = new ReadableStream<Uint8Array>({
    start: controller => controller.enqueue(new TextEncoder().encode('data: {"a": 1}\n\n')),
    cancel: () => {
      ended = true;
    }
  });
  for await (const message of eventsOf(new Response(body))) {
    assert.deepEqual(message, { a: 1 });
    break;
  }
  assert.ok(ended);
});
