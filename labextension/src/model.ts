/** A handler of events of a model: of `change:NAME`, or of messages. */
export type Handler = (...args: any[]) => void;

/** What a view reads and writes: anywidget's model in a notebook, a `LocalModel` in the sidebar. */
export interface Model {
  get<T = any>(name: string): T;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, handler: Handler): void;
  off(event?: string | null, handler?: Handler | null): void;
  send(content: unknown, callbacks?: unknown, buffers?: unknown): void;
}

/** What a view is given: its model, and the element that it fills. */
export interface ViewProps {
  model: Model;
  el: HTMLElement;
}

/** A view: a framework-free module whose `render` fills an element and returns how to take everything away again. */
export interface View {
  render(props: ViewProps): () => void;
}

/** What a view sends when its user asks for something: `do` is one of the model's `actions`. */
export interface Action {
  do: string;
  [detail: string]: unknown;
}

/**
 * A model without a kernel: values by name, `change:NAME` (and `change`) events, and actions given to `act`.
 */
export class LocalModel implements Model {
  constructor(values: Record<string, unknown> = {}, act: (action: Action) => void = () => undefined) {
    this._values = new Map(Object.entries(values));
    this._act = act;
  }

  get<T = any>(name: string): T {
    return this._values.get(name) as T;
  }

  /** Set a value; its listeners are told when it is another one. */
  set(name: string, value: unknown): void {
    if (this._values.has(name) && Object.is(this._values.get(name), value)) {
      return;
    }
    this._values.set(name, value);
    this._tell(`change:${name}`, this, value);
    this._tell('change', this);
  }

  save_changes(): void {
    // There is no kernel to save to: `set` has told everybody.
  }

  on(event: string, handler: Handler): void {
    const handlers = this._handlers.get(event) ?? new Set<Handler>();
    this._handlers.set(event, handlers.add(handler));
  }

  /** Forget one handler; all of an event without a handler; all of all events without an event. */
  off(event?: string | null, handler?: Handler | null): void {
    for (const [name, handlers] of this._handlers) {
      if (!event || name === event) {
        if (handler) {
          handlers.delete(handler);
        } else {
          handlers.clear();
        }
      }
    }
  }

  send(content: unknown): void {
    this._act(content as Action);
  }

  /** Give the view a message, as a kernel would. */
  receive(content: unknown): void {
    this._tell('msg:custom', content, []);
  }

  private _tell(event: string, ...args: unknown[]): void {
    for (const handler of [...(this._handlers.get(event) ?? [])]) {
      handler(...args);
    }
  }

  private readonly _values: Map<string, unknown>;
  private readonly _handlers = new Map<string, Set<Handler>>();
  private readonly _act: (action: Action) => void;
}
