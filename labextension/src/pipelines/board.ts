import type { PipelineRun, StepRun } from '../records';
import type { JobEvent } from '../server';

const TOLD = [
  'state',
  'key',
  'attempts',
  'cell',
  'cells',
  'memory',
  'notebook',
  'source',
  'error',
  'outputs',
  'metrics',
  'seconds'
] as const;

/** A step of which nothing is known yet. */
export function waiting(step: string): StepRun {
  return {
    step,
    state: 'waiting',
    why: [],
    key: null,
    run: '',
    started: null,
    seconds: null,
    attempts: 0,
    cell: 0,
    cells: 0,
    memory: 0,
    notebook: '',
    source: '',
    error: '',
    outputs: {},
    metrics: {}
  };
}

/** How a run stands after the events of its job so far. Pure; times are those of the reader's clock. */
export class Board {
  constructor(private readonly _clock: () => number = () => Date.now() / 1000) {}

  /** The id of the run, and the name of its pipeline; "" before they are known. */
  run = '';
  name = '';
  /** running, then done, failed or cancelled. */
  status = 'running';
  params: Record<string, unknown> = {};
  steps: StepRun[] = [];

  /** Take in an event; whether something changed by it. */
  take(event: JobEvent): boolean {
    if (event.event === 'run' && Array.isArray(event.steps)) {
      this.run = String(event.run ?? '');
      this.name = String(event.name ?? '');
      this.params = event.params ?? {};
      this.steps = event.steps.map((step: string) => waiting(step));
      return true;
    }
    if (event.event === 'done') {
      this.status = String(event.state ?? 'done');
      return true;
    }
    const index = this.steps.findIndex(step => step.step === event.step);
    if (index < 0) {
      return false;
    }
    this.steps = this.steps.map((step, place) => (place === index ? this._after(step, event) : step));
    return true;
  }

  /** The whole answer of the run takes the place of what its events told. */
  end(answer: PipelineRun): void {
    this.status = answer.status;
    this.steps = answer.steps;
  }

  private _after(before: StepRun, event: JobEvent): StepRun {
    const news: Partial<StepRun> = {};
    for (const name of TOLD) {
      if (event[name] !== undefined && event[name] !== null) {
        Object.assign(news, { [name]: event[name] });
      }
    }
    const changed = news.state !== undefined && news.state !== before.state;
    const why = event.why ? [event.why].flat() : changed ? [] : before.why;
    if (changed && news.state === 'running') {
      Object.assign(news, {
        started: this._clock(),
        seconds: null,
        attempts: news.attempts ?? before.attempts + 1,
        error: ''
      });
    }
    return { ...before, ...news, why, run: event.step_run ?? before.run };
  }
}

/** How many steps are in which state, the busiest first. */
export function counted(steps: readonly StepRun[]): [string, number][] {
  const order = ['running', 'retrying', 'failed', 'done', 'cached', 'waiting', 'skipped', 'cancelled'];
  const counts = order.map(state => [state, steps.filter(step => step.state === state).length] as [string, number]);
  return counts.filter(([, count]) => count > 0);
}
