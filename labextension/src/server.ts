import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { DisposableDelegate, type IDisposable } from '@lumino/disposable';

import { eventsOf } from './events';
import { t } from './kit/texts';

/** Why the server did not answer with what was asked for. */
export type Trouble = 'missing' | 'refused' | 'failed' | 'unreachable';

/** An answer that is none: `message` is one sentence that says what to do. */
export class ServerError extends Error {
  constructor(
    message: string,
    readonly trouble: Trouble,
    readonly status: number
  ) {
    super(message);
  }
}

/** One event of a job, as `--json` prints it: a line of progress, a record, and at last "end". */
export interface JobEvent {
  event: string;
  [detail: string]: any;
}

/**
 * How a job ended: `status` is the exit status (0 done, 1 the answer is no, 2 wrong use), `answer` the verb's record.
 */
export interface JobEnd {
  status: number;
  answer: any;
  error: string;
}

/** A job as the server lists it. */
export interface JobSummary {
  id: string;
  verb: string;
  folder: string;
  state: string;
  [detail: string]: unknown;
}

/** The routes of the server part: verbs, jobs, and the stream of changes. Every method rejects with a ServerError. */
export class Server {
  constructor(private readonly _settings: ServerConnection.ISettings = ServerConnection.makeSettings()) {}

  /** Ask a reading verb in a folder. */
  async ask<T = any>(verb: string, args: object, folder: string, signal?: AbortSignal): Promise<T> {
    const query = URLExt.objectToQueryString({ folder, arguments: JSON.stringify(args) });
    return (await this._request(`verbs/${encodeURIComponent(verb)}${query}`, { method: 'GET', signal })).json();
  }

  /** Do a short change: tag, note, delete, schedule, promote, ... */
  async change<T = any>(verb: string, args: object, folder: string): Promise<T> {
    const body = JSON.stringify({ folder, arguments: args });
    return (await this._request(`verbs/${encodeURIComponent(verb)}`, { method: 'POST', body })).json();
  }

  /** Start long work: a job. */
  async start(verb: string, args: object, folder: string): Promise<Job> {
    const body = JSON.stringify({ verb, folder, arguments: args });
    const { id } = await (await this._request('jobs', { method: 'POST', body })).json();
    return this.job(id);
  }

  /** The jobs that the server knows, running and ended. */
  async jobs(): Promise<JobSummary[]> {
    const answer = await (await this._request('jobs', { method: 'GET' })).json();
    return Array.isArray(answer) ? answer : answer.jobs;
  }

  /** A job that was started before, from its beginning. */
  job(id: string): Job {
    return new Job(id, (path, init) => this._request(path, init));
  }

  /**
   * Listen to what changes in a folder's project, until disposed of. A connection that broke is made again, at
   * growing intervals; `failed` hears why it is not there, and undefined once it is back.
   */
  live(folder: string, listener: (changed: string[]) => void, failed?: (error?: ServerError) => void): IDisposable {
    const stop = new AbortController();
    void this._listen(folder, listener, failed, stop.signal);
    return new DisposableDelegate(() => stop.abort());
  }

  /** The address of a page that the server part serves, under its own base. */
  url(path: string): string {
    return URLExt.join(this._settings.baseUrl, 'mlops', path);
  }

  private async _listen(
    folder: string,
    listener: (changed: string[]) => void,
    failed: ((error?: ServerError) => void) | undefined,
    signal: AbortSignal
  ): Promise<void> {
    let pause = 500;
    let broken = false;
    while (!signal.aborted) {
      try {
        const response = await this._request(`live${URLExt.objectToQueryString({ folder })}`, {
          method: 'GET',
          signal
        });
        failed?.(undefined);
        if (broken) {
          listener(['runs', 'pipelines', 'models', 'schedules']);
        }
        for await (const told of eventsOf(response)) {
          pause = 500;
          if (Array.isArray(told.changed) && !signal.aborted) {
            listener(told.changed);
          }
        }
      } catch (error) {
        if (signal.aborted) {
          return;
        }
        failed?.(asServerError(error));
      }
      broken = true;
      await delay(pause, signal);
      pause = Math.min(pause * 2, 15000);
    }
  }

  private async _request(path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      const headers = init.body ? { 'Content-Type': 'application/json' } : undefined;
      response = await ServerConnection.makeRequest(this.url(path), { ...init, headers }, this._settings);
    } catch (error) {
      throw unreachable(error);
    }
    if (response.ok) {
      return response;
    }
    let message = '';
    try {
      message = (await response.json()).message ?? '';
    } catch {
      // What is no JSON of ours comes from another part of the server, or from something before it.
    }
    const ours = (response.headers.get('Content-Type') ?? '').includes('json');
    if (response.status === 404 && (!ours || !message || message === 'Not Found')) {
      throw new ServerError(MISSING(), 'missing', 404);
    }
    const told = message || t('The server answered with status %1.', response.status);
    throw new ServerError(told, response.status < 500 ? 'refused' : 'failed', response.status);
  }
}

/**
 * Long work on the server. Its events are given to every listener from the beginning; it goes on when nobody listens.
 */
export class Job {
  constructor(
    readonly id: string,
    private readonly _request: (path: string, init: RequestInit) => Promise<Response>
  ) {}

  /** The events so far. */
  readonly events: JobEvent[] = [];

  /** Hear each event, those that came before included. */
  listen(listener: (event: JobEvent) => void): this {
    this.events.forEach(listener);
    this._listeners.push(listener);
    void this.done.catch(() => undefined);
    return this;
  }

  /** How it ended; rejects when the server lost it. */
  get done(): Promise<JobEnd> {
    this._done ??= this._follow();
    return this._done;
  }

  /** Hear no more of it, whose `done` then stays open; it goes on. A browser has few connections to one server. */
  leave(): void {
    this._left.abort();
  }

  /** Stop it, and all that it started. */
  async cancel(): Promise<void> {
    await this._request(`jobs/${encodeURIComponent(this.id)}`, { method: 'DELETE' });
  }

  private async _follow(): Promise<JobEnd> {
    const { signal } = this._left;
    for (let tries = 0; ; tries += 1) {
      try {
        const path = `jobs/${encodeURIComponent(this.id)}/events?after=${this.events.length}`;
        for await (const told of eventsOf(await this._request(path, { method: 'GET', signal }))) {
          const event = told as JobEvent;
          tries = 0;
          this.events.push(event);
          this._listeners.forEach(listener => listener(event));
          if (event.event === 'end') {
            return { status: event.status, answer: event.answer, error: event.error ?? '' };
          }
        }
      } catch (error) {
        if (signal.aborted) {
          return new Promise(() => undefined);
        }
        if (tries > 4 || (error instanceof ServerError && error.trouble !== 'unreachable')) {
          throw asServerError(error);
        }
      }
      if (tries > 4) {
        throw new ServerError(t('The server does not answer any more: see whether it still runs.'), 'unreachable', 0);
      }
      await delay(300 * 2 ** tries);
    }
  }

  private readonly _left = new AbortController();
  private readonly _listeners: ((event: JobEvent) => void)[] = [];
  private _done: Promise<JobEnd> | null = null;
}

/** Any failure as a ServerError. */
export function asServerError(error: unknown): ServerError {
  return error instanceof ServerError
    ? error
    : new ServerError(String((error as Error)?.message ?? error), 'failed', 0);
}

const MISSING = (): string =>
  t('The server part of jupyter_mlops is not loaded: install it where JupyterLab itself runs, and restart that.');

function unreachable(error: unknown): unknown {
  if ((error as Error)?.name === 'AbortError') {
    return error;
  }
  return new ServerError(t('The server cannot be reached: see whether JupyterLab still runs.'), 'unreachable', 0);
}

function delay(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
