import { seconds } from '../kit/format';
import type { IconName } from '../kit/icons';
import type { Tone } from '../kit/status';
import { t } from '../kit/texts';
import type { StepPlan, StepRun } from '../records';

/** How a step is shown: by colour, shape and words at once. */
export interface Look {
  state: string;
  tone: Tone;
  shape: IconName;
  words: string;
}

const LOOKS: Record<string, [Tone, IconName, string]> = {
  waiting: ['plain', 'clock', 'waiting'],
  running: ['busy', 'refresh', 'running'],
  retrying: ['warn', 'replay', 'tries again'],
  cached: ['plain', 'check', 'unchanged'],
  done: ['good', 'check', 'done'],
  failed: ['bad', 'close', 'failed'],
  skipped: ['plain', 'right', 'skipped'],
  cancelled: ['warn', 'stop', 'cancelled'],
  'plan-run': ['busy', 'play', 'would run'],
  'plan-cached': ['plain', 'check', 'unchanged'],
  'plan-after': ['warn', 'info', 'depends'],
  'plan-skip': ['plain', 'right', 'not chosen']
};

/** How a step looks in a run, else in a plan, else before anything is known of it. */
export function lookOf(run: StepRun | undefined, plan: StepPlan | undefined): Look {
  const state = plan ? `plan-${plan.action}` : (run?.state ?? 'none');
  const [tone, shape, words] = LOOKS[state] ?? ['plain', 'cell', 'not run yet'];
  return { state, tone, shape, words: t(words) };
}

/** Seconds that a step took, or has taken so far. */
export function elapsed(run: StepRun, now = Date.now() / 1000): number | null {
  const begun = isBusy(run) && run.seconds === null && run.started;
  return begun ? Math.max(0, now - begun) : run.seconds;
}

/** Whether a step is at work. */
export function isBusy(run: StepRun | undefined): boolean {
  return run?.state === 'running' || run?.state === 'retrying';
}

/** What stands below the name of a step: its state, how far it came, and how long it took. */
export function detail(look: Look, run: StepRun | undefined, now?: number): string {
  if (!run || look.state.startsWith('plan-')) {
    return look.words;
  }
  const cells = run.cells && (isBusy(run) || run.state === 'failed') ? t('cell %1 of %2', run.cell, run.cells) : '';
  const time = run.state === 'cached' ? '' : seconds(elapsed(run, now));
  return [cells || look.words, time].filter(Boolean).join(' · ');
}

/** From 0 to 1, how far a running step came; null where it cannot be told. */
export function progress(run: StepRun | undefined): number | null {
  return run && isBusy(run) && run.cells ? Math.min(1, run.cell / run.cells) : null;
}

/** The one line of an error that tells most: what was raised, else the last one. */
export function headline(error: string): string {
  const lines = plain(error).trim().split('\n');
  const raised = [...lines]
    .reverse()
    .find(line => /^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Warning)\b/.test(line));
  return raised ?? lines[lines.length - 1] ?? '';
}

/** A text without the colours of a terminal. */
export function plain(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\x1b\[[0-9;]*m/g, '');
}
