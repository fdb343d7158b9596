/** Split a stream of server-sent events into the JSON of their `data` lines. Pure: give it text as it comes. */
export class EventSplitter {
  /** Take in a piece of text; the messages that it completes. */
  add(piece: string): Record<string, any>[] {
    this._rest += piece;
    const blocks = this._rest.split(/\r?\n\r?\n/);
    this._rest = blocks.pop() ?? '';
    return blocks.flatMap(block => message(block));
  }

  private _rest = '';
}

/** The messages of a response that streams server-sent events. */
export async function* eventsOf(response: Response): AsyncGenerator<Record<string, any>> {
  if (!response.body) {
    return;
  }
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const splitter = new EventSplitter();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      yield* splitter.add(decoder.decode(value, { stream: true }));
    }
  } finally {
    // Whoever stops listening ends the connection, too.
    void reader.cancel().catch(() => undefined);
  }
}

function message(block: string): Record<string, any>[] {
  const lines = block.split(/\r?\n/).filter(line => line.startsWith('data:'));
  if (!lines.length) {
    return [];
  }
  try {
    const told: unknown = JSON.parse(lines.map(line => line.slice(5).trimStart()).join('\n'));
    return told !== null && typeof told === 'object' ? [told as Record<string, any>] : [];
  } catch {
    return [];
  }
}
